"""Unit tests of `bus.domain.items`."""

import pytest

from bus.domain.items import (
    ArrayType,
    DecimalType,
    ItemType,
    MapType,
    Nullable,
    RecordField,
    RecordReference,
    RecordType,
    Scalar,
    depth,
    inner_type,
    nested_types,
)
from tests import builders

_PERSON = RecordType(
    "person",
    (
        RecordField("name", Scalar.STRING),
        RecordField("children", ArrayType(RecordReference("person"))),
    ),
)


def test_only_a_nullable_item_may_be_missing() -> None:
    assert builders.item("age", Nullable(Scalar.INT)).nullable
    assert not builders.item("age", Scalar.INT).nullable
    assert not builders.item("ages", ArrayType(Nullable(Scalar.INT))).nullable


def test_the_inner_type_is_without_the_outer_nullable_only() -> None:
    nested = ArrayType(Nullable(Scalar.INT))

    assert inner_type(Nullable(nested)) == nested
    assert inner_type(nested) == nested


def test_nested_types_are_the_type_itself_and_everything_inside() -> None:
    inside = MapType(Nullable(_PERSON))

    found = list(nested_types(inside))

    assert found == [
        inside,
        Nullable(_PERSON),
        _PERSON,
        Scalar.STRING,
        ArrayType(RecordReference("person")),
        RecordReference("person"),
    ]


@pytest.mark.parametrize(
    ("item_type", "levels"),
    [
        (Scalar.STRING, 0),
        (DecimalType(5, 2), 0),
        (Nullable(Scalar.STRING), 0),
        (ArrayType(Scalar.STRING), 1),
        (MapType(ArrayType(Scalar.STRING)), 2),
        (RecordType("empty", ()), 1),
        (_PERSON, 2),
        (Nullable(ArrayType(Nullable(_PERSON))), 3),
    ],
)
def test_depth_counts_containers(item_type: ItemType, levels: int) -> None:
    assert depth(item_type) == levels
