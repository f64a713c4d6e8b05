"""What the kernel needs of a row filter; the engine that evaluates it is an adapter."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bus.views.filter_form import FilterForm
from bus.views.schema_tree import Kind, Node


class FilterType(StrEnum):
    """How an item's type looks in a row filter (design.md §5)."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    """float, double, and decimal: a filter compares decimals as doubles."""
    STRING = "string"
    """string, uuid, and enum: an enum is compared by its symbol."""
    BYTES = "bytes"
    TIMESTAMP = "timestamp"
    """date and timestamps, in UTC; a date is its midnight."""
    LIST = "list"
    MAP = "map"
    """maps and records."""
    DYN = "dyn"
    """Nullable items: a comparison with null is no match."""


@dataclass(frozen=True, slots=True)
class Equality:
    """
    What a row filter demands of one item: a record with another value is certainly no match.

    Texts or integers, which an index can look up.
    """

    item: str
    values: frozenset[object]
    exact: bool
    """Whether a record with one of the values is certainly a match, too."""


class RowFilter(Protocol):
    """A compiled row filter. It is pure and may be shared."""

    @property
    def items(self) -> frozenset[str]:
        """The names of the items that the filter reads."""
        ...

    @property
    def equality(self) -> Equality | None:
        """What an index can answer of the filter; None: nothing."""
        ...

    @property
    def form(self) -> FilterForm | None:
        """What the kernel may test on the bytes of a record; None: only `matches` can tell."""
        ...

    def matches(self, values: Mapping[str, object]) -> bool | None:
        """
        Return whether a record whose items have these `values` belongs to the view.

        None: the evaluation failed (a null where a value is needed); that is no match, and counted.
        Never raises on data.
        """
        ...


class FilterCompiler(Protocol):
    """Compiles row filters."""

    def __call__(self, expression: str, types: Mapping[str, FilterType]) -> RowFilter:
        """Return the filter; raise `FilterInvalid` if it does not type-check or is not bool."""
        ...


def filter_types(schema: Node) -> dict[str, FilterType]:
    """Return the filter type of every item of the source schema `schema`; `meta` has none."""
    named = zip(schema.field_names[1:], schema.children[1:], strict=True)
    return {name: _filter_type(node) for name, node in named}


_BY_LOGICAL = {
    "date": FilterType.TIMESTAMP,
    "timestamp-millis": FilterType.TIMESTAMP,
    "timestamp-micros": FilterType.TIMESTAMP,
    "decimal": FilterType.DOUBLE,
}
_BY_KIND = {
    Kind.NULL: FilterType.DYN,
    Kind.BOOLEAN: FilterType.BOOL,
    Kind.INT: FilterType.INT,
    Kind.LONG: FilterType.INT,
    Kind.FLOAT: FilterType.DOUBLE,
    Kind.DOUBLE: FilterType.DOUBLE,
    Kind.BYTES: FilterType.BYTES,
    Kind.FIXED: FilterType.BYTES,
    Kind.STRING: FilterType.STRING,
    Kind.ENUM: FilterType.STRING,
    Kind.ARRAY: FilterType.LIST,
    Kind.MAP: FilterType.MAP,
    Kind.RECORD: FilterType.MAP,
    Kind.UNION: FilterType.DYN,
}


def _filter_type(node: Node) -> FilterType:
    return _BY_LOGICAL.get(node.logical or "") or _BY_KIND[node.kind]
