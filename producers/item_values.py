"""
Check the values of data items, and read them from text and JSON.

Errors name the item. What passes here passes the router's gate, so nothing that a provider sends
through this package ends as a dead letter.
"""

import base64
import binascii
import datetime as dt
import decimal
import math
import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from bus.errors import RecordInvalid
from bus.views.schema_tree import Kind, Node
from bus.views.walker import MAX_DEPTH

#: (item path, value) -> the value to encode; raises `RecordInvalid`.
Check: TypeAlias = Callable[[str, Any, int], Any]

_INT: Final = 1 << 31
_LONG: Final = 1 << 63


def check_value(node: Node, path: str, value: object, depth: int = 1) -> object:
    """Return `value` as fastavro wants it for the type `node`, or raise `RecordInvalid`."""
    match node.kind:
        case Kind.NULL:
            return _expect(value is None, path, value, "null", None)
        case Kind.BOOLEAN:
            return _expect(isinstance(value, bool), path, value, "a boolean", value)
        case Kind.INT | Kind.LONG:
            return _check_integer(node, path, value)
        case Kind.FLOAT | Kind.DOUBLE:
            return _check_number(node, path, value)
        case Kind.BYTES | Kind.FIXED:
            return _check_bytes(node, path, value)
        case Kind.STRING:
            return _check_string(node, path, value)
        case Kind.ENUM:
            known = isinstance(value, str) and value in node.symbols
            return _expect(known, path, value, f"one of {', '.join(node.symbols)}", value)
        case Kind.UNION:
            return _check_union(node, path, value, depth)
        case _:
            return _check_container(node, path, value, depth)


def _check_integer(node: Node, path: str, value: object) -> object:
    match node.logical:
        case "date":
            plain = isinstance(value, dt.date) and not isinstance(value, dt.datetime)
            return _expect(plain, path, value, "a date", value)
        case "timestamp-millis" | "timestamp-micros":
            return _check_timestamp(path, value)
        case "time-millis" | "time-micros":
            plain = isinstance(value, dt.time) and value.tzinfo is None
            return _expect(plain, path, value, "a time of day without time zone", value)
        case _:
            bound = _INT if node.kind is Kind.INT else _LONG
            whole = isinstance(value, int) and not isinstance(value, bool)
            fits = whole and isinstance(value, int) and -bound <= value < bound
            return _expect(fits, path, value, f"a whole number of {bound.bit_length()} bits", value)


def _check_timestamp(path: str, value: object) -> object:
    wanted = "a time with its time zone, in UTC within the years 1 to 9999"
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        return _refuse(path, value, wanted)
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        return _refuse(path, value, wanted)


def _check_number(node: Node, path: str, value: object) -> object:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _refuse(path, value, "a number")
    single = node.kind is Kind.FLOAT
    try:
        # fastavro would make an infinity of what is too large for single precision.
        struct.pack("<f" if single else "<d", value)
    except (OverflowError, struct.error):
        return _refuse(path, value, f"a number of {'single' if single else 'double'} precision")
    return value


def _check_bytes(node: Node, path: str, value: object) -> object:
    if node.logical == "decimal":
        return _check_decimal(node, path, value)
    raw = isinstance(value, bytes)
    if node.kind is Kind.FIXED:
        fits = isinstance(value, bytes) and len(value) == node.size
        return _expect(fits, path, value, f"{node.size} bytes", value)
    return _expect(raw, path, value, "bytes", value)


def _check_decimal(node: Node, path: str, value: object) -> object:
    wanted = f"a decimal of {node.precision} digits, {node.scale} after the point"
    if not isinstance(value, decimal.Decimal) or not value.is_finite():
        return _expect(False, path, value, wanted, value)
    _, digits, exponent = value.as_tuple()
    after_point = max(0, -int(exponent))
    if not value and after_point <= node.scale:
        return decimal.Decimal(0)
    total = len(digits) + max(0, int(exponent)) + node.scale - after_point
    return _expect(
        after_point <= node.scale and total <= node.precision, path, value, wanted, value
    )


def _check_string(node: Node, path: str, value: object) -> object:
    if node.logical == "uuid":
        if isinstance(value, uuid.UUID):
            return value
        try:
            return uuid.UUID(value) if isinstance(value, str) else _refuse(path, value, "a UUID")
        except ValueError:
            return _refuse(path, value, "a UUID")
    if not isinstance(value, str):
        return _refuse(path, value, "text")
    if "\0" in value:
        raise RecordInvalid(f"{path}: the text contains U+0000, which databases cannot store")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RecordInvalid(f"{path}: not valid Unicode text") from None
    return value


def _check_union(node: Node, path: str, value: object, depth: int) -> object:
    branches = [child for child in node.children if child.kind is not Kind.NULL]
    if value is None:
        return _expect(len(branches) < len(node.children), path, value, "a value", None)
    return check_value(branches[0], path, value, depth)


def _check_container(node: Node, path: str, value: object, depth: int) -> object:
    if depth >= MAX_DEPTH:
        raise RecordInvalid(f"{path}: nested over {MAX_DEPTH} levels")
    if node.kind is Kind.ARRAY:
        if not isinstance(value, list | tuple):
            return _refuse(path, value, "a list")
        return [
            check_value(node.children[0], f"{path}[{index}]", each, depth + 1)
            for index, each in enumerate(value)
        ]
    if not isinstance(value, Mapping):
        return _refuse(path, value, "a mapping")
    if node.kind is Kind.MAP:
        text = Node(Kind.STRING)
        return {
            check_value(text, f"{path} (key)", key): check_value(
                node.children[0], f"{path}.{key}", each, depth + 1
            )
            for key, each in value.items()
        }
    return check_record(node, path, value, depth + 1)


def check_record(
    node: Node, path: str, value: Mapping[str, object], depth: int = 1
) -> dict[str, object]:
    """Return the fields of the record `value` as fastavro wants them, or raise `RecordInvalid`."""
    unknown = value.keys() - set(node.field_names)
    if unknown:
        raise RecordInvalid(f"{path or 'record'}: there is no item {min(unknown)!r}")
    checked: dict[str, object] = {}
    for name, child in zip(node.field_names, node.children, strict=True):
        inner = f"{path}.{name}" if path else name
        if name not in value and child.kind is not Kind.UNION:
            raise RecordInvalid(f"{inner}: the item is missing")
        checked[name] = check_value(child, inner, value.get(name), depth)
    return checked


def from_text(node: Node, text: str) -> object:
    """
    Return what a cell of a table says for an item of the type `node`.

    An empty cell of a nullable item is null. Raise ValueError if the text says nothing for it.
    """
    if node.kind is Kind.UNION:
        if text == "":
            return None
        return from_text(next(c for c in node.children if c.kind is not Kind.NULL), text)
    match node.kind:
        case Kind.STRING | Kind.ENUM:
            return text
        case Kind.BOOLEAN:
            if text.lower() not in _BOOLEANS:
                raise ValueError("not a boolean")
            return _BOOLEANS[text.lower()]
        case Kind.INT | Kind.LONG if node.logical is None:
            return int(text)
        case Kind.FLOAT | Kind.DOUBLE:
            return float(text)
        case Kind.ARRAY | Kind.MAP | Kind.RECORD:
            raise ValueError("nested items cannot come from a table; use NDJSON")
        case _:
            return from_json(node, text)


def from_json(node: Node, value: Any) -> Any:  # noqa: ANN401 (JSON)
    """
    Return what a JSON value says for an item of the type `node`; nested values too.

    Dates and times are ISO 8601 text, decimals text or numbers, bytes base64. Numbers with a point
    may come as `Decimal`, so that none of their digits is lost. What does not fit is returned as it
    is, for `check_value` to refuse by name, or raises ValueError.
    """
    match node.kind:
        case Kind.UNION:
            if value is None:
                return None
            return from_json(next(c for c in node.children if c.kind is not Kind.NULL), value)
        case Kind.INT | Kind.LONG if node.logical is not None and isinstance(value, str):
            return _TIMES[node.logical](value)
        case Kind.BYTES | Kind.FIXED if node.logical == "decimal":
            return _decimal(value)
        case Kind.BYTES | Kind.FIXED if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error as error:
                raise ValueError(f"not base64: {error}") from error
        case Kind.FLOAT | Kind.DOUBLE if isinstance(value, decimal.Decimal):
            if math.isinf(number := float(value)):
                raise ValueError(f"{value} is too large for a number")
            return number
        case Kind.ARRAY if isinstance(value, list):
            return [from_json(node.children[0], each) for each in value]
        case Kind.MAP if isinstance(value, dict):
            return {key: from_json(node.children[0], each) for key, each in value.items()}
        case Kind.RECORD if isinstance(value, dict):
            named = dict(zip(node.field_names, node.children, strict=True))
            return {
                key: from_json(named[key], each) if key in named else each
                for key, each in value.items()
            }
        case _:
            return value


def _decimal(value: object) -> decimal.Decimal:
    try:
        return decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        raise ValueError(f"not a decimal: {value!r}") from None


_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}
_TIMES: Final[Mapping[str, Callable[[str], object]]] = {
    "date": dt.date.fromisoformat,
    "time-millis": dt.time.fromisoformat,
    "time-micros": dt.time.fromisoformat,
    "timestamp-millis": dt.datetime.fromisoformat,
    "timestamp-micros": dt.datetime.fromisoformat,
}


def _expect(holds: object, path: str, value: object, wanted: str, result: object) -> object:
    return result if holds else _refuse(path, value, wanted)


def _refuse(path: str, value: object, wanted: str) -> object:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
    raise RecordInvalid(f"{path}: {wanted} is wanted, not {shown}")


_SHOWN_CHARACTERS: Final = 60
