"""Unit tests of `bus.domain.working_days`."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.working_days import (
    DueDate,
    WorkingCalendar,
    due_date,
    is_over,
    roll,
    working_days_late,
)
from bus.errors import ConfigError

DAY = dt.timedelta(days=1)
SHANGHAI = ZoneInfo("Asia/Shanghai")
EPOCH = dt.date(2030, 1, 1)


class Days:
    """Monday to Friday, except as `changed` says; nothing is known from `unknown_from` on."""

    def __init__(
        self, changed: dict[dt.date, bool] | None = None, unknown_from: dt.date = dt.date.max
    ) -> None:
        self.changed = changed or {}
        self.unknown_from = unknown_from

    def is_working_day(self, day: dt.date) -> bool | None:
        if day >= self.unknown_from:
            return None
        return self.changed.get(day, day.isoweekday() < 6)


def at(text: str) -> dt.datetime:
    """Return a local time of Shanghai."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def naive(start: dt.datetime, days: int, calendar: WorkingCalendar) -> dt.date:
    """Count independently: list the following year's working days and take one."""
    first = start.astimezone(SHANGHAI).date()
    following = [first + DAY * n for n in range(1, 366)]
    working = [day for day in following if calendar.is_working_day(day)]
    return working[days - 1] if days else first


days_near = st.dates(EPOCH, EPOCH + 120 * DAY)
calendars = st.builds(Days, st.dictionaries(days_near, st.booleans(), max_size=60))
starts = st.datetimes(
    dt.datetime(2030, 1, 1),  # noqa: DTZ001 (hypothesis adds the zone)
    dt.datetime(2030, 4, 30),  # noqa: DTZ001
    timezones=st.sampled_from([dt.UTC, SHANGHAI, ZoneInfo("America/New_York")]),
)


@given(starts, st.integers(0, 40), calendars)
def test_a_due_date_is_what_a_naive_count_gives(
    start: dt.datetime, days: int, calendar: Days
) -> None:
    """R-083: the day of receipt is not counted, and rest days are not."""
    due = due_date(start, days, calendar)

    assert due.day == naive(start, days, calendar)
    assert not due.provisional
    assert due.ends_at == dt.datetime.combine(due.day + DAY, dt.time(), SHANGHAI)
    assert due.ends_at.tzinfo is dt.UTC


@given(starts, st.integers(1, 40), calendars)
def test_a_counted_due_date_is_a_working_day_after_the_start(
    start: dt.datetime, days: int, calendar: Days
) -> None:
    due = due_date(start, days, calendar)

    assert calendar.is_working_day(due.day)
    assert due.day > start.astimezone(SHANGHAI).date()


@given(starts, starts, st.integers(0, 20), st.integers(0, 20), calendars)
def test_who_starts_later_or_has_more_days_is_not_due_earlier(
    start: dt.datetime, other: dt.datetime, days: int, more: int, calendar: Days
) -> None:
    earlier, later = sorted([start, other])

    first = due_date(earlier, days, calendar)
    last = due_date(later, days + more, calendar)

    assert first.day <= last.day
    assert due_date(start, days, calendar).ends_at <= due_date(start, days + more, calendar).ends_at


@given(starts, st.integers(0, 30), calendars, days_near)
def test_a_due_date_is_provisional_if_and_only_if_a_day_on_the_way_is_unknown(
    start: dt.datetime, days: int, calendar: Days, unknown_from: dt.date
) -> None:
    """R-083: flagged "provisional due date", never silently computed."""
    partly = Days(calendar.changed, unknown_from)

    due = due_date(start, days, partly)

    assert due.provisional is (days > 0 and due.day >= unknown_from)
    if not due.provisional:
        assert due == due_date(start, days, calendar)


@given(days_near, calendars)
def test_a_fixed_date_rolls_to_the_next_working_day(nominal: dt.date, calendar: Days) -> None:
    """§2.4: the last day on a rest day is the next working day."""
    due = roll(nominal, calendar)

    assert due.day >= nominal
    assert calendar.is_working_day(due.day)
    between = [nominal + DAY * n for n in range((due.day - nominal).days)]
    assert not any(calendar.is_working_day(day) for day in between)


def test_in_an_unknown_year_monday_to_friday_count_and_the_date_says_so() -> None:
    """R-083: a request of late December; the year after is not decreed."""
    calendar = Days(unknown_from=dt.date(2027, 1, 1))

    due = due_date(at("2026-12-28 09:00"), 5, calendar)

    assert due.day == dt.date(2027, 1, 4)
    assert due.provisional
    assert roll(dt.date(2027, 1, 2), calendar) == due_date(at("2027-01-01 09:00"), 1, calendar)


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("2030-01-02 23:59", dt.date(2030, 1, 3)),
        ("2030-01-03 00:00", dt.date(2030, 1, 4)),
    ],
)
def test_the_day_of_receipt_is_that_of_the_jurisdictions_zone(start: str, first: dt.date) -> None:
    """R-083: time zone Asia/Shanghai, not UTC."""
    assert due_date(at(start).astimezone(dt.UTC), 1, Days()).day == first


def test_no_working_days_are_the_same_day_whatever_it_is() -> None:
    """S-11: profile 004 is due the same day, on a Sunday too, and asks no calendar."""
    due = due_date(at("2030-01-06 10:00"), 0, Days(unknown_from=EPOCH))

    assert due.day == dt.date(2030, 1, 6)
    assert not due.provisional


@pytest.mark.parametrize(
    ("start", "days", "day"),
    [
        ("2030-01-02 10:00", 1, dt.date(2030, 1, 2)),
        ("2030-01-02 10:00", 3, dt.date(2030, 1, 4)),
        ("2030-01-05 10:00", 1, dt.date(2030, 1, 7)),
        ("2030-01-02 17:30", 1, dt.date(2030, 1, 3)),
    ],
)
def test_a_first_day_that_counts_is_a_working_day_that_is_not_over(
    start: str, days: int, day: dt.date
) -> None:
    due = due_date(at(start), days, Days(), count_first_day=True, day_end="17:30")

    assert due.day == day


def test_a_due_day_may_end_at_the_close_of_business() -> None:
    """§2.4: 24:00 local, switchable to close of business."""
    due = due_date(at("2030-01-02 10:00"), 1, Days(), day_end="17:30")

    assert due.ends_at == at("2030-01-03 17:30")
    assert not is_over(due, at("2030-01-03 17:29"))
    assert is_over(due, at("2030-01-03 17:30"))
    assert working_days_late(due, at("2030-01-03 20:00"), Days()) == 0


def test_late_working_days_are_those_that_have_begun() -> None:
    """S-03: late days keep counting."""
    calendar = Days({dt.date(2030, 1, 12): True})
    due = due_date(at("2030-01-09 10:00"), 1, calendar)

    late = [
        working_days_late(due, at(f"{day} 00:00"), calendar)
        for day in ("2030-01-10", "2030-01-11", "2030-01-12", "2030-01-13", "2030-01-14")
    ]

    assert due.day == dt.date(2030, 1, 10)
    assert late == [0, 1, 2, 2, 3]


@pytest.mark.parametrize("day_end", ["24:01", "25:00", "9:00", "", "12:00:00", "noon"])
def test_a_days_end_that_is_no_time_is_refused(day_end: str) -> None:
    with pytest.raises(ConfigError, match=r"calendar\.day_end"):
        roll(EPOCH, Days(), day_end=day_end)


@pytest.mark.parametrize("timezone", ["Asia/Nowhere", "", "../etc", "Asia"])
def test_a_time_zone_that_is_none_is_refused(timezone: str) -> None:
    with pytest.raises(ConfigError, match=r"calendar\.timezone"):
        roll(EPOCH, Days(), timezone=timezone)


@pytest.mark.parametrize(
    ("start", "days"),
    [(dt.datetime(2030, 1, 1), 1), (dt.datetime(2030, 1, 1, tzinfo=dt.UTC), -1)],  # noqa: DTZ001
)
def test_what_cannot_be_counted_is_a_fault_of_the_caller(start: dt.datetime, days: int) -> None:
    with pytest.raises(ValueError, match="working days"):
        due_date(start, days, Days())


def test_a_due_date_is_a_value() -> None:
    one = roll(dt.date(2030, 1, 2), Days())

    assert one == DueDate(
        day=dt.date(2030, 1, 2), provisional=False, ends_at=at("2030-01-03 00:00")
    )
