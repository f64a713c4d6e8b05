"""
Compare a full edition with the current state of a resource and publish only what differs.

The current state is what the provider's own source topic says. Both sides are kept in a temporary
file, so memory stays the same however large an edition is; the difference is a join.
"""

import hashlib
import io
import itertools
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

import fastavro

from bus.errors import DeletionsNotConfirmed, MalformedRecord, NotFound, RecordInvalid
from bus.ports import LogReaders, Partition, Record
from producers.edition import OnRead, read_edition
from producers.publisher import Publisher
from producers.record_encoder import RecordEncoder

#: An edition that deletes more than this share of the records has to be confirmed.
DEFAULT_DELETE_SHARE: Final = 0.2
_BATCH: Final = 10_000
_DIGEST_BYTES: Final = 16
_PROGRESS_EVERY: Final = 500
#: The file is temporary, so nothing is ever synced; the cache is what bounds memory.
_TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE current (key BLOB PRIMARY KEY, digest BLOB) WITHOUT ROWID;
CREATE TABLE edition (
    key BLOB PRIMARY KEY, place INTEGER, file TEXT, line INTEGER, digest BLOB, items BLOB
) WITHOUT ROWID;
"""

#: Told how many records of how many are done.
OnProgress: TypeAlias = Callable[[int, int], None]
#: Finds the text of a schema by its id.
SchemaById: TypeAlias = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Difference:
    """What publishing an edition would send."""

    before: int
    """Records in the current state."""
    inserts: int
    updates: int
    deletes: int
    unchanged: int

    @property
    def to_send(self) -> int:
        """How many records would be sent."""
        return self.inserts + self.updates + self.deletes


class FileDiff:
    """One comparison. Use as a context manager: it keeps a temporary file."""

    def __init__(self, encoder: RecordEncoder) -> None:
        self._encoder = encoder
        self._file = tempfile.NamedTemporaryFile(prefix="onesource-diff-")  # noqa: SIM115
        self._db = sqlite3.connect(self._file.name, isolation_level=None)
        self._db.executescript(_TABLES)
        #: How long the last `publish` took to send and be answered.
        self.sending_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()
        self._file.close()

    def read_current(
        self, readers: LogReaders, schema_by_id: SchemaById, on_progress: OnProgress
    ) -> None:
        """Read the current state from the source topic, up to its present end."""
        publication = self._encoder.publication
        partitions = [
            Partition(publication.topic, number) for number in range(publication.partitions)
        ]
        starts = readers.beginnings(partitions)
        ends = {each: end for each, end in readers.ends(partitions).items() if end > starts[each]}
        if not ends:
            return
        older = _OlderSchemas(self._encoder, schema_by_id)
        total = sum(end - starts[each] for each, end in ends.items())
        reader = readers.open({each: starts[each] for each in ends})
        try:
            self._db.execute("BEGIN")
            while any(reader.position(each) < end for each, end in ends.items()):
                for record in reader.read(_BATCH, 0.2):
                    if (record.offset() or 0) < ends[_partition(record)]:
                        self._take_current(record, older)
                done = sum(min(reader.position(each), end) for each, end in ends.items())
                on_progress(done - sum(starts[each] for each in ends), total)
            self._db.execute("COMMIT")
        finally:
            reader.close()

    def read_edition(self, files: Sequence[Path], on_read: OnRead) -> None:
        """
        Read and check the whole edition.

        Raise `EditionInvalid`, naming file, line and column, before anything has been sent.
        """
        self._db.execute("BEGIN")
        rows = read_edition(files, self._encoder.tree, on_read)
        for place, row in enumerate(rows):
            try:
                checked = self._encoder.check(row.record)
                key = self._encoder.key(row.record)
            except RecordInvalid as error:
                raise row.fault(str(error)) from error
            items = self._encoder.items(checked)
            try:
                self._db.execute(
                    "INSERT INTO edition VALUES (?, ?, ?, ?, ?, ?)",
                    (key, place, str(row.file), row.line, _digest(items), items),
                )
            except sqlite3.IntegrityError:
                file, line = self._db.execute(
                    "SELECT file, line FROM edition WHERE key = ?", (key,)
                ).fetchone()
                raise row.fault(
                    f"the key {key.decode()!r} stands already in {file}, line {line}"
                ) from None
        self._db.execute("COMMIT")

    def difference(self) -> Difference:
        """Return what differs."""
        (before,) = self._one("SELECT count(*) FROM current")
        (total,) = self._one("SELECT count(*) FROM edition")
        (inserts,) = self._one(
            "SELECT count(*) FROM edition e WHERE NOT EXISTS"
            " (SELECT 1 FROM current c WHERE c.key = e.key)"
        )
        (updates,) = self._one(
            "SELECT count(*) FROM edition e JOIN current c ON c.key = e.key"
            " WHERE c.digest <> e.digest"
        )
        unchanged = total - inserts - updates
        return Difference(before, inserts, updates, before - unchanged - updates, unchanged)

    def publish(
        self,
        publisher: Publisher,
        on_progress: OnProgress,
        *,
        delete_share: float = DEFAULT_DELETE_SHARE,
        confirmed: bool = False,
        rate: float | None = None,
    ) -> Difference:
        """
        Publish the difference: inserts and updates in the order of the files, then deletes.

        Raise `DeletionsNotConfirmed`, before anything is sent, if more than `delete_share` of the
        records would be deleted and that is not `confirmed`; `DeliveryFailed` if the broker does
        not accept everything. Doing it again sends what is still missing. `rate` is the most
        records a second, for a gentle load.
        """
        difference = self.difference()
        if difference.deletes > delete_share * difference.before and not confirmed:
            raise DeletionsNotConfirmed(
                f"the edition would delete {difference.deletes} of {difference.before} records, "
                f"more than {delete_share:.0%}: is it whole? Confirm with --confirm-deletes"
            )
        changes = itertools.chain(self._upserts(), ((key, None) for key in self._deletes()))
        started = time.monotonic()
        for sent, (key, items) in enumerate(changes):
            if items is None:
                publisher.delete_key(key)
            else:
                publisher.upsert_encoded(key, items)
            if rate is not None:
                time.sleep(max(0.0, started + sent / rate - time.monotonic()))
            if sent % _PROGRESS_EVERY == 0:
                on_progress(sent, difference.to_send)
        publisher.close()
        self.sending_seconds = time.monotonic() - started
        on_progress(difference.to_send, difference.to_send)
        return difference

    def _upserts(self) -> Iterator[tuple[bytes, bytes]]:
        yield from self._db.execute(
            "SELECT e.key, e.items FROM edition e LEFT JOIN current c ON c.key = e.key"
            " WHERE c.digest IS NULL OR c.digest <> e.digest ORDER BY e.place"
        )

    def _deletes(self) -> Iterator[bytes]:
        for (key,) in self._db.execute(
            "SELECT c.key FROM current c WHERE NOT EXISTS"
            " (SELECT 1 FROM edition e WHERE e.key = c.key)"
        ):
            yield key

    def _one(self, statement: str) -> tuple[int, ...]:
        row: tuple[int, ...] = self._db.execute(statement).fetchone()
        return row

    def _take_current(self, record: Record, older: "_OlderSchemas") -> None:
        key, value = record.key(), record.value()
        if value is None:
            self._db.execute("DELETE FROM current WHERE key = ?", (key,))
            return
        # Bytes of ours that the bus will have refused equal nothing: views may still hold what the
        # key was before, so it has to be sent again, or deleted.
        items = older.items(value)
        digest = b"" if items is None else _digest(items)
        self._db.execute("INSERT OR REPLACE INTO current VALUES (?, ?)", (key, digest))


class _OlderSchemas:
    """Brings values of older entry versions into the form of the present one, to compare them."""

    def __init__(self, encoder: RecordEncoder, schema_by_id: SchemaById) -> None:
        self._encoder = encoder
        self._schema_by_id = schema_by_id
        self._parsed: dict[int, fastavro.types.Schema] = {}

    def items(self, value: bytes) -> bytes | None:
        """Return the items of `value` as this entry version writes them; None if they are none."""
        try:
            items = self._encoder.items_of(value)
            if items is not None:
                return items
            schema_id = int.from_bytes(value[1:5], "big")
            if schema_id not in self._parsed:
                self._parsed[schema_id] = fastavro.parse_schema(
                    json.loads(self._schema_by_id(schema_id))
                )
            record = fastavro.schemaless_reader(
                io.BytesIO(value[5:]), self._parsed[schema_id], None
            )
        except (ValueError, LookupError, EOFError, ArithmeticError, NotFound, MalformedRecord):
            return None
        if not isinstance(record, dict):
            return None
        known = {name: record.get(name) for name in self._encoder.item_names}
        try:
            return self._encoder.items(self._encoder.check(known))
        except RecordInvalid:
            return None


def _partition(record: Record) -> Partition:
    return Partition(record.topic() or "", record.partition() or 0)


def _digest(items: bytes) -> bytes:
    return hashlib.blake2b(items, digest_size=_DIGEST_BYTES).digest()
