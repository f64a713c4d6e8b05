"""China's working days, from the package `holidays`."""

import datetime as dt
from functools import cache

import holidays

COUNTRY = "CN"
#: Compared with a second package, day by day, from here on; before, nothing is claimed.
_FIRST_YEAR = 2007


class ChineseCalendar:
    """
    See `bus.domain.working_days.WorkingCalendar`; the final state of each year.

    Make-up workdays (调休) are working days. The package computes festivals up to 2100, but knows
    which days are moved only where it holds the year's decree; every decree since 2001 has moved
    days, so the years that have any are the decreed ones. Others are unknown.
    """

    def is_working_day(self, day: dt.date) -> bool | None:
        if day.year not in decreed_years():
            return None
        working: bool = _year(day.year).is_working_day(day)
        return working


@cache
def decreed_years() -> frozenset[int]:
    """Return the years whose decree the installed package holds."""
    moved = holidays.country_holidays(COUNTRY).special_public_holidays
    return frozenset(year for year in moved if year >= _FIRST_YEAR)


@cache
def _year(year: int) -> holidays.HolidayBase:
    return holidays.country_holidays(COUNTRY, years=year, expand=False)
