"""
Compile views to a plan: what is decided once for the records of a resource, and not for each.

`kernel` applies it.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bus.domain.policy import ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.pseudonyms import PseudonymKey
from bus.errors import PseudonymKeyUnusable
from bus.ports import Record
from bus.ports.pseudonym_secrets import PseudonymSecrets
from bus.views.byte_test import ByteTest, compile_byte_test
from bus.views.candidates import Candidates
from bus.views.filter_values import compile_decode
from bus.views.held import Held
from bus.views.kernel import MAX_VALUE_BYTES, PREFIX_BYTES, Kernel, Projection, WriterKernel
from bus.views.key_items import PossibleKey, expected_key, possible_key, text_key
from bus.views.outcome import Delete, Outcome, Reject, SchemaPending, SourceRecord, Upsert
from bus.views.row_filter import FilterCompiler, RowFilter, filter_types
from bus.views.schema_tree import Node, parse_schema
from bus.views.treated import Treat, compile_treatment
from bus.views.walker import Walker, write_varint

__all__ = [
    "MAX_VALUE_BYTES",
    "PREFIX_BYTES",
    "Delete",
    "Outcome",
    "Plan",
    "Reject",
    "SchemaPending",
    "SourceRecord",
    "Upsert",
    "compile_plan",
]

_MAGIC: Final = b"\x00"


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
    _pseudonym_keys: Sequence[bytes | None] = field(repr=False)
    """By view."""
    filter_errors: list[int] = field(default_factory=list)
    """By view: evaluations that failed since the plan was compiled (each was a "no match")."""
    _filters: list[RowFilter | None] | None = None
    _possible: list[PossibleKey] | None = None
    _kernel: Kernel | None = None

    def apply(
        self, partition: int, records: Iterable[SourceRecord], only: frozenset[int] | None = None
    ) -> list[Outcome]:
        """
        Return what becomes of each of `records` of source partition `partition`, in order.

        `only` restricts the work to some views (by index); rejection does not depend on it. Raise
        `ContractError` if a schema or treatment is beyond the kernel, `FilterInvalid` if a filter
        does not compile: both were checked when the grant was decided.
        """
        return self._made_kernel().apply(partition, records, only)

    def changes(
        self,
        partition: int,
        records: Sequence[Record],
        only: frozenset[int],
        held: Held,
    ) -> Iterator[tuple[Record, Outcome]]:
        """
        Yield those of `records` that change something for the views `only`, and how; see `apply`.

        Left out is what belongs to none of them and was in none: `held` tells the views that hold a
        key, and is asked when a record's turn comes, after what was yielded before is done.
        """
        # All of them is the common case, and needs no look.
        wanted = None if len(only) == len(self.views) else only
        return self._made_kernel().changes(partition, records, wanted, held)

    def _made_kernel(self) -> Kernel:
        if self._kernel is None:
            self._kernel = Kernel(
                self.resource.partitions, self._writer, self._registered, self._possible_key
            )
        return self._kernel

    def _possible_key(self, key: bytes) -> bool:
        """Tell whether a record of any writer schema may have a key; a delete names no schema."""
        if self._possible is None:
            roots = [parse_schema(schema.text) for schema in self.resource.schemas]
            self._possible = [possible_key(root, self.resource.key_items) for root in roots]
        return any(possible(key) for possible in self._possible)

    def _writer(self, schema_id: int) -> WriterKernel | None:
        """Return the kernel for records of a schema of this resource; None if it is not its."""
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
        return _writer_kernel(
            self.resource,
            schema,
            self.views,
            self._filters,
            self.filter_errors,
            pseudonym_keys=self._pseudonym_keys,
        )


def compile_plan(
    resource: ResourcePolicy,
    views: Sequence[ViewPolicy],
    *,
    compile_filter: FilterCompiler,
    registered: Container[int] = frozenset(),
    secrets: PseudonymSecrets | None = None,
) -> Plan:
    """
    Return the plan of `views` over the records of `resource`.

    Row filters are compiled against the newest writer schema. `registered` are the schema ids of
    all topics, as they are when a record is looked at: they grow while the plan is in use.

    Raise `PseudonymKeyUnusable` if a view has pseudonyms and `secrets` has not what they need:
    before any record is looked at, so that nothing passes that should not.
    """
    return Plan(
        resource=resource,
        views=tuple(views),
        _compile_filter=compile_filter,
        _registered=registered,
        _pseudonym_keys=[_pseudonym_key(view.view.pseudonyms_for, secrets) for view in views],
        filter_errors=[0] * len(views),
    )


def _pseudonym_key(key: PseudonymKey | None, secrets: PseudonymSecrets | None) -> bytes | None:
    if key is None:
        return None
    if secrets is None:
        raise PseudonymKeyUnusable("there is a view with pseudonyms, and no secrets are here")
    return key.derive(secrets.secret(key.version))


def _writer_kernel(
    resource: ResourcePolicy,
    schema: WriterSchema,
    views: Sequence[ViewPolicy],
    filters: Sequence[RowFilter | None],
    filter_errors: list[int],
    *,
    pseudonym_keys: Sequence[bytes | None],
) -> WriterKernel:
    """Return what applies the plan to records of one writer schema."""
    root = parse_schema(schema.text)
    fields = set(root.field_names)
    read = {item for each in filters if each for item in each.items & fields}
    places = {item: root.field_names.index(item) for item in sorted(read)}
    nodes = {item: root.children[at] for item, at in places.items()}
    projections = [
        _projection(
            index,
            view,
            schema,
            root,
            row_filter=row_filter,
            byte_test=compile_byte_test(row_filter.form, places, nodes) if row_filter else None,
            pseudonym_key=pseudonym_keys[index],
        )
        for index, (view, row_filter) in enumerate(zip(views, filters, strict=True))
        # A filter on an item that this schema lacks matches none of its records.
        if row_filter is None or row_filter.items <= fields
    ]
    decoded = {
        item
        for each in projections
        if each.row_filter is not None and each.byte_test is None
        for item in each.row_filter.items
    }
    provider = resource.provider.encode()
    rest = (len(provider), schema.entry_version, resource.generation)
    length, version, generation = (write_varint(number) for number in rest)
    return WriterKernel(
        Walker(root),
        len(root.children),
        text_key=text_key(root, resource.key_items),
        expected_key=expected_key(root, resource.key_items),
        meta_rest=length + provider + version + generation,
        projections=projections,
        candidates=Candidates([each.row_filter for each in projections], places, nodes),
        decodes=[
            (item, at, compile_decode(nodes[item]))
            for item, at in places.items()
            if item in decoded
        ],
        filter_errors=filter_errors,
    )


def _projection(
    index: int,
    view: ViewPolicy,
    schema: WriterSchema,
    root: Node,
    *,
    row_filter: RowFilter | None,
    byte_test: ByteTest | None,
    pseudonym_key: bytes | None,
) -> Projection:
    how = view.view.treatments
    treats = [
        (at, compile_treatment(how[name], root.children[at], pseudonym_key=pseudonym_key))
        for at, name in enumerate(root.field_names)
        if name in how
    ]
    return Projection(
        index=index,
        prefix=_MAGIC + view.projections[schema.id].to_bytes(4, "big"),
        row_filter=row_filter,
        byte_test=byte_test,
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
