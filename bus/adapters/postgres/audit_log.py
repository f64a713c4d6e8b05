"""The audit log and its checkpoints in Postgres."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.audit.chain import genesis, next_row, storable_text
from bus.domain.audit_log import GRANT_ACTIONS, AuditFilter, AuditHead, AuditRow, Checkpoint
from bus.domain.audit_record import AuditRecord
from bus.errors import StoreUnavailable
from bus.ports.audit import CheckpointTurn

_AUDIT = "audit"
#: The advisory lock of whoever makes a checkpoint: "os.audit" as a number.
_CHECKPOINT_LOCK = 0x6F732E6175646974
_RECORD_FIELDS = tuple(field.name for field in fields(AuditRecord))


class PostgresAuditLog:
    """See `bus.ports.audit.AuditLog`; the row goes with the transaction of `connection`."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def append(self, record: AuditRecord) -> AuditRow:
        head = _head(self._connection, "lock_head")
        row = next_row(head, record)
        content = {name: getattr(row.record, name) for name in _RECORD_FIELDS}
        self._connection.execute(
            statements(_AUDIT)["append"],
            {
                **content,
                "details": Jsonb(dict(row.record.details)),
                "sequence": row.sequence,
                "previous": row.previous,
                "hash": row.hash,
            },
        )
        return row


class PostgresAuditWriter:
    """See `bus.ports.audit.AuditWriter`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def write(self, record: AuditRecord) -> AuditRow:
        with self._postgres.transaction() as connection:
            return PostgresAuditLog(connection).append(record)


class PostgresAuditReader:
    """See `bus.ports.audit.AuditReader`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def head(self) -> AuditHead:
        with self._postgres.transaction() as connection:
            return _head(connection, "head")

    def rows(self, after: int, limit: int) -> Sequence[AuditRow]:
        return [_row(each) for each in self._fetch("rows", after=after, limit=limit)]

    def page(
        self, wanted: AuditFilter, *, before: int | None = None, limit: int = 50
    ) -> Sequence[AuditRow]:
        found = self._fetch("page", **asdict(wanted), before=before, limit=limit)
        return [_row(each) for each in found]

    def grant_rows(self, resource: str, after: int, limit: int) -> Sequence[AuditRow]:
        found = self._fetch(
            "grant_rows",
            resource=resource,
            actions=sorted(GRANT_ACTIONS),
            after=after,
            limit=limit,
        )
        return [_row(each) for each in found]

    def checkpoints(self, after: int, limit: int) -> Sequence[Checkpoint]:
        return [_checkpoint(each) for each in self._fetch("checkpoints", after=after, limit=limit)]

    def newest_checkpoint(self) -> Checkpoint | None:
        found = self._fetch("newest_checkpoint")
        return _checkpoint(found[0]) if found else None

    def _fetch(self, statement: str, /, **parameters: object) -> list[TupleRow]:
        with self._postgres.transaction() as connection:
            return connection.execute(
                statements(_AUDIT)[statement],
                # Whatever is asked for, in the words in which it would be written.
                {
                    name: storable_text(value) if isinstance(value, str) else value
                    for name, value in parameters.items()
                },
            ).fetchall()


class PostgresCheckpointStore:
    """See `bus.ports.audit.CheckpointStore`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @contextmanager
    def turn(self) -> Iterator[CheckpointTurn | None]:
        with self._postgres.transaction() as connection:
            taken = connection.execute(
                statements(_AUDIT)["take_checkpoint_turn"], {"lock": _CHECKPOINT_LOCK}
            ).fetchone()
            yield PostgresCheckpointTurn(connection) if taken and taken[0] else None


class PostgresCheckpointTurn:
    """See `bus.ports.audit.CheckpointTurn`."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def head(self) -> AuditHead:
        return _head(self._connection, "head")

    def newest(self) -> Checkpoint | None:
        row = self._connection.execute(statements(_AUDIT)["newest_checkpoint"]).fetchone()
        return _checkpoint(row) if row else None

    def save(self, checkpoint: Checkpoint) -> None:
        self._connection.execute(statements(_AUDIT)["save_checkpoint"], asdict(checkpoint))


def _head(connection: psycopg.Connection[TupleRow], statement: str) -> AuditHead:
    row = connection.execute(statements(_AUDIT)[statement]).fetchone()
    if row is None:
        raise StoreUnavailable("the audit log has no head: the database is not whole")
    log, sequence, newest = row
    return AuditHead(log=log, sequence=sequence, hash=bytes(newest) or genesis(log))


def _row(row: Sequence[Any]) -> AuditRow:
    sequence, *content, details, previous, newest = row
    # The verifier looks at what somebody may have put here past all constraints.
    details = details if isinstance(details, dict) else {"": details}
    return AuditRow(
        sequence=sequence,
        record=AuditRecord(**dict(zip(_RECORD_FIELDS, (*content, details), strict=True))),
        previous=bytes(previous or b""),
        hash=bytes(newest or b""),
    )


def _checkpoint(row: Sequence[Any]) -> Checkpoint:
    log, sequence, newest, at, key_id, signature = row
    return Checkpoint(
        log=log,
        sequence=sequence,
        hash=bytes(newest),
        at=at,
        key_id=key_id,
        signature=bytes(signature),
    )
