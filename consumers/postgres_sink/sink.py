"""
The sink: a view, exactly once, in a table.

Rows and the position that they lead to are committed together, so whatever dies, and whenever, the
table and the position agree. Several thousand rows a second go by COPY into a staging table and
from there into the table in two statements.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import psycopg
import structlog

from bus import metrics
from bus.adapters.control_http.client import ControlClient
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.errors import StoreUnavailable, SubscriptionEnded
from bus.ports import Clock
from bus.views.schema_tree import parse_schema
from consumers.change import Change, ChangeKind
from consumers.postgres_sink.bookkeeping import Bookkeeping, Connection, Counts, Loaded
from consumers.postgres_sink.table import ViewTable, columns_of
from consumers.view_decoder import ViewDecoder
from consumers.view_follower import ViewFollower

log = structlog.get_logger(__name__)

#: A flush takes at most this many changes, so that memory and locks stay small.
FLUSH_CHANGES = 5_000
_WAIT_SECONDS = 0.2
_LEFT_VIEW = "left-view"


class PostgresSink:
    """Keeps one subscription's table up to date."""

    def __init__(
        self,
        subscription: str,
        *,
        dsn: str,
        schema: str,
        table: str | None,
        control: ControlClient,
        readers: KafkaLogReaders,
        clock: Clock,
    ) -> None:
        """
        Look up the subscription and prepare its table.

        Raise `SubscriptionEnded`, `StoreUnavailable`, or what `ControlClient` raises.
        """
        self._dsn = dsn
        self._clock = clock
        self._control = control
        self._decoder = ViewDecoder(control.schema)
        self._follower = ViewFollower(subscription, control, readers, clock)
        self._schema = schema
        self._name = table or self._follower.descriptor.resource.replace("-", "_")
        self._bookkeeping = Bookkeeping(subscription, f"{schema}.{self._name}")
        self._connection = self._connect()
        with _store_errors():
            self._loaded = self._bookkeeping.take_over(
                self._connection, self._follower.descriptor.topic
            )
        self._table = self._prepare_table()
        self._open()

    def run(self, *, ended: Callable[[], bool]) -> None:
        """
        Keep the table up to date until `ended`.

        Raise `SubscriptionEnded` when the grant is over, `WriterFenced` if another sink took over,
        `StoreUnavailable` if the database is gone: start again then.
        """
        while not ended():
            self.step()

    def step(self) -> int:
        """Store what there is, waiting a little for it; return how many changes that was."""
        try:
            self._follower.moved()
            # Not only when it has just moved: the new topic may not have been there yet.
            if self._loaded.topic != self._follower.descriptor.topic:
                self._start_load()
        except SubscriptionEnded:
            self._note_end()
            raise
        records = self._follower.read(FLUSH_CHANGES, _WAIT_SECONDS)
        known = self._decoder.schemas
        changes = [self._decoder.change(record, self._follower.descriptor) for record in records]
        if known and self._decoder.schemas != known:
            # A new entry version may have made a column wider.
            self._table = self._prepare_table()
        complete = self._loaded.resyncing and self._follower.filled()
        # Behind the last record stands the mark of its transaction: once it is quiet, the table
        # says that it has seen everything, too.
        if changes or complete or self._follower.positions() != self._loaded.positions:
            self._flush(changes, complete=complete)
        return len(changes)

    def close(self) -> None:
        """Let go of Kafka and the database."""
        self._follower.close()
        self._connection.close()

    def _open(self) -> None:
        """Go on where the table stands; load the whole view if that is nowhere or too long ago."""
        descriptor = self._follower.descriptor
        loaded = self._loaded
        window = dt.timedelta(days=descriptor.replay_window_days)
        known = loaded.updated_at is not None and loaded.topic == descriptor.topic
        if known and loaded.updated_at and self._clock.now() - loaded.updated_at <= window:
            self._follower.open(loaded.positions)
        else:
            self._start_load()

    def _start_load(self) -> None:
        """Load the whole view beside what the table holds; `complete` removes the rest."""
        self._follower.open()
        # Only now, because the descriptor may have become another while the topic was not shown.
        topic = self._follower.descriptor.topic
        loaded = self._loaded
        self._loaded = Loaded(topic, loaded.load + 1, True, {}, loaded.updated_at)
        self._table = self._prepare_table()
        log.info("loading the whole view", topic=topic, load=self._loaded.load)

    def _flush(self, changes: list[Change], *, complete: bool) -> None:
        started = time.monotonic()
        counts = Counts()
        last: dict[str, Change] = {}
        for change in changes:
            last[change.key] = change
            _count(counts, change)
        loaded = self._loaded
        loading = loaded.resyncing
        loaded.positions = dict(self._follower.positions())
        with _store_errors(), self._connection.transaction():
            if last:
                self._merge(last.values(), loaded.load)
            if complete:
                loaded.resyncing = False
                self._sweep(loaded)
            self._bookkeeping.save(self._connection, loaded, counts)
        loaded.updated_at = self._clock.now()
        metrics.SINK_FLUSH_SECONDS.observe(time.monotonic() - started)
        self._report_counts(counts)
        # What a load brings was accepted long ago: that says nothing about how fast we are.
        if not loading:
            self._observe_latency(changes)

    def _merge(self, changes: Iterable[Change], load: int) -> None:
        with self._connection.cursor() as cursor:
            with cursor.copy(self._table.copy()) as copy:
                for change in changes:
                    copy.write_row(self._table.row(change, load))
            for statement in self._table.merge():
                cursor.execute(statement)

    def _sweep(self, loaded: Loaded) -> None:
        """Remove what the view does not have any more: rows, columns, positions elsewhere."""
        self._connection.execute(self._table.sweep(), (loaded.load,))
        for statement in self._table.drop_foreign(self._existing_columns()):
            self._connection.execute(statement)
        self._bookkeeping.forget_other_topics(self._connection, loaded.topic)

    @staticmethod
    def _report_counts(counts: Counts) -> None:
        for kind, count in (
            ("upsert", counts.upserts),
            ("delete", counts.deletes),
            ("left-view", counts.left_view),
        ):
            metrics.SINK_CHANGES.labels(kind).inc(count)

    def _observe_latency(self, changes: list[Change]) -> None:
        now = self._clock.now()
        for change in changes:
            if change.meta is not None:
                latency = (now - change.meta.accepted_at).total_seconds()
                metrics.ACCEPTED_TO_SUBSCRIBER_SECONDS.observe(max(0.0, latency))

    def _prepare_table(self) -> ViewTable:
        """Create the table, or give it the columns that the view has now."""
        descriptor = self._follower.descriptor
        texts = self._control.subject_schemas(descriptor.subject)
        columns = columns_of([parse_schema(text) for text in texts], descriptor.key_items)
        table = ViewTable(self._schema, self._name, tuple(columns))
        with _store_errors(), self._connection.transaction():
            self._connection.execute(table.create())
            for statement in table.adjust(self._existing_columns()):
                self._connection.execute(statement)
            self._connection.execute("DROP TABLE IF EXISTS pg_temp.os_staging")
            self._connection.execute(table.staging())
        return table

    def _existing_columns(self) -> Mapping[str, str]:
        rows = self._connection.execute(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped",
            (self._schema, self._name),
        ).fetchall()
        return dict(rows)

    def _note_end(self) -> None:
        log.info("the grant is over; the rows stay", table=self._name)
        with _store_errors(), self._connection.transaction():
            self._bookkeeping.note_end(self._connection)

    def _connect(self) -> Connection:
        with _store_errors():
            return psycopg.connect(self._dsn, autocommit=True)


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"the subscriber's database does not answer: {error}") from error


def _count(counts: Counts, change: Change) -> None:
    if change.kind is ChangeKind.UPSERT:
        counts.upserts += 1
    elif change.meta is not None and change.meta.reason == _LEFT_VIEW:
        counts.left_view += 1
    else:
        counts.deletes += 1
