"""Tell from a record's bytes which Kafka key it must have (design.md §4)."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bus.domain.record_key import KeyPart, record_key
from bus.errors import ContractError
from bus.views.filter_values import compile_decode
from bus.views.schema_tree import Kind, Node
from bus.views.walker import read_varint

#: (value, where each field ends) -> the key; see `plan._WriterPlan.walk`.
ExpectedKey: TypeAlias = Callable[[bytes, Sequence[int]], bytes]


def expected_key(root: Node, key_items: Sequence[str]) -> ExpectedKey:
    """Return a function that computes the key of records of the schema `root`."""
    places = [root.field_names.index(name) for name in key_items]
    nodes = [root.children[place] for place in places]
    if len(nodes) == 1 and nodes[0].kind is Kind.STRING:
        return _text_key(places[0])
    decodes = [compile_decode(node) for node in nodes]

    def key(value: bytes, ends: Sequence[int]) -> bytes:
        parts = [
            _part(decode(value, ends[place])[0])
            for decode, place in zip(decodes, places, strict=True)
        ]
        return record_key(parts)

    return key


def _text_key(place: int) -> ExpectedKey:
    def key(value: bytes, ends: Sequence[int]) -> bytes:
        _, start = read_varint(value, ends[place])
        return value[start : ends[place + 1]]

    return key


def _part(value: object) -> KeyPart:
    match value:
        case dt.datetime():
            return value.date()
        case str() | int():
            return value
        case _:
            raise ContractError(f"{type(value).__name__} cannot be part of a record key")
