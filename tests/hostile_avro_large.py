"""
Hostile records as large as they may be: what takes a walker the longest.

Each is well-formed up to its last bytes, so that all of it has to be walked before it is refused.
"""

from functools import cache

from bus.views.plan import MAX_VALUE_BYTES
from tests.avro_mutations import varint
from tests.hostile_avro import (
    BEFORE,
    MAP,
    MAYBE,
    MIN_BYTES,
    PREFIX,
    TREE,
    Hostile,
    array,
    logical,
    text,
)

#: What is left of a value for its item, and a few bytes less.
_ROOM = MAX_VALUE_BYTES - len(PREFIX) - len(BEFORE) - 16
_WHY = "all of it is walked before the last byte is seen"


def _items(what: str, kind: object, item: bytes, bad: bytes, code: str) -> Hostile:
    """Return an array full of `item`, the last of which is `bad`."""
    count = _ROOM // len(item) - 1
    sound = varint(count) + item * count + b"\x00"
    hostile = varint(count) + item * (count - 1) + bad + b"\x00"
    return Hostile(f"1 MB of {what}", array(kind), hostile, code, _WHY, sound)


def _blocks(what: str, block: bytes, bad: bytes) -> Hostile:
    """Return an array of booleans in many blocks of one item, the last of which is `bad`."""
    count = _ROOM // len(block) - 1
    return Hostile(
        f"1 MB of {what}",
        array("boolean"),
        block * (count - 1) + bad + b"\x00",
        "BAD_BOOLEAN",
        _WHY,
        block * count + b"\x00",
    )


def _chain(levels: int) -> bytes:
    return b"\x02" * (levels - 1) + b"\x00"


def _pairs() -> Hostile:
    pair, bad = b"\x00\x00", b"\x00\x80"
    count = _ROOM // len(pair) - 1
    return Hostile(
        "1 MB of map entries",
        MAP,
        varint(count) + pair * (count - 1) + bad + b"\x00",
        "BAD_VARINT",
        _WHY,
        varint(count) + pair * count + b"\x00",
    )


def _texts() -> list[Hostile]:
    letters = _ROOM // 4
    wide = "\U0001f600".encode() * letters
    ascii_ = b"a" * (_ROOM - 1)
    digits = logical("decimal", "bytes", precision=38, scale=0)
    return [
        Hostile("1 MB of text, cut off in its last letter", "string", text(wide[:-1]),
                "BAD_UTF8", _WHY, text(wide)),
        Hostile("1 MB of text, U+0000 at its end", "string", text(ascii_ + b"\0"), "NUL_IN_TEXT",
                _WHY, text(ascii_)),
        Hostile("1 MB of digits", digits, text(b"\x7f" * _ROOM), "VALUE_OUT_OF_RANGE",
                "a number of 2.4 million digits", text(b"\x7f" * 15)),
        Hostile("1 MB of zeros before a decimal", digits,
                text(b"\x00" * (_ROOM - 17) + b"\x7f" * 17), "VALUE_OUT_OF_RANGE",
                "zeros say nothing", text(b"\x00" * 16 + b"\x7f" * 15)),
    ]  # fmt: skip


@cache
def large() -> list[Hostile]:
    """Return the cases; they take some thirty megabytes."""
    long_chain, longest = _chain(61), b"\x02" * 61 + b"\x04"
    return [
        _items("booleans", "boolean", b"\x01", b"\x02", "BAD_BOOLEAN"),
        _items("small numbers", "long", b"\x01", b"\x80", "BAD_VARINT"),
        _items("large numbers", "long", MIN_BYTES, b"\xff" * 10, "BAD_VARINT"),
        _items("empty texts", "string", b"\x00", b"\x01", "BAD_LENGTH"),
        _items("texts of one letter", "string", b"\x02a", b"\x02\xff", "BAD_UTF8"),
        _items("nulls in unions", MAYBE, b"\x00", b"\x04", "INDEX_OUT_OF_RANGE"),
        _items("numbers in unions", MAYBE, b"\x02\x02", b"\x04\x02", "INDEX_OUT_OF_RANGE"),
        _items("empty arrays", array("long"), b"\x00", b"\x01\x01", "BAD_LENGTH"),
        _items("trees of one", TREE, b"\x00", b"\x04", "INDEX_OUT_OF_RANGE"),
        _items("trees of 61 levels", TREE, long_chain, longest, "INDEX_OUT_OF_RANGE"),
        _pairs(),
        _blocks("blocks of one", b"\x02\x01", b"\x02\x02"),
        _blocks("sized blocks", b"\x01\x02\x01", b"\x01\x02\x02"),
        *_texts(),
    ]
