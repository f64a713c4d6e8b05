"""
Tell from a record's bytes which Kafka key it must have (design.md §4), and which keys none has.

What identifies a record has one spelling. A delete has nothing but its key: one that no record can
have would stop a sink, which reads its key columns from it, or name another row than it seems to.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from bus.domain.record_key import KeyPart, record_key
from bus.errors import ContractError, MalformedRecord
from bus.views.filter_values import compile_decode
from bus.views.schema_tree import Kind, Node

#: (value, where each field ends) -> the key; see `Walker.fields`.
ExpectedKey: TypeAlias = Callable[[bytes, Sequence[int]], bytes]
#: Whether a record may have this key, which is valid UTF-8.
PossibleKey: TypeAlias = Callable[[bytes], bool]

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TEXT: Final = (Kind.STRING, None)
_BITS: Final = {Kind.INT: 31, Kind.LONG: 63}


def text_key(root: Node, key_items: Sequence[str]) -> int:
    """Return the place of the one key item if it is a text, which is the key as it is; else -1."""
    places = [root.field_names.index(name) for name in key_items]
    nodes = [root.children[at] for at in places]
    return places[0] if [(each.kind, each.logical) for each in nodes] == [_TEXT] else -1


def expected_key(root: Node, key_items: Sequence[str]) -> ExpectedKey:
    """Return a function that computes the key of records of the schema `root`."""
    places = [root.field_names.index(name) for name in key_items]
    nodes = [root.children[place] for place in places]
    decodes = [compile_decode(node) for node in nodes]

    def key(value: bytes, ends: Sequence[int]) -> bytes:
        parts = [
            _part(decode(value, ends[place])[0])
            for decode, place in zip(decodes, places, strict=True)
        ]
        for node, part in zip(nodes, parts, strict=True):
            if node.logical == "uuid" and not _is_spelled(node, part):
                raise MalformedRecord("KEY_INVALID", "a UUID of a key must be in lower case")
        return record_key(parts)

    return key


def possible_key(root: Node, key_items: Sequence[str]) -> PossibleKey:
    """Return a function that tells whether records of the schema `root` may have a key."""
    nodes = [root.children[root.field_names.index(name)] for name in key_items]

    def possible(key: bytes) -> bool:
        parts = [_alone(nodes[0], key.decode())] if len(nodes) == 1 else _listed(key)
        spelled = len(parts) == len(nodes) and all(map(_is_spelled, nodes, parts))
        return spelled and record_key(parts) == key

    return possible


def _alone(node: Node, text: str) -> KeyPart:
    """Return the one part of a key: a number if it is to be one, and looks like one."""
    integer = node.kind in _BITS and node.logical is None and _INTEGER.fullmatch(text)
    return int(text) if integer else text


def _listed(key: bytes) -> list[KeyPart]:
    """Return the parts of a key that is a JSON array of texts and integers; none if it is none."""
    try:
        parts = json.loads(key)
    except (ValueError, RecursionError):
        return []
    if not isinstance(parts, list) or not all(type(part) in (str, int) for part in parts):
        return []
    return parts


def _is_spelled(node: Node, part: KeyPart) -> bool:
    """Tell whether a key item of the type `node` may look so in a key."""
    if node.kind in _BITS and node.logical is None:
        bound = 1 << _BITS[node.kind]
        return isinstance(part, int) and -bound <= part < bound
    if not isinstance(part, str):
        return False
    if node.kind is Kind.ENUM:
        return part in node.symbols
    if node.logical == "uuid":
        return _UUID.fullmatch(part) is not None
    if node.logical == "date":
        return _is_date(part)
    return "\0" not in part


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(dt.date.fromisoformat(text))
    except ValueError:
        return False


def _part(value: object) -> KeyPart:
    match value:
        case dt.datetime():
            return value.date()
        case str() | int():
            return value
        case _:
            raise ContractError(f"{type(value).__name__} cannot be part of a record key")
