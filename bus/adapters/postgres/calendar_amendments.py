"""Amendments of the working-day calendar."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from bus.adapters.postgres.audit_log import PostgresAuditLog
from bus.adapters.postgres.deadlines import PostgresDeadlines
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.domain.calendar_amendment import Amendment, DecreedYear, is_news

_CALENDAR = "calendar"


class PostgresCalendarAmendments:
    """
    See `bus.ports.calendars.CalendarAmendments`.

    Works in the transaction that `connection` is in: what is loaded, what is recomputed after it
    and what the audit log says of it come true together.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def amendments(self, country: str) -> Sequence[Amendment]:
        return [_amendment(row) for row in self._rows("amendments", country=country)]

    def add(self, amendment: Amendment) -> bool:
        known = self._rows("amendments_of_day", country=amendment.country, day=amendment.day)
        if not is_news(amendment, [_amendment(row) for row in known]):
            return False
        self._connection.execute(
            statements(_CALENDAR)["add_amendment"],
            {
                "country": amendment.country,
                "day": amendment.day,
                "working": amendment.working,
                "decreed_on": amendment.decreed_on,
                "ordinance": amendment.ordinance,
            },
        )
        return True

    def years(self, country: str) -> Sequence[DecreedYear]:
        return [
            DecreedYear(country=country, year=year, decreed_on=decreed_on, ordinance=ordinance)
            for year, decreed_on, ordinance in self._rows("years", country=country)
        ]

    def add_year(self, year: DecreedYear) -> bool:
        added = self._rows(
            "add_year",
            country=year.country,
            year=year.year,
            decreed_on=year.decreed_on,
            ordinance=year.ordinance,
        )
        return bool(added)

    def _rows(self, statement: str, /, **parameters: object) -> list[TupleRow]:
        return self._connection.execute(statements(_CALENDAR)[statement], parameters).fetchall()


def _amendment(row: TupleRow) -> Amendment:
    country, day, working, decreed_on, ordinance = row
    return Amendment(
        country=country, day=day, working=working, decreed_on=decreed_on, ordinance=ordinance
    )


@dataclass(frozen=True, slots=True)
class PostgresCalendarTransaction:
    """See `bus.ports.calendars.CalendarTransaction`."""

    amendments: PostgresCalendarAmendments
    deadlines: PostgresDeadlines
    audit: PostgresAuditLog


class PostgresCalendarStore:
    """See `bus.ports.calendars.CalendarStore`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @contextmanager
    def transaction(self) -> Iterator[PostgresCalendarTransaction]:
        with self._postgres.transaction() as connection:
            # As whoever changes the control plane: two decrees are compared one after the other,
            # and the deadline of a recount that is under way is not waited for while that waits
            # for the head of the audit log.
            connection.execute(statements("catalog")["lock"])
            yield PostgresCalendarTransaction(
                PostgresCalendarAmendments(connection),
                PostgresDeadlines(connection),
                PostgresAuditLog(connection),
            )

    @contextmanager
    def snapshot(self) -> Iterator[PostgresCalendarAmendments]:
        with self._postgres.transaction() as connection:
            connection.execute(statements("catalog")["snapshot"])
            yield PostgresCalendarAmendments(connection)
