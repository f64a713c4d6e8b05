"""Unit tests of `bus.domain.calendar_amendment`."""

import datetime as dt
from dataclasses import replace

import pytest

from bus.domain.calendar_amendment import AmendedCalendar, Amendment, DecreedYear, is_news
from bus.errors import StateConflict

FRIDAY, SATURDAY = dt.date(2030, 1, 4), dt.date(2030, 1, 5)
OFF = Amendment(
    country="CN",
    day=FRIDAY,
    working=False,
    decreed_on=dt.date(2029, 12, 1),
    ordinance="first",
)
ON_AGAIN = replace(OFF, working=True, decreed_on=dt.date(2030, 1, 2), ordinance="second")
YEAR = DecreedYear(country="CN", year=2030, decreed_on=dt.date(2029, 12, 1), ordinance="first")


class Unknown:
    def is_working_day(self, day: dt.date) -> bool | None:
        assert day
        return None


class EveryDay:
    def is_working_day(self, day: dt.date) -> bool | None:
        assert day
        return True


@pytest.mark.parametrize("order", [[OFF, ON_AGAIN], [ON_AGAIN, OFF]])
def test_the_newest_decree_that_names_a_day_counts(order: list[Amendment]) -> None:
    """R-083: the calendar can be amended during the year."""
    assert AmendedCalendar(EveryDay(), [OFF]).is_working_day(FRIDAY) is False
    assert AmendedCalendar(EveryDay(), order).is_working_day(FRIDAY) is True
    assert AmendedCalendar(EveryDay(), order).is_working_day(SATURDAY) is True


def test_the_calendar_as_it_was_on_a_day_can_be_asked() -> None:
    """R-083: both values of a recomputed due date can be explained."""
    before = AmendedCalendar(EveryDay(), [OFF, ON_AGAIN], as_of=dt.date(2030, 1, 1))
    on_the_day = AmendedCalendar(EveryDay(), [OFF, ON_AGAIN], as_of=ON_AGAIN.decreed_on)

    assert before.is_working_day(FRIDAY) is False
    assert on_the_day.is_working_day(FRIDAY) is True


def test_a_year_without_decree_stays_unknown_but_for_the_amended_days() -> None:
    calendar = AmendedCalendar(Unknown(), [OFF])

    assert calendar.is_working_day(FRIDAY) is False
    assert calendar.is_working_day(SATURDAY) is None


def test_a_year_whose_decree_is_loaded_is_known() -> None:
    """R-083: the calendar is data per year."""
    calendar = AmendedCalendar(Unknown(), [OFF], years=[YEAR])
    earlier = AmendedCalendar(Unknown(), [OFF], years=[YEAR], as_of=dt.date(2029, 11, 30))

    assert calendar.is_working_day(FRIDAY) is False
    assert calendar.is_working_day(SATURDAY) is False
    assert calendar.is_working_day(dt.date(2030, 1, 11)) is True
    assert calendar.is_working_day(dt.date(2031, 1, 3)) is None
    assert earlier.is_working_day(dt.date(2030, 1, 11)) is None


def test_the_same_again_is_no_news() -> None:
    assert is_news(OFF, [])
    assert not is_news(OFF, [OFF])
    assert not is_news(OFF, [OFF, ON_AGAIN])


def test_a_contradiction_has_to_be_the_newer_decree() -> None:
    assert is_news(ON_AGAIN, [OFF])
    for late in (
        replace(OFF, working=True),
        replace(OFF, working=True, decreed_on=dt.date(2029, 1, 1)),
        replace(OFF, ordinance="other"),
    ):
        with pytest.raises(StateConflict, match="2030-01-04 is a day off by first of 2029-12-01"):
            is_news(late, [OFF])


def test_a_decree_that_confirms_is_kept_too() -> None:
    assert is_news(replace(OFF, decreed_on=dt.date(2030, 1, 1)), [OFF])
    assert is_news(replace(OFF, decreed_on=dt.date(2029, 1, 1)), [OFF])
