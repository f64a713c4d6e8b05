"""Working-day calendars of countries, and what decrees amend in them."""

import datetime as dt
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bus.domain.calendar_amendment import Amendment, DecreedYear
from bus.domain.working_days import WorkingCalendar
from bus.ports.audit import AuditLog
from bus.ports.deadlines import DeadlineQueue


class Calendars(Protocol):
    """The calendars by which due dates are counted."""

    def calendar(self, country: str, *, as_of: dt.date | None = None) -> WorkingCalendar:
        """
        Return the calendar of `country` as it stands, or as it stood with the decrees of a day.

        It does not change afterwards: ask again after an amendment. Raise `ConfigError` if the
        country has none.
        """
        ...


class CalendarAmendments(Protocol):
    """What decrees say beyond the calendar package; nothing that was loaded is ever removed."""

    def amendments(self, country: str) -> Sequence[Amendment]:
        """Return all amendments of a country, by day and then by the decree's date."""
        ...

    def add(self, amendment: Amendment) -> bool:
        """
        Load one day of a decree; return whether it is news, after which due dates are recomputed.

        Raise `StateConflict` if it contradicts what is loaded without being the newer decree.
        """
        ...

    def years(self, country: str) -> Sequence[DecreedYear]:
        """Return the years whose decrees are loaded as amendments, in order."""
        ...

    def add_year(self, year: DecreedYear) -> bool:
        """Note that the amendments of a year are its whole decree; return whether it is news."""
        ...


class CalendarTransaction(Protocol):
    """A change of the calendar, whole or not at all."""

    @property
    def amendments(self) -> CalendarAmendments:
        """What is loaded."""
        ...

    @property
    def deadlines(self) -> DeadlineQueue:
        """What is due when."""
        ...

    @property
    def audit(self) -> AuditLog:
        """The audit log."""
        ...


class CalendarStore(Protocol):
    """Where amendments are kept."""

    def transaction(self) -> AbstractContextManager[CalendarTransaction]:
        """
        Return a transaction that commits if its block ends without an exception.

        No other transaction changes the control plane meanwhile. Raise `StoreUnavailable` if the
        store does not answer, or if the others take too long.
        """
        ...

    def snapshot(self) -> AbstractContextManager[CalendarAmendments]:
        """
        Return what is loaded as it stands now; it waits for no transaction.

        Raise `StoreUnavailable` if the store does not answer.
        """
        ...
