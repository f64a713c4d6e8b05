"""The outbox and the lock of its one relay."""

import threading
from collections.abc import Sequence

import psycopg
from psycopg.conninfo import make_conninfo

from bus.adapters.postgres.pool import LIVELINESS, Postgres
from bus.adapters.postgres.statements import statements
from bus.errors import StoreUnavailable
from bus.ports import OutboxRow

_POLICY = "policy"
#: The advisory lock of the relay: "os.relay" as a number.
_RELAY_LOCK = 0x6F732E72


class PostgresOutbox:
    """
    See `bus.ports.Outbox`.

    A version's number is taken under a lock that is held until its transaction ends, so versions
    become visible in the order of their numbers. To wait for `pg_snapshot_xmin` besides would let
    any transaction, in any database of the cluster, hold the relay up.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def next_version(self) -> Sequence[OutboxRow]:
        with self._postgres.transaction() as connection:
            rows = connection.execute(statements(_POLICY)["next_rows"]).fetchall()
        return [
            OutboxRow(sequence, version, topic, key, None if value is None else bytes(value))
            for sequence, version, topic, key, value in rows
        ]

    def mark_published(self, through_version: int) -> None:
        with self._postgres.transaction() as connection:
            connection.execute(statements(_POLICY)["published"], {"version": through_version})

    def newest_version(self) -> int:
        return self._number("policy_version")

    def pending_versions(self) -> int:
        return self._number("pending_versions")

    def _number(self, name: str) -> int:
        with self._postgres.transaction() as connection:
            row = connection.execute(statements(_POLICY)[name]).fetchone()
        number: int = row[0] if row else 0
        return number


class PostgresRelayLock:
    """
    See `bus.ports.RelayLock`.

    The lock belongs to a session: when the connection or the process dies, Postgres gives it away.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = make_conninfo(dsn, **LIVELINESS)
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._acquired = False
        self._guard = threading.Lock()

    def acquire(self) -> bool:
        with self._guard:
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(self._dsn, autocommit=True)
                row = self._connection.execute(
                    "SELECT pg_try_advisory_lock(%s)", (_RELAY_LOCK,)
                ).fetchone()
            except psycopg.OperationalError as error:
                self._drop()
                raise StoreUnavailable(f"Postgres does not answer: {error}") from error
            self._acquired = bool(row and row[0])
            return self._acquired

    def held(self) -> bool:
        with self._guard:
            if self._connection is None or not self._acquired:
                return False
            try:
                self._connection.execute("SELECT 1")
            except psycopg.OperationalError:
                self._drop()
                return False
            return True

    def release(self) -> None:
        with self._guard:
            self._drop()

    def _drop(self) -> None:
        self._acquired = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None
