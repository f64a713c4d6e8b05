"""
A strict Avro reader that shares no code with the kernel: the oracle of the hostile tests.

Apache `avro` reads the schemas. Its own reader is too lenient to say what must be refused
(`hostile_avro.LENIENCIES` lists in which ways), so the bytes are read here, by recursive descent
and in the order in which they stand, under the limits of docs/reference/errors.md.
"""

import datetime as dt
import io
import json
import math
import struct
import uuid
from dataclasses import dataclass, field
from typing import Any

import avro.io
import avro.schema

MOST_LEVELS = 64
MOST_ITEMS_WITHOUT_BYTES = 1024
_MOST_VARINT_BYTES = 10

_EPOCH = dt.date(1970, 1, 1)
_FIRST_DAY = (dt.date.min - _EPOCH).days
_AFTER_LAST_DAY = (dt.date.max - _EPOCH).days + 1
_DAY = 86_400
_RANGES = {
    "date": range(_FIRST_DAY, _AFTER_LAST_DAY),
    "time-millis": range(_DAY * 1_000),
    "time-micros": range(_DAY * 1_000_000),
    "timestamp-millis": range(_FIRST_DAY * _DAY * 1_000, _AFTER_LAST_DAY * _DAY * 1_000),
    "timestamp-micros": range(_FIRST_DAY * _DAY * 1_000_000, _AFTER_LAST_DAY * _DAY * 1_000_000),
}
_INTS = range(-(1 << 31), 1 << 31)


class Refused(Exception):
    """The bytes are no record; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Block:
    """Where a block of an array or map stands: what a mutation must know to write it anew."""

    start: int
    items: int
    """Where its items begin: after count and size."""
    second: int
    """Where the second item begins."""
    end: int
    count: int


@dataclass(slots=True)
class Reading:
    """What was read."""

    value: Any = None
    """Without logical types: integers, bytes and text, as Avro writes them."""
    ends: list[int] = field(default_factory=list)
    """Where the first field of the record begins, and where each field ends."""
    plain: bool = True
    """Whether the value has but this one form: one block a collection, no key twice, no NaN."""
    numbers: list[tuple[int, int]] = field(default_factory=list)
    """Where the varints stand."""
    counted: list[tuple[int, int]] = field(default_factory=list)
    """Where bytes and texts stand, with their length."""
    blocks: list[Block] = field(default_factory=list)


class StrictReader:
    """Reads records of one schema."""

    def __init__(self, text: str) -> None:
        self._schema: Any = avro.schema.parse(text)

    def read(self, data: bytes, start: int = 0) -> Reading:
        """Return the record that begins at `start`; raise `Refused` if there is none."""
        bytes_ = _Bytes(data, start)
        reading = bytes_.reading
        reading.ends.append(start)
        reading.value = {}
        for each in self._schema.fields:
            reading.value[each.name] = bytes_.value(each.type, 1)
            reading.ends.append(bytes_.at)
        return reading


class _Bytes:
    """The bytes of one record, and how far they are read."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self.reading = Reading()
        self._without_bytes = 0

    def value(self, schema: Any, level: int) -> Any:
        match schema.type:
            case "null":
                return None
            case "boolean":
                return self._boolean()
            case "int" | "long":
                return self._integer(schema)
            case "float" | "double":
                return self._float(schema.type)
            case "string":
                return self._string(schema)
            case "bytes":
                return self._decimal(schema, self._counted())
            case "fixed":
                return self._decimal(schema, self._take(schema.size))
            case "enum":
                return schema.symbols[self._index(len(schema.symbols))]
            case "union":
                return self.value(schema.schemas[self._index(len(schema.schemas))], level)
            case "array":
                return [item for _, item in self._items(schema.items, level, keyed=False)]
            case "map":
                return self._map(schema, level)
            case _:
                below = _below(level)
                return {each.name: self.value(each.type, below) for each in schema.fields}

    def _take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Refused("TRUNCATED")
        self.at += count
        return self.data[self.at - count : self.at]

    def _number(self) -> int:
        start, raw, shift = self.at, 0, 0
        while True:
            if self.at - start == _MOST_VARINT_BYTES:
                raise Refused("BAD_VARINT")
            (byte,) = self._take(1)
            raw += (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if (byte == 0 and self.at - start > 1) or raw >= 1 << 64:
            raise Refused("BAD_VARINT")
        self.reading.numbers.append((start, self.at))
        return -(raw // 2) - 1 if raw % 2 else raw // 2

    def _boolean(self) -> bool:
        (byte,) = self._take(1)
        if byte > 1:
            raise Refused("BAD_BOOLEAN")
        return byte == 1

    def _integer(self, schema: Any) -> int:
        value = self._number()
        allowed = _RANGES.get(getattr(schema, "logical_type", None) or "")
        if allowed is None and schema.type == "int":
            allowed = _INTS
        if allowed is not None and value not in allowed:
            raise Refused("VALUE_OUT_OF_RANGE")
        return value

    def _float(self, kind: str) -> float:
        form = "<f" if kind == "float" else "<d"
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        if math.isnan(value):
            self.reading.plain = False
        return float(value)

    def _index(self, count: int) -> int:
        index = self._number()
        if index not in range(count):
            raise Refused("INDEX_OUT_OF_RANGE")
        return index

    def _counted(self) -> bytes:
        start = self.at
        length = self._number()
        if length < 0:
            raise Refused("BAD_LENGTH")
        taken = self._take(length)
        self.reading.counted.append((start, self.at))
        return taken

    def _string(self, schema: Any) -> str:
        raw = self._counted()
        if getattr(schema, "logical_type", None) == "uuid":
            return _uuid(raw)
        try:
            text = raw.decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise Refused("BAD_UTF8") from None
        if "\0" in text:
            raise Refused("NUL_IN_TEXT")
        return text

    @staticmethod
    def _decimal(schema: Any, raw: bytes) -> bytes:
        if getattr(schema, "logical_type", None) == "decimal":
            digits = schema.get_prop("precision")
            # So many bytes say the number, and some may say nothing: a reader is not kept busy.
            if len(raw) > (10**digits).bit_length() // 8 + 16:
                raise Refused("VALUE_OUT_OF_RANGE")
            if not raw or not -(10**digits) < int.from_bytes(raw, "big", signed=True) < 10**digits:
                raise Refused("VALUE_OUT_OF_RANGE")
        return raw

    def _map(self, schema: Any, level: int) -> dict[str, Any]:
        pairs = self._items(schema.values, level, keyed=True)
        found = dict(pairs)
        if len(found) < len(pairs):
            self.reading.plain = False
        return found

    def _items(self, schema: Any, level: int, *, keyed: bool) -> list[tuple[str, Any]]:
        below = _below(level)
        found: list[tuple[str, Any]] = []
        least = _least_size(schema) + keyed
        while True:
            start = self.at
            count = self._number()
            if count == 0:
                return found
            size = self._block_size() if count < 0 else None
            if count < 0 or found:
                self.reading.plain = False
            self._check_count(abs(count), least)
            items, second = self.at, None
            for _ in range(abs(count)):
                key = self._string(None) if keyed else ""
                found.append((key, self.value(schema, below)))
                second = second or self.at
            if size is not None and self.at - items != size:
                raise Refused("BAD_LENGTH")
            self.reading.blocks.append(Block(start, items, second or items, self.at, abs(count)))

    def _block_size(self) -> int:
        # A count of -2^63 has no counterpart above zero.
        start, _ = self.reading.numbers[-1]
        if self.data[start : self.at] == b"\xff" * 9 + b"\x01":
            raise Refused("BAD_LENGTH")
        size = self._number()
        if size not in range(len(self.data) - self.at + 1):
            raise Refused("BAD_LENGTH")
        return size

    def _check_count(self, count: int, least: int) -> None:
        if least == 0:
            self._without_bytes += count
            if self._without_bytes > MOST_ITEMS_WITHOUT_BYTES:
                raise Refused("ZERO_SIZE_ITEMS")
        if count * least > len(self.data) - self.at:
            raise Refused("BAD_LENGTH")


def _below(level: int) -> int:
    if level == MOST_LEVELS:
        raise Refused("TOO_DEEP")
    return level + 1


def _uuid(raw: bytes) -> str:
    try:
        text = raw.decode("ascii")
        if str(uuid.UUID(text)) == text.lower():
            return text
    except ValueError:
        pass
    raise Refused("VALUE_OUT_OF_RANGE")


def _least_size(schema: Any, above: tuple[Any, ...] = ()) -> int:
    match schema.type:
        case "null":
            return 0
        case "float":
            return 4
        case "double":
            return 8
        case "fixed":
            return int(schema.size)
        case "union":
            return 1 + min(_least_size(each, above) for each in schema.schemas)
        case "record":
            # Inside itself it may be absent, behind an index or in an empty collection.
            if any(each is schema for each in above):
                return 0
            return sum(_least_size(each.type, (*above, schema)) for each in schema.fields)
        case _:
            return 1


def read_by_apache(schema: Any, body: bytes) -> tuple[Any, int]:
    """Return what Apache avro reads, and how many bytes of it; raise whatever it raises."""
    stream = io.BytesIO(body)
    value = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(stream))
    return value, stream.tell()


def physical(schema: Any) -> Any:
    """Return the JSON of a schema without its logical types: values as Avro writes them."""
    match schema:
        case dict():
            return {
                name: physical(each)
                for name, each in schema.items()
                if name not in {"logicalType", "precision", "scale"}
            }
        case list():
            return [physical(each) for each in schema]
        case _:
            return schema


def physical_text(text: str) -> str:
    """Return the schema `text` without its logical types."""
    return json.dumps(physical(json.loads(text)))
