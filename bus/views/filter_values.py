"""
Decode the few items that a row filter reads.

The bytes have passed the walker, so nothing is checked here.
"""

import datetime as dt
import struct
from collections.abc import Callable
from typing import TypeAlias

from bus.views.schema_tree import Kind, Node
from bus.views.walker import read_varint

#: (bytes, position) -> (value as a filter sees it, position after it).
Decode: TypeAlias = Callable[[bytes, int], tuple[object, int]]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FLOAT = struct.Struct("<f")
_DOUBLE = struct.Struct("<d")


def compile_decode(node: Node) -> Decode:
    """
    Return a function that decodes one value of the type `node` for a row filter.

    Dates and timestamps become aware datetimes; inside arrays, maps and records, where the filter
    language has no static type for them, they become RFC 3339 text. Times of day are microseconds.
    """
    return _Compiler().decode(node, nested=False)


class _Compiler:
    def __init__(self) -> None:
        self._records: dict[Node, list[tuple[str, Decode]]] = {}

    def decode(self, node: Node, *, nested: bool) -> Decode:
        match node.kind:
            case Kind.NULL:
                return lambda _data, position: (None, position)
            case Kind.BOOLEAN:
                return lambda data, position: (data[position] == 1, position + 1)
            case Kind.INT | Kind.LONG:
                return _integer(node.logical, as_text=nested)
            case Kind.FLOAT:
                return lambda data, position: (*_FLOAT.unpack_from(data, position), position + 4)
            case Kind.DOUBLE:
                return lambda data, position: (*_DOUBLE.unpack_from(data, position), position + 8)
            case Kind.BYTES | Kind.FIXED:
                return _bytes(node)
            case Kind.STRING:
                return _string
            case Kind.ENUM:
                return _enum(node.symbols)
            case Kind.UNION:
                return self._union(node, nested=nested)
            case Kind.ARRAY:
                return self._array(node)
            case Kind.MAP:
                return self._map(node)
            case Kind.RECORD:
                return self._record(node)

    def _union(self, node: Node, *, nested: bool) -> Decode:
        branches = [self.decode(child, nested=nested) for child in node.children]

        def decode(data: bytes, position: int) -> tuple[object, int]:
            index, position = read_varint(data, position)
            return branches[index](data, position)

        return decode

    def _array(self, node: Node) -> Decode:
        item = self.decode(node.children[0], nested=True)

        def decode(data: bytes, position: int) -> tuple[object, int]:
            values: list[object] = []
            while True:
                count, position = _count(data, position)
                if count == 0:
                    return values, position
                for _ in range(count):
                    value, position = item(data, position)
                    values.append(value)

        return decode

    def _map(self, node: Node) -> Decode:
        item = self.decode(node.children[0], nested=True)

        def decode(data: bytes, position: int) -> tuple[object, int]:
            values: dict[object, object] = {}
            while True:
                count, position = _count(data, position)
                if count == 0:
                    return values, position
                for _ in range(count):
                    key, position = _string(data, position)
                    values[key], position = item(data, position)

        return decode

    def _record(self, node: Node) -> Decode:
        fields = self._records.get(node)
        if fields is None:
            fields = self._records[node] = []
            for name, child in zip(node.field_names, node.children, strict=True):
                fields.append((name, self.decode(child, nested=True)))

        def decode(data: bytes, position: int) -> tuple[object, int]:
            values: dict[str, object] = {}
            for name, field in fields:
                values[name], position = field(data, position)
            return values, position

        return decode


def _count(data: bytes, position: int) -> tuple[int, int]:
    count, position = read_varint(data, position)
    if count < 0:
        _, position = read_varint(data, position)
    return abs(count), position


def _integer(logical: str | None, *, as_text: bool) -> Decode:
    unit = {
        "date": dt.timedelta(days=1),
        "timestamp-millis": dt.timedelta(milliseconds=1),
        "timestamp-micros": dt.timedelta(microseconds=1),
    }.get(logical or "")
    if logical == "time-millis":
        return _milliseconds
    if unit is None:
        return read_varint

    def decode(data: bytes, position: int) -> tuple[object, int]:
        value, position = read_varint(data, position)
        moment = _EPOCH + value * unit
        return moment.isoformat() if as_text else moment, position

    return decode


def _milliseconds(data: bytes, position: int) -> tuple[object, int]:
    value, position = read_varint(data, position)
    return value * 1000, position


def _bytes(node: Node) -> Decode:
    size = node.size if node.kind is Kind.FIXED else None
    divisor = 10**node.scale if node.logical == "decimal" else None

    def decode(data: bytes, position: int) -> tuple[object, int]:
        length = size
        if length is None:
            length, position = read_varint(data, position)
        raw = data[position : position + length]
        if divisor is None:
            return raw, position + length
        return int.from_bytes(raw, "big", signed=True) / divisor, position + length

    return decode


def _string(data: bytes, position: int) -> tuple[str, int]:
    length, start = read_varint(data, position)
    return data[start : start + length].decode(), start + length


def _enum(symbols: tuple[str, ...]) -> Decode:
    def decode(data: bytes, position: int) -> tuple[object, int]:
        index, position = read_varint(data, position)
        return symbols[index], position

    return decode
