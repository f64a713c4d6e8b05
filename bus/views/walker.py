"""
Walk an Avro record strictly, without decoding it.

fastavro is lenient (it takes negative lengths, trailing bytes, indexes below zero, and its
recursion ends the process), so this walker is the gate for bytes that a provider sent. What it lets
through, any Avro reader can read: exact end of buffer, canonical varints, indexes and lengths in
range, bounded depth, valid UTF-8 without U+0000, logical values that exist.
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from bus.errors import MalformedRecord
from bus.views.schema_tree import Kind, Node

#: Records nested deeper than this are refused (the walker's own stack is bounded by it).
MAX_DEPTH: Final = 64
#: Items that take no bytes (null, empty records) could make a few bytes mean anything.
MAX_ZERO_SIZE_ITEMS: Final = 1024

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
_MAX_VARINT_BYTES: Final = 10
_CONTINUES: Final = 0x80
#: The indexes 0 and 1, as they are written.
_FIRST: Final = 0
_SECOND: Final = 2
#: Bits of a first byte that is not alone, or not the length of anything.
_LONG_OR_NEGATIVE: Final = 0x81


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return (value, position after it) of the zigzag varint at `position`."""
    try:
        byte = data[position]
        if byte < _CONTINUES:
            return (byte >> 1) ^ -(byte & 1), position + 1
        start = position
        shift = 7
        value = byte & 0x7F
        while True:
            position += 1
            byte = data[position]
            value |= (byte & 0x7F) << shift
            if byte < _CONTINUES:
                break
            shift += 7
            if position - start >= _MAX_VARINT_BYTES - 1:
                raise MalformedRecord("BAD_VARINT", f"varint of over 10 bytes at byte {start}")
    except IndexError:
        raise MalformedRecord("TRUNCATED", f"a number is cut off at byte {position}") from None
    if byte == 0:
        raise MalformedRecord("BAD_VARINT", f"varint at byte {start} is longer than needed")
    if value >> 64:
        raise MalformedRecord("BAD_VARINT", f"varint at byte {start} exceeds 64 bits")
    return (value >> 1) ^ -(value & 1), position + 1


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
    return _Compiler().walk(node)


class _Compiler:
    """Turns nodes into closures; a recursive record becomes a closure that calls itself."""

    def __init__(self) -> None:
        self._records: dict[Node, list[Walk]] = {}

    def walk(self, node: Node) -> Walk:
        match node.kind:
            case Kind.NULL:
                return lambda _data, position, _depth: position
            case Kind.BOOLEAN:
                return _walk_boolean
            case Kind.INT | Kind.LONG:
                return _walk_integer(node)
            case Kind.FLOAT:
                return _walk_fixed(4)
            case Kind.DOUBLE:
                return _walk_fixed(8)
            case Kind.FIXED:
                return _walk_fixed(node.size)
            case Kind.BYTES:
                return _walk_decimal(node) if node.logical == "decimal" else _walk_bytes
            case Kind.STRING:
                return _walk_uuid if node.logical == "uuid" else _walk_string
            case Kind.ENUM:
                return _walk_enum(len(node.symbols))
            case Kind.UNION:
                return self._union(node)
            case Kind.ARRAY | Kind.MAP:
                return self._blocks(node)
            case Kind.RECORD:
                return self._record(node)

    def _union(self, node: Node) -> Walk:
        branches = [self.walk(child) for child in node.children]
        first = branches[0]
        second = branches[1] if len(branches) > 1 else None

        def walk(data: bytes, position: int, depth: int) -> int:
            # Almost always null or the other branch; the rest is for the strict way below.
            byte = data[position] if position < len(data) else _CONTINUES
            if byte == _FIRST:
                return first(data, position + 1, depth)
            if byte == _SECOND and second is not None:
                return second(data, position + 1, depth)
            index, after = read_varint(data, position)
            if not 0 <= index < len(branches):
                raise MalformedRecord(
                    "INDEX_OUT_OF_RANGE", f"union branch {index} of {len(branches)} at {position}"
                )
            return branches[index](data, after, depth)

        return walk

    def _record(self, node: Node) -> Walk:
        # The list is filled after it is known, so that a recursive field finds it.
        fields = self._records.get(node)
        if fields is None:
            fields = self._records[node] = []
            fields.extend(self.walk(child) for child in node.children)

        def walk(data: bytes, position: int, depth: int) -> int:
            deeper = _deeper(depth, position)
            for field in fields:
                position = field(data, position, deeper)
            return position

        return walk

    def _blocks(self, node: Node) -> Walk:
        item = self.walk(node.children[0])
        keyed = node.kind is Kind.MAP
        least = node.children[0].least_size() + keyed

        def walk(data: bytes, position: int, depth: int) -> int:
            deeper = _deeper(depth, position)
            while True:
                count, size, position = _block_header(data, position)
                if count == 0:
                    return position
                _check_count(count, least, len(data) - position)
                start = position
                # What has no least size has no size at all: there is nothing to step over.
                for _ in range(count if least else 0):
                    if keyed:
                        position = _walk_string(data, position, deeper)
                    position = item(data, position, deeper)
                if size is not None and position - start != size:
                    raise MalformedRecord(
                        "BAD_LENGTH",
                        f"block at byte {start} has {position - start} bytes, not {size}",
                    )

        return walk


def _deeper(depth: int, position: int) -> int:
    if depth >= MAX_DEPTH:
        raise MalformedRecord("TOO_DEEP", f"nested over {MAX_DEPTH} levels at byte {position}")
    return depth + 1


def _block_header(data: bytes, position: int) -> tuple[int, int | None, int]:
    count, position = read_varint(data, position)
    if count >= 0:
        return count, None, position
    if count == _LONG_RANGE[0]:
        raise MalformedRecord("BAD_LENGTH", f"impossible block count before byte {position}")
    size, position = read_varint(data, position)
    if not 0 <= size <= len(data) - position:
        raise MalformedRecord("BAD_LENGTH", f"block of {size} bytes at byte {position}")
    return -count, size, position


def _check_count(count: int, least: int, remaining: int) -> None:
    if least == 0 and count > MAX_ZERO_SIZE_ITEMS:
        raise MalformedRecord("ZERO_SIZE_ITEMS", f"{count} items that take no bytes")
    if count * least > remaining:
        raise MalformedRecord(
            "BAD_LENGTH", f"{count} items of at least {least} bytes in {remaining} bytes"
        )


def _walk_boolean(data: bytes, position: int, _depth: int) -> int:
    if position >= len(data):
        raise MalformedRecord("TRUNCATED", f"the record ends at byte {position}")
    if data[position] > 1:
        raise MalformedRecord("BAD_BOOLEAN", f"boolean {data[position]:#04x} at byte {position}")
    return position + 1


def _walk_integer(node: Node) -> Walk:
    default = _INT_RANGE if node.kind is Kind.INT else _LONG_RANGE
    least, most = _LOGICAL_RANGES.get(node.logical or "", default)

    def walk(data: bytes, position: int, _depth: int) -> int:
        if position < len(data) and (byte := data[position]) < _CONTINUES:
            value, after = (byte >> 1) ^ -(byte & 1), position + 1
        else:
            value, after = read_varint(data, position)
        if not least <= value <= most:
            raise MalformedRecord(
                "VALUE_OUT_OF_RANGE", f"{value} at byte {position} is not within {least} and {most}"
            )
        return after

    return walk


def _walk_fixed(size: int) -> Walk:
    def walk(data: bytes, position: int, _depth: int) -> int:
        after = position + size
        if after > len(data):
            raise MalformedRecord("TRUNCATED", f"{size} bytes wanted at byte {position}")
        return after

    return walk


def _span(data: bytes, position: int) -> tuple[int, int]:
    """Return where the bytes or text at `position` start and end."""
    if position < len(data) and not (byte := data[position]) & _LONG_OR_NEGATIVE:
        length, start = byte >> 1, position + 1
    else:
        length, start = read_varint(data, position)
    if length < 0:
        raise MalformedRecord("BAD_LENGTH", f"length {length} at byte {position}")
    after = start + length
    if after > len(data):
        raise MalformedRecord("TRUNCATED", f"{length} bytes wanted at byte {start}")
    return start, after


def _walk_bytes(data: bytes, position: int, _depth: int) -> int:
    return _span(data, position)[1]


def _walk_string(data: bytes, position: int, _depth: int) -> int:
    start = position + 1
    # Most texts are short: said here once more, because this is where the time goes.
    if start <= len(data) and not (byte := data[position]) & _LONG_OR_NEGATIVE:
        after = start + (byte >> 1)
        if after > len(data):
            raise MalformedRecord("TRUNCATED", f"{byte >> 1} bytes wanted at byte {start}")
    else:
        start, after = _span(data, position)
    text = data[start:after]
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise MalformedRecord("BAD_UTF8", f"text at byte {start}: {error.reason}") from None
    if 0 in text:
        # Legal Avro, but no text for Postgres and others: it would stop every sink behind us.
        raise MalformedRecord("NUL_IN_TEXT", f"text at byte {start} contains U+0000")
    return after


def _walk_uuid(data: bytes, position: int, _depth: int) -> int:
    start, after = _span(data, position)
    if _UUID.fullmatch(data, start, after) is None:
        raise MalformedRecord("VALUE_OUT_OF_RANGE", f"no UUID at byte {start}")
    return after


def _walk_decimal(node: Node) -> Walk:
    bound = 10**node.precision

    def walk(data: bytes, position: int, _depth: int) -> int:
        start, after = _span(data, position)
        if start == after or abs(int.from_bytes(data[start:after], "big", signed=True)) >= bound:
            raise MalformedRecord(
                "VALUE_OUT_OF_RANGE", f"no decimal of {node.precision} digits at byte {start}"
            )
        return after

    return walk


def _walk_enum(count: int) -> Walk:
    def walk(data: bytes, position: int, _depth: int) -> int:
        index, after = read_varint(data, position)
        if not 0 <= index < count:
            raise MalformedRecord(
                "INDEX_OUT_OF_RANGE", f"enum symbol {index} of {count} at byte {position}"
            )
        return after

    return walk
