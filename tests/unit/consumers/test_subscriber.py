"""Unit tests of `consumers.subscriber`: the stream of changes, and where it goes on."""

import json
from collections.abc import Callable
from itertools import islice

import pytest

from bus.adapters.control_http.client import ControlClient
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.memory.clock import ManualClock
from bus.errors import BrokerUnavailable, SubscriptionEnded
from bus.ports import Committed, Partition
from consumers import Change, Subscriber, subscriber
from consumers.subscriber import REMEMBER_SECONDS
from consumers.view_follower import DESCRIPTOR_SECONDS
from tests import builders
from tests.subscriber_fakes import Subscribed

Subscribe = Callable[..., Subscriber]

_DAY = 24 * 3600.0
STARTED, ENDED = "resync-started", "resync-ended"


@pytest.fixture
def subscribed() -> Subscribed:
    """Return a subscription to a view of two records."""
    made = Subscribed(live=False)
    made.upsert("1")
    made.upsert("2")
    made.fill()
    return made


@pytest.fixture
def subscribe(subscribed: Subscribed, monkeypatch: pytest.MonkeyPatch) -> Subscribe:
    """Return a function that starts a subscriber, under the name `main`."""
    return starter(subscribed, monkeypatch)


def starter(subscribed: Subscribed, monkeypatch: pytest.MonkeyPatch) -> Subscribe:
    """Return a function that starts subscribers of a subscription."""
    groups: list[str] = []

    def readers(_: KafkaConnection, *, group: str) -> object:
        groups.append(group)
        assert group == subscribed.readers.group
        return subscribed.readers

    monkeypatch.setattr(subscriber, "KafkaLogReaders", readers)

    def start(*, from_start: bool = False, remember: bool = True) -> Subscriber:
        control: ControlClient = subscribed.control.as_client()
        clock: ManualClock = subscribed.clock
        connection = KafkaConnection(bootstrap="-", username="-", password="-")
        return Subscriber(
            builders.GRANT,
            kafka=connection,
            control=control,
            from_start=from_start,
            remember=remember,
            clock=clock,
        )

    return start


def seen(changes: list[Change]) -> list[str]:
    """Return the keys of changes, deletes with a minus, and the marks of a resync."""
    return [
        f"-{change.key}" if change.kind == "delete" else change.key or str(change.kind)
        for change in changes
    ]


def poll(stream: Subscriber) -> list[str]:
    """Return what there is, all of it done."""
    return seen(list(stream.poll(0)))


def note_at(subscribed: Subscribed, partition: int = 0) -> tuple[int, bool]:
    """Return what is remembered of a partition: position, and whether a resync is under way."""
    found = subscribed.committed()[partition]
    return found.position, json.loads(found.note)["resyncing"]


# --- The whole view -------------------------------------------------------------------------------


def test_the_first_start_hands_out_the_whole_view_between_two_marks(
    subscribe: Subscribe,
) -> None:
    """R-116: a snapshot up to a marked position, then increments from exactly there."""
    stream = subscribe()

    first = list(stream.poll(0))

    assert seen(first) == [STARTED, "1", "2", ENDED]
    assert first[0].record is None
    assert first[0].meta is None
    assert first[0].subscription == stream.descriptor
    assert first[1].record == {"code": "1", "name": "东城"}


def test_what_comes_after_the_view_has_been_handed_out_is_handed_out_once(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    stream = subscribe()
    poll(stream)
    subscribed.upsert("3")
    subscribed.delete("1", reason="left-view")

    assert poll(stream) == ["3", "-1"]
    assert poll(stream) == []


def narrow(subscribed: Subscribed) -> None:
    """Move the subscription to a narrower view with one record, and let the stream ask for it."""
    subscribed.move("code")
    subscribed.upsert("2")
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)


def test_the_end_of_a_resync_waits_until_the_view_has_been_filled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribed = Subscribed(live=False)
    subscribed.upsert("1")
    stream = starter(subscribed, monkeypatch)()

    before = poll(stream)
    subscribed.upsert("2")
    subscribed.fill()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)
    after = poll(stream)

    assert before == [STARTED, "1"]
    assert after == ["2", ENDED]


def test_a_change_of_topic_starts_the_view_over(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    """A narrower grant is loaded anew; what it does not hold any more does not come again."""
    stream = subscribe()
    poll(stream)
    narrow(subscribed)

    moved = list(stream.poll(0))
    subscribed.fill()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)
    ended = poll(stream)

    assert seen(moved) == [STARTED, "2"]
    assert moved[1].record == {"code": "2"}
    assert moved[0].subscription.topic == subscribed.incarnation.topic
    assert ended == [ENDED]


def test_a_new_topic_that_cannot_be_opened_yet_is_announced_when_it_can(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    stream = subscribe()
    poll(stream)
    narrow(subscribed)
    subscribed.readers.failures["open"] = BrokerUnavailable("no leader yet")
    with pytest.raises(BrokerUnavailable):
        poll(stream)
    subscribed.readers.failures.clear()

    assert poll(stream) == [STARTED, "2"]


def test_a_topic_that_is_not_shown_yet_delays_the_stream_and_no_more(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    """The descriptor names the new topic a moment before its permission is there."""
    stream = subscribe()
    poll(stream)
    narrow(subscribed)
    shown = subscribed.clock.monotonic() + 5
    subscribed.readers.hidden = lambda _topic: subscribed.clock.monotonic() < shown

    assert poll(stream) == [STARTED, "2"]


def test_a_topic_that_is_cut_before_it_was_opened_makes_way_for_the_next(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    stream = subscribe()
    cut = stream.descriptor.topic
    subscribed.readers.hidden = lambda topic: topic == cut
    subscribed.move("code")
    subscribed.upsert("2")

    assert poll(stream) == [STARTED, "2"]


def test_a_start_that_fails_is_made_up_for(subscribe: Subscribe, subscribed: Subscribed) -> None:
    stream = subscribe()
    subscribed.readers.failures["committed"] = BrokerUnavailable("away")
    with pytest.raises(BrokerUnavailable):
        poll(stream)
    subscribed.readers.failures.clear()

    assert poll(stream) == [STARTED, "1", "2", ENDED]


def test_the_end_of_the_grant_ends_the_stream(subscribe: Subscribe, subscribed: Subscribed) -> None:
    """Invariant 6: also what has been read ahead is not handed out any more."""
    stream = subscribe()
    poll(stream)
    subscribed.upsert("3")
    subscribed.end()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)

    with pytest.raises(SubscriptionEnded):
        poll(stream)


def test_the_end_of_the_grant_stops_a_slow_caller_before_all_that_was_read_ahead(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    """Invariant 6: no queued record is handed out after the grant has ended."""
    changes = subscribe().poll(0)
    handed_out = [next(changes).key, next(changes).key]
    subscribed.end()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)

    with pytest.raises(SubscriptionEnded):
        next(changes)

    assert handed_out == ["", "1"]


def test_a_narrowed_grant_stops_what_was_read_ahead_of_the_wider_view(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    stream = iter(subscribe())
    before = seen(list(islice(stream, 2)))
    narrow(subscribed)

    after = list(islice(stream, 2))

    assert before == [STARTED, "1"]
    assert seen(after) == [STARTED, "2"]
    assert after[1].record == {"code": "2"}


def test_iterating_goes_on_for_ever(subscribe: Subscribe, subscribed: Subscribed) -> None:
    stream = iter(subscribe())
    first = seen(list(islice(stream, 4)))
    subscribed.upsert("3")

    assert first == [STARTED, "1", "2", ENDED]
    assert next(stream).key == "3"


# --- What is remembered ---------------------------------------------------------------------------


def test_a_restart_goes_on_behind_what_was_done(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    """R-117: a subscriber goes on from its position."""
    with subscribe() as stream:
        poll(stream)
    subscribed.upsert("3")

    with subscribe() as stream:
        assert poll(stream) == ["3"]


def test_a_change_is_done_only_when_the_next_one_is_asked_for(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    """R-117: at least once; what was being worked on at a crash comes again."""
    with subscribe() as stream:
        changes = stream.poll(0)
        assert seen(list(islice(changes, 3))) == [STARTED, "1", "2"]

    assert note_at(subscribed) == (1, True)
    with subscribe() as stream:
        assert poll(stream) == ["2", ENDED]


def test_a_caller_that_stops_in_the_middle_loses_nothing(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    """Invariant 4: what was read ahead is not forgotten between two loops."""
    stream = subscribe()
    for change in stream.poll(0):
        if change.key == "1":
            break
    subscribed.upsert("3")

    assert poll(stream) == ["1", "2", ENDED]
    assert poll(stream) == ["3"]


def test_the_end_of_a_resync_counts_only_when_the_next_change_is_asked_for(
    subscribe: Subscribe,
) -> None:
    with subscribe() as stream:
        for change in stream.poll(0):
            if change.kind == ENDED:
                break

    with subscribe() as stream:
        assert poll(stream) == [ENDED]


def test_an_interrupted_resync_goes_on_where_it_was(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    with subscribe() as stream:
        changes = stream.poll(0)
        next(changes), next(changes), next(changes)

    with subscribe() as stream:
        assert poll(stream) == ["2", ENDED]
    with subscribe() as stream:
        assert poll(stream) == []


def test_positions_are_remembered_now_and_then_while_changes_flow(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    stream = subscribe()
    changes = stream.poll(0)
    next(changes), next(changes)
    subscribed.clock.sleep(REMEMBER_SECONDS / 2)
    next(changes)
    nothing = subscribed.committed()
    subscribed.clock.sleep(REMEMBER_SECONDS / 2)
    next(changes)

    assert nothing == {}
    assert note_at(subscribed) == (2, True)


def test_a_broker_that_cannot_remember_now_is_asked_again_later(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    stream = subscribe()
    subscribed.readers.failures["commit"] = BrokerUnavailable("away")
    poll(stream)
    subscribed.readers.failures.clear()
    subscribed.clock.sleep(REMEMBER_SECONDS)
    poll(stream)

    assert note_at(subscribed) == (2, False)


def test_after_the_replay_window_the_whole_view_comes_again(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    """Deletes from before the window are gone: only mark and sweep tells (design.md §9)."""
    with subscribe() as stream:
        poll(stream)
    subscribed.clock.sleep(30 * _DAY + 1)

    with subscribe() as stream:
        assert poll(stream) == [STARTED, "1", "2", ENDED]


def test_within_the_replay_window_nothing_comes_again(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    with subscribe() as stream:
        poll(stream)
    subscribed.clock.sleep(30 * _DAY)

    with subscribe() as stream:
        assert poll(stream) == []


def test_a_quiet_view_does_not_come_again_because_nothing_has_changed_for_long(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    with subscribe() as stream:
        poll(stream)
    with subscribe() as stream:
        for _ in range(40):
            subscribed.clock.sleep(_DAY)
            assert poll(stream) == []

    with subscribe() as stream:
        assert poll(stream) == []


def test_the_note_stands_at_every_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    subscribed = Subscribed(partitions=2, live=False)
    subscribed.upsert("1", partition=0)
    subscribed.upsert("2", partition=1)
    subscribe = starter(subscribed, monkeypatch)
    with subscribe() as stream:
        poll(stream)
    subscribed.upsert("3", partition=1)
    subscribed.fill()
    with subscribe() as stream:
        assert poll(stream) == ["3", ENDED]

    with subscribe() as stream:
        assert poll(stream) == []
    assert [note_at(subscribed, number) for number in (0, 1)] == [(1, False), (2, False)]


def test_positions_that_were_set_by_other_means_start_the_view_over(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    where = Partition(subscribed.incarnation.topic, 0)
    subscribed.broker.commit_positions(subscribed.readers.group, {where: Committed(1, "")})

    with subscribe() as stream:
        assert poll(stream) == [STARTED, "1", "2", ENDED]


def test_positions_in_a_former_topic_are_not_taken_for_positions_in_the_new_one(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    with subscribe() as stream:
        poll(stream)
    subscribed.move("code")
    subscribed.upsert("2")

    with subscribe() as stream:
        assert poll(stream) == [STARTED, "2"]


# --- Other ways to start --------------------------------------------------------------------------


def test_from_the_start_means_the_whole_view_whatever_is_remembered(subscribe: Subscribe) -> None:
    with subscribe() as stream:
        poll(stream)

    with subscribe(from_start=True) as stream:
        assert poll(stream) == [STARTED, "1", "2", ENDED]


def test_without_remembering_the_stream_starts_at_the_end_and_forgets(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    with subscribe(remember=False) as stream:
        at_first = poll(stream)
        subscribed.upsert("3")
        later = poll(stream)

    assert (at_first, later) == ([], ["3"])
    assert subscribed.committed() == {}


def test_the_whole_view_can_be_had_without_remembering(
    subscribe: Subscribe, subscribed: Subscribed
) -> None:
    with subscribe(remember=False, from_start=True) as stream:
        assert poll(stream) == [STARTED, "1", "2", ENDED]

    assert subscribed.committed() == {}
