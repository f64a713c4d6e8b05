"""Unit tests of `bus.views.walker`: the gate for bytes that a provider sent."""

import io
import json
import random
from typing import Any

import avro.errors
import avro.io
import avro.schema
import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import ContractError, MalformedRecord
from bus.views.schema_tree import parse_schema
from bus.views.walker import MAX_DEPTH, compile_walk, is_text, read_varint, write_varint
from tests.avro_cases import record_cases

_TREE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "child", "type": ["null", "Node"]}],
}


def walk(schema: Any, data: bytes) -> int:
    """Walk one value of `schema`, wrapped into a record of one field."""
    record = {"type": "record", "name": "R", "fields": [{"name": "x", "type": schema}]}
    return compile_walk(parse_schema(json.dumps(record)).children[0])(data, 0, 1)


def nested(levels: int) -> bytes:
    """Return a tree of `levels` records, each inside the one before."""
    return b"\x02" * (levels - 1) + b"\x00"


LONG_MIN_COUNT = b"\xff" * 9 + b"\x01"

#: What it is, its schema, its bytes, and the code that it is refused with.
HOSTILE: list[tuple[str, Any, bytes, str]] = [
    ("a truncated number", "long", b"\x80", "TRUNCATED"),
    ("no number at all", "long", b"", "TRUNCATED"),
    ("a number of 21 bytes", "long", b"\x80" * 20 + b"\x01", "BAD_VARINT"),
    ("a number longer than needed", "long", b"\x80\x00", "BAD_VARINT"),
    ("a number beyond 64 bits", "long", b"\xff" * 9 + b"\x7f", "BAD_VARINT"),
    ("an int beyond 32 bits", "int", write_varint(1 << 31), "VALUE_OUT_OF_RANGE"),
    ("a boolean of 2", "boolean", b"\x02", "BAD_BOOLEAN"),
    ("a missing boolean", "boolean", b"", "TRUNCATED"),
    ("a short float", "float", b"\x00\x00\x00", "TRUNCATED"),
    ("a short double", "double", b"\x00" * 7, "TRUNCATED"),
    ("a negative length", "bytes", b"\x01", "BAD_LENGTH"),
    ("a length beyond the end", "bytes", b"\x08\x00", "TRUNCATED"),
    ("a length of 18 exabytes", "string", write_varint((1 << 63) - 1), "TRUNCATED"),
    ("bad UTF-8", "string", b"\x04\xff\xff", "BAD_UTF8"),
    ("a lone surrogate", "string", b"\x06\xed\xa0\x80", "BAD_UTF8"),
    ("a NUL in text", "string", b"\x02\x00", "NUL_IN_TEXT"),
    ("a union branch below zero", ["null", "int"], b"\x01", "INDEX_OUT_OF_RANGE"),
    ("a union branch too high", ["null", "int"], b"\x04", "INDEX_OUT_OF_RANGE"),
    (
        "an enum symbol below zero",
        {"type": "enum", "name": "E", "symbols": ["A", "B"]},
        b"\x01",
        "INDEX_OUT_OF_RANGE",
    ),
    (
        "an enum symbol too high",
        {"type": "enum", "name": "E", "symbols": ["A", "B"]},
        b"\x04",
        "INDEX_OUT_OF_RANGE",
    ),
    ("a short fixed", {"type": "fixed", "name": "F", "size": 4}, b"\x00" * 3, "TRUNCATED"),
    (
        "2^40 nulls in seven bytes",
        {"type": "array", "items": "null"},
        write_varint(1 << 40) + b"\x00",
        "ZERO_SIZE_ITEMS",
    ),
    (
        "more items than bytes",
        {"type": "array", "items": "long"},
        write_varint(1 << 40) + b"\x00",
        "BAD_LENGTH",
    ),
    (
        "a block count of -2^63",
        {"type": "array", "items": "long"},
        LONG_MIN_COUNT,
        "BAD_LENGTH",
    ),
    (
        "a block with another size than it says",
        {"type": "array", "items": "long"},
        b"\x01\x04\x02\x00",
        "BAD_LENGTH",
    ),
    (
        "a block size beyond the end",
        {"type": "array", "items": "long"},
        b"\x01\x40\x02\x00",
        "BAD_LENGTH",
    ),
    (
        "a map key that is no text",
        {"type": "map", "values": "long"},
        b"\x02\x02\xff\x02\x00",
        "BAD_UTF8",
    ),
    ("65 levels", _TREE, nested(MAX_DEPTH), "TOO_DEEP"),
    ("8,000 levels", _TREE, nested(8000), "TOO_DEEP"),
    (
        "a date beyond year 9999",
        {"type": "int", "logicalType": "date"},
        write_varint(2_932_897),
        "VALUE_OUT_OF_RANGE",
    ),
    (
        "a time beyond year 9999",
        {"type": "long", "logicalType": "timestamp-micros"},
        write_varint(1 << 62),
        "VALUE_OUT_OF_RANGE",
    ),
    (
        "25 o'clock",
        {"type": "int", "logicalType": "time-millis"},
        write_varint(90_000_000),
        "VALUE_OUT_OF_RANGE",
    ),
    (
        "text that is no UUID",
        {"type": "string", "logicalType": "uuid"},
        b"\x04zz",
        "VALUE_OUT_OF_RANGE",
    ),
    (
        "a decimal of too many digits",
        {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0},
        b"\x02\x64",
        "VALUE_OUT_OF_RANGE",
    ),
    (
        "a decimal of no bytes",
        {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0},
        b"\x00",
        "VALUE_OUT_OF_RANGE",
    ),
]


@pytest.mark.parametrize(
    ("schema", "data", "code"),
    [(schema, data, code) for _, schema, data, code in HOSTILE],
    ids=[what for what, *_ in HOSTILE],
)
def test_hostile_bytes_are_refused_with_their_reason(schema: Any, data: bytes, code: str) -> None:
    """field-notes B5: what fastavro takes leniently, or dies of, is a dead letter here."""
    with pytest.raises(MalformedRecord) as caught:
        walk(schema, data)

    assert caught.value.code == code
    assert caught.value.reason


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ("long", write_varint(-(1 << 63))),
        ("long", write_varint((1 << 63) - 1)),
        ("int", write_varint(-(1 << 31))),
        ({"type": "array", "items": "null"}, write_varint(1024) + b"\x00"),
        # A block that says how many bytes it has, as some writers make it.
        ({"type": "array", "items": "long"}, b"\x01\x02\x02\x00"),
        # Several blocks.
        ({"type": "array", "items": "long"}, b"\x02\x02\x02\x04\x00"),
        (_TREE, nested(MAX_DEPTH - 1)),
    ],
)
def test_what_is_unusual_but_legal_passes(schema: Any, data: bytes) -> None:
    assert walk(schema, data) == len(data)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_varints_come_back(value: int) -> None:
    written = write_varint(value)

    assert read_varint(written, 0) == (value, len(written))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", value)
    assert out.getvalue() == written


@given(st.data())
def test_what_fastavro_writes_passes_to_its_exact_end(data: st.DataObject) -> None:
    schema, records = data.draw(record_cases())
    written = encode(schema, data.draw(records))

    assert compile_walk(parse_schema(schema))(written, 0, 0) == len(written)


@given(st.data(), st.integers(0, 1 << 32))
def test_what_passes_after_a_mutation_can_be_read_by_apache_avro(
    data: st.DataObject, seed: int
) -> None:
    """Differential: never lets through what another implementation cannot read to its end."""
    schema, records = data.draw(record_cases())
    mutated = mutate(encode(schema, data.draw(records)), random.Random(seed))
    try:
        end = compile_walk(parse_schema(schema))(mutated, 0, 0)
    except MalformedRecord:
        return

    assert end <= len(mutated)
    reader = io.BytesIO(mutated[:end])
    read_by_apache(schema, reader)
    assert reader.read() == b""


@pytest.mark.parametrize(
    "text",
    ["", "[]", '"string"', '{"type": "record"}', '{"type": "nothing", "name": "x"}', "{"],
)
def test_what_is_no_record_schema_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        parse_schema(text)


def encode(schema: str, record: Any) -> bytes:
    """Return `record` as fastavro writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(schema)), record)
    return out.getvalue()


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return `data` with a few bytes changed, removed, doubled or added."""
    mutated = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(mutated) + 1)
        match chance.randrange(4):
            case 0 if at < len(mutated):
                mutated[at] = chance.randrange(256)
            case 1:
                del mutated[at : at + chance.randint(1, 4)]
            case 2:
                mutated[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 4)))
            case _:
                mutated[at:at] = mutated[at : at + chance.randint(1, 4)]
    return bytes(mutated)


def read_by_apache(schema: str, stream: io.BytesIO) -> None:
    """Read one record with Apache avro; raise whatever it raises."""
    parsed = avro.schema.parse(schema)
    avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(stream))


def test_text_is_what_python_takes_for_it_wherever_it_stands() -> None:
    """Compiled, eight bytes are looked at together: each place in them, and what is left over."""
    for size in range(26):
        plain = b"abcdefghijklmnopqrstuvwxyz"[:size]
        assert is_text(plain, 0, size)
        for at in range(size):
            for other in (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xc3\xa9", "省".encode()):
                data = b"\xff" + plain[:at] + other + plain[at + 1 :] + b"\x00"
                assert is_text(data, 1, len(data) - 1) == is_python_text(data[1:-1]), data


@given(data=st.binary(max_size=40) | st.text(max_size=30).map(str.encode))
def test_text_is_what_python_takes_for_it(data: bytes) -> None:
    assert is_text(data, 0, len(data)) == is_python_text(data)


def is_python_text(data: bytes) -> bool:
    """Tell whether Python decodes `data`, which may not contain U+0000."""
    try:
        return "\x00" not in data.decode()
    except UnicodeDecodeError:
        return False
