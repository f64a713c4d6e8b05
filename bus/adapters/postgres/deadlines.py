"""Deadlines; replicas share them by row locks."""

import datetime as dt
from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow

from bus.adapters.postgres.statements import statements
from bus.domain.deadline import Deadline

_DEADLINES = "deadlines"


class PostgresDeadlines:
    """
    See `bus.ports.deadlines.DeadlineQueue`.

    Works in the transaction that `connection` is in: a deadline is fired when what its handler did
    is committed, and not otherwise.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def set(self, deadline: Deadline) -> None:
        self._execute("set", **_key(deadline), due_at=deadline.due_at)

    def clear(self, subject_kind: str, subject: str, kind: str | None = None) -> None:
        self._execute("clear", subject_kind=subject_kind, subject=subject, kind=kind)

    def pending(self, subject_kind: str, subject: str) -> Sequence[Deadline]:
        rows = self._execute("pending", subject_kind=subject_kind, subject=subject).fetchall()
        return [_deadline(row) for row in rows]

    def take_due(self, now: dt.datetime, limit: int) -> Sequence[Deadline]:
        rows = self._execute("take_due", now=now, limit=limit).fetchall()
        return [_deadline(row) for row in rows]

    def fired(self, deadline: Deadline, at: dt.datetime) -> None:
        self._execute("fired", **_key(deadline), due_at=deadline.due_at, at=at)

    def failed(self, deadline: Deadline, *, error: str, retry_at: dt.datetime) -> None:
        self._execute(
            "failed",
            **_key(deadline),
            due_at=deadline.due_at,
            attempts=deadline.attempts,
            error=error,
            retry_at=retry_at,
        )

    def failing(self) -> int:
        row = self._execute("failing").fetchone()
        number: int = row[0] if row else 0
        return number

    def _execute(self, statement: str, /, **parameters: object) -> psycopg.Cursor[TupleRow]:
        return self._connection.execute(statements(_DEADLINES)[statement], parameters)


def _key(deadline: Deadline) -> dict[str, object]:
    return {
        "subject_kind": deadline.subject_kind,
        "subject": deadline.subject,
        "kind": deadline.kind,
    }


def _deadline(row: TupleRow) -> Deadline:
    subject_kind, subject, kind, due_at, attempts, last_error = row
    return Deadline(
        subject_kind=subject_kind,
        subject=subject,
        kind=kind,
        due_at=due_at,
        attempts=attempts,
        last_error=last_error,
    )
