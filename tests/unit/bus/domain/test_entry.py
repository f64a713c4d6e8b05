"""Unit tests of `bus.domain.entry`."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from bus.domain.avro_schema import SOURCE_META, VIEW_META
from bus.domain.entry import MAX_DEPTH, MAX_ITEMS, MAX_PARTITIONS, CatalogEntry
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
from bus.domain.share import ItemGroup, Scope
from tests import builders
from tests.domain_strategies import entries


def record(name: str, **fields: ItemType) -> RecordType:
    return RecordType(name, tuple(RecordField(key, value) for key, value in fields.items()))


def nested_arrays(levels: int) -> ItemType:
    built: ItemType = Scalar.INT
    for _ in range(levels):
        built = ArrayType(built)
    return built


def faults_of(entry: CatalogEntry) -> list[tuple[str, str]]:
    return [(".".join(path), message) for path, message in entry.faults()]


def type_faults(item_type: ItemType) -> list[tuple[str, str]]:
    return faults_of(builders.entry(items=[builders.key_item(), builders.item("x", item_type)]))


@given(entries())
def test_a_sound_entry_has_no_fault(entry: CatalogEntry) -> None:
    assert faults_of(entry) == []


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"resource": "Divisions"}, "resource", "'Divisions' is not a code"),
        ({"jurisdiction": "中国"}, "jurisdiction", "'中国' is not a code"),
        ({"partitions": 0}, "partitions", f"must be between 1 and {MAX_PARTITIONS}"),
        (
            {"partitions": MAX_PARTITIONS + 1},
            "partitions",
            f"must be between 1 and {MAX_PARTITIONS}",
        ),
        ({"generation": 0}, "generation", "must be 1 or more"),
        ({"update_limit_days": 0}, "update_limit_days", "must be 1 or more"),
        ({"delivery_modes": ()}, "delivery_modes", "name at least one delivery mode"),
    ],
)
def test_what_is_wrong_with_the_entry_itself_is_named(
    change: dict[str, Any], path: str, message: str
) -> None:
    """R-020: a missing field blocks submission and is named."""
    faults = faults_of(builders.entry(**change))

    assert [key for key, _ in faults] == [path]
    assert faults[0][1].startswith(message)


def test_an_entry_needs_a_group_with_a_share_class() -> None:
    """R-052: no entry without an explicit class."""
    faults = faults_of(builders.entry(groups=[]))

    assert ("groups", "name at least one item group with its share class") in faults


def test_a_group_needs_a_class_for_at_least_one_scope() -> None:
    """R-051, R-052."""
    silent = ItemGroup(name="base", title_zh="组", title_en="Group", rules={})

    faults = faults_of(builders.entry(groups=[silent]))

    assert faults == [("groups.base.share", "give a share class for at least one scope")]


@pytest.mark.parametrize(
    ("internal", "external", "path", "message"),
    [
        (
            builders.conditional(condition=None),
            None,
            "groups.base.share.internal",
            "a conditional class needs `condition`",
        ),
        (
            builders.unconditional(),
            builders.conditional(purposes=()),
            "groups.base.share.external",
            "a conditional class needs `purposes`",
        ),
        (
            None,
            replace(builders.not_shared(), legal_basis=None),
            "groups.base.share.external",
            "a not-shared class needs `legal_basis` (BASIS_REQUIRED)",
        ),
    ],
)
def test_the_rule_that_lacks_something_is_named_by_group_and_scope(
    internal: Any, external: Any, path: str, message: str
) -> None:
    """R-051, R-053, R-056, R-060."""
    group = builders.item_group(internal=internal, external=external)

    assert faults_of(builders.entry(groups=[group])) == [(path, message)]


@pytest.mark.parametrize(
    ("items", "path", "message"),
    [
        ([builders.item("code")], "items", "no item has `key: true`"),
        ([], "items", "no item has `key: true`"),
        (
            [builders.key_item(), *(builders.item(f"i{n}") for n in range(MAX_ITEMS))],
            "items",
            f"more than {MAX_ITEMS} items",
        ),
        (
            [builders.key_item(), builders.item("名称")],
            "items.1.name",
            "'名称' cannot name an item (ASCII, no CEL word)",
        ),
        ([builders.key_item(), builders.item("meta")], "items.1.name", "'meta' cannot name"),
        ([builders.key_item(), builders.item("code")], "items.1.name", "item 'code' stands twice"),
        (
            [builders.key_item(), builders.item("x", group="business")],
            "items.1.group",
            "there is no item group 'business'",
        ),
        (
            [builders.key_item("code", Scalar.DOUBLE)],
            "items.0.type",
            "a key item must be string, int, long, date, uuid or enum",
        ),
        (
            [builders.key_item("code", Nullable(Scalar.STRING))],
            "items.0.type",
            "a key item must be string, int, long, date, uuid or enum",
        ),
    ],
)
def test_what_is_wrong_with_the_items_is_named(items: list[Any], path: str, message: str) -> None:
    """R-020: the attributes (data items) of an entry."""
    faults = faults_of(builders.entry(items=items))

    assert [key for key, _ in faults] == [path]
    assert faults[0][1].startswith(message)


@pytest.mark.parametrize(
    ("item_type", "message"),
    [
        (nested_arrays(MAX_DEPTH), f"nested deeper than {MAX_DEPTH} levels"),
        (Nullable(Nullable(Scalar.INT)), "nullable twice"),
        (MapType(Nullable(Nullable(Scalar.INT))), "nullable twice"),
        (RecordType("r", ()), "record 'r' needs fields, each once"),
        (
            RecordType("r", (RecordField("x", Scalar.INT), RecordField("x", Scalar.INT))),
            "record 'r' needs fields, each once",
        ),
        (record("r", **{"a-b": Scalar.INT}), "'a-b' cannot name a field"),
        (record("a person", x=Scalar.INT), "'a person' cannot name a type"),
        (record("Record", x=Scalar.INT), "'Record' cannot name a type"),
        (record("Mark", x=Scalar.INT), "'Mark' cannot name a type"),
        (record("string", x=Scalar.INT), "'string' cannot name a type"),
        (RecordReference("txt"), "'txt' is neither a type nor a record that encloses"),
        (
            record("r", x=RecordReference("r")),
            "record 'r' holds itself without end; make the reference nullable",
        ),
        (
            record("a", x=record("b", y=RecordReference("a"))),
            "record 'a' holds itself without end; make the reference nullable",
        ),
        (
            record("a", x=Nullable(record("b", y=RecordReference("b")))),
            "record 'b' holds itself without end; make the reference nullable",
        ),
        (DecimalType(0, 0), "a decimal needs 1 to 38 digits, and no larger scale"),
        (DecimalType(39, 0), "a decimal needs 1 to 38 digits, and no larger scale"),
        (DecimalType(5, 6), "a decimal needs 1 to 38 digits, and no larger scale"),
        (DecimalType(5, -1), "a decimal needs 1 to 38 digits, and no larger scale"),
        (EnumType("e", ()), "an enum needs symbols, each once"),
        (EnumType("e", ("A", "A")), "an enum needs symbols, each once"),
        (EnumType("e", ("A", "b c")), "'b c' cannot be an enum symbol"),
        (EnumType("e", ("男",)), "'男' cannot be an enum symbol"),
        (FixedType("f", 0), "a fixed needs 1 to 65536 bytes"),
        (FixedType("f", 65537), "a fixed needs 1 to 65536 bytes"),
        (ArrayType(MapType(FixedType("f", 0))), "a fixed needs 1 to 65536 bytes"),
    ],
    ids=str,
)
def test_a_type_that_the_wire_cannot_carry_is_refused(item_type: ItemType, message: str) -> None:
    faults = type_faults(item_type)

    assert [key for key, _ in faults] == ["items.1.type"]
    assert faults[0][1].startswith(message)


@pytest.mark.parametrize(
    "item_type",
    [
        nested_arrays(MAX_DEPTH - 1),
        record("r", x=Nullable(RecordReference("r"))),
        record("r", x=ArrayType(RecordReference("r"))),
        record("a", x=MapType(record("b", y=RecordReference("a")))),
        record("a", x=Nullable(record("b", y=RecordReference("a")))),
        DecimalType(38, 38),
        EnumType("e", ("_", "A1")),
        FixedType("f", 65536),
    ],
    ids=str,
)
def test_a_type_at_the_edge_of_what_the_wire_carries_is_accepted(item_type: ItemType) -> None:
    assert type_faults(item_type) == []


def test_two_types_of_one_name_cannot_stand_in_one_entry() -> None:
    """A named type is known to the whole Avro schema."""
    entry = builders.entry(
        items=[
            builders.key_item(),
            builders.item("x", record("r", a=Scalar.INT)),
            builders.item("y", ArrayType(record("r", a=Scalar.INT))),
        ]
    )

    assert faults_of(entry) == [("items.2.type", "type name 'r' stands twice")]


def test_every_name_that_the_buss_own_schemas_use_is_kept_from_providers() -> None:
    """A second type of such a name would make a schema that nothing can read."""
    own = {"Record", "View", "EventId", "Mark"} | {SOURCE_META["name"], VIEW_META["name"]}

    refused = {name for name in own if type_faults(record(name, x=Scalar.INT))}

    assert refused == own


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    entry = builders.entry(generation=0, partitions=0, items=[builders.item("meta")])

    assert {key for key, _ in faults_of(entry)} == {
        "generation",
        "partitions",
        "items",
        "items.0.name",
    }


def test_the_rule_of_an_item_is_its_groups_for_the_scope_asked_about() -> None:
    """R-051, R-060: class by audience and by item group."""
    open_rule, closed_rule = builders.unconditional(), builders.not_shared()
    entry = builders.entry(
        groups=[
            builders.item_group("base", internal=open_rule, external=builders.conditional()),
            builders.item_group("business", internal=closed_rule),
        ],
        items=[builders.key_item(), builders.item("income", group="business")],
    )
    code, income = entry.items

    assert entry.rule(code, Scope.INTERNAL) == open_rule
    assert entry.rule(code, Scope.EXTERNAL) == builders.conditional()
    assert entry.rule(income, Scope.INTERNAL) == closed_rule
    assert entry.rule(income, Scope.EXTERNAL) is None


def test_an_entry_knows_its_topics_and_its_key_items_in_catalog_order() -> None:
    entry = builders.entry(
        generation=2,
        items=[builders.item("a"), builders.key_item("z"), builders.key_item("b")],
    )

    assert entry.source_topic == "os.src.cn.statistics.divisions.2"
    assert entry.dead_letter_topic == "os.dlq.cn.divisions"
    assert [item.name for item in entry.key_items] == ["z", "b"]
    assert entry.item_by_name["a"] is entry.items[0]
