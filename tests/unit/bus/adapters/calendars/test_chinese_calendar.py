"""Unit tests of `bus.adapters.calendars.chinese_calendar`, and of due dates by it."""

import datetime as dt
from zoneinfo import ZoneInfo

import holidays
import pytest

from bus.adapters.calendars.chinese_calendar import ChineseCalendar, decreed_years
from bus.domain.calendar_amendment import AmendedCalendar, Amendment
from bus.domain.working_days import due_date, is_over, roll
from tests import decrees

SHANGHAI = ZoneInfo("Asia/Shanghai")
CALENDAR = ChineseCalendar()
JANUARY_2019 = AmendedCalendar(CALENDAR, decrees.LABOUR_DAY_2019)
DECEMBER_2019 = AmendedCalendar(CALENDAR, decrees.SPRING_FESTIVAL_2020)


def at(text: str) -> dt.datetime:
    """Return a local time of Shanghai."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def exceptions(first: str, last: str, calendar: object = CALENDAR) -> dict[str, bool]:
    """Return the days from `first` to `last` that are not as Monday to Friday say."""
    assert isinstance(calendar, ChineseCalendar | AmendedCalendar)
    day, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    found = {}
    while day <= end:
        working = calendar.is_working_day(day)
        assert working is not None
        if working is not (day.isoweekday() < 6):
            found[day.isoformat()[5:]] = working
        day += dt.timedelta(days=1)
    return found


def test_the_year_2019_is_as_decreed() -> None:
    """requirements.md §8: the calendar that the scenarios are computed with."""
    off = "01-01 02-04 02-05 02-06 02-07 02-08 04-05 05-01 05-02 05-03 06-07 09-13"
    off += " 10-01 10-02 10-03 10-04 10-07"
    make_up = "02-02 02-03 04-28 05-05 09-29 10-12"

    assert exceptions("2019-01-01", "2019-12-31") == (
        dict.fromkeys(off.split(), False) | dict.fromkeys(make_up.split(), True)
    )


def test_the_year_2026_is_as_decreed() -> None:
    """R-083: make-up workdays (调休) count, long holidays do not."""
    off = "01-01 01-02 02-16 02-17 02-18 02-19 02-20 02-23 04-06 05-01 05-04 05-05 06-19 09-25"
    off += " 10-01 10-02 10-05 10-06 10-07"
    make_up = "01-04 02-14 02-28 05-09 09-20 10-10"

    assert exceptions("2026-01-01", "2026-12-31") == (
        dict.fromkeys(off.split(), False) | dict.fromkeys(make_up.split(), True)
    )


def test_a_day_that_the_next_years_decree_makes_a_working_day_is_one() -> None:
    """The decree for 2019 moved 31 December 2018, and 29 December for it."""
    assert CALENDAR.is_working_day(dt.date(2018, 12, 29)) is True
    assert CALENDAR.is_working_day(dt.date(2018, 12, 31)) is False


def test_only_decreed_years_are_known() -> None:
    """R-083: a year whose decree is not loaded is unknown; festivals alone are no calendar."""
    years = decreed_years()

    assert years == set(range(min(years), max(years) + 1))
    assert min(years) == 2007
    assert max(years) >= 2026
    for year in (1949, 2006, max(years) + 1, 2100, 2101, 9999):
        assert CALENDAR.is_working_day(dt.date(year, 10, 1)) is None
    # What makes the guard needed: the package answers for such years, too.
    undecreed = dt.date(max(years) + 1, 10, 1)
    assert holidays.country_holidays("CN").is_working_day(undecreed) is False


def test_labour_day_2019_before_and_after_its_amendment() -> None:
    """§6.2 Clock: tests load both the first decree and the amendment (2019-05)."""
    both = [*decrees.LABOUR_DAY_2019, *decrees.LABOUR_DAY_2019_AMENDED]

    assert exceptions("2019-04-22", "2019-05-10", JANUARY_2019) == {"05-01": False}
    assert exceptions("2019-04-22", "2019-05-10", AmendedCalendar(CALENDAR, both)) == {
        "04-28": True,
        "05-01": False,
        "05-02": False,
        "05-03": False,
        "05-05": True,
    }
    as_of = AmendedCalendar(CALENDAR, both, as_of=dt.date(2019, 3, 21))
    assert exceptions("2019-04-22", "2019-05-10", as_of) == {"05-01": False}


def test_spring_festival_2020_before_and_after_its_amendment() -> None:
    """§6.2 Clock: tests load both the first decree and the amendment (2020-01)."""
    both = [*decrees.SPRING_FESTIVAL_2020, *decrees.SPRING_FESTIVAL_2020_EXTENDED]
    festival = dict.fromkeys(["01-24", "01-27", "01-28", "01-29", "01-30"], False)

    assert exceptions("2020-01-20", "2020-02-07", DECEMBER_2019) == festival | {"02-01": True}
    assert exceptions("2020-01-20", "2020-02-07", AmendedCalendar(CALENDAR, both)) == festival | {
        "01-31": False
    }


@pytest.mark.parametrize(
    "amended",
    [
        [*decrees.LABOUR_DAY_2019, *decrees.LABOUR_DAY_2019_AMENDED],
        [*decrees.SPRING_FESTIVAL_2020, *decrees.SPRING_FESTIVAL_2020_EXTENDED],
    ],
)
def test_the_package_holds_the_final_state(amended: list[Amendment]) -> None:
    """§6.2 Clock: loading what the package already knows changes nothing."""
    calendar = AmendedCalendar(CALENDAR, amended)

    for each in amended:
        assert calendar.is_working_day(each.day) == CALENDAR.is_working_day(each.day)


@pytest.mark.parametrize(
    ("scenario", "start", "days", "due"),
    [
        ("S-02", "2019-09-25 16:40", 5, "2019-10-08"),
        ("S-03", "2019-01-24 09:00", 10, "2019-02-12"),
        ("S-05", "2019-05-27 09:00", 10, "2019-06-11"),
        ("S-06", "2019-08-20 09:00", 10, "2019-09-03"),
        ("S-11", "2019-04-22 00:00", 15, "2019-05-14"),
        ("S-11, profile 004", "2019-04-22 00:00", 0, "2019-04-22"),
    ],
)
def test_due_dates_of_the_scenarios(scenario: str, start: str, days: int, due: str) -> None:
    """requirements.md §8, R-083: each due date as it is written there."""
    found = due_date(at(start), days, CALENDAR)

    assert (scenario, found.day.isoformat(), found.provisional) == (scenario, due, False)


def test_the_days_that_s02_counts() -> None:
    """S-02: 26, 27, 29 Sunday make-up, 30 September, 8 October."""
    counted = [due_date(at("2019-09-25 16:40"), n, CALENDAR).day.isoformat() for n in range(1, 6)]

    assert counted == ["2019-09-26", "2019-09-27", "2019-09-29", "2019-09-30", "2019-10-08"]


@pytest.mark.parametrize(
    ("start", "days", "last", "first_late"),
    [
        ("2019-09-25 16:40", 5, "2019-10-08 23:59:59.999999", "2019-10-09 00:00"),
        ("2019-05-27 09:00", 10, "2019-06-11 23:59:59.999999", "2019-06-12 00:00"),
    ],
)
def test_overdue_begins_when_the_due_day_is_over(
    start: str, days: int, last: str, first_late: str
) -> None:
    """S-02 variation, S-05 variation, R-088: in time until 24:00 in Shanghai."""
    due = due_date(at(start), days, CALENDAR)

    assert not is_over(due, at(last))
    assert is_over(due, at(first_late))


@pytest.mark.parametrize(
    ("nominal", "calendar", "due"),
    [
        ("2020-01-05", CALENDAR, "2020-01-06"),
        ("2020-01-31", CALENDAR, "2020-02-03"),
        ("2020-01-31", DECEMBER_2019, "2020-01-31"),
        (
            "2020-01-31",
            AmendedCalendar(
                CALENDAR,
                [*decrees.SPRING_FESTIVAL_2020, *decrees.SPRING_FESTIVAL_2020_EXTENDED],
            ),
            "2020-02-03",
        ),
        ("2020-06-01", CALENDAR, "2020-06-01"),
        ("2020-06-30", CALENDAR, "2020-06-30"),
    ],
)
def test_fixed_dates_of_s16(
    nominal: str, calendar: ChineseCalendar | AmendedCalendar, due: str
) -> None:
    """S-16: nominal dates roll to the next working day, by the calendar as it stands."""
    assert roll(dt.date.fromisoformat(nominal), calendar).day.isoformat() == due


def test_an_amendment_moves_a_due_date_that_was_computed_before() -> None:
    """R-083: open due dates are recomputed; 15 working days from 22 April, before and after."""
    start = at("2019-04-22 00:00")

    assert due_date(start, 15, JANUARY_2019).day == dt.date(2019, 5, 14)
    assert due_date(at("2019-04-26 09:00"), 3, JANUARY_2019).day == dt.date(2019, 5, 2)
    assert due_date(at("2019-04-26 09:00"), 3, CALENDAR).day == dt.date(2019, 4, 30)


def test_a_due_date_beyond_the_last_decree_is_provisional() -> None:
    """R-083: never silently computed."""
    last = max(decreed_years())
    start = dt.datetime(last, 12, 28, 9, tzinfo=SHANGHAI)

    assert due_date(start, 10, CALENDAR).provisional
    assert not due_date(start - dt.timedelta(days=27), 10, CALENDAR).provisional
