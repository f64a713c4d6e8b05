"""Unit tests of `bus.adapters.system_clock` and of its twin in memory."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.memory.clock import ManualClock
from bus.adapters.system_clock import SystemClock
from bus.ports import Clock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
def test_a_clock_says_when_it_is_in_utc_and_never_goes_back(clock: Clock) -> None:
    first, started = clock.now(), clock.monotonic()

    clock.sleep(0.001)

    assert first.tzinfo is dt.UTC
    assert clock.now() > first
    assert clock.monotonic() > started


def test_the_system_clock_tells_the_present() -> None:
    before = dt.datetime.now(dt.UTC)

    now = SystemClock().now()

    assert before <= now <= dt.datetime.now(dt.UTC)


@given(naps=st.lists(st.floats(min_value=0, max_value=1e6)))
def test_the_manual_clock_goes_by_as_much_as_it_is_told(naps: list[float]) -> None:
    clock = ManualClock()
    begun = clock.now()

    for seconds in naps:
        clock.sleep(seconds)

    assert clock.monotonic() == pytest.approx(sum(naps))
    assert (clock.now() - begun).total_seconds() == pytest.approx(sum(naps), abs=1e-3)


def test_the_manual_clock_stands_still_by_itself() -> None:
    clock = ManualClock()

    assert (clock.now(), clock.monotonic()) == (clock.now(), 0.0)
