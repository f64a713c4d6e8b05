"""
Apply a plan to the bytes of source records: what each record is for each view (design.md §5).

An Avro record is the concatenation of its fields. So a record is walked once, strictly; the byte
range of each field is noted; row filters see the few items that they read; and the kept ranges are
copied behind the view's schema id and the router's `meta`. Nothing is decoded that no filter or key
needs, and nothing is encoded but `meta`.

The module is compiled where there is a C compiler: `kernel.pxd` has the types. What is decided once
and not for each record is in `plan`.
"""

from array import array
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final

from bus.domain.record_key import KEY_MAX_BYTES, partition_of
from bus.errors import MalformedRecord
from bus.ports import Record
from bus.ports.read_record import ReadRecord, key_of
from bus.views.byte_test import ByteTest
from bus.views.candidates import Candidates
from bus.views.filter_values import Decode
from bus.views.held import Held
from bus.views.key_items import ExpectedKey, PossibleKey
from bus.views.outcome import (
    DELETE,
    NOWHERE,
    Outcome,
    Reject,
    SchemaPending,
    SourceRecord,
    Upsert,
    in_one_view,
)
from bus.views.row_filter import RowFilter
from bus.views.treated import Treat
from bus.views.walker import COMPILED, Walker, is_text, read_varint, write_varint

#: Confluent wire format: a zero byte and four bytes of schema id before the Avro value.
PREFIX_BYTES: Final = 5
#: A record that is larger uncompressed is refused, however well it compressed on the way.
MAX_VALUE_BYTES: Final = 1_000_000
_NO_MARK = b"\x00"
#: A position is not negative, so its first byte has six bits of it, and says whether more follow.
_FIRST_BITS = 6
_FIRST_MASK = 0x3F
_CONTINUES = 0x80
_COMPILED = COMPILED
#: So many keys are expected at once: enough to be fetched while others are worked on.
_AHEAD = 32


class Projection:
    """How one view is cut out of records of one writer schema."""

    def __init__(
        self,
        *,
        index: int,
        prefix: bytes,
        row_filter: RowFilter | None,
        byte_test: ByteTest | None,
        pieces: Sequence[tuple[int, int, Treat | None]],
    ) -> None:
        """
        Cut view `index` of the plan out as `pieces`.

        `byte_test` tells what `row_filter` would, without decoding anything.

        Kept fields are (first, last + 1, None): neighbours are copied in one piece. A field that is
        treated is a piece of its own.
        """
        self.index = index
        self.prefix = prefix
        self.row_filter = row_filter
        self.byte_test = byte_test
        self.pieces = list(pieces)
        spans = [place for first, last, treat in pieces if treat is None for place in (first, last)]
        #: The fields that are copied, if that is all there is to do.
        self.spans = array("q", spans) if len(spans) == 2 * len(pieces) else None


class WriterKernel:
    """What becomes of records of one writer schema. Not for two threads at once."""

    def __init__(
        self,
        walker: Walker,
        fields: int,
        *,
        text_key: int,
        expected_key: ExpectedKey,
        meta_rest: bytes,
        projections: Sequence[Projection],
        candidates: Candidates,
        decodes: Sequence[tuple[str, int, Decode]],
        filter_errors: list[int],
    ) -> None:
        """
        Make the kernel for records of `fields` fields, which `walker` walks.

        `text_key` is the place of the one key item, if that is a text, else -1: then `expected_key`
        tells the key. `meta_rest` is what the router adds to `meta` whatever the record.
        """
        self._walker = walker
        self._fields = fields
        self._ends = array("q", bytes(8 * (fields + 1)))
        #: The same memory, for what is not compiled.
        self._seen_ends = self._ends
        self._text_key = text_key
        self._expected_key = expected_key
        self._meta_rest = meta_rest
        #: What `meta` says of where a record stands: before the first byte of its position, that
        #: byte, and behind it. Of the partition and the position that were met last.
        self._partition = -1
        self._meta_where = b""
        self._high = 0
        self._first = 0
        self._meta_end = _NO_MARK
        self._projections = list(projections)
        self._candidates = candidates
        self._decodes = list(decodes)
        self._filter_errors = filter_errors

    def outcome(
        self,
        value: bytes,
        key: bytes,
        partition: int,
        position: int,
        only: frozenset[int] | None,
    ) -> Outcome:
        """Return what a record is for the views `only` (all, if None); or `MalformedRecord`."""
        after = self._walker.fields(value, PREFIX_BYTES, self._ends)
        if after != len(value):
            raise MalformedRecord(
                "TRAILING_BYTES", f"{len(value) - after} bytes after the end of the record"
            )
        if not self._has_key(value, key):
            raise MalformedRecord("KEY_MISMATCH", "the key differs from the record's key items")
        found, tested = self._candidates.find(value, self._ends)
        if tested:
            asked = self._ask(value, tested, only)
            if asked is not None:
                found = found + asked if found else asked
        if not found:
            return NOWHERE
        if len(found) > 1:
            found = sorted(found)
        self._place(partition, position)
        return self._project(value, found, only)

    def _has_key(self, value: bytes, key: bytes) -> bool:
        """Tell whether `key` is the one that the record's key items make."""
        if self._text_key < 0:
            return self._expected_key(value, self._seen_ends) == key
        _, start = read_varint(value, self._ends[self._text_key])
        end = self._ends[self._text_key + 1]
        if end - start != len(key):
            return False
        if _COMPILED:
            # kernel.pxd has it: without a method to call.
            return _stands_at(value, start, key)  # type: ignore[name-defined,no-any-return]  # noqa: F821
        return value.startswith(key, start)

    def _place(self, partition: int, position: int) -> None:
        """Note what `meta` says of where the record stands."""
        if partition != self._partition:
            self._partition = partition
            self._meta_where = self._meta_rest + write_varint(partition)
        # Neighbours differ in the first bits of the position, which are written first.
        high = position >> _FIRST_BITS
        if high != self._high:
            self._high = high
            # What follows the first byte is no number of its own: its sign is not turned.
            rest = write_varint((high >> 1) ^ -(high & 1)) if high else b""
            self._meta_end = rest + _NO_MARK
        first = (position & _FIRST_MASK) << 1
        self._first = first | _CONTINUES if high else first

    def _ask(
        self, value: bytes, tested: list[int], only: frozenset[int] | None
    ) -> list[int] | None:
        """
        Return those of the projections `tested` whose filters match; None: there are none.

        It may be `tested` itself, and is not to be changed.
        """
        found = None
        seen = None
        for at in tested:
            projection = self._projections[at]
            if only is not None and projection.index not in only:
                continue
            if projection.byte_test is not None:
                matched = projection.byte_test.matches(value, self._ends)
            else:
                if seen is None:
                    seen = self._decode(value)
                matched = _asked(projection.row_filter, seen)
            if matched < 0:
                self._filter_errors[projection.index] += 1
            elif matched:
                # Most often only one is asked, and no list has to be made.
                if len(tested) == 1:
                    return tested
                if found is None:
                    found = []
                found.append(at)
        return found

    def _decode(self, value: bytes) -> dict[str, object]:
        """Return the items that filters read which are not tested on bytes."""
        ends = self._seen_ends
        return {item: decode(value, ends[at])[0] for item, at, decode in self._decodes}

    def _project(self, value: bytes, found: list[int], only: frozenset[int] | None) -> Outcome:
        """Return the views of the record, each as its bytes."""
        if len(found) == 1:
            projection = self._projections[found[0]]
            if only is None or projection.index in only:
                return in_one_view(projection.index, self._projected(value, projection))
            return Upsert(())
        projected = []
        for at in found:
            projection = self._projections[at]
            if only is None or projection.index in only:
                projected.append((projection.index, self._projected(value, projection)))
        return Upsert(tuple(projected))

    def _projected(self, value: bytes, projection: Projection) -> bytes:
        """Return the bytes of one view: schema id, `meta`, and the pieces of the record."""
        spans = projection.spans
        if _COMPILED and spans is not None:
            # kernel.pxd has it: in one piece of memory, without an object for each part.
            return _spliced(  # type: ignore[name-defined,no-any-return]  # noqa: F821
                projection.prefix,
                value,
                self._ends,
                self._meta_where,
                self._first,
                self._meta_end,
                spans,
            )
        return self._joined(value, projection)

    def _joined(self, value: bytes, projection: Projection) -> bytes:
        """Return them put together of parts, of which some may be treated."""
        ends = self._seen_ends
        # What the provider said, and what the bus knows.
        said = value[PREFIX_BYTES : ends[1]]
        parts = [projection.prefix, said, self._meta_where, bytes([self._first]), self._meta_end]
        for first, last, treat in projection.pieces:
            start = ends[first]
            end = ends[last]
            parts.append(value[start:end] if treat is None else treat(value, start, end))
        return b"".join(parts)


class Kernel:
    """What becomes of the records of one resource generation. Not for two threads at once."""

    def __init__(
        self,
        partitions: int,
        compile_writer: Callable[[int], WriterKernel | None],
        registered: Container[int],
        possible_key: PossibleKey,
    ) -> None:
        """
        Make a kernel that compiles what each writer schema needs at its first record.

        `compile_writer` returns None for a schema id that is none of the resource's; `registered`
        are the schema ids of all topics; `possible_key` tells which keys a delete may have.
        """
        self._partitions = partitions
        self._compile_writer = compile_writer
        self._registered = registered
        self._possible_key = possible_key
        self._writers: dict[int, WriterKernel] = {}
        #: The one that was needed last, which most often is needed next.
        self._last_id = -1
        self._last: WriterKernel | None = None

    def apply(
        self, partition: int, records: Iterable[SourceRecord], only: frozenset[int] | None
    ) -> list[Outcome]:
        """Return what becomes of each of `records`, in order; see `Plan.apply`."""
        outcomes = []
        for position, key, value in records:
            outcomes.append(self._outcome(partition, position, key, value, only))
        return outcomes

    def changes(
        self,
        partition: int,
        records: Sequence[Record],
        only: frozenset[int] | None,
        held: Held,
    ) -> "Changes":
        """Return those of `records` that change a view, and how; see `Plan.changes`."""
        return Changes(self, partition, records, only, held)

    def become(self, partition: int, record: Record, only: frozenset[int] | None) -> Outcome:
        """Return what becomes of a record of whatever kind."""
        if isinstance(record, ReadRecord):
            read = record
            return self._outcome(partition, read.position, read.raw_key, read.raw_value, only)
        return self._outcome(partition, record.offset() or 0, record.key(), record.value(), only)

    def _outcome(
        self,
        partition: int,
        position: int,
        key: bytes | None,
        value: bytes | None,
        only: frozenset[int] | None,
    ) -> Outcome:
        try:
            if not key:
                raise MalformedRecord("KEY_MISSING", "the record has no key")
            self._check_key(partition, key)
            if value is None:
                self._check_delete(key)
                return DELETE
            schema_id = _schema_id(value)
            writer = self._last
            if writer is None or schema_id != self._last_id:
                writer = self._writer(schema_id)
                if writer is None:
                    return SchemaPending(schema_id)
                self._last, self._last_id = writer, schema_id
            return writer.outcome(value, key, partition, position, only)
        except MalformedRecord as error:
            return Reject(error.code, error.reason)

    def _check_key(self, partition: int, key: bytes) -> None:
        if len(key) > KEY_MAX_BYTES:
            raise MalformedRecord("KEY_TOO_LONG", f"{len(key)} bytes; {KEY_MAX_BYTES} are allowed")
        if not (_COMPILED and is_text(key, 0, len(key))):
            _check_key_text(key)
        if self._partitions != 1 or partition != 0:
            self._check_partition(partition, key)

    def _check_delete(self, key: bytes) -> None:
        if not self._possible_key(key):
            raise MalformedRecord("KEY_INVALID", "no record of the resource can have such a key")

    def _check_partition(self, partition: int, key: bytes) -> None:
        right = partition_of(key, self._partitions)
        if right != partition:
            raise MalformedRecord(
                "WRONG_PARTITION", f"the key belongs in partition {right}, not {partition}"
            )

    def _writer(self, schema_id: int) -> WriterKernel | None:
        """Return the kernel for records of a schema; None if the policy does not know it yet."""
        writer = self._writers.get(schema_id)
        if writer is not None:
            return writer
        writer = self._compile_writer(schema_id)
        if writer is not None:
            self._writers[schema_id] = writer
        elif schema_id in self._registered:
            raise MalformedRecord("SCHEMA_FOREIGN", f"schema {schema_id} belongs to another topic")
        return writer


class Changes:
    """
    Those of some records that change a view, each with how: an iterator of the two.

    Whoever is compiled calls `advance` instead, and looks at `record` and `outcome`.
    """

    def __init__(
        self,
        kernel: Kernel,
        partition: int,
        records: Sequence[Record],
        only: frozenset[int] | None,
        held: Held,
    ) -> None:
        self._kernel = kernel
        self._partition = partition
        self._records = records
        self._only = only
        self._held = held
        self._at = 0
        self._count = len(records)
        #: What `advance` has come to.
        self.record: Record
        self.outcome: Outcome = NOWHERE

    def __iter__(self) -> "Changes":
        return self

    def __next__(self) -> tuple[Record, Outcome]:
        if not self.advance():
            raise StopIteration
        return self.record, self.outcome

    def advance(self) -> bool:
        """Go on to the next one; tell whether there is one."""
        while self._at < self._count:
            if self._at % _AHEAD == 0:
                _expect(self._records[self._at : self._at + _AHEAD], self._held)
            record = self._records[self._at]
            self._at += 1
            outcome = self._kernel.become(self._partition, record, self._only)
            if outcome is not NOWHERE or _is_held(record, self._held):
                self.record = record
                self.outcome = outcome
                return True
        return False


def _expect(records: Sequence[Record], held: Held) -> None:
    """Say which keys will be asked for."""
    for record in records:
        key = key_of(record)
        if key is not None:
            held.expect(key)


def _is_held(record: Record, held: Held) -> bool:
    """Tell whether a view holds the record's key."""
    key = key_of(record)
    return key is not None and bool(held.get(key))


def _asked(row_filter: RowFilter | None, seen: dict[str, object]) -> int:
    # Without a filter it would be certain, and not be asked.
    matched = row_filter is not None and row_filter.matches(seen)
    return -1 if matched is None else int(matched)


def _schema_id(value: bytes) -> int:
    size = len(value)
    if size > MAX_VALUE_BYTES:
        raise MalformedRecord("RECORD_TOO_LARGE", f"{size} bytes; {MAX_VALUE_BYTES} are allowed")
    if size < PREFIX_BYTES or value[0] != 0:
        raise MalformedRecord("BAD_MAGIC", "the value does not start with a schema id")
    high = value[1]
    return (high << 24) | (value[2] << 16) | (value[3] << 8) | value[4]


def _check_key_text(key: bytes) -> None:
    try:
        key.decode()
    except UnicodeDecodeError:
        raise MalformedRecord("BAD_UTF8", "the key is not UTF-8 text") from None
