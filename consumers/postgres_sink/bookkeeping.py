"""
What a sink remembers, in the same database and the same transactions as the rows.

One row a subscription, one a partition of its view topic. The row of the subscription also says
which process may write: a second sink takes over, and the first one notices at its next flush.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg

from bus.errors import WriterFenced
from bus.ports import Partition

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_TABLES = """
CREATE SCHEMA IF NOT EXISTS onesource_sink;

CREATE TABLE IF NOT EXISTS onesource_sink.subscription (
    id         text PRIMARY KEY,
    table_name text NOT NULL,
    topic      text NOT NULL,
    load       bigint NOT NULL,
    resyncing  boolean NOT NULL,
    writer     uuid NOT NULL,
    upserts    bigint NOT NULL DEFAULT 0,
    deletes    bigint NOT NULL DEFAULT 0,
    left_view  bigint NOT NULL DEFAULT 0,
    ended_at   timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS onesource_sink.position (
    subscription text NOT NULL REFERENCES onesource_sink.subscription (id),
    topic        text NOT NULL,
    partition    integer NOT NULL,
    position     bigint NOT NULL,
    PRIMARY KEY (subscription, topic, partition)
);
"""


@dataclass(slots=True)
class Loaded:
    """Where a sink stands."""

    topic: str
    load: int
    """Grows with every time the whole view is loaded; rows carry the load that brought them."""
    resyncing: bool
    positions: dict[Partition, int]
    updated_at: dt.datetime | None
    """None: nothing has been loaded yet."""


@dataclass(slots=True)
class Counts:
    """Changes of one flush, by kind."""

    upserts: int = 0
    deletes: int = 0
    left_view: int = 0


class Bookkeeping:
    """Reads and writes what the sink of one subscription remembers."""

    def __init__(self, subscription: str, table: str) -> None:
        self._subscription = subscription
        self._table = table
        self._writer = uuid.uuid4()

    def take_over(self, connection: Connection, topic: str) -> Loaded:
        """Become the one that writes, and return where the last one stood."""
        with connection.transaction():
            connection.execute(_TABLES)
            row = connection.execute(
                "SELECT topic, load, resyncing, updated_at FROM onesource_sink.subscription"
                " WHERE id = %s FOR UPDATE",
                (self._subscription,),
            ).fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO onesource_sink.subscription"
                    " (id, table_name, topic, load, resyncing, writer)"
                    " VALUES (%s, %s, %s, 0, false, %s)",
                    (self._subscription, self._table, topic, self._writer),
                )
                return Loaded(topic, 0, resyncing=False, positions={}, updated_at=None)
            connection.execute(
                "UPDATE onesource_sink.subscription SET writer = %s, table_name = %s,"
                " ended_at = NULL WHERE id = %s",
                (self._writer, self._table, self._subscription),
            )
            rows = connection.execute(
                "SELECT topic, partition, position FROM onesource_sink.position"
                " WHERE subscription = %s AND topic = %s",
                (self._subscription, row[0]),
            ).fetchall()
        positions = {Partition(name, number): position for name, number, position in rows}
        return Loaded(row[0], row[1], row[2], positions, row[3])

    def save(self, connection: Connection, loaded: Loaded, counts: Counts) -> None:
        """
        Write where the sink stands, in the transaction of its rows.

        Raise `WriterFenced` if another sink has taken over: the transaction must not be committed.
        """
        cursor = connection.execute(
            "UPDATE onesource_sink.subscription SET topic = %s, load = %s, resyncing = %s,"
            " upserts = upserts + %s, deletes = deletes + %s, left_view = left_view + %s,"
            " updated_at = now() WHERE id = %s AND writer = %s",
            (
                *(loaded.topic, loaded.load, loaded.resyncing),
                *(counts.upserts, counts.deletes, counts.left_view),
                *(self._subscription, self._writer),
            ),
        )
        if cursor.rowcount != 1:
            raise WriterFenced(f"another sink of {self._subscription} writes to this database")
        with connection.cursor() as many:
            many.executemany(
                "INSERT INTO onesource_sink.position (subscription, topic, partition, position)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT (subscription, topic, partition)"
                " DO UPDATE SET position = EXCLUDED.position",
                [
                    (self._subscription, partition.topic, partition.number, position)
                    for partition, position in loaded.positions.items()
                ],
            )

    def forget_other_topics(self, connection: Connection, topic: str) -> None:
        """Forget positions in topics that are left for good."""
        connection.execute(
            "DELETE FROM onesource_sink.position WHERE subscription = %s AND topic <> %s",
            (self._subscription, topic),
        )

    def note_end(self, connection: Connection) -> None:
        """Note that the grant is over: the rows stay until somebody decides about them."""
        connection.execute(
            "UPDATE onesource_sink.subscription SET ended_at = now() WHERE id = %s AND writer = %s",
            (self._subscription, self._writer),
        )
