"""Unit tests of `producers.item_values`: what a provider may give, item by item."""

import base64
import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.avro_schema import source_schema
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
from bus.errors import RecordInvalid
from bus.views.schema_tree import Node, parse_schema
from bus.views.walker import MAX_DEPTH
from producers.item_values import check_record, check_value, from_json, from_text
from tests import builders
from tests.domain_strategies import item_types
from tests.item_cases import comparable, fitting

_NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
_PEKING = dt.timezone(dt.timedelta(hours=8))
_UUID = uuid.UUID("6f6e6573-6f75-5263-a500-000000000000")
_MONEY = DecimalType(4, 2)
_COLOUR = EnumType("Colour", ("RED", "GREEN"))
_DIGEST = FixedType("Digest", 3)
_POINT = RecordType(
    "Point", (RecordField("x", Scalar.INT), RecordField("note", Nullable(Scalar.STRING)))
)
_CHAIN = RecordType("Chain", (RecordField("next", Nullable(RecordReference("Chain"))),))


def node_of(item_type: ItemType) -> Node:
    """Return the node of an item of this type, by way of its schema."""
    item = builders.item("it", item_type)
    return parse_schema(source_schema("cn", "divisions", [item])).children[1]


def chain(links: int) -> dict[str, Any]:
    """Return a record that holds itself, `links` records in all."""
    value: dict[str, Any] = {"next": None}
    for _ in range(links - 1):
        value = {"next": value}
    return value


@pytest.mark.parametrize(
    ("item_type", "value", "encoded"),
    [
        (Scalar.STRING, "区划\n\t", "区划\n\t"),
        (Scalar.BOOLEAN, False, False),
        (Scalar.INT, -(1 << 31), -(1 << 31)),
        (Scalar.INT, (1 << 31) - 1, (1 << 31) - 1),
        (Scalar.LONG, -(1 << 63), -(1 << 63)),
        (Scalar.LONG, (1 << 63) - 1, (1 << 63) - 1),
        (Scalar.FLOAT, 3.25, 3.25),
        (Scalar.FLOAT, 3, 3),
        (Scalar.FLOAT, float("-inf"), float("-inf")),
        (Scalar.DOUBLE, 1e308, 1e308),
        (Scalar.DOUBLE, 1 << 70, 1 << 70),
        (Scalar.BYTES, b"\0\xff", b"\0\xff"),
        (Scalar.DATE, dt.date(1, 1, 1), dt.date(1, 1, 1)),
        (Scalar.DATE, dt.date(9999, 12, 31), dt.date(9999, 12, 31)),
        (Scalar.TIME_MILLIS, dt.time(23, 59, 59), dt.time(23, 59, 59)),
        (Scalar.TIME_MICROS, dt.time(0), dt.time(0)),
        (Scalar.TIMESTAMP_MILLIS, _NOON, _NOON),
        (Scalar.TIMESTAMP_MICROS, _NOON.astimezone(_PEKING), _NOON),
        (Scalar.UUID, _UUID, _UUID),
        (Scalar.UUID, str(_UUID).upper(), _UUID),
        (_MONEY, Decimal("99.99"), Decimal("99.99")),
        (_MONEY, Decimal("-99.99"), Decimal("-99.99")),
        (_MONEY, Decimal("1E+1"), Decimal(10)),
        (_MONEY, Decimal("-0.00"), Decimal(0)),
        (DecimalType(2, 2), Decimal(0), Decimal(0)),
        (DecimalType(38, 0), Decimal("9" * 38), Decimal("9" * 38)),
        (_COLOUR, "GREEN", "GREEN"),
        (_DIGEST, b"abc", b"abc"),
        (ArrayType(Scalar.INT), (1, 2), [1, 2]),
        (MapType(Scalar.INT), {"一": 1}, {"一": 1}),
        (_POINT, {"x": 1, "note": "n"}, {"x": 1, "note": "n"}),
        (_POINT, {"x": 1}, {"x": 1, "note": None}),
        (Nullable(Scalar.INT), None, None),
        (Nullable(Scalar.INT), 5, 5),
        (ArrayType(Nullable(_MONEY)), [None, Decimal("1.5")], [None, Decimal("1.5")]),
    ],
)
def test_a_value_that_fits_its_type_is_taken(
    item_type: ItemType, value: object, encoded: object
) -> None:
    checked = check_value(node_of(item_type), "it", value)

    assert checked == encoded
    assert type(checked) is type(encoded)


@pytest.mark.parametrize(
    ("item_type", "value", "complaint"),
    [
        (Scalar.STRING, b"bytes", "it: text is wanted"),
        (Scalar.STRING, None, "it: text is wanted"),
        (Scalar.STRING, "a\0b", "it: the text contains U+0000"),
        (Scalar.STRING, "\ud800", "it: not valid Unicode text"),
        (Scalar.BOOLEAN, 1, "it: a boolean is wanted, not 1"),
        (Scalar.BOOLEAN, "true", "it: a boolean is wanted"),
        (Scalar.INT, 1 << 31, "it: a whole number of 32 bits"),
        (Scalar.INT, -(1 << 31) - 1, "it: a whole number of 32 bits"),
        (Scalar.INT, 1.0, "it: a whole number of 32 bits"),
        (Scalar.INT, True, "it: a whole number of 32 bits"),
        (Scalar.LONG, 1 << 63, "it: a whole number of 64 bits"),
        (Scalar.LONG, "7", "it: a whole number of 64 bits"),
        (Scalar.FLOAT, True, "it: a number is wanted"),
        (Scalar.FLOAT, 3.5e38, "it: a number of single precision"),
        (Scalar.FLOAT, 10**400, "it: a number of single precision"),
        (Scalar.DOUBLE, 10**400, "it: a number of double precision"),
        (Scalar.DOUBLE, Decimal("1.5"), "it: a number is wanted"),
        (Scalar.BYTES, "text", "it: bytes is wanted"),
        (Scalar.DATE, _NOON, "it: a date is wanted"),
        (Scalar.DATE, "2026-01-05", "it: a date is wanted"),
        (Scalar.DATE, 20_458, "it: a date is wanted"),
        (Scalar.TIME_MILLIS, _NOON, "it: a time of day"),
        (Scalar.TIME_MICROS, dt.time(12, tzinfo=_PEKING), "it: a time of day without time zone"),
        (Scalar.TIMESTAMP_MILLIS, _NOON.replace(tzinfo=None), "it: a time with its time zone"),
        (Scalar.TIMESTAMP_MICROS, dt.date(2026, 1, 5), "it: a time with its time zone"),
        (Scalar.TIMESTAMP_MICROS, dt.datetime(1, 1, 1, tzinfo=_PEKING), "it: a time with its"),
        (Scalar.TIMESTAMP_MICROS, 0, "it: a time with its time zone"),
        (Scalar.UUID, "6f6e6573", "it: a UUID is wanted"),
        (Scalar.UUID, 7, "it: a UUID is wanted"),
        (_MONEY, Decimal(100), "it: a decimal of 4 digits, 2 after the point"),
        (_MONEY, Decimal("0.001"), "it: a decimal of 4 digits"),
        (_MONEY, Decimal("0.000"), "it: a decimal of 4 digits"),
        (_MONEY, Decimal("1E+2"), "it: a decimal of 4 digits"),
        (_MONEY, Decimal("NaN"), "it: a decimal of 4 digits"),
        (_MONEY, Decimal("Infinity"), "it: a decimal of 4 digits"),
        (_MONEY, 1.5, "it: a decimal of 4 digits"),
        (_COLOUR, "BLUE", "it: one of RED, GREEN is wanted, not 'BLUE'"),
        (_COLOUR, 0, "it: one of RED, GREEN"),
        (_DIGEST, b"ab", "it: 3 bytes is wanted"),
        (_DIGEST, "abc", "it: 3 bytes is wanted"),
        (ArrayType(Scalar.INT), "12", "it: a list is wanted"),
        (ArrayType(Scalar.INT), [1, "x"], "it[1]: a whole number"),
        (MapType(Scalar.INT), [1], "it: a mapping is wanted"),
        (MapType(Scalar.INT), {"a": "x"}, "it.a: a whole number"),
        (MapType(Scalar.INT), {1: 1}, "it (key): text is wanted"),
        (MapType(Scalar.INT), {"\0": 1}, "it (key): the text contains U+0000"),
        (_POINT, ["x"], "it: a mapping is wanted"),
        (_POINT, {"note": "n"}, "it.x: the item is missing"),
        (_POINT, {"x": 1, "y": 2}, "it: there is no item 'y'"),
        (_POINT, {"x": 1, "note": 5}, "it.note: text is wanted"),
        (Nullable(Scalar.INT), "x", "it: a whole number of 32 bits"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(
    item_type: ItemType, value: object, complaint: str
) -> None:
    """R-120: what does not meet the schema is refused, naming the rule."""
    with pytest.raises(RecordInvalid) as refused:
        check_value(node_of(item_type), "it", value)

    assert str(refused.value).startswith(complaint)


def test_a_refusal_does_not_repeat_a_whole_large_value() -> None:
    with pytest.raises(RecordInvalid) as refused:
        check_value(node_of(Scalar.INT), "it", "x" * 10_000)

    assert len(str(refused.value)) < 200


def test_nesting_ends_where_the_router_ends_it() -> None:
    node = node_of(_CHAIN)

    checked = check_value(node, "it", chain(MAX_DEPTH - 1))

    assert checked == chain(MAX_DEPTH - 1)
    with pytest.raises(RecordInvalid, match=f"nested over {MAX_DEPTH} levels"):
        check_value(node, "it", chain(MAX_DEPTH))


def test_a_record_names_its_missing_and_unknown_items() -> None:
    tree = node_of(_POINT)

    with pytest.raises(RecordInvalid, match=r"^x: the item is missing"):
        check_record(tree, "", {})
    with pytest.raises(RecordInvalid, match=r"^record: there is no item 'z'"):
        check_record(tree, "", {"x": 1, "z": 1})


@pytest.mark.parametrize(
    ("item_type", "text", "value"),
    [
        (Scalar.STRING, "", ""),
        (Scalar.STRING, " 名称 ", " 名称 "),
        (Nullable(Scalar.STRING), "", None),
        (Nullable(Scalar.INT), "", None),
        (Nullable(Scalar.INT), "7", 7),
        (Scalar.BOOLEAN, "TRUE", True),
        (Scalar.BOOLEAN, "0", False),
        (Scalar.INT, "-12", -12),
        (Scalar.LONG, "9223372036854775807", (1 << 63) - 1),
        (Scalar.FLOAT, "1.5", 1.5),
        (Scalar.DOUBLE, "1e3", 1000.0),
        (Scalar.DATE, "2026-01-05", dt.date(2026, 1, 5)),
        (Scalar.TIME_MILLIS, "12:30:00.5", dt.time(12, 30, 0, 500_000)),
        (Scalar.TIMESTAMP_MICROS, "2026-01-05T20:00:00+08:00", _NOON),
        (Scalar.TIMESTAMP_MILLIS, "2026-01-05T12:00:00Z", _NOON),
        (_MONEY, "10.50", Decimal("10.50")),
        (Scalar.BYTES, base64.b64encode(b"\0\xff").decode(), b"\0\xff"),
        (_DIGEST, base64.b64encode(b"abc").decode(), b"abc"),
        (_COLOUR, "RED", "RED"),
    ],
)
def test_a_cell_of_a_table_says_a_value(item_type: ItemType, text: str, value: object) -> None:
    node = node_of(item_type)

    found = from_text(node, text)

    assert found == value
    assert check_value(node, "it", found) == value


@pytest.mark.parametrize(
    ("item_type", "text", "complaint"),
    [
        (Scalar.INT, "", "invalid literal"),
        (Scalar.INT, "1.5", "invalid literal"),
        (Scalar.LONG, "9" * 5000, "limit"),
        (Scalar.DOUBLE, "1,5", "could not convert"),
        (Scalar.BOOLEAN, "yes", "not a boolean"),
        (Scalar.BOOLEAN, "", "not a boolean"),
        (Scalar.DATE, "05.01.2026", "Invalid isoformat"),
        (Scalar.DATE, "2026-02-30", "day is out of range"),
        (Scalar.TIME_MICROS, "25:00", "hour must be"),
        (Scalar.TIMESTAMP_MICROS, "now", "Invalid isoformat"),
        (_MONEY, "12,50", "not a decimal: '12,50'"),
        (Scalar.BYTES, "not base64!", "not base64"),
        (Scalar.BYTES, "ü", "ASCII"),
        (ArrayType(Scalar.INT), "[1]", "use NDJSON"),
        (MapType(Scalar.INT), "{}", "use NDJSON"),
        (_POINT, "{}", "use NDJSON"),
        (Nullable(_POINT), "{}", "use NDJSON"),
    ],
)
def test_a_cell_that_says_nothing_for_its_type_is_a_value_error(
    item_type: ItemType, text: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_text(node_of(item_type), text)


@pytest.mark.parametrize(
    ("item_type", "written", "value"),
    [
        (Scalar.STRING, "text", "text"),
        (Scalar.DATE, "2026-01-05", dt.date(2026, 1, 5)),
        (Scalar.TIMESTAMP_MILLIS, "2026-01-05T12:00:00+00:00", _NOON),
        (_MONEY, "1.5", Decimal("1.5")),
        (_MONEY, 3, Decimal(3)),
        (DecimalType(20, 2), Decimal("123456789012345678.91"), Decimal("123456789012345678.91")),
        (Scalar.DOUBLE, Decimal("0.1"), 0.1),
        (Scalar.BYTES, "AP8=", b"\0\xff"),
        (Nullable(Scalar.DATE), None, None),
        (ArrayType(Scalar.DATE), ["2026-01-05"], [dt.date(2026, 1, 5)]),
        (MapType(_MONEY), {"a": "1.5"}, {"a": Decimal("1.5")}),
        (
            RecordType("R", (RecordField("at", Scalar.DATE), RecordField("by", Scalar.BYTES))),
            {"at": "2026-01-05", "by": "AP8="},
            {"at": dt.date(2026, 1, 5), "by": b"\0\xff"},
        ),
    ],
)
def test_json_says_a_value(item_type: ItemType, written: object, value: object) -> None:
    assert from_json(node_of(item_type), written) == value


@pytest.mark.parametrize(
    ("item_type", "written", "complaint"),
    [
        (Scalar.DATE, "yesterday", "Invalid isoformat"),
        (_MONEY, True, "not a decimal: True"),
        (_MONEY, None, "not a decimal: None"),
        (_DIGEST, "=", "not base64"),
        (Scalar.DOUBLE, Decimal("1e999"), "too large"),
        (ArrayType(Scalar.DATE), ["yesterday"], "Invalid isoformat"),
    ],
)
def test_json_that_says_nothing_for_its_type_is_a_value_error(
    item_type: ItemType, written: object, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_json(node_of(item_type), written)


@pytest.mark.parametrize(
    ("item_type", "written"),
    [
        (Scalar.DATE, 7),
        (Scalar.INT, Decimal("1.5")),
        (Scalar.BYTES, 7),
        (Scalar.STRING, 7),
        (ArrayType(Scalar.INT), "x"),
        (MapType(Scalar.INT), []),
        (_POINT, {"x": 1, "unknown": 1}),
        (Nullable(_POINT), 7),
    ],
)
def test_json_of_another_shape_is_left_for_the_check_to_refuse(
    item_type: ItemType, written: object
) -> None:
    node = node_of(item_type)

    found = from_json(node, written)

    with pytest.raises(RecordInvalid):
        check_value(node, "it", found)


@given(st.data())
def test_whatever_fits_is_taken_as_it_is(data: st.DataObject) -> None:
    item_type = data.draw(item_types("it"))
    value = data.draw(fitting(item_type))

    checked = check_value(node_of(item_type), "it", value)

    assert comparable(checked) == comparable(value)


@given(st.data())
def test_values_survive_their_way_through_json(data: st.DataObject) -> None:
    item_type = data.draw(item_types("it"))
    value = data.draw(fitting(item_type))
    node = node_of(item_type)
    written = json.dumps(value, default=_json, allow_nan=True)

    read = from_json(node, json.loads(written, parse_float=Decimal, parse_constant=float))

    assert comparable(check_value(node, "it", read)) == comparable(value)


def _json(value: object) -> object:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dt.date() | dt.time():
            return value.isoformat()
        case _:
            return str(value)
