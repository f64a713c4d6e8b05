"""
Compile views to a plan, and apply the plan to the bytes of source records (design.md §5).

An Avro record is the concatenation of its fields. So a record is walked once, strictly; the byte
range of each field is noted; row filters see the few items that they read; and the kept ranges are
copied behind the view's schema id and the router's `meta`. Nothing is decoded that no filter or key
needs, and nothing is encoded but `meta`.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bus.domain.policy import ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.record_key import KEY_MAX_BYTES, partition_of
from bus.errors import MalformedRecord
from bus.views.candidates import Candidates
from bus.views.filter_values import compile_decode
from bus.views.key_items import ExpectedKey, expected_key
from bus.views.row_filter import FilterCompiler, RowFilter, filter_types
from bus.views.schema_tree import Node, parse_schema
from bus.views.treated import Treat, compile_treatment
from bus.views.walker import Walk, compile_walk, write_varint

#: Confluent wire format: a zero byte and four bytes of schema id before the Avro value.
PREFIX_BYTES: Final = 5
_MAGIC: Final = 0
_EVENT_ID_BYTES: Final = 16
_NO_MARK: Final = b"\x00"
#: A record that is larger uncompressed is refused, however well it compressed on the way.
MAX_VALUE_BYTES: Final = 1_000_000

#: (position in the source partition, key, value); value None is a delete.
SourceRecord: TypeAlias = tuple[int, bytes | None, bytes | None]


@dataclass(frozen=True, slots=True)
class Upsert:
    """The record exists; `projections` are (view index, value) of the views it belongs to."""

    projections: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """The record is gone, for every view that holds it."""


@dataclass(frozen=True, slots=True)
class Reject:
    """No view may have this: dead-letter it."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SchemaPending:
    """The writer schema is not in the policy (yet): wait a while, then dead-letter it."""

    schema_id: int


Outcome: TypeAlias = Upsert | Delete | Reject | SchemaPending

_DELETE: Final = Delete()


@dataclass(slots=True)
class Plan:
    """
    What to do with the records of one resource generation.

    View indexes in outcomes are positions in `views`.
    """

    resource: ResourcePolicy
    views: tuple[ViewPolicy, ...]
    _compile_filter: FilterCompiler
    _registered: Container[int]
    filter_errors: list[int] = field(default_factory=list)
    """By view: evaluations that failed since the plan was compiled (each was a "no match")."""
    _filters: list[RowFilter | None] | None = None
    _writers: "dict[int, _WriterPlan]" = field(default_factory=dict)
    """By schema id; compiled when the first record of a schema comes: most resources are quiet."""

    def apply(
        self, partition: int, records: Iterable[SourceRecord], only: frozenset[int] | None = None
    ) -> list[Outcome]:
        """
        Return what becomes of each of `records` of source partition `partition`, in order.

        `only` restricts the work to some views (by index); rejection does not depend on it. Raise
        `ContractError` if a schema or treatment is beyond the kernel, `FilterInvalid` if a filter
        does not compile: both were checked when the grant was decided.
        """
        return [self._outcome(partition, *record, only) for record in records]

    def _outcome(
        self,
        partition: int,
        position: int,
        key: bytes | None,
        value: bytes | None,
        only: frozenset[int] | None,
    ) -> Outcome:
        try:
            self._check_key(partition, key)
            if value is None:
                return _DELETE
            if len(value) > MAX_VALUE_BYTES:
                raise MalformedRecord(
                    "RECORD_TOO_LARGE", f"{len(value)} bytes; {MAX_VALUE_BYTES} are allowed"
                )
            if len(value) < PREFIX_BYTES or value[0] != _MAGIC:
                raise MalformedRecord("BAD_MAGIC", "the value does not start with a schema id")
            schema_id = int.from_bytes(value[1:PREFIX_BYTES], "big")
            writer = self._writers.get(schema_id) or self._compile(schema_id)
            if writer is None:
                if schema_id in self._registered:
                    raise MalformedRecord(
                        "SCHEMA_FOREIGN", f"schema {schema_id} belongs to another topic"
                    )
                return SchemaPending(schema_id)
            ends = writer.walk(value)
            writer.check_key(value, ends, key)
        except MalformedRecord as error:
            return Reject(error.code, error.reason)
        meta = writer.meta(value, ends, partition, position)
        return Upsert(tuple(writer.project(value, ends, meta, only, self.filter_errors)))

    def _check_key(self, partition: int, key: bytes | None) -> None:
        if not key:
            raise MalformedRecord("KEY_MISSING", "the record has no key")
        if len(key) > KEY_MAX_BYTES:
            raise MalformedRecord("KEY_TOO_LONG", f"{len(key)} bytes; {KEY_MAX_BYTES} are allowed")
        try:
            key.decode()
        except UnicodeDecodeError:
            raise MalformedRecord("BAD_UTF8", "the key is not UTF-8 text") from None
        if (right := partition_of(key, self.resource.partitions)) != partition:
            raise MalformedRecord(
                "WRONG_PARTITION", f"the key belongs in partition {right}, not {partition}"
            )

    def _compile(self, schema_id: int) -> "_WriterPlan | None":
        """Return the plan for records of a schema of this resource; None if it is none of its."""
        for schema in self.resource.schemas:
            if schema.id == schema_id:
                break
        else:
            return None
        if self._filters is None:
            newest = max(self.resource.schemas, key=lambda each: each.entry_version)
            types = filter_types(parse_schema(newest.text))
            self._filters = [
                None
                if view.view.row_filter is None
                else self._compile_filter(view.view.row_filter, types)
                for view in self.views
            ]
        compiled = _WriterPlan(self.resource, schema, self.views, self._filters)
        self._writers[schema_id] = compiled
        return compiled


def compile_plan(
    resource: ResourcePolicy,
    views: Sequence[ViewPolicy],
    *,
    compile_filter: FilterCompiler,
    registered: Container[int] = frozenset(),
) -> Plan:
    """
    Return the plan of `views` over the records of `resource`.

    Row filters are compiled against the newest writer schema. `registered` are the schema ids of
    all topics, as they are when a record is looked at: they grow while the plan is in use.
    """
    return Plan(
        resource=resource,
        views=tuple(views),
        _compile_filter=compile_filter,
        _registered=registered,
        filter_errors=[0] * len(views),
    )


@dataclass(frozen=True, slots=True)
class _Projection:
    """How one view is cut out of records of one writer schema."""

    index: int
    prefix: bytes
    row_filter: RowFilter | None
    pieces: tuple[tuple[int, int, Treat | None], ...]
    """Kept fields as (first, last + 1, None): neighbours are copied in one piece. A field that is
    treated is a piece of its own."""


class _WriterPlan:
    """The plan for records of one writer schema."""

    def __init__(
        self,
        resource: ResourcePolicy,
        schema: WriterSchema,
        views: Sequence[ViewPolicy],
        filters: Sequence[RowFilter | None],
    ) -> None:
        root = parse_schema(schema.text)
        self._walks: list[Walk] = [compile_walk(child) for child in root.children]
        self._key: ExpectedKey = expected_key(root, resource.key_items)
        self._meta_rest = b"".join(
            (
                write_varint(len(resource.provider.encode())),
                resource.provider.encode(),
                write_varint(schema.entry_version),
                write_varint(resource.generation),
            )
        )
        self._projections = [
            _projection(index, view, row_filter, schema, root)
            for index, (view, row_filter) in enumerate(zip(views, filters, strict=True))
            # A filter on an item that this schema lacks matches none of its records.
            if row_filter is None or row_filter.items <= set(root.field_names)
        ]
        asked = [each.row_filter for each in self._projections]
        read = sorted({item for row_filter in asked if row_filter for item in row_filter.items})
        places = {item: root.field_names.index(item) for item in read}
        decodes = {item: compile_decode(root.children[at]) for item, at in places.items()}
        self._decodes = [(item, at, decodes[item]) for item, at in places.items()]
        self._candidates = Candidates(asked, places, decodes)

    def walk(self, value: bytes) -> list[int]:
        """Return where each field ends (the first entry is where the first one starts)."""
        position = PREFIX_BYTES
        ends = [position]
        for walk in self._walks:
            position = walk(value, position, 1)
            ends.append(position)
        if position != len(value):
            raise MalformedRecord(
                "TRAILING_BYTES", f"{len(value) - position} bytes after the end of the record"
            )
        return ends

    def check_key(self, value: bytes, ends: Sequence[int], key: bytes | None) -> None:
        """Raise `MalformedRecord` if `key` is not the key that the record's key items make."""
        if self._key(value, ends) != key:
            raise MalformedRecord("KEY_MISMATCH", "the key differs from the record's key items")

    def meta(self, value: bytes, ends: Sequence[int], partition: int, position: int) -> bytes:
        """Return the `meta` of the view records: what the provider said, and what the bus knows."""
        said = value[PREFIX_BYTES : ends[1]]
        return b"".join(
            (said, self._meta_rest, write_varint(partition), write_varint(position), _NO_MARK)
        )

    def project(
        self,
        value: bytes,
        ends: Sequence[int],
        meta: bytes,
        only: frozenset[int] | None,
        filter_errors: list[int],
    ) -> Iterable[tuple[int, bytes]]:
        """Yield (view index, value) for each view that the record belongs to."""
        found, tested = self._candidates.find(value, ends)
        if tested:
            found += self._ask(tested, value, ends, only, filter_errors)
        found.sort()
        for position in found:
            projection = self._projections[position]
            if only is None or projection.index in only:
                kept = [
                    value[ends[first] : ends[last]]
                    if treat is None
                    else treat(value, ends[first], ends[last])
                    for first, last, treat in projection.pieces
                ]
                yield projection.index, b"".join((projection.prefix, meta, *kept))

    def _ask(
        self,
        positions: Sequence[int],
        value: bytes,
        ends: Sequence[int],
        only: frozenset[int] | None,
        filter_errors: list[int],
    ) -> Iterable[int]:
        """Yield those of the views at `positions` whose filters say that they match."""
        seen = {item: decode(value, ends[at])[0] for item, at, decode in self._decodes}
        for position in positions:
            projection = self._projections[position]
            if projection.row_filter is None or (only is not None and projection.index not in only):
                continue
            matched = projection.row_filter.matches(seen)
            if matched is None:
                filter_errors[projection.index] += 1
            if matched:
                yield position


def _projection(
    index: int,
    view: ViewPolicy,
    row_filter: RowFilter | None,
    schema: WriterSchema,
    root: Node,
) -> _Projection:
    treats = [
        (at, compile_treatment(view.view.treatments[name], root.children[at]))
        for at, name in enumerate(root.field_names)
        if name in view.view.treatments
    ]
    return _Projection(
        index=index,
        prefix=bytes([_MAGIC]) + view.projections[schema.id].to_bytes(4, "big"),
        row_filter=row_filter,
        pieces=tuple(_pieces(treats)),
    )


def _pieces(
    treats: Iterable[tuple[int, Treat | None]],
) -> Iterable[tuple[int, int, Treat | None]]:
    """Yield the pieces of a view: runs of neighbours that are copied, and treated fields."""
    first = last = 0
    for at, treat in treats:
        if treat is None and last == at:
            last = at + 1
            continue
        if first < last:
            yield first, last, None
        if treat is None:
            first, last = at, at + 1
        else:
            yield at, at + 1, treat
            first = last = at + 1
    if first < last:
        yield first, last, None
