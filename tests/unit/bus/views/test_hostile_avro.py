"""The hostile corpus: each case is refused with its code, its neighbour passes."""

import json
import tracemalloc
import warnings
from typing import Any

import avro.schema
import pytest

from bus.views.plan import Outcome, Reject, SchemaPending, Upsert
from tests.avro_mutations import varint
from tests.hostile_avro import (
    BEFORE,
    ENVELOPES,
    HOSTILE,
    KEY,
    PREFIX,
    SOUND,
    Hostile,
    array,
    keep_plan,
    source_schema,
    text,
    value_of,
)
from tests.hostile_avro_large import large
from tests.strict_avro import Refused, StrictReader, read_by_apache

#: Far above what a refusal needs, far below what a length or count in the corpus asks for.
_MOST_MEMORY = 256 * 1024
EVERYTHING, KEY_ONLY = ("id", "x"), ("id",)
each_case = pytest.mark.parametrize("case", HOSTILE, ids=[case.name for case in HOSTILE])
each_large = pytest.mark.parametrize("case", large(), ids=[case.name for case in large()])


def outcome(schema: Any, value: bytes, *kept: tuple[str, ...]) -> Outcome:
    """Return what becomes of one value in views of the items `kept`."""
    (found,) = keep_plan(source_schema(schema), *kept).apply(0, [(0, KEY, value)])
    return found


def code_of(found: Outcome) -> str:
    match found:
        case Reject(code, reason):
            assert reason
            return code
        case SchemaPending():
            return "SCHEMA_UNKNOWN"
        case _:
            return "passed"


@each_case
def test_it_is_refused_with_its_code_and_its_neighbour_passes(case: Hostile) -> None:
    """Also if no view shows the item that it is in."""
    check(case)


@each_large
def test_large_records_are_refused_as_small_ones_are(case: Hostile) -> None:
    check(case)


def check(case: Hostile) -> None:
    for kept in (EVERYTHING, KEY_ONLY):
        assert code_of(outcome(case.schema, value_of(case.data), kept)) == case.code

    sound = outcome(case.schema, value_of(case.neighbour), EVERYTHING, KEY_ONLY)

    assert isinstance(sound, Upsert)
    (_, everything), (_, key_only) = sound.projections
    assert everything == key_only[:1] + (101).to_bytes(4, "big") + key_only[5:] + case.neighbour


@each_case
def test_the_oracle_agrees(case: Hostile) -> None:
    """What the property test compares the kernel with refuses the same, for the same reason."""
    reader = StrictReader(source_schema(case.schema))

    with pytest.raises(Refused) as refused:
        reader.read(value_of(case.data), len(PREFIX))

    assert refused.value.code == case.code
    sound = value_of(case.neighbour)
    assert reader.read(sound, len(PREFIX)).ends[-1] == len(sound)


@each_case
def test_what_apache_avro_makes_of_it(case: Hostile) -> None:
    """Each way in which Apache avro is more lenient is named in the corpus, and no other is."""
    schema = avro.schema.parse(source_schema(case.schema))

    read_by_apache(schema, BEFORE + case.neighbour)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read_by_apache(schema, BEFORE + case.data)
        except Exception:  # noqa: BLE001 (it raises whatever it stumbles on)
            assert not case.lenient
        else:
            assert case.lenient


@pytest.mark.parametrize(
    ("value", "code"),
    [(value, code) for _, value, code in ENVELOPES],
    ids=[what for what, *_ in ENVELOPES],
)
def test_what_is_around_a_record_is_looked_at(value: bytes, code: str) -> None:
    assert code_of(outcome("long", SOUND, EVERYTHING)) == "passed"
    assert code_of(outcome("long", value, EVERYTHING)) == code


_EVERY_TYPE = {
    "type": "record",
    "name": "Every",
    "fields": [
        {"name": f"f{at}", "type": kind}
        for at, kind in enumerate(
            [
                "boolean",
                "int",
                "long",
                "float",
                "double",
                "bytes",
                "string",
                {"type": "fixed", "name": "F", "size": 3},
                {"type": "enum", "name": "E", "symbols": ["A", "B"]},
                ["null", "string"],
                array("long"),
                {"type": "map", "values": "string"},
                {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
                {"type": "string", "logicalType": "uuid"},
            ]
        )
    ],
}
_EVERY_VALUE = b"".join(
    [
        b"\x01",
        varint(-(1 << 31)),
        varint(-(1 << 63)),
        b"\x00\x00\x80\x3f",
        b"\x00" * 8,
        text(b"\xff" * 70),
        text("王".encode() * 30),
        b"abc",
        b"\x02",
        b"\x02" + text(b"a"),
        varint(3) + varint(300) * 3 + b"\x00",
        varint(-1) + varint(5) + text(b"k") + text(b"vv") + b"\x00",
        text(b"\x00\x01"),
        text(b"00000000-0000-4000-8000-00000000000a"),
    ]
)


def test_a_record_cut_off_anywhere_is_refused() -> None:
    """A byte less is never a record: not for any type, at any byte."""
    compiled = keep_plan(source_schema(_EVERY_TYPE), EVERYTHING)
    whole = value_of(_EVERY_VALUE)

    outcomes = compiled.apply(0, [(at, KEY, whole[:at]) for at in range(len(whole) + 1)])

    codes = [code_of(found) for found in outcomes]
    assert set(codes[: len(PREFIX)]) == {"BAD_MAGIC"}
    assert set(codes[len(PREFIX) : -1]) <= {"TRUNCATED", "BAD_LENGTH"}
    assert codes[-1] == "passed"


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ("double", b"\x01\x00\x00\x00\x00\x00\xf0\x7f"),
        ("double", b"\xff" * 8),
        ("float", b"\xff" * 4),
        # Trees, arrays and texts of no items.
        ({"type": "map", "values": "long"}, b"\x04\x02a\x02\x02b\x02\x00"),
        # A key twice: the specification does not forbid it, readers take the last.
        ({"type": "map", "values": "long"}, b"\x04\x02a\x02\x02a\x04\x00"),
        # Bytes before a decimal that change nothing: how some writers pad.
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0}, b"\x06\0\0\x01"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0}, b"\x04\xff\xff"),
        ("string", text("\ufeff\ufffe\U0010ffff".encode())),
    ],
)
def test_what_is_unusual_but_legal_passes_unchanged(schema: Any, data: bytes) -> None:
    found = outcome(schema, value_of(data), EVERYTHING)

    assert isinstance(found, Upsert)
    assert found.projections[0][1].endswith(KEY + data)


def test_a_few_bytes_take_no_memory() -> None:
    """Whatever count or length they claim."""
    plans = [(keep_plan(source_schema(case.schema), EVERYTHING), case) for case in HOSTILE]
    for compiled, case in plans:
        compiled.apply(0, [(0, KEY, value_of(case.neighbour))])
    peaks = {}
    tracemalloc.start()
    try:
        for compiled, case in plans:
            value = value_of(case.data)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            compiled.apply(0, [(0, KEY, value)])
            peaks[case.name] = tracemalloc.get_traced_memory()[1] - before - len(value)
    finally:
        tracemalloc.stop()

    assert {name: peak for name, peak in peaks.items() if peak > _MOST_MEMORY} == {}


def test_the_codes_of_the_corpus_are_those_of_the_reference() -> None:
    """Every reason of the walker occurs."""
    found = {case.code for case in HOSTILE} | {code for *_, code in ENVELOPES}

    assert found == {
        "BAD_BOOLEAN",
        "BAD_LENGTH",
        "BAD_MAGIC",
        "BAD_UTF8",
        "BAD_VARINT",
        "INDEX_OUT_OF_RANGE",
        "KEY_MISMATCH",
        "NUL_IN_TEXT",
        "RECORD_TOO_LARGE",
        "SCHEMA_FOREIGN",
        "SCHEMA_UNKNOWN",
        "TOO_DEEP",
        "TRAILING_BYTES",
        "TRUNCATED",
        "VALUE_OUT_OF_RANGE",
        "ZERO_SIZE_ITEMS",
    }
    names = [case.name for case in HOSTILE]
    assert len(names) == len(set(names))


#: Records that a walker passes which looks at each block, or at each kind, alone.
_SUBTLE = [
    ("zero-size items are counted by block", array("null"), (varint(1024) * 2) + b"\x00"),
    ("zero-size items are counted by array", array(array("null")),
     b"\x04" + (varint(1024) + b"\x00") * 2 + b"\x00"),
    ("a fixed decimal of too many digits",
     {"type": "fixed", "name": "F", "size": 1, "logicalType": "decimal", "precision": 2},
     b"\x64"),
    ("an int beyond 32 bits under a logical type of longs",
     {"type": "int", "logicalType": "timestamp-micros"}, varint(1 << 40)),
    ("a decimal of two digits in forty kilobytes",
     {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0},
     varint(40_000) + b"\xff" * 40_000),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "data"),
    [(schema, data) for _, schema, data in _SUBTLE],
    ids=[what for what, *_ in _SUBTLE],
)
def test_what_is_subtle_is_refused(schema: Any, data: bytes) -> None:
    assert code_of(outcome(schema, value_of(data), EVERYTHING)) != "passed"


def test_schemas_of_the_corpus_are_avro() -> None:
    for case in HOSTILE:
        avro.schema.parse(json.dumps(json.loads(source_schema(case.schema))))
