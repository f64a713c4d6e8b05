"""
What decrees say of single days after (or before) the calendar package knows it.

The State Council amends its calendar during the year (2019-05, 2020-01), and announces the next one
weeks before a package holds it. Both are data (R-083); nothing that was loaded is forgotten, so
that a due date of then can be explained.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bus.domain.working_days import WorkingCalendar
from bus.errors import StateConflict

#: The kind of the deadline that a loaded decree sets: open due dates are to be counted again.
RECOUNT = "calendar.recount"
#: What that deadline is about; its subject is the country.
CALENDAR = "calendar"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Decree:
    """A decree as it is loaded: an amendment, or the whole of a year."""

    country: str
    ordinance: str
    decreed_on: dt.date
    days_off: tuple[dt.date, ...] = ()
    """The days off that it names; weekends need not be named."""
    working_days: tuple[dt.date, ...] = ()
    """The make-up workdays (调休) that it names, and days off that it takes back."""
    whole_year: int | None = None
    """The year that it is the whole decree of."""

    def faults(self) -> Iterator[tuple[str, str]]:
        """Say what is wrong with it: each key, and why."""
        if not self.days_off and not self.working_days:
            yield "days_off", "a decree names days"
        for key, days in (("days_off", self.days_off), ("working_days", self.working_days)):
            for day in sorted({day for day in days if days.count(day) > 1}):
                yield key, f"{day} stands twice"
        for day in sorted(set(self.days_off) & set(self.working_days)):
            yield "working_days", f"{day} is a day off, too"
        years = {day.year for day in (*self.days_off, *self.working_days)}
        if self.whole_year is not None and self.whole_year not in years:
            yield "whole_year", f"the decree names no day of {self.whole_year}"

    def amendments(self) -> Sequence[Amendment]:
        """Return its days, in order."""
        named = dict.fromkeys(self.days_off, False) | dict.fromkeys(self.working_days, True)
        return [
            Amendment(
                country=self.country,
                day=day,
                working=working,
                decreed_on=self.decreed_on,
                ordinance=self.ordinance,
            )
            for day, working in sorted(named.items())
        ]

    def year(self) -> DecreedYear | None:
        """Return the year that is known once it is loaded."""
        if self.whole_year is None:
            return None
        return DecreedYear(
            country=self.country,
            year=self.whole_year,
            decreed_on=self.decreed_on,
            ordinance=self.ordinance,
        )


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
