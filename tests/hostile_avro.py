"""
Hostile Avro: what breaks decoders, and the code that each is refused with.

Each case stands in the last item of a source record, behind a sound `meta` and key, with a
neighbour that is sound: refusing everything would not pass. Large cases are in
`hostile_avro_large`, fields that are no item's in `ENVELOPES`.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bus.domain.policy import ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.view import Treatment, make_view
from bus.views.plan import Plan, compile_plan
from bus.views.row_filter import RowFilter
from tests.avro_mutations import varint
from tests.pseudonym_secrets import PSEUDONYMS, SECRETS

KEY = b"k1"
#: Of the schema of the source, of another topic's, and of the views.
SOURCE_ID, FOREIGN_ID, VIEW_IDS = 1, 77, (101, 102, 103)
PREFIX = b"\x00" + SOURCE_ID.to_bytes(4, "big")
#: `meta` and the key item, as they stand before the item in question.
META = b"\x11" * 16 + varint(1_700_000_000_000_000)
BEFORE = META + varint(len(KEY)) + KEY

SOURCE_META: Any = {
    "type": "record",
    "name": "SourceMeta",
    "fields": [
        {"name": "event_id", "type": {"type": "fixed", "name": "EventId", "size": 16}},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}


@dataclass(frozen=True, slots=True)
class Hostile:
    """One case: bytes in the place of an item of the type `schema`."""

    name: str
    schema: Any
    data: bytes
    code: str
    why: str
    neighbour: bytes
    """Bytes of the same type that pass."""
    lenient: str = ""
    """What Apache avro reads; nothing if it refuses, too."""


def source_schema(item: Any) -> str:
    """Return the schema of source records with one item `x`."""
    fields = [
        {"name": "meta", "type": SOURCE_META},
        {"name": "id", "type": "string"},
        {"name": "x", "type": item},
    ]
    return json.dumps({"type": "record", "name": "Record", "fields": fields})


def value_of(data: bytes) -> bytes:
    """Return a value of a source topic with `data` in the place of its item."""
    return PREFIX + BEFORE + data


def keep_plan(schema: str, *kept: Collection[str], key_items: tuple[str, ...] = ("id",)) -> Plan:
    """
    Return the plan of a view for each of `kept`, over records of `schema`.

    These are the items that the view keeps, or how it treats them.
    """
    resource = ResourcePolicy(
        jurisdiction="test",
        resource="hostile",
        provider="provider",
        generation=1,
        topic="os.src.test.provider.hostile.1",
        partitions=1,
        dead_letter_topic="os.dlq.test.hostile",
        key_items=key_items,
        schemas=(WriterSchema(SOURCE_ID, 1, schema),),
    )
    views = [_view(each, schema_id) for each, schema_id in zip(kept, VIEW_IDS, strict=False)]
    return compile_plan(
        resource, views, compile_filter=_no_filter, registered={FOREIGN_ID}, secrets=SECRETS
    )


def _view(kept: Collection[str], schema_id: int) -> ViewPolicy:
    treatments = kept if isinstance(kept, Mapping) else dict.fromkeys(kept, Treatment.KEEP)
    view = make_view(
        jurisdiction="test",
        resource="hostile",
        generation=1,
        row_filter=None,
        treatments=treatments,
        pseudonyms_for=PSEUDONYMS,
    )
    return ViewPolicy(
        view=view,
        incarnation=1,
        topic=f"os.view.test.hostile.{view.id}.1",
        partitions=1,
        projections={SOURCE_ID: schema_id},
    )


def _no_filter(expression: str, types: object) -> RowFilter:
    raise NotImplementedError(f"no view here has a row filter: {expression}")


def logical(name: str, of: str, **more: int) -> Any:
    """Return the schema of a logical type."""
    return {"type": of, "logicalType": name, **more}


def array(items: Any) -> Any:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


def tree(inside: Any) -> Any:
    """Return the schema of a record that holds itself in `inside`."""
    return {"type": "record", "name": "Tree", "fields": [{"name": "child", "type": inside}]}


MIN, MAX = -(1 << 63), (1 << 63) - 1
MIN_BYTES = b"\xff" * 9 + b"\x01"
ENUM = {"type": "enum", "name": "Kind", "symbols": ["A", "B", "C"]}
MAYBE = ["null", "int"]
EMPTY = {"type": "record", "name": "Empty", "fields": []}
TREE, TREES = tree(["null", "Tree"]), tree(array("Tree"))
MAPS = tree({"type": "map", "values": "Tree"})
LONGS = array("long")
MAP = {"type": "map", "values": "long"}
UUID_TYPE = logical("uuid", "string")
UUID = b"00000000-0000-4000-8000-00000000000a"
DECIMAL = logical("decimal", "bytes", precision=2, scale=1)


def text(raw: bytes) -> bytes:
    """Return `raw` behind its length."""
    return varint(len(raw)) + raw


def _nested(kind: Any, levels: int) -> Any:
    return array(_nested(kind, levels - 1)) if levels else kind


_WRAPS = "reads the value that the spare bits spell"
_NUMBERS = [
    Hostile("varint, cut off", "long", b"\x80", "TRUNCATED", "no last byte", b"\x80\x01"),
    Hostile("varint, missing", "long", b"", "TRUNCATED", "no byte at all", b"\x00"),
    Hostile("varint, cut off after nine", "long", b"\xff" * 9, "TRUNCATED",
            "the tenth is missing", MIN_BYTES),
    Hostile("varint, zero in two bytes", "long", b"\x80\x00", "BAD_VARINT",
            "a second spelling: equal records with different bytes", b"\x00", _WRAPS),
    Hostile("varint, one in two bytes", "long", b"\x82\x00", "BAD_VARINT",
            "a second spelling", b"\x02", _WRAPS),
    Hostile("varint, zero in ten bytes", "long", b"\x80" * 9 + b"\x00", "BAD_VARINT",
            "a second spelling", MIN_BYTES, _WRAPS),
    Hostile("varint, ten bytes that go on", "long", b"\x80" * 10, "BAD_VARINT",
            "the eleventh need not be waited for", MIN_BYTES),
    Hostile("varint of eleven bytes", "long", b"\x80" * 10 + b"\x01", "BAD_VARINT",
            "70 bits and more", MIN_BYTES),
    Hostile("varint of 21 bytes", "long", b"\x80" * 20 + b"\x01", "BAD_VARINT",
            "fastavro reads -2^63", MIN_BYTES),
    Hostile("varint without end", "long", b"\x80" * 10_000, "BAD_VARINT",
            "a reader that goes on collects bits for ever", b"\x00"),
    Hostile("varint, bit 65", "long", b"\xff" * 9 + b"\x02", "BAD_VARINT",
            "ten bytes hold 70 bits", MIN_BYTES),
    Hostile("varint, bits 65 to 70", "long", b"\xff" * 9 + b"\x7f", "BAD_VARINT",
            "ten bytes hold 70 bits", b"\xfe" + b"\xff" * 8 + b"\x01"),
    Hostile("int of 2^31", "int", varint(1 << 31), "VALUE_OUT_OF_RANGE",
            "wraps to -2^31 in Java", varint((1 << 31) - 1), "reads 2^31"),
    Hostile("int of -2^31 - 1", "int", varint(-(1 << 31) - 1), "VALUE_OUT_OF_RANGE",
            "wraps in Java", varint(-(1 << 31)), "reads it"),
    Hostile("int of 2^63 - 1", "int", varint(MAX), "VALUE_OUT_OF_RANGE",
            "ten bytes where five are the most", b"\x00", "reads it"),
    Hostile("boolean of 2", "boolean", b"\x02", "BAD_BOOLEAN", "neither true nor false",
            b"\x01", "reads false"),
    Hostile("boolean of 255", "boolean", b"\xff", "BAD_BOOLEAN", "true in C, false here",
            b"\x00", "reads false"),
    Hostile("boolean, missing", "boolean", b"", "TRUNCATED", "no byte", b"\x01"),
    Hostile("float, short", "float", b"\x00" * 3, "TRUNCATED", "three bytes", b"\x01\x00\xa0\x7f"),
    Hostile("float, missing", "float", b"", "TRUNCATED", "no byte", b"\x00\x00\x80\xff"),
    Hostile("double, short", "double", b"\x00" * 7, "TRUNCATED", "seven bytes",
            b"\x01\x00\x00\x00\x00\x00\xf4\x7f"),
    Hostile("double, as a float", "double", b"\x00" * 4, "TRUNCATED", "four bytes",
            b"\x00" * 7 + b"\x80"),
]  # fmt: skip

_LENGTHS = [
    case
    for of in ("bytes", "string")
    for case in (
        Hostile(f"{of}, length -1", of, b"\x01", "BAD_LENGTH",
                "fastavro passes it over in skipped fields", b"\x00"),
        Hostile(f"{of}, length -64 and 64 bytes", of, varint(-64) + b"a" * 64, "BAD_LENGTH",
                "only the sign is wrong", varint(64) + b"a" * 64),
        Hostile(f"{of}, length -2^63", of, MIN_BYTES, "BAD_LENGTH",
                "its absolute value is no long", text(b"a")),
        Hostile(f"{of}, one byte short", of, varint(4) + b"abc", "TRUNCATED",
                "beyond the end by one", text(b"abc")),
        Hostile(f"{of}, length 2^31", of, varint(1 << 31), "TRUNCATED",
                "2 GiB are asked for before the end is seen", b"\x00"),
        Hostile(f"{of}, length 2^63 - 1", of, varint(MAX), "TRUNCATED",
                "8 EiB are asked for; position + length overflows", b"\x00"),
        Hostile(f"{of}, no length", of, b"", "TRUNCATED", "nothing", b"\x00"),
        Hostile(f"{of}, half a length", of, b"\x80", "TRUNCATED", "cut off",
                varint(64) + b"a" * 64),
        Hostile(f"{of}, overlong length", of, b"\x82\x00a", "BAD_VARINT", "a second spelling",
                b"\x02a", _WRAPS),
    )
] + [
    Hostile("fixed, short", {"type": "fixed", "name": "F", "size": 4}, b"\x00" * 3, "TRUNCATED",
            "three of four bytes", b"\x00" * 4),
    Hostile("fixed, missing", {"type": "fixed", "name": "F", "size": 4}, b"", "TRUNCATED",
            "none of four bytes", b"\xff" * 4),
]  # fmt: skip

_UTF8 = [
    ("a continuation byte alone", b"\x80", b"\xc2\x80"),
    ("U+0000 in two bytes", b"\xc0\x80", b"\xc2\x80"),
    ("overlong, two bytes", b"\xc1\xbf", b"\x7f"),
    ("overlong, three bytes", b"\xe0\x80\xaf", b"\xe0\xa0\x80"),
    ("overlong by one bit, three bytes", b"\xe0\x9f\xbf", b"\xdf\xbf"),
    ("overlong, four bytes", b"\xf0\x80\x80\xaf", b"\xf0\x90\x80\x80"),
    ("overlong by one bit, four bytes", b"\xf0\x8f\xbf\xbf", b"\xef\xbf\xbf"),
    ("the first surrogate", b"\xed\xa0\x80", b"\xed\x9f\xbf"),
    ("the last surrogate", b"\xed\xbf\xbf", b"\xee\x80\x80"),
    ("a pair of surrogates (CESU-8)", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf0\x9f\x98\x80"),
    ("U+110000", b"\xf4\x90\x80\x80", b"\xf4\x8f\xbf\xbf"),
    ("U+140000", b"\xf5\x80\x80\x80", b"\xf4\x80\x80\x80"),
    ("five bytes", b"\xf8\x88\x80\x80\x80", b"\xf1\x80\x80\x80"),
    ("byte FE", b"\xfe", b"\xc3\xbe"),
    ("byte FF", b"\xff", b"\xc3\xbf"),
    ("a letter cut off at the end", "王".encode()[:2], "王".encode()),
    ("a letter cut off by another", "王".encode()[:2] + b"a", "王a".encode()),
    ("Latin-1", "é".encode("latin-1"), "é".encode()),
    ("GB18030", "王".encode("gb18030"), "王".encode()),
    ("UTF-16 with its mark", "a".encode("utf-16"), b"\xef\xbb\xbfa"),
    ("good, but for the last of 100 bytes", b"a" * 99 + b"\xc3", b"a" * 98 + b"\xc3\xa9"),
]
_TEXTS = [
    Hostile(f"text, {name}", "string", text(raw), "BAD_UTF8", "not UTF-8", text(neighbour))
    for name, raw, neighbour in _UTF8
] + [
    Hostile(f"text, U+0000 {where}", "string", text(raw), "NUL_IN_TEXT",
            "Postgres stores none: every sink would stop", text(raw.replace(b"\0", b"\x01")),
            "reads it")
    for where, raw in (("alone", b"\0"), ("first", b"\0a"), ("last", "王\0".encode()),
                       ("among 200 letters", b"a" * 100 + b"\0" + b"a" * 100))
]  # fmt: skip

_INDEXES = [
    Hostile("enum, index -1", ENUM, b"\x01", "INDEX_OUT_OF_RANGE",
            "the last symbol in Python, so in fastavro", b"\x00"),
    Hostile("enum, index 3 of 3", ENUM, b"\x06", "INDEX_OUT_OF_RANGE", "one too far", b"\x04"),
    Hostile("enum with a default, index 3 of 3", {**ENUM, "default": "A"}, b"\x06",
            "INDEX_OUT_OF_RANGE", "a default is for readers of another schema", b"\x04",
            "reads the default"),
    Hostile("enum, index 2^40", ENUM, varint(1 << 40), "INDEX_OUT_OF_RANGE", "0 modulo 2^32",
            b"\x00"),
    Hostile("enum, index -2^63", ENUM, MIN_BYTES, "INDEX_OUT_OF_RANGE", "the least", b"\x00"),
    Hostile("enum, overlong index", ENUM, b"\x82\x00", "BAD_VARINT", "a second spelling",
            b"\x02", _WRAPS),
    Hostile("enum, missing", ENUM, b"", "TRUNCATED", "no index", b"\x00"),
    Hostile("union, index -1", MAYBE, b"\x01\x00", "INDEX_OUT_OF_RANGE",
            "the last branch in Python, so in fastavro", b"\x02\x00"),
    Hostile("union, index 2 of 2", MAYBE, b"\x04\x00", "INDEX_OUT_OF_RANGE", "one too far",
            b"\x00"),
    Hostile("union of one, index 1", ["int"], b"\x02\x00", "INDEX_OUT_OF_RANGE", "one too far",
            b"\x00\x02"),
    Hostile("union of three, index 3", ["null", "int", "string"], b"\x06\x00",
            "INDEX_OUT_OF_RANGE", "one too far", b"\x04\x00"),
    Hostile("union, index 2^32", MAYBE, varint(1 << 32), "INDEX_OUT_OF_RANGE", "0 modulo 2^32",
            b"\x00"),
    Hostile("union, index -2^63", MAYBE, MIN_BYTES, "INDEX_OUT_OF_RANGE", "the least", b"\x00"),
    Hostile("union, overlong index", MAYBE, b"\x82\x00\x02", "BAD_VARINT", "a second spelling",
            b"\x02\x02", _WRAPS),
    Hostile("union, missing", MAYBE, b"", "TRUNCATED", "no index", b"\x00"),
    Hostile("union, without its value", MAYBE, b"\x02", "TRUNCATED", "an index alone",
            b"\x02\x02"),
    Hostile("union, with a value out of range", MAYBE, b"\x02" + varint(1 << 31),
            "VALUE_OUT_OF_RANGE", "as outside", b"\x02\x00", "reads it"),
]  # fmt: skip

_NULLS = array("null")
_BLOCKS = [
    Hostile("array, 2^40 nulls", _NULLS, varint(1 << 40) + b"\x00", "ZERO_SIZE_ITEMS",
            "seven bytes fill the memory", varint(1024) + b"\x00"),
    Hostile("array, 2^63 - 1 nulls", _NULLS, varint(MAX) + b"\x00", "ZERO_SIZE_ITEMS",
            "ten bytes", b"\x00"),
    Hostile("array, 1,025 nulls", _NULLS, varint(1025) + b"\x00", "ZERO_SIZE_ITEMS",
            "one too many", varint(1024) + b"\x00", "reads them: up to ten million"),
    Hostile("array, a sized block of 1,025 nulls", _NULLS, varint(-1025) + b"\x00\x00",
            "ZERO_SIZE_ITEMS", "one too many", varint(-1024) + b"\x00\x00",
            "reads them: up to ten million"),
    Hostile("array, 2^40 empty records", array(EMPTY), varint(1 << 40) + b"\x00",
            "ZERO_SIZE_ITEMS", "as nulls", varint(2) + b"\x00"),
    Hostile("array, 2^40 fixed of no bytes", array({"type": "fixed", "name": "F", "size": 0}),
            varint(1 << 40) + b"\x00", "ZERO_SIZE_ITEMS", "as nulls", varint(2) + b"\x00"),
    Hostile("array, 2^40 nulls inside another", array(_NULLS), b"\x02" + varint(1 << 40) + b"\0\0",
            "ZERO_SIZE_ITEMS", "as outside", b"\x02\x02\x00\x00"),
    Hostile("array, 2^40 longs", LONGS, varint(1 << 40) + b"\x00", "BAD_LENGTH",
            "more items than bytes", b"\x02\x00\x00"),
    Hostile("array, count × size overflows 2^64", array({"type": "fixed", "name": "F", "size": 4}),
            varint(1 << 62) + b"\x00", "BAD_LENGTH", "0 modulo 2^64", b"\x00"),
    Hostile("array, two doubles in 15 bytes", array("double"), b"\x04" + b"\x00" * 15,
            "BAD_LENGTH", "seen before the first is read", b"\x04" + b"\x00" * 17),
    Hostile("array, count -2^63", LONGS, MIN_BYTES + b"\x00\x00", "BAD_LENGTH",
            "fastavro reads an empty array", b"\x00"),
    Hostile("array, count -2^63 + 1", LONGS, varint(MIN + 1) + b"\x00\x00", "BAD_LENGTH",
            "more items than bytes", b"\x01\x02\x00\x00"),
    Hostile("array, count -2^63 of nulls", _NULLS, MIN_BYTES + b"\x00\x00", "BAD_LENGTH",
            "its absolute value is no long", b"\x01\x00\x00"),
    Hostile("array, block of -1 bytes", LONGS, b"\x01\x01\x02\x00", "BAD_LENGTH",
            "a reader that skips goes backwards, for ever", b"\x01\x02\x02\x00",
            "does not look at the size"),
    Hostile("array, block of -2^63 bytes", LONGS, b"\x01" + MIN_BYTES + b"\x02\x00",
            "BAD_LENGTH", "the least", b"\x01\x02\x02\x00", "does not look at the size"),
    Hostile("array, block beyond the end", LONGS, b"\x01\x40\x02\x00", "BAD_LENGTH",
            "32 bytes of two", b"\x01\x02\x02\x00", "does not look at the size"),
    Hostile("array, block shorter than said", LONGS, b"\x01\x04\x02\x00", "BAD_LENGTH",
            "readers that skip and readers that read part ways", b"\x01\x02\x02\x00",
            "does not look at the size"),
    Hostile("array, block longer than said", LONGS, b"\x03\x02\x02\x02\x00", "BAD_LENGTH",
            "as above", b"\x03\x04\x02\x02\x00", "does not look at the size"),
    Hostile("array, nulls in a block of a byte", _NULLS, b"\x01\x02\x00", "BAD_LENGTH",
            "nulls have none", b"\x01\x00\x00", "does not look at the size"),
    Hostile("array, without an end", LONGS, b"\x02\x02", "TRUNCATED", "no block of none",
            b"\x02\x02\x00"),
    Hostile("array, count and no items", LONGS, b"\x04", "BAD_LENGTH", "two items in no bytes",
            b"\x04\x00\x00\x00"),
    Hostile("array, overlong end", LONGS, b"\x80\x00", "BAD_VARINT", "a second spelling", b"\x00",
            _WRAPS),
    Hostile("array, overlong size of a block", LONGS, b"\x01\x82\x00\x02\x00", "BAD_VARINT",
            "a second spelling", b"\x01\x02\x02\x00", "does not look at the size"),
    Hostile("array, bad item in the second block", array("boolean"), b"\x02\x01\x02\x02\x00",
            "BAD_BOOLEAN", "as in the first", b"\x02\x01\x02\x00\x00", "reads false"),
    Hostile("map, 2^40 pairs", MAP, varint(1 << 40) + b"\x00", "BAD_LENGTH",
            "more pairs than bytes", b"\x00"),
    Hostile("map, 2^40 keys of nulls", {"type": "map", "values": "null"},
            varint(1 << 40) + b"\x00", "BAD_LENGTH", "a key takes a byte", b"\x02\x00\x00"),
    Hostile("map, count -2^63", MAP, MIN_BYTES + b"\x00\x00", "BAD_LENGTH",
            "its absolute value is no long", b"\x00"),
    Hostile("map, block of another size", MAP, b"\x01\x04\x02a\x02\x00", "BAD_LENGTH",
            "two bytes instead of three", b"\x01\x06\x02a\x02\x00", "does not look at the size"),
    Hostile("map, key of bad UTF-8", MAP, b"\x02\x02\xff\x02\x00", "BAD_UTF8", "as in a text",
            b"\x02\x02\x7f\x02\x00"),
    Hostile("map, key with U+0000", MAP, b"\x02\x02\x00\x02\x00", "NUL_IN_TEXT", "as in a text",
            b"\x02\x02\x01\x02\x00", "reads it"),
    Hostile("map, key of length -1", MAP, b"\x02\x01\x02\x00", "BAD_LENGTH", "as in a text",
            b"\x02\x00\x02\x00"),
    Hostile("map, key without a value", MAP, b"\x02\x02a", "TRUNCATED", "half a pair",
            b"\x02\x02a\x00\x00"),
    Hostile("map, without an end", MAP, b"\x02\x02a\x00", "TRUNCATED", "no block of none",
            b"\x02\x02a\x00\x00"),
]  # fmt: skip

#: The source record is the first of 64 levels; records, arrays and maps are one each.
_DEPTHS = [
    Hostile("tree of 64 levels in the record", TREE, b"\x02" * 63 + b"\x00", "TOO_DEEP",
            "65 with the record itself", b"\x02" * 62 + b"\x00", "reads it"),
    Hostile("tree of 8,000 levels", TREE, b"\x02" * 8_000 + b"\x00", "TOO_DEEP",
            "8 KB end a process that runs fastavro (SIGSEGV)", b"\x00"),
    Hostile("tree of 900,000 levels", TREE, b"\x02" * 900_000, "TOO_DEEP",
            "as many as fit into a record, without an end", b"\x00"),
    Hostile("tree of arrays", TREES, b"\x02" * 8_000 + b"\x00" * 8_000, "TOO_DEEP",
            "two levels each", b"\x02" * 30 + b"\x00" * 31),
    Hostile("tree of 32 arrays", TREES, b"\x02" * 31 + b"\x00" * 32, "TOO_DEEP",
            "one level too many", b"\x02" * 30 + b"\x00" * 31, "reads it"),
    Hostile("tree of maps", MAPS, b"\x02\x00" * 8_000 + b"\x00" * 8_001, "TOO_DEEP",
            "two levels each", b"\x02\x00" * 30 + b"\x00" * 31),
    Hostile("64 arrays in one another", _nested("long", 64), b"\x02" * 64, "TOO_DEEP",
            "65 with the record itself", b"\x00"),
    Hostile("63 arrays in one another", _nested("long", 63), b"\x02" * 64 + b"\x00" * 62,
            "TRUNCATED", "just as deep as allowed, and one end short",
            b"\x02" * 64 + b"\x00" * 63),
]  # fmt: skip

_DAY = 86_400
_FIRST, _LAST = -719_162, 2_932_896


def _beyond(name: str, of: str, least: int, most: int, lenient: str = "") -> list[Hostile]:
    kind = logical(name, of)
    return [
        Hostile(f"{name}, {side}", kind, varint(value), "VALUE_OUT_OF_RANGE",
                "a calendar cannot hold it: decoders overflow", varint(neighbour), lenient)
        for side, value, neighbour in (
            ("one below the least", least - 1, least),
            ("one above the most", most + 1, most),
            ("the most of its type", (1 << (31 if of == "int" else 63)) - 1, 0),
            ("the least of its type", -(1 << (31 if of == "int" else 63)), most),
        )
    ]  # fmt: skip


_LOGICAL = [
    *_beyond("date", "int", _FIRST, _LAST),
    *_beyond("time-millis", "int", 0, _DAY * 1_000 - 1),
    *_beyond("time-micros", "long", 0, _DAY * 1_000_000 - 1),
    *_beyond("timestamp-millis", "long", _FIRST * _DAY * 1_000, (_LAST + 1) * _DAY * 1_000 - 1),
    *_beyond("timestamp-micros", "long", _FIRST * _DAY * 1_000_000,
             (_LAST + 1) * _DAY * 1_000_000 - 1),
    *(
        Hostile(f"uuid, {name}", UUID_TYPE, text(raw), "VALUE_OUT_OF_RANGE",
                "decoders raise, each its own way", text(UUID), "reads the text")
        for name, raw in (
            ("empty", b""), ("of 35 letters", UUID[:-1]), ("of 37 letters", UUID + b"0"),
            ("with a line feed at its end", UUID[:-1] + b"\n"),
            ("and a line feed", UUID + b"\n"), ("in braces", b"{" + UUID + b"}"),
            ("without hyphens", UUID.replace(b"-", b"")),
            ("with hyphens elsewhere", b"0000-0000" + UUID[9:]),
            ("with a letter g", b"g" + UUID[1:]),
            ("with digits that are not ASCII", "٠".encode() + UUID[2:]),
        )
    ),
    Hostile("uuid, not UTF-8", UUID_TYPE, text(b"\xff" + UUID[1:]), "VALUE_OUT_OF_RANGE",
            "as above", text(UUID.upper())),
    Hostile("uuid, cut off", UUID_TYPE, text(UUID)[:-1], "TRUNCATED", "beyond the end", text(UUID)),
    Hostile("decimal, no bytes", DECIMAL, b"\x00", "VALUE_OUT_OF_RANGE", "there is no number",
            b"\x02\x00"),
    Hostile("decimal, a digit too many", DECIMAL, b"\x02\x64", "VALUE_OUT_OF_RANGE",
            "100 has three", b"\x02\x63", "rounds it"),
    Hostile("decimal, a digit too many below zero", DECIMAL, b"\x02\x9c", "VALUE_OUT_OF_RANGE",
            "-100 has three", b"\x02\x9d", "rounds it"),
    Hostile("decimal of 1,000 bytes", DECIMAL, text(b"\x7f" + b"\xff" * 999),
            "VALUE_OUT_OF_RANGE", "2,400 digits", b"\x02\x00", "rounds it"),
    Hostile("decimal, length -1", DECIMAL, b"\x01", "BAD_LENGTH", "as of bytes", b"\x02\x00"),
    Hostile("decimal, cut off", DECIMAL, b"\x04\x00", "TRUNCATED", "as of bytes",
            b"\x04\x00\x00"),
]  # fmt: skip

HOSTILE = [*_NUMBERS, *_LENGTHS, *_TEXTS, *_INDEXES, *_BLOCKS, *_DEPTHS, *_LOGICAL]

#: A record of one long, and what is wrong around it: (what, value, code).
SOUND = value_of(b"\x02")
ENVELOPES = [
    ("no bytes", b"", "BAD_MAGIC"),
    ("no whole schema id", SOUND[:4], "BAD_MAGIC"),
    ("magic 1", b"\x01" + SOUND[1:], "BAD_MAGIC"),
    ("magic 255", b"\xff" + SOUND[1:], "BAD_MAGIC"),
    ("Avro without a prefix", SOUND[5:], "BAD_MAGIC"),
    ("a single object", b"\xc3\x01" + b"\x00" * 8 + SOUND[5:], "BAD_MAGIC"),
    ("an object container file", b"Obj\x01" + SOUND, "BAD_MAGIC"),
    ("JSON", b'{"id": "k1", "x": 1}', "BAD_MAGIC"),
    ("gzip", b"\x1f\x8b\x08\x00" + SOUND, "BAD_MAGIC"),
    ("a schema of another topic", b"\x00" + FOREIGN_ID.to_bytes(4, "big") + SOUND[5:],
     "SCHEMA_FOREIGN"),
    ("a schema id and nothing else", PREFIX, "TRUNCATED"),
    ("a zero byte after the end", SOUND + b"\x00", "TRAILING_BYTES"),
    ("a line feed after the end", SOUND + b"\n", "TRAILING_BYTES"),
    ("the record twice", SOUND + SOUND, "TRAILING_BYTES"),
    ("the body twice", SOUND + SOUND[5:], "TRAILING_BYTES"),
    ("another key item", PREFIX + META + text(b"k2") + b"\x02", "KEY_MISMATCH"),
    ("the key item and more", PREFIX + META + text(KEY + b" ") + b"\x02", "KEY_MISMATCH"),
    ("no key item", PREFIX + META + b"\x00" + b"\x02", "KEY_MISMATCH"),
    ("the time of the event beyond year 9999",
     PREFIX + b"\x11" * 16 + varint(MAX) + SOUND[5 + len(META):], "VALUE_OUT_OF_RANGE"),
    ("the magic byte twice", b"\x00" + SOUND, "SCHEMA_UNKNOWN"),
    ("a byte too many", b"\x00" * 1_000_001, "RECORD_TOO_LARGE"),
    ("a text that makes it too large", value_of(text(b"a" * 1_000_000)), "RECORD_TOO_LARGE"),
]  # fmt: skip
