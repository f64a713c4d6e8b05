"""
An Avro schema as a tree of nodes that a walker can follow.

Only what the wire needs is kept: kinds, sizes, counts and the value range of logical types.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bus.errors import ContractError


class Kind(Enum):
    """How a value is written."""

    NULL = "null"
    BOOLEAN = "boolean"
    INT = "int"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    BYTES = "bytes"
    STRING = "string"
    ENUM = "enum"
    FIXED = "fixed"
    ARRAY = "array"
    MAP = "map"
    UNION = "union"
    RECORD = "record"


@dataclass(slots=True, eq=False)
class Node:
    """One type of a schema. Records refer to themselves when the schema is recursive."""

    kind: Kind
    logical: str | None = None
    name: str = ""
    size: int = 0
    """Bytes of a fixed."""
    precision: int = 0
    """Digits of a decimal."""
    scale: int = 0
    symbols: tuple[str, ...] = ()
    children: list["Node"] = field(default_factory=list)
    """Items of an array, values of a map, branches of a union, fields of a record."""
    field_names: list[str] = field(default_factory=list)

    def least_size(self) -> int:
        """Return the fewest bytes that a value of this type can have."""
        return _least_size(self, frozenset())


#: Where a logical type means something; anywhere else readers ignore it (Avro 1.12, Logical Types).
_LOGICAL_KINDS = {
    "decimal": {Kind.BYTES, Kind.FIXED},
    "uuid": {Kind.STRING},
    "date": {Kind.INT},
    "time-millis": {Kind.INT},
    "time-micros": {Kind.LONG},
    "timestamp-millis": {Kind.LONG},
    "timestamp-micros": {Kind.LONG},
}
_PRIMITIVES = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string"},
)


def parse_schema(text: str) -> Node:
    """Return the tree of the record schema `text`; raise `ContractError` if it is none."""
    try:
        node = _Parser().node(json.loads(text), "")
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"not an Avro schema: {error!r}") from error
    if node.kind is not Kind.RECORD:
        raise ContractError("the schema of a record's value must be a record")
    return node


class _Parser:
    def __init__(self) -> None:
        self._named: dict[str, Node] = {}

    def node(self, schema: Any, namespace: str) -> Node:  # noqa: ANN401 (JSON)
        if isinstance(schema, list):
            return Node(Kind.UNION, children=[self.node(branch, namespace) for branch in schema])
        if isinstance(schema, str):
            if schema in _PRIMITIVES:
                return Node(Kind(schema))
            return self._named[_full_name(schema, namespace)]
        return self._complex(schema, namespace)

    def _complex(self, schema: Mapping[str, Any], namespace: str) -> Node:
        written = schema["type"]
        if not isinstance(written, str):
            return self.node(written, namespace)
        if written in _PRIMITIVES:
            node = Node(Kind(written))
            _note_logical(node, schema)
            return node
        if written == "array":
            return Node(Kind.ARRAY, children=[self.node(schema["items"], namespace)])
        if written == "map":
            return Node(Kind.MAP, children=[self.node(schema["values"], namespace)])
        return self._define(Kind(written), schema, schema.get("namespace", namespace))

    def _define(self, kind: Kind, schema: Mapping[str, Any], namespace: str) -> Node:
        name = _full_name(schema["name"], namespace)
        if name in self._named:
            raise ValueError(f"{name} is defined twice")
        node = Node(kind, name=name)
        self._named[name] = node
        match kind:
            case Kind.ENUM:
                node.symbols = tuple(schema["symbols"])
            case Kind.FIXED:
                node.size = schema["size"]
                _note_logical(node, schema)
            case _:
                namespace = name.rpartition(".")[0]
                for written in schema["fields"]:
                    node.field_names.append(written["name"])
                    node.children.append(self.node(written["type"], namespace))
        return node


def _note_logical(node: Node, schema: Mapping[str, Any]) -> None:
    logical = schema.get("logicalType")
    if node.kind in _LOGICAL_KINDS.get(logical or "", ()):
        node.logical = logical
        node.precision = schema.get("precision", 0)
        node.scale = schema.get("scale", 0)


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _least_size(node: Node, above: frozenset[Node]) -> int:
    match node.kind:
        case Kind.NULL:
            return 0
        case Kind.FLOAT:
            return 4
        case Kind.DOUBLE:
            return 8
        case Kind.FIXED:
            return node.size
        case Kind.RECORD:
            # A record inside itself is reached through something that may be empty.
            if node in above:
                return 0
            return sum(_least_size(child, above | {node}) for child in node.children)
        case Kind.UNION:
            return 1 + min(_least_size(child, above) for child in node.children)
        case _:
            return 1
