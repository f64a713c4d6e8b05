"""Unit tests of `bus.adapters.definitions.models`: what is written becomes domain values."""

import datetime as dt
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.definitions.models import GrantFile, ItemModel, OrganisationsFile, ResourceFile
from bus.domain.entry import Category, DeliveryMode, Origin
from bus.domain.grant import Grant
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
from bus.domain.organisation import Level, Zone
from bus.domain.share import ItemKind, LegalBasis, Purpose, Scope, ShareClass, ShareRule
from bus.domain.view import Treatment
from tests import builders

TITLES = {"zh": "数据项", "en": "Item"}


def type_of(written: str, **more: Any) -> ItemType:
    """Return the type of an item `x` whose `type:` is `written` in YAML."""
    content = {"name": "x", "titles": TITLES, "type": yaml.safe_load(written), "group": "base"}
    return ItemModel.model_validate({**content, **more}).item().type


@pytest.mark.parametrize("scalar", Scalar)
def test_every_scalar_is_written_by_its_name(scalar: Scalar) -> None:
    assert type_of(str(scalar)) is scalar


@pytest.mark.parametrize(
    ("written", "item_type"),
    [
        ("{decimal: {precision: 12, scale: 2}}", DecimalType(12, 2)),
        ("{enum: [F, M]}", EnumType("x_symbols", ("F", "M"))),
        ("{fixed: 16}", FixedType("x_bytes", 16)),
        ("{array: string}", ArrayType(Scalar.STRING)),
        ("{array: {array: int}}", ArrayType(ArrayType(Scalar.INT))),
        ("{map: double}", MapType(Scalar.DOUBLE)),
        ("{map: {enum: [A]}}", MapType(EnumType("x_symbols", ("A",)))),
        ("{nullable: date}", Nullable(Scalar.DATE)),
        ("{array: {nullable: long}}", ArrayType(Nullable(Scalar.LONG))),
        ("node", RecordReference("node")),
        (
            "{record: person, fields: [{name: age, type: int}]}",
            RecordType("person", (RecordField("age", Scalar.INT),)),
        ),
        (
            "{record: person, fields: [{name: age, type: int, nullable: true}]}",
            RecordType("person", (RecordField("age", Nullable(Scalar.INT)),)),
        ),
        (
            "{record: p, fields: [{name: sex, type: {enum: [F]}}, {name: id, type: {fixed: 2}}]}",
            RecordType(
                "p",
                (
                    RecordField("sex", EnumType("x_sex_symbols", ("F",))),
                    RecordField("id", FixedType("x_id_bytes", 2)),
                ),
            ),
        ),
        (
            "{record: node, fields: [{name: parts, type: {array: node}}]}",
            RecordType("node", (RecordField("parts", ArrayType(RecordReference("node"))),)),
        ),
    ],
)
def test_every_type_with_parameters_is_written_with_its_key(
    written: str, item_type: ItemType
) -> None:
    assert type_of(written) == item_type


def test_an_item_that_may_be_missing_is_nullable() -> None:
    assert type_of("int", nullable=True) == Nullable(Scalar.INT)


def test_an_item_has_what_is_written_of_it() -> None:
    content = {
        "name": "code",
        "titles": TITLES,
        "type": "string",
        "group": "base",
        "key": True,
        "element": "division-code",
        "reference": True,
    }

    item = ItemModel.model_validate(content).item()

    assert (item.title_zh, item.title_en) == ("数据项", "Item")
    assert (item.key, item.element, item.reference) == (True, "division-code", True)


def test_an_organisation_has_what_is_written_of_it() -> None:
    """R-001: code, jurisdiction, level and network zone."""
    written = yaml.safe_load(
        "{jurisdiction: cn, organisations: [{code: yanjin, titles: {zh: 延津县, en: Yanjin},"
        " level: county, zone: internal, active: false}]}"
    )

    (model,) = OrganisationsFile.model_validate(written).organisations

    assert model.organisation("cn") == builders.organisation(
        "yanjin",
        title_zh="延津县",
        title_en="Yanjin",
        level=Level.COUNTY,
        zone=Zone.INTERNAL,
        active=False,
    )


def test_an_entry_has_what_is_written_of_it() -> None:
    """R-020: the core metadata of an entry; R-051, R-060: class by scope and group; R-039."""
    written = yaml.safe_load("""
        resource: households
        titles: {zh: 家庭, en: Households}
        provider: civil-affairs
        category: theme
        classification: 主题信息/民生
        format: one record a household
        update_limit_days: 7
        usage_requirement: for government work
        delivery_modes: [front-end, kafka]
        generation: 3
        partitions: 8
        origin: delegated
        base_library: population
        controlled_parameters: [holder_key]
        groups:
          base:
            titles: {zh: 基础信息项, en: Base items}
            share: {internal: {class: UNCONDITIONAL}}
          income:
            titles: {zh: 业务信息项, en: Business items}
            kind: business
            share:
              internal:
                class: CONDITIONAL
                condition: own district
                audience: departments
                purposes: [WORK_REFERENCE]
              external:
                class: NOT_SHARED
                legal_basis:
                  {type: LAW, citation: Statistics Law, article: "9", reason: privacy}
        items:
          - {name: id, titles: {zh: 号, en: Number}, type: string, key: true, group: base}
    """)

    entry = ResourceFile.model_validate(written).entry("cn")

    assert (entry.jurisdiction, entry.resource, entry.provider) == (
        "cn",
        "households",
        "civil-affairs",
    )
    assert (entry.title_zh, entry.title_en) == ("家庭", "Households")
    assert entry.category is Category.THEME
    assert (entry.classification, entry.format) == ("主题信息/民生", "one record a household")
    assert (entry.update_limit_days, entry.usage_requirement) == (7, "for government work")
    assert entry.delivery_modes == set(DeliveryMode)
    assert (entry.generation, entry.partitions) == (3, 8)
    assert entry.groups[1].rules == {
        Scope.INTERNAL: ShareRule(
            share_class=ShareClass.CONDITIONAL,
            condition="own district",
            audience="departments",
            purposes=frozenset([Purpose.WORK_REFERENCE]),
        ),
        Scope.EXTERNAL: ShareRule(
            share_class=ShareClass.NOT_SHARED,
            legal_basis=LegalBasis("LAW", "Statistics Law", "9", "privacy"),
        ),
    }
    assert [group.kind for group in entry.groups] == [ItemKind.BASE, ItemKind.BUSINESS]
    assert (entry.origin, entry.base_library) == (Origin.DELEGATED, "population")
    assert entry.controlled_parameters == ("holder_key",)
    assert [item.name for item in entry.key_items] == ["id"]


@pytest.mark.parametrize(
    ("items", "treatments"),
    [
        (["code", "name"], {"code": Treatment.KEEP, "name": Treatment.KEEP}),
        ({"code": "keep", "name": "partial"}, {"code": Treatment.KEEP, "name": Treatment.PARTIAL}),
    ],
    ids=["names", "names with a treatment"],
)
def test_a_grant_names_items_as_they_are_or_with_a_treatment(
    items: object, treatments: dict[str, Treatment]
) -> None:
    """R-058."""
    written = {
        "grant": "divisions-academy",
        "resource": "divisions",
        "consumer": "academy",
        "scope": "external",
        "purpose": "WORK_REFERENCE",
        "duty": "research",
        "rows": 'district == "1"',
        "items": items,
        "mode": "front-end",
        "valid_from": dt.date(2026, 1, 1),
        "valid_until": dt.date(2026, 12, 31),
        "decided_by": "statistics",
    }

    grant = GrantFile.model_validate(written).value()

    assert grant == Grant(
        id="divisions-academy",
        resource="divisions",
        consumer="academy",
        scope=Scope.EXTERNAL,
        purpose=Purpose.WORK_REFERENCE,
        duty="research",
        row_filter='district == "1"',
        treatments=treatments,
        mode=DeliveryMode.FRONT_END,
        valid_from=dt.date(2026, 1, 1),
        valid_until=dt.date(2026, 12, 31),
        decided_by="statistics",
    )


@given(st.integers(1, 30))
def test_types_nest_as_deep_as_they_are_written(levels: int) -> None:
    expected: ItemType = Scalar.STRING
    for _ in range(levels):
        expected = ArrayType(expected)

    assert type_of("{array: " * levels + "string" + "}" * levels) == expected
