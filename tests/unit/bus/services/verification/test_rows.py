"""Unit tests of `bus.services.verification.rows`."""

import datetime as dt
import math
import struct
import uuid
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.services.verification.rows import Comparison, RowDigests, plain, row_digest
from tests.domain_strategies import item_types
from tests.item_cases import fitting

_PEKING = dt.timezone(dt.timedelta(hours=8))
_NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
_UUID = uuid.UUID(int=7)


def digests(rows: dict[bytes, dict[str, Any]]) -> RowDigests:
    """Return the digests of rows by key."""
    made = RowDigests()
    for key, row in rows.items():
        made.put(key, row)
    return made


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Decimal("1.50"), Decimal("1.5")),
        (Decimal(100), Decimal("1E+2")),
        (Decimal("0.00"), Decimal(0)),
        (_NOON, _NOON.astimezone(_PEKING)),
        (b"\0\xff", memoryview(b"\0\xff")),
        ([1, 2], (1, 2)),
        ({"x": {"y": [1]}}, MappingProxyType({"x": MappingProxyType({"y": (1,)})})),
        (0.1, struct.unpack("<f", struct.pack("<f", 0.1))[0]),
        (math.nan, -math.nan),
        (_UUID, str(_UUID)),
        (dt.date(2026, 1, 5), "2026-01-05"),
    ],
)
def test_equal_values_of_different_stores_have_equal_digests(here: object, there: object) -> None:
    assert row_digest({"x": here}) == row_digest({"x": there})


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (1, 2),
        (1, "1"),
        (None, ""),
        (None, 0),
        (True, 1.0),
        ("a", "A"),
        ("é", "e\u0301"),
        (Decimal("1.50"), Decimal("1.51")),
        (Decimal("9" * 38), Decimal("9" * 37 + "8")),
        (0.5, 0.25),
        (3.4e38, 3.3e38),
        (math.inf, -math.inf),
        (0.0, -0.0),
        (b"\0", b""),
        (_NOON, _NOON + dt.timedelta(microseconds=1)),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
        (_UUID, uuid.UUID(int=8)),
    ],
)
def test_different_values_have_different_digests(here: object, there: object) -> None:
    assert row_digest({"x": here}) != row_digest({"x": there})


def test_the_names_of_items_are_part_of_the_digest() -> None:
    assert row_digest({"a": 1}) != row_digest({"b": 1})


@given(st.data())
def test_every_item_value_has_a_digest(data: st.DataObject) -> None:
    value = data.draw(fitting(data.draw(item_types("it"))))

    assert row_digest({"x": value}) == row_digest({"x": value})
    assert plain(plain(value)) == plain(value) or isinstance(value, float)


# --- Rows -----------------------------------------------------------------------------------------

ROWS = {b"1": {"name": "a"}, b"2": {"name": "b"}, b"3": {"name": "c"}}


def test_equal_rows_are_equal_whatever_order_they_came_in() -> None:
    turned = digests(dict(reversed(ROWS.items())))

    found = digests(ROWS).compare(turned)

    assert found.equal
    assert found.expected_digest == found.found_digest == digests(ROWS).digest()
    assert (found.expected, found.found, found.examples) == (3, 3, ())


def test_a_missing_row_is_found() -> None:
    found = digests(ROWS).compare(digests({b"1": ROWS[b"1"], b"3": ROWS[b"3"]}))

    assert not found.equal
    assert (found.missing, found.extra, found.different) == (1, 0, 0)
    assert found.examples == ("missing: 2",)
    assert found.expected_digest != found.found_digest


def test_a_row_too_many_is_found() -> None:
    """Invariant 2: what is not granted."""
    found = digests(ROWS).compare(digests({**ROWS, b"\xff4": {}}))

    assert (found.missing, found.extra, found.different) == (0, 1, 0)
    assert found.examples == ("not granted: �4",)


@pytest.mark.parametrize(
    "row", [{"name": "B"}, {"name": "b", "secret": 1}, {}], ids=["value", "item more", "item less"]
)
def test_a_row_that_differs_is_found(row: dict[str, object]) -> None:
    found = digests(ROWS).compare(digests({**ROWS, b"2": row}))

    assert (found.missing, found.extra, found.different) == (0, 0, 1)
    assert found.examples == ("different: 2",)
    assert not found.equal


def test_rows_under_swapped_keys_are_found() -> None:
    swapped = {**ROWS, b"1": ROWS[b"2"], b"2": ROWS[b"1"]}

    assert digests(ROWS).compare(digests(swapped)).different == 2
    assert digests(ROWS).digest() != digests(swapped).digest()


def test_only_some_examples_of_each_kind_are_named_but_all_are_counted() -> None:
    many = digests({str(number).encode(): {} for number in range(50)})

    found = many.compare(digests({b"x": {}}))

    assert (found.missing, found.extra) == (50, 1)
    assert len(found.examples) == 11


def test_the_last_row_of_a_key_is_the_one_that_counts() -> None:
    rows = digests(ROWS)

    rows.put(b"1", {"name": "new"})
    rows.put(b"2", None)
    rows.put(b"none", None)

    assert len(rows) == 2
    assert rows.digest() == digests({b"1": {"name": "new"}, b"3": ROWS[b"3"]}).digest()


def test_rows_can_be_left_out() -> None:
    rows = digests(ROWS)

    rows.leave_out([b"1", b"unknown"])

    assert rows.compare(digests({b"2": ROWS[b"2"], b"3": ROWS[b"3"]})).equal


def test_where_a_key_ends_and_a_row_begins_is_part_of_the_digest() -> None:
    assert digests({b"1": {}, b"2": {}}).digest() != digests({b"12": {}}).digest()


def test_nothing_equals_nothing() -> None:
    found = RowDigests().compare(RowDigests())

    assert found == Comparison(
        expected=0,
        found=0,
        expected_digest=found.found_digest,
        found_digest=found.expected_digest,
        missing=0,
        extra=0,
        different=0,
        examples=(),
    )
    assert found.equal
