"""Connections to Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from bus.errors import StoreUnavailable

_CONNECT_SECONDS = 5
#: What was sent and is not acknowledged for so long makes the connection a lost one.
_UNACKNOWLEDGED_MILLISECONDS = 10_000
#: How a connection notices that nobody is at its other end.
LIVELINESS: dict[str, int] = {
    "connect_timeout": _CONNECT_SECONDS,
    "tcp_user_timeout": _UNACKNOWLEDGED_MILLISECONDS,
}
_WAIT_SECONDS = 10.0
#: No statement of ours takes long; one that does must not hold the control plane's lock for ever.
_OPTIONS = "-c statement_timeout=30s -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s"

#: What is raised when a connection is lost, or there is none. One that Postgres has ended because
#: its transaction was idle for too long (Kafka was waited for in the middle of it) is no
#: OperationalError to psycopg, but an InternalError.
_LOST = (
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    PoolTimeout,
)


class Postgres:
    """A pool of connections that speaks the bus's errors."""

    def __init__(self, dsn: str, *, most: int = 8) -> None:
        self._pool = ConnectionPool(
            dsn,
            min_size=1,
            max_size=most,
            timeout=_WAIT_SECONDS,
            kwargs={"options": _OPTIONS, **LIVELINESS},
            check=ConnectionPool.check_connection,
            open=False,
        )
        self._pool.open(wait=False)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[TupleRow]]:
        """
        Lend a connection in a transaction that commits unless the block raises.

        Raise `StoreUnavailable` if there is none to be had, or if it is lost on the way.
        """
        try:
            with self._pool.connection() as connection:
                yield connection
        except _LOST as error:
            raise StoreUnavailable(f"Postgres does not answer: {error}") from error

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
