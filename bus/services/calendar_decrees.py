"""Load a decree over the calendar package, and let open due dates be counted again (R-083)."""

import datetime as dt
from dataclasses import dataclass

from bus.domain.audit_record import AuditRecord
from bus.domain.calendar_amendment import CALENDAR, RECOUNT, Decree
from bus.domain.deadline import Deadline
from bus.domain.identity import Role
from bus.ports import Clock
from bus.ports.calendars import CalendarStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What of a decree was news."""

    days: int
    year: bool


class CalendarDecrees:
    """The decrees that are loaded."""

    def __init__(self, *, store: CalendarStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def load(self, decree: Decree, *, account: str) -> Loaded:
        """
        Load a decree whole or not at all; return what of it is news.

        If any are (or its year is), the act is in the audit log, and a deadline of kind `RECOUNT`
        is due at once. Raise `StateConflict` if a day contradicts a decree that is not older.
        """
        now = self._clock.now()
        with self._store.transaction() as transaction:
            # Every day is asked, so no short cut: `any` would stop at the first that is news.
            news = sum([transaction.amendments.add(each) for each in decree.amendments()])
            year = decree.year()
            new_year = year is not None and transaction.amendments.add_year(year)
            if news or new_year:
                transaction.audit.append(_record(decree, now, account, news))
                transaction.deadlines.set(
                    Deadline(
                        subject_kind=CALENDAR, subject=decree.country, kind=RECOUNT, due_at=now
                    )
                )
        return Loaded(days=news, year=new_year)


def _record(decree: Decree, now: dt.datetime, account: str, news: int) -> AuditRecord:
    return AuditRecord(
        at=now,
        # A country's calendar is that of all jurisdictions in it.
        jurisdiction="",
        account=account,
        organisation="",
        role=str(Role.OPERATOR),
        action="calendar.amended",
        subject_kind=CALENDAR,
        subject=decree.country,
        details={
            "ordinance": decree.ordinance,
            "decreed_on": decree.decreed_on.isoformat(),
            "days": str(news),
            "whole_year": "" if decree.whole_year is None else str(decree.whole_year),
        },
    )
