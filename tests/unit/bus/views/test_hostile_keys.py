"""
Keys that no record can have: a delete has nothing else that could be checked.

A view of all rows hands each delete on, and a sink reads the key as its key columns: a key that is
none stops it for good (docs/adr/0012), one that is spelled otherwise names a row of another key.
"""

import json
from typing import Any

import pytest

from bus.views.plan import Delete, Outcome, Reject, Upsert
from tests.avro_mutations import varint
from tests.hostile_avro import ENUM, META, PREFIX, SOURCE_META, UUID, UUID_TYPE, keep_plan, text

_DATE = {"type": "int", "logicalType": "date"}


def outcome(types: list[Any], key: bytes, value: bytes | None) -> Outcome:
    """Return what becomes of a record of a resource whose key items have these types."""
    names = [f"k{at}" for at in range(len(types))]
    fields = [{"name": "meta", "type": SOURCE_META}]
    fields += [{"name": name, "type": kind} for name, kind in zip(names, types, strict=True)]
    schema = json.dumps({"type": "record", "name": "Record", "fields": fields})
    plan = keep_plan(schema, names, key_items=tuple(names))
    (found,) = plan.apply(0, [(0, key, value)])
    return found


#: (types of the key items, a key that a record can have, keys that none can have)
_KEYS: list[tuple[str, list[Any], str, list[str]]] = [
    ("text", ["string"], "ab", ["a\0b", "\0"]),
    ("int", ["int"], "-5", ["x", "05", "+5", "1_0", " 5", "5\n", "-0", "5.0", "٥", "2147483648"]),
    ("long", ["long"], "2147483648", ["x", "9223372036854775808"]),
    ("date", [_DATE], "2026-02-28", ["x", "2026-02-30", "20260228", "2026-W09-6", "0000-01-01"]),
    ("uuid", [UUID_TYPE], UUID.decode(), ["x", UUID.decode().upper(), UUID.decode()[:-1]]),
    ("enum", [ENUM], "A", ["D", "a"]),
    (
        "several",
        ["string", "int"],
        '["k",1]',
        ["k", '["k"]', '["k",1,2]', '["k", 1]', '["k","1"]', '["k\\u0000",1]', '["k",1.0]', "[1]"],
    ),
]


@pytest.mark.parametrize(
    ("types", "key"), [(types, key) for _, types, key, _ in _KEYS], ids=[each[0] for each in _KEYS]
)
def test_a_delete_with_a_key_that_records_can_have_passes(types: list[Any], key: str) -> None:
    assert outcome(types, key.encode(), None) == Delete()


@pytest.mark.parametrize(
    ("types", "keys"),
    [(types, keys) for _, types, _, keys in _KEYS],
    ids=[each[0] for each in _KEYS],
)
def test_a_delete_with_a_key_that_no_record_can_have_is_refused(
    types: list[Any], keys: list[str]
) -> None:
    passed = [key for key in keys if not isinstance(outcome(types, key.encode(), None), Reject)]

    assert passed == []


@pytest.mark.parametrize(
    ("types", "key", "written"),
    [
        (["string"], "k1", text(b"k1")),
        (["int"], "-5", varint(-5)),
        ([_DATE], "0001-01-01", varint(-719_162)),
        ([UUID_TYPE], UUID.decode(), text(UUID)),
        ([ENUM], "C", varint(2)),
        (["string", "long"], f'["\\"",{-(1 << 63)}]', text(b'"') + varint(-(1 << 63))),
    ],
)
def test_keys_are_made_of_the_items(types: list[Any], key: str, written: bytes) -> None:
    assert isinstance(outcome(types, key.encode(), PREFIX + META + written), Upsert)

    other = outcome(types, key.encode() + b" ", PREFIX + META + written)
    assert isinstance(other, Reject)
    assert other.code == "KEY_MISMATCH"


def test_what_identifies_a_record_has_one_spelling() -> None:
    """`bus.domain.record_key`: two Kafka keys would be one row of a sink."""
    upper = UUID.upper()

    assert isinstance(outcome([UUID_TYPE], upper, PREFIX + META + text(upper)), Reject)
