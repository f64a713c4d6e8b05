"""Unit tests of `bus.domain.avro_schema`."""

import json
from typing import Any

import avro.schema
import fastavro
import pytest
from hypothesis import given

from bus.domain.avro_schema import SOURCE_META, VIEW_META, source_schema, view_schema
from bus.domain.entry import CatalogEntry
from bus.domain.items import (
    ArrayType,
    DecimalType,
    EnumType,
    FixedType,
    ItemType,
    MapType,
    Nullable,
    RecordField,
    RecordReference,
    RecordType,
    Scalar,
)
from tests import builders
from tests.domain_strategies import entries

_TREE = RecordType(
    "node", (RecordField("child", Nullable(RecordReference("node"))), RecordField("n", Scalar.INT))
)


def field_of(item_type: ItemType) -> dict[str, Any]:
    """Return the Avro field of an item of this type."""
    schema = json.loads(source_schema("cn", "r", [builders.item("x", item_type)]))
    field: dict[str, Any] = schema["fields"][1]
    return field


def test_the_schema_of_an_entry_never_changes_between_releases() -> None:
    """design.md §4: a published entry version is the schema; equal schemas have equal text."""
    text = builders.schema_of(builders.entry("city-divisions"))

    assert text == (
        '{"type":"record","name":"Record","namespace":"os.cn.city_divisions","fields":['
        '{"name":"meta","type":{"type":"record","name":"SourceMeta","fields":['
        '{"name":"event_id","type":{"type":"fixed","name":"EventId","size":16}},'
        '{"name":"occurred_at","type":{"type":"long","logicalType":"timestamp-micros"}}]}},'
        '{"name":"code","type":"string"},'
        '{"name":"name","type":"string"},'
        '{"name":"district","type":"string"},'
        '{"name":"population","type":["null","long"],"default":null}]}'
    )


def test_a_view_schema_has_the_kept_items_in_catalog_order_behind_the_routers_meta() -> None:
    """design.md §4: what the router says of a record, a provider cannot forge."""
    written = builders.schema_of(builders.entry())

    schema = json.loads(view_schema(written, {"population", "code"}))

    assert schema["name"] == "View"
    assert schema["namespace"] == "os.cn.divisions"
    assert schema["fields"][0] == {"name": "meta", "type": VIEW_META}
    assert schema["fields"][1:] == [
        {"name": "code", "type": "string"},
        {"name": "population", "type": ["null", "long"], "default": None},
    ]


def test_what_a_view_shows_as_null_may_be_null_whatever_it_is_in_the_source() -> None:
    written = builders.schema_of(builders.entry())

    schema = json.loads(
        view_schema(written, {"code", "name", "population"}, {"name", "population"})
    )

    assert schema["fields"][1:] == [
        {"name": "code", "type": "string"},
        {"name": "name", "type": ["null", "string"], "default": None},
        {"name": "population", "type": ["null", "long"], "default": None},
    ]


def test_a_provider_says_of_an_event_who_it_is_and_when_it_happened_and_no_more() -> None:
    assert [field["name"] for field in SOURCE_META["fields"]] == ["event_id", "occurred_at"]


def test_the_router_says_where_a_record_comes_from() -> None:
    assert [field["name"] for field in VIEW_META["fields"]] == [
        "event_id",
        "occurred_at",
        "source",
        "entry_version",
        "generation",
        "partition",
        "position",
        "mark",
    ]


@pytest.mark.parametrize(
    ("item_type", "written"),
    [
        (Scalar.STRING, "string"),
        (Scalar.BOOLEAN, "boolean"),
        (Scalar.INT, "int"),
        (Scalar.LONG, "long"),
        (Scalar.FLOAT, "float"),
        (Scalar.DOUBLE, "double"),
        (Scalar.BYTES, "bytes"),
        (Scalar.DATE, {"type": "int", "logicalType": "date"}),
        (Scalar.TIME_MILLIS, {"type": "int", "logicalType": "time-millis"}),
        (Scalar.TIME_MICROS, {"type": "long", "logicalType": "time-micros"}),
        (Scalar.TIMESTAMP_MILLIS, {"type": "long", "logicalType": "timestamp-millis"}),
        (Scalar.TIMESTAMP_MICROS, {"type": "long", "logicalType": "timestamp-micros"}),
        (Scalar.UUID, {"type": "string", "logicalType": "uuid"}),
        (
            DecimalType(12, 2),
            {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        ),
        (EnumType("sex", ("F", "M")), {"type": "enum", "name": "sex", "symbols": ["F", "M"]}),
        (FixedType("hash", 4), {"type": "fixed", "name": "hash", "size": 4}),
        (ArrayType(Scalar.INT), {"type": "array", "items": "int"}),
        (MapType(Scalar.INT), {"type": "map", "values": "int"}),
        (Nullable(Scalar.INT), ["null", "int"]),
        (
            _TREE,
            {
                "type": "record",
                "name": "node",
                "fields": [
                    {"name": "child", "type": ["null", "node"]},
                    {"name": "n", "type": "int"},
                ],
            },
        ),
    ],
    ids=str,
)
def test_every_type_has_its_avro_form(item_type: ItemType, written: object) -> None:
    assert field_of(item_type)["type"] == written


def test_every_scalar_has_an_avro_form() -> None:
    assert all(field_of(scalar)["type"] for scalar in Scalar)


def test_only_an_item_that_may_be_missing_has_a_default() -> None:
    """A new item that may be missing leaves older records readable."""
    assert field_of(Nullable(Scalar.INT))["default"] is None
    assert "default" not in field_of(Scalar.INT)
    assert "default" not in field_of(ArrayType(Nullable(Scalar.INT)))


@given(entries())
def test_every_entry_without_faults_makes_schemas_that_avro_takes(entry: CatalogEntry) -> None:
    """Two independent implementations: Apache's and fastavro."""
    written = builders.schema_of(entry)
    projected = view_schema(written, {item.name for item in entry.key_items})

    assert list(entry.faults()) == []
    for text in (written, projected):
        avro.schema.parse(text)
        fastavro.parse_schema(json.loads(text))
