"""What the departments hold: read from their own databases, and from the processes' metrics."""

import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql

from bus.cli.demo.expectation import Edition, digest

_LATENCY = "onesource_accepted_to_subscriber_seconds"
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Received:
    """What a sink has counted since it began."""

    upserts: int = 0
    deletes: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What a department's table holds."""

    keys: frozenset[str]
    digest: str
    received: Received


def read_held(dsn: str, table: str, items: Iterable[str], subscription: str) -> Held:
    """Return what the table holds, and what its sink has counted."""
    columns = tuple(items)
    with psycopg.connect(dsn) as connection:
        # One snapshot for both, so that a flush in between cannot split them.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        keys: list[str] = []

        def rows() -> Iterable[tuple[str, dict[str, str]]]:
            statement = sql.SQL('SELECT {} FROM {} ORDER BY code COLLATE "C"').format(
                sql.SQL(", ").join(sql.Identifier(column) for column in columns),
                sql.Identifier(table),
            )
            with connection.cursor(name="onesource_demo") as cursor:
                cursor.itersize = 10_000
                for values in cursor.execute(statement):
                    row = dict(zip(columns, values, strict=True))
                    keys.append(row["code"])
                    yield row["code"], row

        held = digest(rows())
        counted = connection.execute(
            "SELECT upserts, deletes, left_view FROM onesource_sink.subscription WHERE id = %s",
            (subscription,),
        ).fetchone()
    return Held(frozenset(keys), held, Received(*counted) if counted else Received())


def read_rows(dsn: str, table: str, items: Iterable[str]) -> Edition:
    """Return the rows of a table by key."""
    columns = tuple(items)
    with psycopg.connect(dsn) as connection:
        statement = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(sql.Identifier(column) for column in columns),
            sql.Identifier(table),
        )
        rows = connection.execute(statement).fetchall()
    return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}


class Scrape:
    """The metrics of one process, read when asked."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"

    def samples(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the values of the samples `name`, by their labels."""
        with urllib.request.urlopen(self._url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            text = response.read().decode()
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    def total(self, name: str) -> float:
        """Return the sum of the samples `name`."""
        return sum(self.samples(name).values())


class Latencies:
    """The latency histogram of a sink, read twice to see what lies between."""

    def __init__(self, port: int) -> None:
        self._scrape = Scrape(port)
        self._before: dict[float, float] = {}

    def start(self) -> None:
        """Take the present counts as the beginning."""
        self._before = self._read()

    def quantile(self, quantile: float) -> float | None:
        """Return a quantile since `start`, in seconds, by interpolation within its bucket."""
        counts = sorted(
            (bound, count - self._before.get(bound, 0.0)) for bound, count in self._read().items()
        )
        total = counts[-1][1] if counts else 0.0
        if not total:
            return None
        wanted = quantile * total
        lower, below = 0.0, 0.0
        for bound, count in counts:
            if count >= wanted and bound != float("inf"):
                return lower + (bound - lower) * (wanted - below) / max(count - below, 1.0)
            lower, below = bound, count
        # Beyond the last bucket only its lower end is known.
        return counts[-2][0]

    def _read(self) -> dict[float, float]:
        samples = self._scrape.samples(f"{_LATENCY}_bucket")
        return {float(dict(labels)["le"]): value for labels, value in samples.items()}
