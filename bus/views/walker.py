"""
Walk an Avro record strictly, without decoding it.

fastavro is lenient (it takes negative lengths, trailing bytes, indexes below zero, and its
recursion ends the process), so this walker is the gate for bytes that a provider sent. What it lets
through, any Avro reader can read: exact end of buffer, canonical varints, indexes and lengths in
range, bounded depth, valid UTF-8 without U+0000, logical values that exist.

The module is compiled where there is a C compiler: `walker.pxd` has the types. So a schema is not
a tree of functions but a table of numbers that one loop follows, and numbers stay within 64 bits.
"""

import re
from array import array
from collections.abc import Callable
from typing import Final, TypeAlias

from bus.errors import MalformedRecord
from bus.views.schema_tree import Kind, Node

#: Records nested deeper than this are refused (the walker's own stack is bounded by it).
MAX_DEPTH: Final = 64
#: Items that take no bytes (null, empty records) could make a few bytes mean anything.
MAX_ZERO_SIZE_ITEMS: Final = 1024
#: How many bytes a decimal may have beyond those that its precision needs.
_DECIMAL_PADDING: Final = 16
#: Whether this runs as compiled code.
COMPILED: Final = not __file__.endswith(".py")
_COMPILED = COMPILED

#: (bytes, position, depth) -> position after the value; raises `MalformedRecord`.
Walk: TypeAlias = Callable[[bytes, int, int], int]

_INT_RANGE: Final = (-(1 << 31), (1 << 31) - 1)
_LONG_RANGE: Final = (-(1 << 63), (1 << 63) - 1)
_DAY_SECONDS: Final = 86_400
#: 0001-01-01 and 9999-12-31 as days from 1970-01-01: what calendars of other languages can hold.
_FIRST_DAY: Final = -719_162
_LAST_DAY: Final = 2_932_896
_LOGICAL_RANGES: Final = {
    "date": (_FIRST_DAY, _LAST_DAY),
    "time-millis": (0, _DAY_SECONDS * 1000 - 1),
    "time-micros": (0, _DAY_SECONDS * 1_000_000 - 1),
    "timestamp-millis": (
        _FIRST_DAY * _DAY_SECONDS * 1000,
        (_LAST_DAY + 1) * _DAY_SECONDS * 1000 - 1,
    ),
    "timestamp-micros": (
        _FIRST_DAY * _DAY_SECONDS * 1_000_000,
        (_LAST_DAY + 1) * _DAY_SECONDS * 1_000_000 - 1,
    ),
}
_UUID: Final = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: The bit of a varint's byte that says that another follows; the shift of its tenth byte.
_CONTINUES = 0x80
_LAST_SHIFT = 63
#: What a table row stands for. Numbers of the module, not an enum: the compiled loop compares them.
_STRING = 0
_INTEGER = 1
_UNION = 2
_FIXED = 3
_BYTES = 4
_BOOLEAN = 5
_ENUM = 6
_NULL = 7
_RECORD = 8
_ARRAY = 9
_MAP = 10
_UUID_TEXT = 11
_DECIMAL = 12
_KINDS: Final = {
    Kind.NULL: _NULL,
    Kind.BOOLEAN: _BOOLEAN,
    Kind.INT: _INTEGER,
    Kind.LONG: _INTEGER,
    Kind.FLOAT: _FIXED,
    Kind.DOUBLE: _FIXED,
    Kind.FIXED: _FIXED,
    Kind.BYTES: _BYTES,
    Kind.STRING: _STRING,
    Kind.ENUM: _ENUM,
    Kind.UNION: _UNION,
    Kind.ARRAY: _ARRAY,
    Kind.MAP: _MAP,
    Kind.RECORD: _RECORD,
}
_SIZES: Final = {Kind.FLOAT: 4, Kind.DOUBLE: 8}


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return (value, position after it) of the zigzag varint at `position`."""
    size = len(data)
    if position >= size:
        raise _cut_off(position)
    byte = data[position]
    if byte < _CONTINUES:
        return (byte >> 1) ^ -(byte & 1), position + 1
    start = position
    raw = byte & 0x7F
    shift = 7
    while byte >= _CONTINUES:
        position += 1
        if position >= size:
            raise _cut_off(position)
        byte = data[position]
        # The tenth byte has one bit left to say.
        if shift == _LAST_SHIFT and byte > 1:
            said = "has over 10 bytes" if byte >= _CONTINUES else "exceeds 64 bits"
            raise MalformedRecord("BAD_VARINT", f"varint at byte {start} {said}")
        part = byte & 0x7F
        raw |= part << shift
        shift += 7
    if byte == 0:
        raise MalformedRecord("BAD_VARINT", f"varint at byte {start} is longer than needed")
    half = raw >> 1
    sign = raw & 1
    return half ^ -sign, position + 1


def write_varint(value: int) -> bytes:
    """Return `value` as a zigzag varint."""
    left = (value << 1) ^ (value >> 63)
    out = bytearray()
    while left >= _CONTINUES:
        out.append(left & 0x7F | _CONTINUES)
        left >>= 7
    out.append(left)
    return bytes(out)


def compile_walk(node: Node) -> Walk:
    """Return a function that steps over one value of the type `node`."""
    return Walker(node).walk


class _Table:
    """A schema as rows of numbers: what a row stands for, its size or count, its children."""

    def __init__(self) -> None:
        self.kinds: list[int] = []
        self.counts: list[int] = []
        self.lows: list[int] = []
        self.highs: list[int] = []
        self.firsts: list[int] = []
        self.children: list[int] = []
        self._records: dict[Node, int] = {}

    def add(self, node: Node) -> int:
        """Add `node` and what it consists of; return its row."""
        if node in self._records:
            return self._records[node]
        row = len(self.kinds)
        low, high = _range(node)
        self.kinds.append(_kind(node))
        self.counts.append(_SIZES.get(node.kind) or node.size or len(node.symbols))
        self.lows.append(low)
        self.highs.append(high)
        self.firsts.append(0)
        if node.kind is Kind.RECORD:
            # Known before its fields are, so that a recursive one finds it.
            self._records[node] = row
        rows = [self.add(child) for child in node.children]
        if rows:
            self.firsts[row] = len(self.children)
            self.children += rows
            self.counts[row] = len(rows)
        return row


def _kind(node: Node) -> int:
    if node.kind is Kind.STRING and node.logical == "uuid":
        return _UUID_TEXT
    if node.kind is Kind.BYTES and node.logical == "decimal":
        return _DECIMAL
    return _KINDS[node.kind]


def _range(node: Node) -> tuple[int, int]:
    """Return the bounds of what the row is about: a number, a decimal's digits, an item's bytes."""
    match node.kind:
        case Kind.INT:
            return _LOGICAL_RANGES.get(node.logical or "", _INT_RANGE)
        case Kind.LONG:
            return _LOGICAL_RANGES.get(node.logical or "", _LONG_RANGE)
        case Kind.ARRAY | Kind.MAP:
            return node.children[0].least_size() + (node.kind is Kind.MAP), 0
        case _:
            return node.precision, 0


class Walker:
    """Walks values of one type. Not for two threads at once: it counts items that have no bytes."""

    def __init__(self, node: Node) -> None:
        table = _Table()
        self._root = table.add(node)
        self._kinds = array("i", table.kinds)
        self._counts = array("q", table.counts)
        self._lows = array("q", table.lows)
        self._highs = array("q", table.highs)
        self._firsts = array("i", table.firsts)
        self._children = array("i", [*table.children, 0])
        self._zero_size_items = 0
        #: The number that was read last.
        self._value = 0
        self._max_depth = MAX_DEPTH
        self._max_zero_size_items = MAX_ZERO_SIZE_ITEMS

    def walk(self, data: bytes, position: int, depth: int) -> int:
        """Return the position after the value at `position`; raise `MalformedRecord`."""
        self._zero_size_items = 0
        return self._step(self._root, data, position, depth)

    def fields(self, data: bytes, position: int, ends: "array[int]") -> int:
        """
        Walk a record at `position`; return the position after it, and where each field ends.

        The first of `ends` is where the first field starts: there is one more than fields.
        """
        self._zero_size_items = 0
        ends[0] = position
        first = self._firsts[self._root]
        for at in range(self._counts[self._root]):
            position = self._step(self._children[first + at], data, position, 1)
            ends[at + 1] = position
        return position

    def _step(self, row: int, data: bytes, position: int, depth: int) -> int:
        kind = self._kinds[row]
        while kind == _UNION:
            after = self._read(data, position)
            if self._value < 0 or self._value >= self._counts[row]:
                raise MalformedRecord(
                    "INDEX_OUT_OF_RANGE",
                    f"union branch {self._value} of {self._counts[row]} at {position}",
                )
            position = after
            row = self._children[self._firsts[row] + self._value]
            kind = self._kinds[row]
        if kind == _STRING:
            return self._text(data, position)
        if kind == _INTEGER:
            after = self._read(data, position)
            if self._value < self._lows[row] or self._value > self._highs[row]:
                raise self._out_of_range(row, self._value, position)
            return after
        if kind == _NULL:
            return position
        if kind == _FIXED:
            return self._fixed(row, data, position)
        if kind == _BOOLEAN:
            return _boolean(data, position)
        if kind == _ENUM:
            return self._symbol(row, data, position)
        if kind == _RECORD:
            return self._record(row, data, position, depth)
        if kind in (_ARRAY, _MAP):
            return self._blocks(row, data, position, depth)
        return self._checked(row, data, position)

    def _fixed(self, row: int, data: bytes, position: int) -> int:
        after = position + self._counts[row]
        if after > len(data):
            raise _too_short(self._counts[row], position)
        if self._lows[row]:
            _check_decimal(data[position:after], self._lows[row], position)
        return after

    def _record(self, row: int, data: bytes, position: int, depth: int) -> int:
        self._check_depth(depth, position)
        first = self._firsts[row]
        for at in range(self._counts[row]):
            position = self._step(self._children[first + at], data, position, depth + 1)
        return position

    def _blocks(self, row: int, data: bytes, position: int, depth: int) -> int:
        self._check_depth(depth, position)
        keyed = self._kinds[row] == _MAP
        item = self._children[self._firsts[row]]
        least = self._lows[row]
        while True:
            position = self._read(data, position)
            count = self._value
            if count == 0:
                return position
            size = -1
            if count < 0:
                position = self._block_size(data, position, count)
                size = self._value
                count = -count
            self._check_count(count, least, len(data) - position)
            start = position
            # What has no least size has no size at all: there is nothing to step over.
            if least:
                for _ in range(count):
                    if keyed:
                        position = self._text(data, position)
                    position = self._step(item, data, position, depth + 1)
            if size >= 0 and position - start != size:
                raise MalformedRecord(
                    "BAD_LENGTH", f"block at byte {start} has {position - start} bytes, not {size}"
                )

    def _block_size(self, data: bytes, position: int, count: int) -> int:
        """Read the size in bytes that a block with a negative count has; return where it ends."""
        if count + 0x7FFFFFFFFFFFFFFF < 0:
            # Its opposite is no number of 64 bits.
            raise MalformedRecord("BAD_LENGTH", f"impossible block count before byte {position}")
        after = self._read(data, position)
        if self._value < 0 or self._value > len(data) - after:
            raise MalformedRecord("BAD_LENGTH", f"block of {self._value} bytes at byte {after}")
        return after

    def _check_count(self, count: int, least: int, remaining: int) -> None:
        if least == 0:
            # Of the whole record: a few bytes make another array, and another block of one.
            if count > self._max_zero_size_items - self._zero_size_items:
                raise MalformedRecord(
                    "ZERO_SIZE_ITEMS",
                    f"over {self._max_zero_size_items} items that take no bytes",
                )
            self._zero_size_items += count
        # Divided, because the product may have more than 64 bits.
        elif count > remaining // least:
            raise MalformedRecord(
                "BAD_LENGTH", f"{count} items of at least {least} bytes in {remaining} bytes"
            )

    def _check_depth(self, depth: int, position: int) -> None:
        if depth >= self._max_depth:
            raise MalformedRecord(
                "TOO_DEEP", f"nested over {self._max_depth} levels at byte {position}"
            )

    def _text(self, data: bytes, position: int) -> int:
        start = self._span(data, position)
        after = start + self._value
        if not (_COMPILED and is_text(data, start, after)):
            check_text(data, start, after)
        return after

    def _symbol(self, row: int, data: bytes, position: int) -> int:
        after = self._read(data, position)
        if self._value < 0 or self._value >= self._counts[row]:
            raise MalformedRecord(
                "INDEX_OUT_OF_RANGE",
                f"enum symbol {self._value} of {self._counts[row]} at byte {position}",
            )
        return after

    def _checked(self, row: int, data: bytes, position: int) -> int:
        """Step over bytes, and over what is written as bytes but must be more."""
        start = self._span(data, position)
        after = start + self._value
        if self._kinds[row] == _UUID_TEXT and _UUID.fullmatch(data, start, after) is None:
            raise MalformedRecord("VALUE_OUT_OF_RANGE", f"no UUID at byte {start}")
        if self._kinds[row] == _DECIMAL:
            _check_decimal(data[start:after], self._lows[row], start)
        return after

    def _span(self, data: bytes, position: int) -> int:
        """Read the length of the bytes or text at `position`; return where they start."""
        start = self._read(data, position)
        if self._value < 0:
            raise MalformedRecord("BAD_LENGTH", f"length {self._value} at byte {position}")
        if self._value > len(data) - start:
            raise _too_short(self._value, start)
        return start

    def _read(self, data: bytes, position: int) -> int:
        """Read the number at `position`; return where it ends. No pair is made for each."""
        if position >= len(data):
            raise _cut_off(position)
        byte = data[position]
        if byte < _CONTINUES:
            self._value = (byte >> 1) ^ -(byte & 1)
            return position + 1
        self._value, after = read_varint(data, position)
        return after

    def _out_of_range(self, row: int, value: int, position: int) -> MalformedRecord:
        return MalformedRecord(
            "VALUE_OUT_OF_RANGE",
            f"{value} at byte {position} is not within {self._lows[row]} and {self._highs[row]}",
        )


def is_text(data: bytes, start: int, after: int) -> bool:
    """Tell whether that is UTF-8 without U+0000; `check_text` says what is wrong if it is not."""
    at = start
    if _COMPILED:
        # walker.pxd has it: eight bytes at once.
        at = _after_ascii(data, start, after)  # type: ignore[name-defined]  # noqa: F821
    while at < after:
        byte = data[at]
        if byte == 0:
            return False
        if byte < _CONTINUES:
            at += 1
            continue
        size = _sequence(data, at, after)
        if size == 0:
            return False
        at += size
    return True


def _sequence(data: bytes, at: int, after: int) -> int:
    """Return how many bytes the character at `at` has, which is not ASCII; 0: it is none."""
    first = data[at]
    # RFC 3629, section 4: no longer forms than needed, no surrogates, nothing above U+10FFFF.
    low, high = 0x80, 0xBF
    if first < 0xC2 or first > 0xF4:  # noqa: PLR2004
        return 0
    if first < 0xE0:  # noqa: PLR2004
        size = 2
    elif first < 0xF0:  # noqa: PLR2004
        size = 3
        if first == 0xE0:  # noqa: PLR2004
            low = 0xA0
        elif first == 0xED:  # noqa: PLR2004
            high = 0x9F
    else:
        size = 4
        if first == 0xF0:  # noqa: PLR2004
            low = 0x90
        elif first == 0xF4:  # noqa: PLR2004
            high = 0x8F
    if size > after - at:
        return 0
    second = data[at + 1]
    if second < low or second > high:
        return 0
    for place in range(at + 2, at + size):
        if data[place] & 0xC0 != 0x80:  # noqa: PLR2004
            return 0
    return size


def check_text(data: bytes, start: int, after: int) -> None:
    """Raise `MalformedRecord` if that is no UTF-8, or contains U+0000."""
    text = data[start:after]
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise MalformedRecord("BAD_UTF8", f"text at byte {start}: {error.reason}") from None
    if 0 in text:
        # Legal Avro, but no text for Postgres and others: it would stop every sink behind us.
        raise MalformedRecord("NUL_IN_TEXT", f"text at byte {start} contains U+0000")


def _boolean(data: bytes, position: int) -> int:
    if position >= len(data):
        raise MalformedRecord("TRUNCATED", f"the record ends at byte {position}")
    if data[position] > 1:
        raise MalformedRecord("BAD_BOOLEAN", f"boolean {data[position]:#04x} at byte {position}")
    return position + 1


def _check_decimal(digits: bytes, precision: int, position: int) -> None:
    bound = 10**precision
    # Leading bytes that say nothing are allowed, but not so many that a reader is kept busy.
    if not 0 < len(digits) <= bound.bit_length() // 8 + _DECIMAL_PADDING or (
        abs(int.from_bytes(digits, "big", signed=True)) >= bound
    ):
        raise MalformedRecord(
            "VALUE_OUT_OF_RANGE", f"no decimal of {precision} digits at byte {position}"
        )


def _cut_off(position: int) -> MalformedRecord:
    return MalformedRecord("TRUNCATED", f"a number is cut off at byte {position}")


def _too_short(wanted: int, position: int) -> MalformedRecord:
    return MalformedRecord("TRUNCATED", f"{wanted} bytes wanted at byte {position}")
