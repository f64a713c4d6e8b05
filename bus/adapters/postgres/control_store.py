"""The control plane's cases, with their audit records and deadlines, in one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow

from bus.adapters.postgres import search
from bus.adapters.postgres.audit_log import PostgresAuditLog
from bus.adapters.postgres.calendar_amendments import PostgresCalendarAmendments
from bus.adapters.postgres.catalog_store import PostgresCatalogTransaction, live_grant
from bus.adapters.postgres.deadlines import PostgresDeadlines
from bus.adapters.postgres.documents import from_document, to_document
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.domain.audit_record import AuditRecord
from bus.domain.cases import CaseFilter, CaseKind, Held
from bus.domain.catalog import LiveGrant
from bus.domain.deadline import Deadline
from bus.domain.entry import CatalogEntry
from bus.domain.working_days import WorkingCalendar
from bus.errors import EditConflict, Refused
from bus.ports.calendars import CalendarAmendments, Calendars
from bus.ports.control import ControlTransaction
from bus.ports.deadlines import DeadlineQueue
from bus.ports.search import SearchDocument

_CASES = "cases"
_ENTRY = "entry"
T = TypeVar("T")


class PostgresControlStore:
    """See `bus.ports.control.ControlStore`."""

    def __init__(
        self, postgres: Postgres, calendars: Callable[[CalendarAmendments], Calendars]
    ) -> None:
        self._postgres = postgres
        self._calendars = calendars

    @contextmanager
    def transaction(self) -> Iterator[ControlTransaction]:
        with self._postgres.transaction() as connection:
            connection.execute(statements("catalog")["lock"])
            yield PostgresControlTransaction(connection, self._calendars)

    @contextmanager
    def snapshot(self) -> Iterator[ControlTransaction]:
        with self._postgres.transaction() as connection:
            connection.execute(statements("catalog")["snapshot"])
            yield PostgresControlTransaction(connection, self._calendars)


class PostgresControlTransaction(PostgresCatalogTransaction):
    """See `bus.ports.control.ControlTransaction`."""

    def __init__(
        self,
        connection: psycopg.Connection[TupleRow],
        calendars: Callable[[CalendarAmendments], Calendars],
    ) -> None:
        super().__init__(connection)
        self._calendars = calendars
        self._audit = PostgresAuditLog(connection)
        self._deadlines = PostgresDeadlines(connection)

    @property
    def deadlines(self) -> DeadlineQueue:
        return self._deadlines

    def case(self, kind: CaseKind[T], case: str) -> Held[T] | None:
        rows = self._rows(_CASES, "case", kind=kind.name, id=case)
        return _held(kind, rows[0]) if rows else None

    def cases(
        self, kind: CaseKind[T], where: CaseFilter, *, after: str = "", limit: int = 1000
    ) -> Sequence[Held[T]]:
        rows = self._rows(
            _CASES, "cases", kind=kind.name, after=after, limit=limit, **_filter(where)
        )
        return [_held(kind, row) for row in rows]

    def grants(
        self, where: CaseFilter, *, after: str = "", limit: int = 1000
    ) -> Sequence[LiveGrant]:
        rows = self._rows(_CASES, "grants", after=after, limit=limit, **_filter(where))
        return [live_grant(row) for row in rows]

    def add_case(self, kind: CaseKind[T], value: T) -> Held[T]:
        index = kind.index(value)
        rows = self._rows(_CASES, "add_case", kind=kind.name, **_columns(kind, value))
        if not rows:
            raise Refused(f"there is a {kind.name} {index.id!r} already", code="ALREADY_EXISTS")
        return Held(value, rows[0][0])

    def replace_case(self, kind: CaseKind[T], value: T, version: int) -> Held[T]:
        index = kind.index(value)
        rows = self._rows(
            _CASES, "replace_case", kind=kind.name, version=version, **_columns(kind, value)
        )
        if not rows:
            raise EditConflict(f"{kind.name} {index.id} was changed meanwhile; read it again")
        return Held(value, rows[0][0])

    def record(self, record: AuditRecord) -> None:
        self._audit.append(record)

    def claims(self, jurisdiction: str, elements: Sequence[str]) -> Mapping[str, str]:
        rows = self._rows(_CASES, "claims", jurisdiction=jurisdiction, elements=list(elements))
        return dict(rows)

    def claim_elements(self, jurisdiction: str, resource: str, elements: Sequence[str]) -> None:
        self._execute(_CASES, "release_claims", resource=resource)
        self._execute(
            _CASES,
            "claim",
            jurisdiction=jurisdiction,
            resource=resource,
            elements=list(elements),
        )

    def index_entry(self, entry: CatalogEntry) -> None:
        provider = self.organisation(entry.provider)
        if provider is None:
            raise LookupError(f"{entry.provider} is not registered")
        items = [text for item in entry.items for text in (item.name, item.title_zh, item.title_en)]
        search.index(
            self._connection,
            SearchDocument(
                kind=_ENTRY,
                id=entry.resource,
                jurisdiction=entry.jurisdiction,
                zone=provider.zone,
                title=entry.title_zh,
                titles=(entry.title_en, entry.resource),
                texts=(
                    entry.classification,
                    provider.title_zh,
                    provider.title_en,
                    *items,
                ),
            ),
        )

    def unindex_entry(self, resource: str) -> None:
        search.remove(self._connection, _ENTRY, resource)

    def calendar(self, country: str) -> WorkingCalendar:
        return self._calendars(PostgresCalendarAmendments(self._connection)).calendar(country)

    def set_deadline(self, deadline: Deadline) -> None:
        self._deadlines.set(deadline)

    def clear_deadlines(self, subject_kind: str, subject: str) -> None:
        self._deadlines.clear(subject_kind, subject)


def _columns(kind: CaseKind[T], value: T) -> dict[str, object]:
    index = kind.index(value)
    return {
        "id": index.id,
        "jurisdiction": index.jurisdiction,
        "state": index.state,
        "resource": index.resource,
        "provider": index.provider,
        "consumer": index.consumer,
        "content": to_document(value),
    }


def _filter(where: CaseFilter) -> dict[str, Any]:
    return {
        "jurisdiction": where.jurisdiction,
        "states": None if where.states is None else sorted(where.states),
        "resource": where.resource,
        "provider": where.provider,
        "consumer": where.consumer,
        "party": where.party,
    }


def _held(kind: CaseKind[T], row: TupleRow) -> Held[T]:
    version, content = row
    return Held(from_document(kind.type, content), version)
