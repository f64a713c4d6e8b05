"""
Make what stands in a view in the place of an item that is not kept as it is (design.md §5).

The bytes have passed the walker, so nothing is checked here.
"""

from collections.abc import Callable
from typing import TypeAlias

from bus.domain.masking import FIXED_TEXT, partly
from bus.domain.pseudonyms import pseudonym
from bus.domain.view import Treatment
from bus.errors import ContractError
from bus.views.schema_tree import Kind, Node
from bus.views.walker import read_varint, write_varint

#: (record, where the item starts, where it ends) -> the item as the view has it.
Treat: TypeAlias = Callable[[bytes, int, int], bytes]


def compile_treatment(
    treatment: Treatment, node: Node, *, pseudonym_key: bytes | None = None
) -> Treat | None:
    """
    Return what to do with items of the type `node`; None: copy them.

    Pseudonyms need their key. Raise `ContractError` for a treatment that such items cannot have:
    the grant was checked.
    """
    match treatment:
        case Treatment.KEEP:
            return None
        case Treatment.NULL:
            # What may not be null in the source is a union in the view, with null first.
            return _constant(_branch(node, Kind.NULL))
        case Treatment.FIXED if _is_text(node):
            return _constant(_branch(node, Kind.STRING) + _text(FIXED_TEXT))
        case Treatment.PARTIAL if _is_text(node):
            return _or_null(_partly, node)
        case Treatment.HMAC if _is_text(node) and pseudonym_key is not None:
            return _or_null(_pseudonymous(pseudonym_key), node)
        case _:
            raise ContractError(f"an item of type {node.kind.value} cannot be treated: {treatment}")


def _is_text(node: Node) -> bool:
    branches = node.children if node.kind is Kind.UNION else [node]
    kinds = {each.kind for each in branches} - {Kind.NULL}
    return kinds == {Kind.STRING} and all(each.logical is None for each in branches)


def _branch(node: Node, kind: Kind) -> bytes:
    """Return what stands before a value of `kind` where `node` is, or becomes, a union."""
    if node.kind is Kind.UNION:
        return write_varint([each.kind for each in node.children].index(kind))
    return write_varint(0) if kind is Kind.NULL else b""


def _constant(written: bytes) -> Treat:
    return lambda _value, _start, _end: written


def _partly(value: bytes, start: int, end: int) -> bytes:
    _, text = read_varint(value, start)
    return _text(partly(value[text:end].decode()))


def _pseudonymous(key: bytes) -> Treat:
    def treat(value: bytes, start: int, end: int) -> bytes:
        _, text = read_varint(value, start)
        return _text(pseudonym(key, value[text:end]))

    return treat


def _or_null(of_text: Treat, node: Node) -> Treat:
    """Return `of_text` for items that may be null, if `node` is such: null stays null."""
    if node.kind is not Kind.UNION:
        return of_text
    null = _branch(node, Kind.NULL)

    def treat(value: bytes, start: int, end: int) -> bytes:
        _, text = read_varint(value, start)
        branch = value[start:text]
        return branch if branch == null else branch + of_text(value, text, end)

    return treat


def _text(text: str) -> bytes:
    written = text.encode()
    return write_varint(len(written)) + written
