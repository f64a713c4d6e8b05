"""The Postgres sink loads a view, beside COPY of the same rows into the same table."""

import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from bench.contest import Comparison, Options, compare, take_turns
from bench.records import Register
from bench.stage import STORED, Stage
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.system_clock import SystemClock
from bus.domain.names import group_prefix, subscription_principal
from consumers.postgres_sink.sink import PostgresSink

_PART = 4
_WAIT_SECONDS = 120.0
_SINK = "sink"
_COPY = "COPY of the same rows"
_LOADED, _COPIED = "loaded", "copied"


def measure(options: Options, stage: Stage) -> list[Comparison]:
    """Compare loading a view with copying its rows, which lie in memory."""
    register = Register(options.seed)
    contents = register.take(options.records // _PART)
    stage.publish(STORED, register.encode(stage.publication(STORED), contents))
    stage.await_routed(STORED)
    contest = _Contest(stage, stage.new_database("bench"), len(contents))
    runs = {_SINK: contest.load, _COPY: contest.copy}
    series = take_turns(runs, options, what="sink", before_round=contest.clear)
    return compare("sink", series, [(_SINK, _COPY)])


class _Contest:
    """Two tables of one database."""

    def __init__(self, stage: Stage, dsn: str, count: int) -> None:
        self._stage = stage
        self._dsn = dsn
        self._count = count

    def clear(self) -> None:
        """Begin anew: no tables, no positions."""
        with psycopg.connect(self._dsn) as connection:
            connection.execute("DROP TABLE IF EXISTS loaded, copied")
            connection.execute("DROP SCHEMA IF EXISTS onesource_sink CASCADE")

    def load(self) -> float:
        """Load the view by a sink; return rows a second."""
        account = self._stage.subscriber(STORED)
        group = f"{group_prefix(subscription_principal(STORED))}sink"
        sink = PostgresSink(
            STORED,
            dsn=self._dsn,
            schema="public",
            table=_LOADED,
            control=account.control,
            readers=KafkaLogReaders(account.kafka, group=group),
            clock=SystemClock(),
        )
        try:
            started = time.perf_counter()
            loaded = 0
            while loaded < self._count:
                loaded += sink.step()
                if time.perf_counter() - started > _WAIT_SECONDS:
                    raise TimeoutError(f"the sink has stored {loaded} of {self._count} records")
            return loaded / (time.perf_counter() - started)
        finally:
            sink.close()

    def copy(self) -> float:
        """Copy the rows that the sink has loaded; return rows a second."""
        with psycopg.connect(self._dsn) as connection:
            rows = connection.execute(f"SELECT * FROM {_LOADED}").fetchall()  # noqa: S608 (ours)
            if len(rows) != self._count:
                raise ValueError(f"the sink has loaded {len(rows)} of {self._count} records")
            connection.execute(f"CREATE TABLE {_COPIED} (LIKE {_LOADED} INCLUDING ALL)")
            connection.commit()
            return len(rows) / _copy(connection, rows)


def _copy(connection: psycopg.Connection[tuple[Any, ...]], rows: Sequence[Sequence[Any]]) -> float:
    started = time.perf_counter()
    statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(_COPIED))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
    connection.commit()
    return time.perf_counter() - started
