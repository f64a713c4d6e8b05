"""
Due dates in working days (工作日), by the country's calendar with its make-up workdays (调休).

R-083: the day of receipt does not count, days are those of the jurisdiction's time zone, and a
year whose decree is not loaded makes a due date provisional instead of silently wrong.
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bus.errors import ConfigError

TIMEZONE = "Asia/Shanghai"
DAY_END = "24:00"

_DAY = dt.timedelta(days=1)
_SATURDAY = 5
_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")


class WorkingCalendar(Protocol):
    """Which days are working days."""

    def is_working_day(self, day: dt.date) -> bool | None:
        """Return whether `day` is one; None if its year's decree is not loaded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDate:
    """The last day on which something is in time."""

    day: dt.date
    """In the time zone of the jurisdiction."""
    provisional: bool
    """Whether it was counted Monday to Friday, for want of a year's decree."""
    ends_at: dt.datetime
    """The instant, in UTC, at which the day is over: being late begins here."""


def due_date(
    start: dt.datetime,
    working_days: int,
    calendar: WorkingCalendar,
    *,
    timezone: str = TIMEZONE,
    count_first_day: bool = False,
    day_end: str = DAY_END,
) -> DueDate:
    """
    Return the day that is `working_days` working days after the aware `start`.

    None of them is the same day, whatever day that is, and asks no calendar. If the first day
    counts, it does so if it is a working day that was not over at `start`. Raise `ConfigError` if
    the time zone or the day's end is none.
    """
    if start.tzinfo is None or working_days < 0:
        raise ValueError(f"no {working_days} working days can be counted from {start}")
    first = start.astimezone(_zone(timezone)).date()
    if working_days == 0:
        return _due(first, timezone=timezone, day_end=day_end)
    today_counts = count_first_day and start < _end_of(first, timezone, day_end)
    day = first if today_counts else first + _DAY
    left, provisional = working_days, False
    while True:
        working, known = _counted(day, calendar)
        provisional |= not known
        left -= working
        if left == 0:
            return _due(day, timezone=timezone, day_end=day_end, provisional=provisional)
        day += _DAY


def roll(
    nominal: dt.date,
    calendar: WorkingCalendar,
    *,
    timezone: str = TIMEZONE,
    day_end: str = DAY_END,
) -> DueDate:
    """Return when a fixed date falls due: on the day itself, or on the next working day."""
    day, provisional = nominal, False
    while True:
        working, known = _counted(day, calendar)
        provisional |= not known
        if working:
            return _due(day, timezone=timezone, day_end=day_end, provisional=provisional)
        day += _DAY


def local_day(at: dt.datetime, *, timezone: str = TIMEZONE) -> dt.date:
    """Return the day that the aware `at` is in, where the jurisdiction is."""
    return at.astimezone(_zone(timezone)).date()


def end_of_day(day: dt.date, *, timezone: str = TIMEZONE, day_end: str = DAY_END) -> dt.datetime:
    """Return the instant, in UTC, at which `day` is over."""
    return _end_of(day, timezone, day_end)


def is_over(due: DueDate, now: dt.datetime) -> bool:
    """Return whether what has not been done by `now` is late."""
    return now >= due.ends_at


def working_days_late(
    due: DueDate, now: dt.datetime, calendar: WorkingCalendar, *, timezone: str = TIMEZONE
) -> int:
    """Return how many working days after the due day have begun; 0 while it is not over."""
    if not is_over(due, now):
        return 0
    today = now.astimezone(_zone(timezone)).date()
    days = (due.day + n * _DAY for n in range(1, (today - due.day).days + 1))
    return sum(_counted(day, calendar)[0] for day in days)


def _counted(day: dt.date, calendar: WorkingCalendar) -> tuple[bool, bool]:
    """Return whether `day` counts as a working day, and whether a decree says so."""
    decreed = calendar.is_working_day(day)
    if decreed is None:
        return day.weekday() < _SATURDAY, False
    return decreed, True


def _due(day: dt.date, *, timezone: str, day_end: str, provisional: bool = False) -> DueDate:
    return DueDate(day=day, provisional=provisional, ends_at=_end_of(day, timezone, day_end))


def _end_of(day: dt.date, timezone: str, day_end: str) -> dt.datetime:
    if not _TIME_OF_DAY.fullmatch(day_end):
        raise ConfigError(f"calendar.day_end {day_end!r} is no time of day from 00:00 to 24:00")
    hour, minute = int(day_end[:2]), int(day_end[3:])
    end = dt.time(hour % 24, minute, tzinfo=_zone(timezone))
    return dt.datetime.combine(day + (hour // 24) * _DAY, end).astimezone(dt.UTC)


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"calendar.timezone {timezone!r} is no time zone") from error
