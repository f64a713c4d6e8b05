"""Unit tests of `consumers.postgres_sink.table`: statements and values, without a database."""

import datetime as dt
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from bus.domain.avro_schema import view_schema
from bus.domain.items import (
    ArrayType,
    DataItem,
    DecimalType,
    EnumType,
    FixedType,
    ItemType,
    MapType,
    Nullable,
    RecordField,
    RecordType,
    Scalar,
)
from bus.errors import ConfigError
from bus.views.schema_tree import Node, parse_schema
from consumers.change import Change, ChangeKind, Meta
from consumers.postgres_sink.table import (
    META_COLUMNS,
    Column,
    ViewTable,
    column_type,
    columns_of,
)
from tests import builders
from tests.domain_strategies import item_types
from tests.item_cases import fitting
from tests.stream_builders import EVENT_ID, OCCURRED_AT
from tests.subscriber_fakes import Subscribed

DESCRIPTOR = Subscribed().descriptor()
ACCEPTED_AT = OCCURRED_AT + dt.timedelta(seconds=1)
META = Meta(
    event_id=EVENT_ID,
    occurred_at=OCCURRED_AT,
    accepted_at=ACCEPTED_AT,
    source="statistics",
    entry_version=3,
    generation=2,
    partition=1,
    position=77,
)
TOWNS = ViewTable(
    "public",
    "towns",
    (
        Column("code", "text", key=True),
        Column("name", "text", key=False),
        Column("population", "bigint", key=False),
    ),
)
_OWN = ", ".join(f'"{name}"' for name in META_COLUMNS)


def tree(*items: DataItem) -> Node:
    """Return the tree of a view's schema with these items."""
    text = builders.schema_of(builders.entry(items=items))
    return parse_schema(view_schema(text, {item.name for item in items}))


def text(statement: sql.Composable) -> str:
    """Return the text of a statement."""
    return statement.as_string(None)


def change(
    record: dict[str, Any] | None, *, key: str = "110101", kind: ChangeKind = ChangeKind.UPSERT
) -> Change:
    """Return a change of a record."""
    return Change(kind=kind, key=key, record=record, meta=META, subscription=DESCRIPTOR)


# --- Columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item_type", "column"),
    [
        (Scalar.STRING, "text"),
        (Scalar.BOOLEAN, "boolean"),
        (Scalar.INT, "integer"),
        (Scalar.LONG, "bigint"),
        (Scalar.FLOAT, "real"),
        (Scalar.DOUBLE, "double precision"),
        (Scalar.BYTES, "bytea"),
        (Scalar.DATE, "date"),
        (Scalar.TIME_MILLIS, "time"),
        (Scalar.TIME_MICROS, "time"),
        (Scalar.TIMESTAMP_MILLIS, "timestamptz"),
        (Scalar.TIMESTAMP_MICROS, "timestamptz"),
        (Scalar.UUID, "uuid"),
        (DecimalType(20, 4), "numeric(20,4)"),
        (EnumType("E", ("A",)), "text"),
        (FixedType("F", 4), "bytea"),
        (ArrayType(Scalar.INT), "jsonb"),
        (MapType(Scalar.INT), "jsonb"),
        (RecordType("R", (RecordField("x", Scalar.INT),)), "jsonb"),
        (Nullable(Scalar.DATE), "date"),
        (Nullable(DecimalType(4, 2)), "numeric(4,2)"),
        (Nullable(ArrayType(Scalar.INT)), "jsonb"),
    ],
)
def test_every_item_type_has_a_column_type(item_type: ItemType, column: str) -> None:
    assert column_type(tree(builders.item("x", item_type)).children[1]) == column


def test_no_scalar_is_without_a_column_type() -> None:
    found = {column_type(tree(builders.item("x", scalar)).children[1]) for scalar in Scalar}

    assert len(found) == len(Scalar) - 2


def test_the_columns_are_the_items_in_catalog_order() -> None:
    schema = tree(builders.item("b"), builders.key_item("k", Scalar.LONG), builders.item("a"))

    assert columns_of([schema], ["k"]) == [
        Column("b", "text", key=False),
        Column("k", "bigint", key=True),
        Column("a", "text", key=False),
    ]


def test_items_of_all_entry_versions_are_columns_and_the_newest_says_the_type() -> None:
    older = tree(builders.key_item("k"), builders.item("gone"), builders.item("n", Scalar.INT))
    newer = tree(builders.key_item("k"), builders.item("n", Scalar.LONG), builders.item("new"))

    columns = columns_of([older, newer], ["k"])

    assert [(column.name, column.type) for column in columns] == [
        ("k", "text"),
        ("gone", "text"),
        ("n", "bigint"),
        ("new", "text"),
    ]


# --- Statements -----------------------------------------------------------------------------------


def test_the_table_has_the_items_then_where_each_row_comes_from() -> None:
    assert text(TOWNS.create()) == (
        'CREATE TABLE IF NOT EXISTS "public"."towns" ('
        '"code" text NOT NULL, "name" text, "population" bigint, '
        '"os_event_id" uuid NOT NULL, "os_occurred_at" timestamptz NOT NULL, '
        '"os_accepted_at" timestamptz NOT NULL, "os_source" text NOT NULL, '
        '"os_entry_version" integer NOT NULL, "os_generation" integer NOT NULL, '
        '"os_partition" integer NOT NULL, "os_position" bigint NOT NULL, '
        '"os_load" bigint NOT NULL, PRIMARY KEY ("code"))'
    )


def test_names_are_quoted_whatever_they_are() -> None:
    odd = ViewTable("s", 'a"; DROP', (Column("Order", "text", key=True),))

    assert text(odd.create()).startswith(
        'CREATE TABLE IF NOT EXISTS "s"."a""; DROP" ("Order" text NOT NULL, '
    )


def test_several_key_items_are_one_primary_key() -> None:
    table = ViewTable(
        "s",
        "t",
        (
            Column("b", "integer", key=True),
            Column("x", "text", key=False),
            Column("a", "date", key=True),
        ),
    )

    assert text(table.create()).endswith('PRIMARY KEY ("b", "a"))')
    assert 'WHERE s.os_deleted AND t."b" = s."b" AND t."a" = s."a"' in text(table.merge()[0])
    assert 'ON CONFLICT ("b", "a") DO UPDATE' in text(table.merge()[1])


def test_rows_go_by_copy_into_a_staging_table_of_the_same_columns() -> None:
    columns = f'"code", "name", "population", {_OWN}'

    staging = text(TOWNS.staging()).replace(columns, "COLUMNS")
    copy = text(TOWNS.copy()).replace(columns, "COLUMNS")

    assert staging == (
        "CREATE TEMPORARY TABLE os_staging ON COMMIT DELETE ROWS AS SELECT COLUMNS, "
        'false AS os_deleted FROM "public"."towns" WITH NO DATA'
    )
    assert copy == "COPY os_staging (COLUMNS, os_deleted) FROM STDIN"


def test_staging_is_brought_in_by_one_delete_and_one_upsert() -> None:
    columns = f'"code", "name", "population", {_OWN}'
    assigned = ", ".join(
        f'"{name}" = EXCLUDED."{name}"' for name in ["name", "population", *META_COLUMNS]
    )

    delete, upsert = (text(statement) for statement in TOWNS.merge())

    assert delete == (
        'DELETE FROM "public"."towns" t USING os_staging s '
        'WHERE s.os_deleted AND t."code" = s."code"'
    )
    assert upsert.replace(columns, "COLUMNS").replace(assigned, "ASSIGNED") == (
        'INSERT INTO "public"."towns" (COLUMNS) SELECT COLUMNS FROM os_staging '
        'WHERE NOT os_deleted ON CONFLICT ("code") DO UPDATE SET ASSIGNED'
    )


def test_the_sweep_removes_what_the_last_load_has_not_brought() -> None:
    assert text(TOWNS.sweep()) == 'DELETE FROM "public"."towns" WHERE os_load <> %s'


# --- Tables that exist ----------------------------------------------------------------------------

_AS_REPORTED = {
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "numeric(4,2)": "numeric(4,2)",
}


def one_column(kind: str) -> ViewTable:
    """Return a table with one column of a type."""
    return ViewTable("s", "t", (Column("x", kind, key=False),))


def test_a_table_that_fits_is_left_alone() -> None:
    existing = {"code": "text", "name": "text", "population": "bigint", "os_load": "bigint"}

    assert TOWNS.adjust(existing) == []


@pytest.mark.parametrize("scalar", list(Scalar))
def test_a_column_of_any_type_is_recognised_as_postgres_reports_it(scalar: Scalar) -> None:
    kind = column_type(tree(builders.item("x", scalar)).children[1])

    assert one_column(kind).adjust({"x": _AS_REPORTED.get(kind, kind)}) == []


def test_a_decimal_column_is_recognised_as_postgres_reports_it() -> None:
    assert one_column("numeric(4,2)").adjust({"x": "numeric(4,2)"}) == []


def test_a_missing_column_is_added() -> None:
    statements = TOWNS.adjust({"code": "text", "name": "text"})

    assert [text(each) for each in statements] == [
        'ALTER TABLE "public"."towns" ADD COLUMN "population" bigint'
    ]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("integer", "bigint"),
        ("integer", "double precision"),
        ("bigint", "double precision"),
        ("real", "double precision"),
    ],
)
def test_a_column_grows_with_its_item(found: str, wanted: str) -> None:
    (statement,) = one_column(wanted).adjust({"x": found})

    assert text(statement) == f'ALTER TABLE "s"."t" ALTER COLUMN "x" TYPE {wanted}'


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("text", "bigint"),
        ("bigint", "integer"),
        ("double precision", "real"),
        ("integer", "date"),
        ("bigint", "timestamptz"),
        ("timestamp without time zone", "timestamptz"),
        ("numeric(4,2)", "numeric(4,3)"),
        ("character varying(20)", "text"),
        ("json", "jsonb"),
    ],
)
def test_a_column_that_rows_would_not_fit_is_refused_and_nothing_is_changed(
    found: str, wanted: str
) -> None:
    table = ViewTable("s", "t", (Column("new", "text", key=False), *one_column(wanted).columns))

    with pytest.raises(ConfigError) as refused:
        table.adjust({"x": found})

    assert str(refused.value).startswith(
        f"column 'x' of s.t is {found}, but the view has {wanted}: give another --table"
    )


def test_columns_that_the_view_does_not_have_any_more_are_dropped_and_ours_stay() -> None:
    existing = {"secret": "text", "code": "text", "os_load": "bigint", "area": "text"}

    assert [text(each) for each in TOWNS.drop_foreign(existing)] == [
        'ALTER TABLE "public"."towns" DROP COLUMN "area"',
        'ALTER TABLE "public"."towns" DROP COLUMN "secret"',
    ]


# --- Rows -----------------------------------------------------------------------------------------


def test_an_upsert_is_a_row_of_its_items_and_where_they_come_from() -> None:
    """R-123: source, entry version, times and position stand with each row."""
    row = TOWNS.row(change({"name": "东城", "code": "110101", "population": 7}), 4)

    assert row == [
        *("110101", "东城", 7),
        *(EVENT_ID, OCCURRED_AT, ACCEPTED_AT, "statistics", 3, 2, 1, 77, 4),
        False,
    ]
    assert len(row) == len(TOWNS.all_columns) + 1


def test_items_that_an_older_entry_version_lacks_are_null() -> None:
    assert TOWNS.row(change({"code": "110101", "name": "n"}), 1)[:3] == ["110101", "n", None]


def test_a_delete_is_a_row_of_the_key() -> None:
    row = TOWNS.row(change(None, kind=ChangeKind.DELETE), 4)

    assert row[:3] == ["110101", None, None]
    assert row[-1] is True
    assert row[-2] == 4


def test_the_marks_of_a_resync_are_no_rows() -> None:
    mark = Change(
        kind=ChangeKind.RESYNC_STARTED, key="", record=None, meta=None, subscription=DESCRIPTOR
    )

    with pytest.raises(ValueError, match="no rows"):
        TOWNS.row(mark, 1)


@pytest.mark.parametrize(
    ("kinds", "key", "values"),
    [
        (["text"], "110101", ["110101"]),
        (["text"], '["looks like JSON"]', ['["looks like JSON"]']),
        (["integer"], "-7", [-7]),
        (["bigint"], "9223372036854775807", [(1 << 63) - 1]),
        (["date"], "0999-01-05", [dt.date(999, 1, 5)]),
        (["uuid"], str(EVENT_ID), [EVENT_ID]),
        (["text", "bigint"], '["一,\\"",7]', ['一,"', 7]),
        (
            ["date", "uuid", "text", "integer"],
            f'["2026-01-05","{EVENT_ID}","",-1]',
            [dt.date(2026, 1, 5), EVENT_ID, "", -1],
        ),
    ],
)
def test_a_key_says_the_values_of_its_columns(
    kinds: list[str], key: str, values: list[object]
) -> None:
    columns = [Column(f"k{at}", kind, key=True) for at, kind in enumerate(kinds)]
    table = ViewTable("s", "t", (Column("x", "text", key=False), *columns))

    found = table.key_values(key)

    assert list(found.values()) == values
    assert table.row(change(None, key=key), 1)[: len(kinds) + 1] == [None, *values]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ([1, None, True, "t"], [1, None, True, "t"]),
        ([1.5, math.nan, math.inf, -math.inf], [1.5, "nan", "inf", "-inf"]),
        ({"raw": b"\0\xff"}, {"raw": "00ff"}),
        ([dt.date(2026, 1, 5), dt.time(9, 30)], ["2026-01-05", "09:30:00"]),
        ({"at": OCCURRED_AT}, {"at": "2026-01-04T12:30:00+00:00"}),
        ([uuid.UUID(int=1)], ["00000000-0000-0000-0000-000000000001"]),
        ([Decimal("1.50")], ["1.50"]),
        ({"deep": [{"er": [math.nan, b"\1"]}]}, {"deep": [{"er": ["nan", "01"]}]}),
        ({"城": "东"}, {"城": "东"}),
    ],
)
def test_nested_items_are_stored_as_json(value: object, stored: object) -> None:
    table = one_column("jsonb")

    found = table.row(change({"x": value}), 1)[0]

    assert isinstance(found, Jsonb)
    assert found.dumps is not None
    assert json.loads(found.dumps(found.obj), parse_constant=_no_constant) == stored


@pytest.mark.parametrize(
    "value", [b"\0\xff", math.nan, Decimal("1.50"), dt.time(9), uuid.UUID(int=1), None, "text"]
)
def test_plain_items_are_left_to_the_driver(value: object) -> None:
    assert one_column("any").row(change({"x": value}), 1)[0] is value


@given(st.data())
def test_whatever_an_item_holds_can_be_written_as_json(data: st.DataObject) -> None:
    item_type = data.draw(item_types("it"))
    value = data.draw(st.lists(fitting(item_type), min_size=1, max_size=2))

    found = one_column("jsonb").row(change({"x": value}), 1)[0]

    assert isinstance(found, Jsonb)
    assert found.dumps is not None
    json.loads(found.dumps(found.obj), parse_constant=_no_constant)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
