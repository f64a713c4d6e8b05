"""Deadlines in memory."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bus.domain.deadline import Deadline


@dataclass(frozen=True, slots=True)
class DeadlineRow:
    """A deadline as it is stored."""

    deadline: Deadline
    next_at: dt.datetime
    fired_at: dt.datetime | None = None


#: Subject kind, subject, kind.
DeadlineRows = dict[tuple[str, str, str], DeadlineRow]


class MemoryDeadlines:
    """See `bus.ports.deadlines.DeadlineQueue`; `rows` is what the transaction works on."""

    def __init__(self, rows: DeadlineRows) -> None:
        self._rows = rows

    def set(self, deadline: Deadline) -> None:
        known = self._rows.get(_key(deadline))
        if known is None or known.deadline.due_at != deadline.due_at:
            afresh = replace(deadline, attempts=0, last_error=None)
            self._rows[_key(deadline)] = DeadlineRow(afresh, deadline.due_at)

    def clear(self, subject_kind: str, subject: str, kind: str | None = None) -> None:
        for key in list(self._rows):
            if key[:2] == (subject_kind, subject) and kind in {None, key[2]}:
                del self._rows[key]

    def pending(self, subject_kind: str, subject: str) -> Sequence[Deadline]:
        found = [
            row.deadline
            for key, row in self._rows.items()
            if key[:2] == (subject_kind, subject) and row.fired_at is None
        ]
        return sorted(found, key=_order)

    def take_due(self, now: dt.datetime, limit: int) -> Sequence[Deadline]:
        rows = self._rows.values()
        due = [row.deadline for row in rows if row.fired_at is None and row.next_at <= now]
        return sorted(due, key=_order)[:limit]

    def fired(self, deadline: Deadline, at: dt.datetime) -> None:
        row = self._rows.get(_key(deadline))
        if row is not None and row.deadline.due_at == deadline.due_at:
            self._rows[_key(deadline)] = replace(row, fired_at=at)

    def failed(self, deadline: Deadline, *, error: str, retry_at: dt.datetime) -> None:
        row = self._rows.get(_key(deadline))
        if row is not None and row.fired_at is None and row.deadline == deadline:
            worse = replace(deadline, attempts=deadline.attempts + 1, last_error=error)
            self._rows[_key(deadline)] = DeadlineRow(worse, retry_at)

    def failing(self) -> int:
        rows = self._rows.values()
        return sum(row.fired_at is None and row.deadline.attempts > 0 for row in rows)


class MemoryDeadlineTransaction:
    """See `bus.ports.deadlines.DeadlineTransaction`."""

    def __init__(self, rows: DeadlineRows) -> None:
        self.deadlines = MemoryDeadlines(rows)


class MemoryDeadlineStore:
    """Transactions over deadlines alone."""

    def __init__(self) -> None:
        self.rows: DeadlineRows = {}

    @contextmanager
    def transaction(self) -> Iterator[MemoryDeadlineTransaction]:
        """Return a transaction that commits if its block ends without an exception."""
        changed = dict(self.rows)
        yield MemoryDeadlineTransaction(changed)
        self.rows = changed


def _key(deadline: Deadline) -> tuple[str, str, str]:
    return deadline.subject_kind, deadline.subject, deadline.kind


def _order(deadline: Deadline) -> tuple[dt.datetime, str, str, str]:
    return deadline.due_at, *_key(deadline)
