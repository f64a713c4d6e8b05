"""Unit tests of `bus.services.fill_watch`, with `bus.services.state_table` below it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bus.domain.entry import CatalogEntry
from bus.domain.names import ROUTER_STATE_TOPIC
from bus.domain.router_state import Phase, RouterState, state_key
from bus.errors import StoreUnavailable
from bus.ports import Partition
from bus.services.fill_watch import FillWatch
from bus.services.state_table import SILENCE_SECONDS, StateTable
from tests import builders
from tests.stream_builders import ControlPlane, DeafReaders

ENTRY = builders.entry(partitions=2)
STATE = Partition(ROUTER_STATE_TOPIC, 0)


@pytest.fixture
def control() -> ControlPlane:
    """Return a control plane with one grant on a resource of two partitions."""
    made = ControlPlane()
    made.apply(builders.catalog(entries=[ENTRY]))
    return made


def watch_of(control: ControlPlane) -> FillWatch:
    """Return the watch of one replica."""
    return FillWatch(
        store=control.store,
        changes=control.changes,
        state=StateTable(control.readers, control.codec, control.clock),
        readers=control.readers,
        clock=control.clock,
    )


def record(
    control: ControlPlane, number: int, topic: str, phase: Phase, *, of: CatalogEntry = ENTRY
) -> None:
    """Record the state of an incarnation in one source partition, as the router does."""
    state = control.codec.encode(RouterState(phase=phase, policy_version=1))
    key = state_key(of.source_topic, number, topic)
    control.broker.append(STATE, key.encode(), state)


def test_a_view_is_filled_when_it_is_live_in_every_source_partition(control: ControlPlane) -> None:
    """R-116: only then may subscribers take it for whole."""
    watch = watch_of(control)
    topic = control.incarnation_of().topic
    live: list[bool] = []

    for number, phase in [
        (0, Phase.FILLING),
        (0, Phase.LIVE),
        (1, Phase.FILLING),
        (1, Phase.LIVE),
    ]:
        record(control, number, topic, phase)
        watch.step()
        live.append(control.incarnation_of().live)

    assert live == [False, False, False, True]


def test_the_fill_end_is_the_end_of_the_view_topic_at_that_moment(control: ControlPlane) -> None:
    watch = watch_of(control)
    topic = control.incarnation_of().topic
    for key in (b"1", b"2", b"3"):
        control.broker.append(Partition(topic, 0), key, b"")
    control.fill(topic, source=ENTRY)

    watch.step()
    control.broker.append(Partition(topic, 0), b"4", b"")
    control.clock.sleep(10)
    watch.step()

    assert control.incarnation_of().fill_end == {0: 3}


def test_a_state_that_was_taken_back_is_no_state(control: ControlPlane) -> None:
    watch = watch_of(control)
    topic = control.incarnation_of().topic
    record(control, 0, topic, Phase.LIVE)
    control.broker.append(STATE, state_key(ENTRY.source_topic, 0, topic).encode(), None)
    record(control, 1, topic, Phase.LIVE)

    watch.step()

    assert not control.incarnation_of().live


def test_states_of_partitions_and_of_other_views_prove_nothing(control: ControlPlane) -> None:
    watch = watch_of(control)
    for number in range(2):
        record(control, number, "os.view.cn.divisions.other.1", Phase.LIVE)
        key = state_key(ENTRY.source_topic, number)
        whole = RouterState(phase=Phase.PARTITION, policy_version=1)
        control.broker.append(STATE, key.encode(), control.codec.encode(whole))

    watch.step()

    assert not control.incarnation_of().live


def test_subscriptions_that_waited_move_on(control: ControlPlane) -> None:
    watch = watch_of(control)
    old = control.incarnation_of().topic
    control.fill(old, source=ENTRY)
    watch.step()
    wider = builders.grant(items=("code", "name", "district"))
    control.apply(builders.catalog(entries=[ENTRY], grants=[wider]))
    new = control.subscription().next_topic
    assert new is not None

    control.fill(new, source=ENTRY)
    watch.step()

    assert control.subscription().topic == new
    assert control.subscription().next_topic is None
    assert control.readable("sub-divisions-housing") == {new}


def test_nothing_is_concluded_before_the_end_of_the_state_topic(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.services.state_table._BATCH", 2)
    topic = control.incarnation_of().topic
    for number in range(2):
        record(control, number, topic, Phase.LIVE)
    control.broker.append(STATE, state_key(ENTRY.source_topic, 0, topic).encode(), None)
    watch = watch_of(control)

    watch.step()
    watch.step()

    assert not control.incarnation_of().live


def counting(control: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that tells how often the store was looked at."""
    begun: list[int] = []
    snapshot = control.store.snapshot

    def counted() -> object:
        begun.append(1)
        return snapshot()

    monkeypatch.setattr(control.store, "snapshot", counted)
    return lambda: len(begun)


def test_a_quiet_state_topic_costs_no_transaction_for_a_while(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watch_of(control)
    watch.step()
    transactions = counting(control, monkeypatch)

    for _ in range(5):
        watch.step()
    quiet = transactions()
    control.clock.sleep(2)
    watch.step()

    assert (quiet, transactions()) == (0, 1)


def test_a_view_that_was_filled_before_it_was_known_here_is_found_later(
    control: ControlPlane,
) -> None:
    """Another replica applies the grant; the state topic is quiet by then."""
    watch = watch_of(control)
    watch.step()
    second = builders.grant("divisions-other", items=("code",))
    control.apply(builders.catalog(entries=[ENTRY], grants=[builders.grant(), second]))
    topic = control.incarnation_of("divisions-other").topic
    control.fill(topic, source=ENTRY)
    watch.step()

    assert control.incarnation_of("divisions-other").live


def test_a_store_that_is_away_while_marking_is_tried_again(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watch_of(control)
    topic = control.incarnation_of().topic
    control.fill(topic, source=ENTRY)

    def away(_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as failing:
        failing.setattr(control.changes, "mark_live", away)
        with pytest.raises(StoreUnavailable):
            watch.step()
    control.clock.sleep(2)
    watch.step()

    assert control.incarnation_of().live


def test_an_incarnation_that_ended_meanwhile_is_not_marked(control: ControlPlane) -> None:
    topic = control.incarnation_of().topic
    control.apply(builders.catalog(entries=[ENTRY], grants=[]))

    control.changes.mark_live({topic: {0: 7}})

    assert not control.store.state.incarnations[topic].live


def test_a_view_of_a_generation_that_is_over_is_not_filled_by_the_new_one(
    control: ControlPlane,
) -> None:
    old = control.incarnation_of()
    newer = replace(ENTRY, generation=2)
    control.apply(builders.catalog(entries=[newer]))
    new = control.incarnation_of()
    watch = watch_of(control)

    for number in range(2):
        record(control, number, new.topic, Phase.LIVE, of=ENTRY)
    watch.step()

    assert new.topic != old.topic
    assert not control.incarnation_of().live


# --- The state table itself -----------------------------------------------------------------------


def test_the_state_table_keeps_the_newest_state_of_each_key(control: ControlPlane) -> None:
    table = StateTable(control.readers, control.codec, control.clock)
    topic = control.incarnation_of().topic
    record(control, 0, topic, Phase.FILLING)
    record(control, 0, topic, Phase.LIVE)
    record(control, 1, topic, Phase.FILLING)

    table.aim()

    assert table.step()
    key = state_key(ENTRY.source_topic, 0, topic)
    assert table.changes == 3
    assert table.of(Partition(ENTRY.source_topic, 0))[key].phase is Phase.LIVE
    assert len(table.of(Partition(ENTRY.source_topic, 1))) == 1
    assert table.of(Partition("os.src.unknown", 0)) == {}
    table.close()


def test_other_events_on_the_state_topic_are_passed_over(control: ControlPlane) -> None:
    table = StateTable(control.readers, control.codec, control.clock)
    stray = control.codec.encode(builders.resource_policy())
    control.broker.append(STATE, b"os.src.x/0", stray)

    table.aim()

    assert table.step()
    assert table.of(Partition("os.src.x", 0)) == {}


def test_a_reader_that_has_gone_deaf_is_replaced(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADR 0014: else no view would ever be called filled again, and nobody would say so."""
    readers = DeafReaders(control.broker)
    table = StateTable(readers, control.codec, control.clock)
    readers.deafen(monkeypatch)
    topic = control.incarnation_of().topic
    record(control, 0, topic, Phase.LIVE)
    table.aim()

    control.clock.sleep(SILENCE_SECONDS - 1)
    behind = table.step()
    patient = len(readers.opened)
    control.clock.sleep(1)
    table.step()

    assert (behind, patient, len(readers.opened)) == (False, 1, 2)
    assert table.step()
    assert len(table.of(Partition(ENTRY.source_topic, 0))) == 1


def test_a_reader_with_nothing_to_read_is_left_alone(control: ControlPlane) -> None:
    readers = DeafReaders(control.broker)
    table = StateTable(readers, control.codec, control.clock)

    for _ in range(3):
        control.clock.sleep(SILENCE_SECONDS)
        table.aim()
        assert table.step()

    assert len(readers.opened) == 1
