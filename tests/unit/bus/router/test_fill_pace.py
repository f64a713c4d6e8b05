"""Unit tests of how much a fill does at a time."""

from hypothesis import given
from hypothesis import strategies as st

from bus.router.fill_pace import FEWEST, MOST, SECONDS, FillPace


def test_steps_grow_while_they_are_short_and_shrink_when_they_are_long() -> None:
    pace = FillPace()
    for _ in range(10):
        pace.note(SECONDS / 10)
    assert pace.records == MOST

    pace.note(SECONDS * 2)
    assert pace.records == MOST // 2
    # What is about right stays.
    pace.note(SECONDS * 0.75)
    assert pace.records == MOST // 2


@given(st.lists(st.floats(0, 10)))
def test_a_fill_always_goes_on(seconds: list[float]) -> None:
    pace = FillPace()
    for each in seconds:
        pace.note(each)
        assert FEWEST <= pace.records <= MOST
