"""Unit tests of `tests.faults.broker_faults`: one broker away at a time, and never for good."""

import random
from collections.abc import Callable

import pytest
from typing_extensions import override

from tests.faults import broker_faults
from tests.faults.broker_faults import Condition, LoneBrokerFaults
from tests.faults.soak_platform import Broker


class FakeBroker(Broker):
    """A broker without a process, which says what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.ready = True

    @override
    def kill(self) -> None:
        self.told.append("kill")

    @override
    def stop(self) -> None:
        self.told.append("stop")

    @override
    def start(self) -> None:
        self.told.append("start")

    @override
    def stand_still(self) -> None:
        self.told.append("stand still")

    @override
    def go_on(self) -> None:
        self.told.append("go on")

    @override
    def listens(self) -> bool:
        return self.ready


class Clock:
    """A clock that others set."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(broker_faults, "time", clock)
    return clock


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def faults(broker: FakeBroker) -> LoneBrokerFaults:
    return LoneBrokerFaults([broker], random.Random(1), longest=5.0)


Act = Callable[[LoneBrokerFaults], None]


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (LoneBrokerFaults.kill, ["kill", "start"]),
        (LoneBrokerFaults.restart, ["stop", "start"]),
        (LoneBrokerFaults.stand_still, ["stand still", "go on"]),
    ],
)
def test_who_is_harmed_comes_back_by_itself(
    faults: LoneBrokerFaults, broker: FakeBroker, clock: Clock, act: Act, told: list[str]
) -> None:
    act(faults)
    faults.step()
    assert broker.told == told[:1]

    clock.now += 5.0
    faults.step()
    assert broker.told == told


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (LoneBrokerFaults.kill, ["kill", "start"]),
        (LoneBrokerFaults.restart, ["stop", "start"]),
        (LoneBrokerFaults.stand_still, ["stand still", "go on"]),
    ],
)
@pytest.mark.usefixtures("clock")
def test_healing_puts_right_what_was_done(
    faults: LoneBrokerFaults, broker: FakeBroker, act: Act, told: list[str]
) -> None:
    act(faults)

    faults.heal()
    faults.heal()

    assert broker.told == told


def test_no_other_fault_begins_before_all_is_well(
    faults: LoneBrokerFaults, broker: FakeBroker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = False

    def is_well() -> Condition:
        return lambda: well

    monkeypatch.setattr(faults, "rested", is_well)
    faults.kill()
    faults.stand_still()
    clock.now += 1000.0
    faults.step()
    faults.step()
    faults.stand_still()
    assert broker.told == ["kill", "start"]
    assert faults.strikes == {"broker killed": 1}

    well = True
    faults.step()
    faults.stand_still()
    assert broker.told == ["kill", "start", "stand still"]


def test_nobody_asks_whether_all_is_well_before_the_broker_is_there(
    faults: LoneBrokerFaults,
    broker: FakeBroker,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cluster takes a broker that was killed for well until it misses it, nine seconds later."""
    monkeypatch.setattr(faults, "rested", lambda: lambda: True)
    broker.ready = False
    faults.kill()
    clock.now += 1000.0
    faults.step()
    faults.step()
    faults.stand_still()
    assert broker.told == ["kill", "start"]

    broker.ready = True
    faults.step()
    faults.step()
    faults.stand_still()
    assert broker.told == ["kill", "start", "stand still"]
