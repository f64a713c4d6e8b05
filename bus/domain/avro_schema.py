"""
The Avro schemas that follow from a catalog entry.

A published entry version *is* the schema (design.md §4): the first field is `meta`, then the data
items in catalog order. The order of JSON keys and the absence of white space are part of the
contract: equal schemas have equal text.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from bus.domain.items import (
    ArrayType,
    DataItem,
    DecimalType,
    EnumType,
    FixedType,
    ItemType,
    MapType,
    Nullable,
    RecordReference,
    RecordType,
    Scalar,
)
from bus.domain.names import META

Json: TypeAlias = Any

EVENT_ID_BYTES = 16

_SCALARS: Mapping[Scalar, Json] = {
    Scalar.STRING: "string",
    Scalar.BOOLEAN: "boolean",
    Scalar.INT: "int",
    Scalar.LONG: "long",
    Scalar.FLOAT: "float",
    Scalar.DOUBLE: "double",
    Scalar.BYTES: "bytes",
    Scalar.DATE: {"type": "int", "logicalType": "date"},
    Scalar.TIME_MILLIS: {"type": "int", "logicalType": "time-millis"},
    Scalar.TIME_MICROS: {"type": "long", "logicalType": "time-micros"},
    Scalar.TIMESTAMP_MILLIS: {"type": "long", "logicalType": "timestamp-millis"},
    Scalar.TIMESTAMP_MICROS: {"type": "long", "logicalType": "timestamp-micros"},
    Scalar.UUID: {"type": "string", "logicalType": "uuid"},
}

_EVENT_ID = {
    "name": "event_id",
    "type": {"type": "fixed", "name": "EventId", "size": EVENT_ID_BYTES},
}
_OCCURRED_AT = {
    "name": "occurred_at",
    "type": {"type": "long", "logicalType": "timestamp-micros"},
}

#: All that a provider may say about an event (design.md §4).
SOURCE_META: Json = {"type": "record", "name": "SourceMeta", "fields": [_EVENT_ID, _OCCURRED_AT]}

#: What the router says of it; a provider can forge none of what it adds.
VIEW_META: Json = {
    "type": "record",
    "name": "ViewMeta",
    "fields": [
        _EVENT_ID,
        _OCCURRED_AT,
        {"name": "source", "type": "string"},
        {"name": "entry_version", "type": "int"},
        {"name": "generation", "type": "int"},
        {"name": "partition", "type": "int"},
        {"name": "position", "type": "long"},
        {
            "name": "mark",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Mark",
                    "fields": [
                        {"name": "sequence", "type": "long"},
                        {"name": "state", "type": "string"},
                    ],
                },
            ],
            "default": None,
        },
    ],
}


def source_schema(jurisdiction: str, resource: str, items: Iterable[DataItem]) -> str:
    """Return the schema of what the provider of `resource` writes."""
    fields: list[Json] = [{"name": META, "type": SOURCE_META}]
    for item in items:
        field: dict[str, Json] = {"name": item.name, "type": _avro(item.type)}
        if item.nullable:
            field["default"] = None
        fields.append(field)
    namespace = f"os.{jurisdiction}.{resource}".replace("-", "_")
    return _text({"type": "record", "name": "Record", "namespace": namespace, "fields": fields})


def view_schema(
    writer_schema: str, kept: Collection[str], nulled: Collection[str] = frozenset()
) -> str:
    """
    Return the schema of a view's records that are cut out of records of `writer_schema`.

    Types never refer from one item to another, so each field can be taken as it stands; those of
    the kept items that are `nulled` may be null, whatever they are in the source.
    """
    schema = json.loads(writer_schema)
    fields = [{"name": META, "type": VIEW_META}]
    fields += [
        _nullable(field) if field["name"] in nulled else field
        for field in schema["fields"]
        if field["name"] in kept
    ]
    return _text({**schema, "name": "View", "fields": fields})


def _nullable(field: Json) -> Json:
    written = field["type"]
    if isinstance(written, list):
        return field
    return {"name": field["name"], "type": ["null", written], "default": None}


def _text(schema: Json) -> str:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def _avro(item_type: ItemType) -> Json:
    match item_type:
        case Scalar():
            return _SCALARS[item_type]
        case DecimalType(precision, scale):
            return {
                "type": "bytes",
                "logicalType": "decimal",
                "precision": precision,
                "scale": scale,
            }
        case EnumType(name, symbols):
            return {"type": "enum", "name": name, "symbols": list(symbols)}
        case FixedType(name, size):
            return {"type": "fixed", "name": name, "size": size}
        case ArrayType(items):
            return {"type": "array", "items": _avro(items)}
        case MapType(values):
            return {"type": "map", "values": _avro(values)}
        case RecordType(name, fields):
            return {
                "type": "record",
                "name": name,
                "fields": [{"name": field.name, "type": _avro(field.type)} for field in fields],
            }
        case RecordReference(name):
            return name
        case Nullable(inner):
            return ["null", _avro(inner)]
