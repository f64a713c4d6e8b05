"""
The data items of a resource and their types.

A type is a small tree of frozen values. `record_key.py` says which types may identify a record,
`avro_schema.py` how each is written on the wire.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Scalar(StrEnum):
    """Types without parameters."""

    STRING = "string"
    BOOLEAN = "boolean"
    INT = "int"
    """32 bits, signed."""
    LONG = "long"
    """64 bits, signed."""
    FLOAT = "float"
    DOUBLE = "double"
    BYTES = "bytes"
    DATE = "date"
    TIME_MILLIS = "time-millis"
    TIME_MICROS = "time-micros"
    TIMESTAMP_MILLIS = "timestamp-millis"
    TIMESTAMP_MICROS = "timestamp-micros"
    UUID = "uuid"


@dataclass(frozen=True, slots=True)
class DecimalType:
    """An exact number of `precision` digits, `scale` of them after the point."""

    precision: int
    scale: int


@dataclass(frozen=True, slots=True)
class EnumType:
    """One of a list of symbols."""

    name: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FixedType:
    """Exactly `size` bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Any number of values of one type."""

    items: "ItemType"


@dataclass(frozen=True, slots=True)
class MapType:
    """Values of one type under text keys."""

    values: "ItemType"


@dataclass(frozen=True, slots=True)
class RecordField:
    """One field of a record type."""

    name: str
    type: "ItemType"


@dataclass(frozen=True, slots=True)
class RecordType:
    """Named fields; may hold itself through a `RecordReference`."""

    name: str
    fields: tuple[RecordField, ...]


@dataclass(frozen=True, slots=True)
class RecordReference:
    """A record type that encloses this place, by name: how trees are described."""

    name: str


@dataclass(frozen=True, slots=True)
class Nullable:
    """A value that may be missing."""

    inner: "ItemType"


ItemType: TypeAlias = (
    Scalar
    | DecimalType
    | EnumType
    | FixedType
    | ArrayType
    | MapType
    | RecordType
    | RecordReference
    | Nullable
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataItem:
    """One data item (数据项) of a resource."""

    name: str
    title_zh: str
    title_en: str
    type: ItemType
    group: str
    """The item group, which carries the share class (R-060)."""
    key: bool = False
    element: str | None = None
    """The data-element code by which "one source" is kept (R-157)."""
    reference: bool = False
    """The element is another organisation's; this item only points to it."""

    @property
    def nullable(self) -> bool:
        """Whether a record may lack this item."""
        return isinstance(self.type, Nullable)


def inner_type(item_type: ItemType) -> ItemType:
    """Return `item_type` without its outer `Nullable`."""
    return item_type.inner if isinstance(item_type, Nullable) else item_type


def nested_types(item_type: ItemType) -> Iterator[ItemType]:
    """Yield `item_type` and every type inside it."""
    yield item_type
    match item_type:
        case Nullable(inner):
            yield from nested_types(inner)
        case ArrayType(items):
            yield from nested_types(items)
        case MapType(values):
            yield from nested_types(values)
        case RecordType(_, fields):
            for field in fields:
                yield from nested_types(field.type)
        case _:
            pass


def depth(item_type: ItemType) -> int:
    """Return how many levels of containers `item_type` has, not counting recursion."""
    match item_type:
        case Nullable(inner):
            return depth(inner)
        case ArrayType(inner) | MapType(inner):
            return 1 + depth(inner)
        case RecordType(_, fields):
            return 1 + max((depth(field.type) for field in fields), default=0)
        case _:
            return 0
