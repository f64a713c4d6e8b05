"""
What decrees say of single days after (or before) the calendar package knows it.

The State Council amends its calendar during the year (2019-05, 2020-01), and announces the next one
weeks before a package holds it. Both are data (R-083); nothing that was loaded is forgotten, so
that a due date of then can be explained.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bus.domain.working_days import WorkingCalendar
from bus.errors import StateConflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """One day of a decree."""

    country: str
    """As the profile's `calendar.country`: two capitals."""
    day: dt.date
    working: bool
    """Whether the decree makes it a working day, or a day off."""
    decreed_on: dt.date
    ordinance: str
    """What the decree is cited by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecreedYear:
    """
    A year whose whole decree is loaded: what no amendment names is Monday to Friday as usual.

    A year that the calendar package holds needs none of these.
    """

    country: str
    year: int
    decreed_on: dt.date
    ordinance: str


class AmendedCalendar:
    """A calendar with the amendments that were decreed by a day (all of them if none is named)."""

    def __init__(
        self,
        base: WorkingCalendar,
        amendments: Iterable[Amendment],
        *,
        years: Iterable[DecreedYear] = (),
        as_of: dt.date | None = None,
    ) -> None:
        self._base = base
        self._years = {each.year for each in years if as_of is None or each.decreed_on <= as_of}
        decreed = [each for each in amendments if as_of is None or each.decreed_on <= as_of]
        decreed.sort(key=lambda each: each.decreed_on)
        self._days = {each.day: each.working for each in decreed}

    def is_working_day(self, day: dt.date) -> bool | None:
        """See `WorkingCalendar`: the newest decree that names the day, else the calendar below."""
        amended = self._days.get(day)
        if amended is not None:
            return amended
        known = self._base.is_working_day(day)
        if known is None and day.year in self._years:
            return day.isoweekday() <= 5  # noqa: PLR2004 (Friday)
        return known


def is_news(amendment: Amendment, known: Collection[Amendment]) -> bool:
    """
    Return whether `amendment` adds anything to what is loaded of its country and day.

    Raise `StateConflict` if it contradicts what is loaded without being the newer decree.
    """
    if amendment in known:
        return False
    for each in known:
        older = amendment.decreed_on <= each.decreed_on
        if older and (amendment.working != each.working or amendment.decreed_on == each.decreed_on):
            raise StateConflict(
                f"{each.day} is a {'working day' if each.working else 'day off'} by "
                f"{each.ordinance} of {each.decreed_on}; only a newer decree can change that",
                code="CALENDAR_CONTRADICTED",
            )
    return True
