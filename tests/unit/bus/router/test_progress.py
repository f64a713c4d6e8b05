"""Unit tests of a router that gets nowhere, and of how that is seen."""

from collections.abc import Sequence

import pytest

from bus.adapters.memory.broker import MemoryGroupConsumer
from bus.adapters.memory.clock import ManualClock
from bus.errors import BrokerUnavailable
from bus.ports import Partition, ReadFault, Record
from bus.router.progress import IDLE_SECONDS, ROUND_SECONDS, Progress
from tests.router_harness import SOURCE, Bus, towns, towns_view

_AT = Partition(SOURCE, 0)


def test_a_round_that_does_not_end_is_a_standstill() -> None:
    clock = ManualClock()
    progress = Progress(clock)

    clock.sleep(ROUND_SECONDS)
    assert progress.stuck() is None
    progress.came_round()
    clock.sleep(ROUND_SECONDS + 1)
    assert progress.stuck() == "no round for 121 s"
    progress.came_round()
    assert progress.stuck() is None


def test_records_that_wait_are_noticed_once_in_a_while() -> None:
    clock = ManualClock()
    progress = Progress(clock)

    assert not progress.seen(waiting=True)
    clock.sleep(IDLE_SECONDS)
    assert not progress.seen(waiting=True)
    progress.committed()
    assert not progress.seen(waiting=True)
    clock.sleep(IDLE_SECONDS + 1)
    assert progress.seen(waiting=True)
    assert not progress.seen(waiting=True)
    clock.sleep(IDLE_SECONDS + 1)
    assert not progress.seen(waiting=False)
    assert not progress.seen(waiting=True)


def deaf(
    _: MemoryGroupConsumer, _most: int, _seconds: float
) -> tuple[Sequence[Record], Sequence[ReadFault]]:
    """Stand in for a client that hands nothing out any more."""
    return [], []


def test_a_router_whose_client_has_gone_deaf_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process reads on where this one has committed: nothing is lost."""
    bus = Bus()
    bus.declare(towns(1), towns_view("kind"))
    router = bus.router()
    bus.upsert("a")
    bus.settle(router)
    monkeypatch.setattr(MemoryGroupConsumer, "consume", deaf)
    bus.upsert("b")
    router.step()

    bus.clock.sleep(IDLE_SECONDS + 1)
    router.step()
    bus.clock.sleep(IDLE_SECONDS + 1)
    with pytest.raises(BrokerUnavailable, match="none is handed out"):
        router.step()


def test_an_end_with_nothing_to_read_before_it_is_no_standstill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind the last record of a transaction there is a marker, which nobody is given."""
    bus = Bus()
    bus.declare(towns(1), towns_view("kind"))
    router = bus.router()
    bus.upsert("a")
    bus.settle(router)
    end = bus.broker.end(_AT)
    monkeypatch.setattr(MemoryGroupConsumer, "ends", lambda _: {_AT: end + 1})

    for _ in range(5):
        bus.clock.sleep(IDLE_SECONDS + 1)
        router.step()

    bus.upsert("b")
    bus.settle(router)
    assert len(bus.committed(towns_view("kind").topic)) == 2
