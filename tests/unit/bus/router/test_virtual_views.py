"""Views without a topic, on a broker in memory, beside the same views on their topics."""

from collections.abc import Iterable

import pytest

from bus.domain.policy import ViewPolicy
from bus.domain.view import Treatment
from bus.errors import BrokerUnavailable, PseudonymKeyUnusable, StoreUnavailable
from bus.ports.virtual_views import ViewChange
from bus.router import fill
from bus.router.router import SCHEMA_WAIT_SECONDS
from bus.router.virtual_views import SILENCE_SECONDS, VirtualViews
from tests.pseudonym_secrets import GivenSecrets
from tests.router_harness import (
    SOURCE,
    TOWNS,
    TOWNS_ID,
    Bus,
    encode,
    towns,
    towns_of,
    towns_view,
)
from tests.view_taker import TakerDied, ViewTaker, heartbeat, open_views, topic_rows

_TOWNS_ONLY = 'kind == "town"'


def keys(changes: list[ViewChange]) -> list[tuple[str, str | None]]:
    """Return (key, reason) of each change."""
    return [(change.key.decode(), change.reason) for change in changes]


def taking(
    *declared: ViewPolicy, partitions: int = 1, followed: Iterable[ViewPolicy] | None = None
) -> tuple[Bus, ViewTaker, VirtualViews]:
    """Return a bus with views, and a taker that has what there is of those `followed` (all)."""
    bus = Bus()
    bus.declare(towns(partitions), *declared)
    taker = ViewTaker()
    topics = [view.topic for view in (declared if followed is None else followed)]
    views = open_views(bus, taker, *topics)
    taker.settle(views)
    return bus, taker, views


def test_a_virtual_view_gives_out_what_the_topic_of_the_same_view_holds() -> None:
    """Byte by byte, headers and times too: it is one engine."""
    view, everything = towns_view("kind", rows=_TOWNS_ONLY), towns_view("size")
    bus, taker, views = taking(view, everything)
    bus.upsert("a")
    bus.upsert("b", kind="city")
    bus.upsert("a", kind="city")
    bus.upsert("b", size=None)
    bus.delete("b")
    bus.settle(bus.router())

    taker.settle(views)

    for topic in (view.topic, everything.topic):
        given = [
            (change.key, change.value, list(change.headers), change.accepted_at.timestamp())
            for change in taker.taken
            if change.view == topic
        ]
        assert given == [
            (
                record.key(),
                record.value(),
                list(record.headers() or ()),
                record.timestamp()[1] / 1000,
            )
            for record in bus.committed(topic)
        ]


def test_a_change_says_where_it_comes_from_and_why_a_record_is_gone() -> None:
    bus, taker, views = taking(towns_view(rows=_TOWNS_ONLY), partitions=2)
    places = [bus.upsert("a"), bus.upsert("a", kind="city"), bus.upsert("a"), bus.delete("a")]

    came = taker.settle(views)

    assert keys(came) == [("a", None), ("a", "left-view"), ("a", None), ("a", "deleted")]
    assert [change.position for change in came] == places
    (partition,) = {change.partition for change in came}
    assert bus.committed(SOURCE)[0].partition() == partition


def test_a_key_that_was_never_a_member_is_never_named() -> None:
    """Invariant 2: a tombstone would betray that the key exists."""
    view = towns_view(rows=_TOWNS_ONLY)
    bus, taker, views = taking(view)
    bus.upsert("secret-city", kind="city")
    bus.delete("secret-city")

    assert taker.settle(views) == []


def test_a_view_that_begins_is_given_the_present_and_not_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fill, "STEP_RECORDS", 2)
    bus = Bus()
    view = towns_view("size")
    bus.declare(towns(1), view)
    for size in (1, 2, 3):
        bus.upsert("a", size=size)
    bus.upsert("gone")
    bus.delete("gone")
    taker = ViewTaker()
    views = open_views(bus, taker, view.topic)

    came = taker.settle(views)

    assert keys(came) == [("a", None)]
    assert bus.decode(view, came[0].value or b"")[1] == {"id": "a", "size": 3}


def test_a_restart_goes_on_behind_the_bookmark() -> None:
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    taker = ViewTaker()
    first = open_views(bus, taker, view.topic)
    bus.upsert("a")
    taker.settle(first)
    first.close()
    bus.upsert("b")

    assert keys(taker.settle(open_views(bus, taker, view.topic))) == [("b", None)]


def test_a_restart_in_the_middle_of_a_fill_goes_on_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fill, "STEP_RECORDS", 2)
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    for key in "abcdef":
        bus.upsert(key)
    taker = ViewTaker()
    first = open_views(bus, taker, view.topic)
    while not taker.take(first):
        pass
    mark = taker.bookmark(view.topic, 0)
    assert mark is not None
    assert mark.filling
    first.close()

    came = taker.settle(open_views(bus, taker, view.topic))

    assert [key for key, _ in keys(came)] == list("cdef")


def test_who_left_while_nobody_looked_is_told_though_the_source_forgot_that_it_was_there() -> None:
    """Compaction takes away what made it a member: the taker's own keys say it (ADR 0023)."""
    bus = Bus()
    view = towns_view(rows=_TOWNS_ONLY)
    bus.declare(towns(1), view)
    taker = ViewTaker()
    first = open_views(bus, taker, view.topic)
    bus.upsert("a")
    bus.upsert("secret-city", kind="city")
    taker.settle(first)
    first.close()
    bus.upsert("a", kind="city")
    bus.upsert("secret-city", kind="village")
    bus.broker.compact(SOURCE)

    came = taker.settle(open_views(bus, taker, view.topic))

    assert keys(came) == [("a", "left-view")]


def test_a_store_that_fails_for_a_moment_costs_no_knowledge_of_who_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = Bus()
    view = towns_view(rows=_TOWNS_ONLY)
    bus.declare(towns(1), view)
    taker = ViewTaker()
    first = open_views(bus, taker, view.topic)
    bus.upsert("a")
    taker.settle(first)
    first.close()
    bus.upsert("a", kind="city")
    views = open_views(bus, taker, view.topic)

    def fail(*_: object) -> list[bytes]:
        raise StoreUnavailable("injected")

    with monkeypatch.context() as broken:
        broken.setattr(taker, "held", fail)
        with pytest.raises(StoreUnavailable):
            taker.take(views)

    assert keys(taker.settle(views)) == [("a", "left-view")]


def test_a_view_that_stayed_behind_catches_up_and_the_others_get_nothing_twice() -> None:
    bus = Bus()
    slow, quick = towns_view("kind", rows=_TOWNS_ONLY), towns_view("size")
    bus.declare(towns(1), slow, quick)
    taker = ViewTaker()
    views = open_views(bus, taker, slow.topic, quick.topic)
    bus.upsert("a")
    taker.settle(views)
    views.follow([quick.topic])
    bus.upsert("b")
    bus.upsert("a", kind="city")
    taker.settle(views)
    views.close()

    views = open_views(bus, taker, slow.topic, quick.topic)
    bus.upsert("c")
    taker.settle(views)

    given = {
        view.topic: keys([change for change in taker.taken if change.view == view.topic])
        for view in (slow, quick)
    }
    assert given[slow.topic] == [("a", None), ("b", None), ("a", "left-view"), ("c", None)]
    assert given[quick.topic] == [("a", None), ("b", None), ("a", None), ("c", None)]


def test_what_was_not_kept_is_given_out_again() -> None:
    """At least once, and what came is what comes again: the membership goes back, too."""
    view = towns_view(rows=_TOWNS_ONLY)
    bus, taker, views = taking(view)
    bus.upsert("a")
    bus.upsert("b")
    bus.upsert("b", kind="city")

    with pytest.raises(TakerDied):
        taker.take(views, dies_after=2)

    assert keys(taker.settle(views)) == [("a", None), ("b", None), ("b", "left-view")]


def test_a_batch_that_is_left_half_way_is_given_out_again_and_has_no_bookmarks() -> None:
    view = towns_view()
    bus, taker, views = taking(view)
    bus.upsert("a")
    bus.upsert("b")

    with views.batch() as batch:
        next(iter(batch))
        assert batch.bookmarks == {}

    assert keys(taker.settle(views)) == [("a", None), ("b", None)]


def test_a_view_that_ends_between_two_changes_gives_out_no_more() -> None:
    """The grant is checked at the moment of sending (design.md §9)."""
    ends, stays = towns_view("kind"), towns_view("size")
    bus, taker, views = taking(ends, stays)
    for key in "abc":
        bus.upsert(key)

    def end() -> None:
        if bus.version == 1:
            bus.declare(towns(1), stays)

    came = taker.take(views, before_each=end)

    assert [change.key for change in came if change.view == stays.topic] == [b"a", b"b", b"c"]
    assert len([change for change in came if change.view == ends.topic]) <= 1
    assert views.standing == {stays.topic}
    bus.upsert("d")
    assert [change.view for change in taker.settle(views)] == [stays.topic]


def test_what_was_evaluated_under_an_older_policy_is_not_given_out_under_a_newer_one() -> None:
    view = towns_view()
    bus, _, views = taking(view)
    bus.upsert("a")

    with views.batch() as batch:
        bus.declare(towns(1))
        assert list(batch) == []
        assert batch.bookmarks == {}


def test_a_view_that_is_suspended_goes_on_where_it_was_stopped() -> None:
    view = towns_view()
    bus, taker, views = taking(view)
    for key in "abc":
        bus.upsert(key)

    came = taker.take(views, before_each=lambda: views.follow([]))
    # It is back before anybody has looked again.
    views.follow([view.topic])

    assert keys(came) == [("a", None)]
    assert [key for key, _ in keys(taker.settle(views))] == list("abc")


def test_what_was_withheld_comes_though_the_view_was_back_before_the_batch_was_over() -> None:
    stopped, other = towns_view("kind"), towns_view("size")
    bus, taker, views = taking(stopped, other)
    for key in "abc":
        bus.upsert(key)
    both = [stopped.topic, other.topic]
    followed = iter([[other.topic], [other.topic], both])

    taker.take(views, before_each=lambda: views.follow(next(followed, both)))
    taker.settle(views)

    given = [change.key for change in taker.taken if change.view == stopped.topic]
    assert given[-3:] == [b"a", b"b", b"c"]
    assert given[:-3] in ([], [b"a"])


def test_a_view_that_was_never_followed_stays_inside() -> None:
    mine, other = towns_view("kind"), towns_view("secret")
    bus, taker, views = taking(mine, other, followed=[mine])
    bus.upsert("a")
    taker.settle(views)

    assert taker.rows.keys() == {mine.topic}


def test_nothing_is_given_out_when_nobody_knows_whether_views_still_stand() -> None:
    view = towns_view()
    bus, taker, views = taking(view)
    bus.upsert("a")
    bus.upsert("b")
    bus.clock.sleep(SILENCE_SECONDS + 1)
    with pytest.raises(BrokerUnavailable, match="relay"):
        taker.take(views)

    heartbeat(bus)
    with pytest.raises(BrokerUnavailable, match="relay"):
        taker.take(views, before_each=lambda: bus.clock.sleep(SILENCE_SECONDS + 1))
    heartbeat(bus)

    assert keys(taker.taken) == [("a", None)]
    assert keys(taker.settle(views)) == [("a", None), ("b", None)]


def test_without_a_policy_nothing_is_given_out() -> None:
    bus = Bus()
    taker = ViewTaker()

    assert taker.settle(open_views(bus, taker, towns_view().topic)) == []


def test_a_record_that_no_view_may_have_is_counted_and_the_router_alone_writes_its_letter() -> None:
    view = towns_view()
    bus, taker, views = taking(view)
    bus.publish(towns_of(bus), b"a", b"")
    bus.upsert("b")

    came = taker.settle(views)

    assert keys(came) == [("b", None)]
    assert views.passed_over == {"BAD_MAGIC": 1}
    assert bus.letters() == []


def test_a_schema_that_the_policy_does_not_know_yet_is_waited_for() -> None:
    bus = Bus()
    view = towns_view("kind")
    bus.declare(towns(1), view)
    taker = ViewTaker()
    views = open_views(bus, taker, view.topic, batch_records=1)
    taker.settle(views)
    record = {"id": "a", "kind": "town", "size": 1, "secret": ""}
    bus.publish(towns_of(bus), b"a", encode(record, TOWNS, 2))
    bus.upsert("b")
    waited = taker.settle(views)

    bus.declare(towns(1, schemas={TOWNS_ID: TOWNS, 2: TOWNS}), view)
    came = taker.settle(views)

    assert waited == []
    assert keys(came) == [("a", None), ("b", None)]
    assert views.passed_over == {}


def test_a_schema_is_not_waited_for_for_ever() -> None:
    view = towns_view()
    bus, taker, views = taking(view)
    bus.publish(towns_of(bus), b"a", b"\x00\x00\x00\x00\x09")
    bus.upsert("b")
    taker.settle(views)

    bus.clock.sleep(SCHEMA_WAIT_SECONDS)
    heartbeat(bus)

    assert keys(taker.settle(views)) == [("b", None)]
    assert views.passed_over == {"SCHEMA_UNKNOWN": 1}


def test_what_an_ended_view_held_is_no_business_of_the_next_one() -> None:
    bus = Bus()
    ends, comes = towns_view(rows=_TOWNS_ONLY), towns_view(rows='kind == "city"')
    bus.declare(towns(1), ends)
    taker = ViewTaker()
    views = open_views(bus, taker, ends.topic, comes.topic)
    taker.settle(views)
    bus.upsert("secret-town")
    taker.settle(views)
    bus.declare(towns(1), comes)
    taker.settle(views)

    bus.delete("secret-town")
    taker.settle(views)

    assert [change for change in taker.taken if change.view == comes.topic] == []


def test_a_view_that_comes_back_under_a_new_name_is_given_the_present_anew() -> None:
    bus = Bus()
    bus.declare(towns(1), first := towns_view(rows=_TOWNS_ONLY))
    taker = ViewTaker()
    second = towns_view(rows=_TOWNS_ONLY, incarnation=2)
    views = open_views(bus, taker, first.topic, second.topic)
    bus.upsert("a")
    bus.upsert("b")
    taker.settle(views)
    bus.declare(towns(1))
    taker.settle(views)
    bus.upsert("b", kind="city")
    bus.declare(towns(1), second)
    bus.settle(bus.router())

    taker.settle(views)

    assert taker.rows[second.topic] == topic_rows(bus, second.topic)
    assert taker.rows[second.topic].keys() == {b"a"}


def test_pseudonyms_are_the_same_with_a_topic_and_without() -> None:
    bus = Bus()
    view = towns_view(treated={"kind": Treatment.HMAC}, rows=_TOWNS_ONLY)
    bus.declare(towns(1), view)
    taker = ViewTaker()
    views = open_views(bus, taker, view.topic)
    bus.upsert("a")
    taker.settle(views)
    bus.settle(bus.router())

    assert taker.rows[view.topic] == topic_rows(bus, view.topic)
    assert b"town" not in taker.rows[view.topic][b"a"]


def test_without_their_secret_nothing_is_given_out() -> None:
    """docs/adr/0024: better nothing than anything else in the place of a pseudonym."""
    bus = Bus()
    bus.secrets = GivenSecrets({2: bytes(32)})
    plain, view = towns_view("kind"), towns_view(treated={"kind": Treatment.HMAC})
    bus.declare(towns(1), plain, view)
    bus.upsert("a")
    taker = ViewTaker()
    views = open_views(bus, taker, plain.topic, view.topic)

    with pytest.raises(PseudonymKeyUnusable):
        taker.settle(views)

    assert taker.taken == []
