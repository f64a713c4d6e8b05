"""Unit tests of `bus.domain.record_key`."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as kafka_murmur2

from bus.domain.items import (
    ArrayType,
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
from bus.domain.record_key import KeyPart, may_be_key, murmur2, partition_of, record_key

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.binary(max_size=200))
def test_murmur2_is_what_kafka_computes(data: bytes) -> None:
    """design.md §4: partition = murmur2(key) mod n, Java's default. Oracle: kafka-python's own."""
    assert murmur2(data) == kafka_murmur2(data) & 0xFFFFFFFF


@given(st.binary(max_size=200), st.integers(1, 256))
def test_the_partition_is_what_kafkas_default_partitioner_chooses(
    key: bytes, partitions: int
) -> None:
    chosen = partition_of(key, partitions)

    assert chosen == (kafka_murmur2(key) & 0x7FFFFFFF) % partitions


@pytest.mark.parametrize(
    ("key", "hashed"),
    # From Kafka's own test, `UtilsTest.testMurmur2`, as signed 32-bit numbers.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_the_values_of_kafkas_own_test(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (["110101"], b"110101"),
        (["海口市"], "海口市".encode()),
        ([42], b"42"),
        ([-1], b"-1"),
        ([dt.date(2026, 1, 5)], b"2026-01-05"),
        (["a", 1], b'["a",1]'),
        (["街道", dt.date(2026, 1, 5), -7], '["街道","2026-01-05",-7]'.encode()),
        (['"', "\\"], b'["\\"","\\\\"]'),
    ],
)
def test_a_key_is_the_text_of_one_item_or_a_compact_json_array_of_several(
    parts: list[KeyPart], key: bytes
) -> None:
    """design.md §4, "Record key"."""
    assert record_key(parts) == key


@given(st.lists(TEXTS | st.integers() | st.dates(), min_size=2, max_size=4))
def test_a_key_of_several_items_holds_each_of_them(parts: list[KeyPart]) -> None:
    key = record_key(parts)

    expected = [part.isoformat() if isinstance(part, dt.date) else part for part in parts]
    assert json.loads(key) == expected
    assert b" " not in key or any(" " in str(part) for part in parts)


@pytest.mark.parametrize(
    "item_type",
    [
        Scalar.STRING,
        Scalar.INT,
        Scalar.LONG,
        Scalar.DATE,
        Scalar.UUID,
        EnumType("sex", ("F", "M")),
    ],
)
def test_types_with_one_spelling_may_be_keys(item_type: ItemType) -> None:
    assert may_be_key(item_type)


@pytest.mark.parametrize(
    "item_type",
    [
        *(set(Scalar) - {Scalar.STRING, Scalar.INT, Scalar.LONG, Scalar.DATE, Scalar.UUID}),
        Nullable(Scalar.STRING),
        DecimalType(5, 2),
        FixedType("hash", 4),
        ArrayType(Scalar.STRING),
        MapType(Scalar.STRING),
        RecordType("r", ()),
        RecordReference("r"),
    ],
    ids=str,
)
def test_other_types_may_not_be_keys(item_type: ItemType) -> None:
    assert not may_be_key(item_type)
