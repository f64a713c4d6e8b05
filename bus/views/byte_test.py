"""
Test the common forms of row filters on the bytes of a record, where its items stand.

No item is decoded to an object. A test is a table of numbers that one loop follows, as the walker's
schema is; the module is compiled where there is a C compiler: `byte_test.pxd` has the types.

What comes out is 1 (a match), 0 (none), or -1 (the evaluation failed: a null where a value is
needed), and the same that the engine says.
"""

from array import array
from collections.abc import Mapping
from typing import Any

from bus.views.filter_form import (
    Among,
    Both,
    Compared,
    Either,
    FilterForm,
    Negated,
    Relation,
    TextRelation,
    TextTested,
)
from bus.views.schema_tree import Kind, Node
from bus.views.walker import read_varint

#: What a row is. Numbers of the module, not an enum: the compiled loop compares them.
_BOTH = 0
_EITHER = 1
_NOT = 2
_IS_NULL = 3
_NUMBER = 4
_TEXT = 5
_AMONG_NUMBERS = 6
_AMONG_TEXTS = 7
#: How a row compares.
_EQUAL = 0
_DIFFERENT = 1
_LESS = 2
_AT_MOST = 3
_GREATER = 4
_AT_LEAST = 5
_STARTS_WITH = 6
_ENDS_WITH = 7
_CONTAINS = 8
_FAILED = -1
_RELATIONS = {
    Relation.EQUAL: _EQUAL,
    Relation.DIFFERENT: _DIFFERENT,
    Relation.LESS: _LESS,
    Relation.AT_MOST: _AT_MOST,
    Relation.GREATER: _GREATER,
    Relation.AT_LEAST: _AT_LEAST,
    TextRelation.STARTS_WITH: _STARTS_WITH,
    TextRelation.ENDS_WITH: _ENDS_WITH,
    TextRelation.CONTAINS: _CONTAINS,
}
_NO_BRANCH = -1


class _Beyond(Exception):
    """The form, or an item's type, is not tested on bytes."""


class _Table:
    """The rows while they are collected."""

    def __init__(self, places: Mapping[str, int], nodes: Mapping[str, Node]) -> None:
        self.rows: list[tuple[int, int, int, int, int]] = []
        #: The first is that of rows that have none.
        self.constants: list[object] = [None]
        self._places = places
        self._nodes = nodes

    def add(self, form: FilterForm) -> int:
        """Add `form` and what it consists of; return its row."""
        match form:
            case Both(one, other):
                return self._row(_BOTH, self.add(one), self.add(other))
            case Either(one, other):
                return self._row(_EITHER, self.add(one), self.add(other))
            case Negated(negated):
                return self._row(_NOT, self.add(negated), 0)
            case Compared(item, relation, value):
                return self._compared(item, relation, value)
            case Among(item, values):
                return self._among(item, values)
            case TextTested(item, asked, text):
                branch, kind = self._type(item)
                return self._of_item(item, branch, _TEXT, _text(kind, text), _RELATIONS[asked])
            case _:
                raise _Beyond

    def _compared(self, item: str, relation: Relation, value: object) -> int:
        branch, kind = self._type(item)
        if value is None:
            return self._of_item(item, branch, _IS_NULL, None, _RELATIONS[relation])
        if kind is Kind.STRING:
            return self._of_item(item, branch, _TEXT, _text(kind, value), _RELATIONS[relation])
        return self._of_item(item, branch, _NUMBER, _number(kind, value), _RELATIONS[relation])

    def _among(self, item: str, values: frozenset[object]) -> int:
        branch, kind = self._type(item)
        if kind is Kind.STRING:
            texts = frozenset(_text(kind, value) for value in values)
            return self._of_item(item, branch, _AMONG_TEXTS, texts, _EQUAL)
        numbers = frozenset(_number(kind, value) for value in values)
        return self._of_item(item, branch, _AMONG_NUMBERS, numbers, _EQUAL)

    def _type(self, item: str) -> tuple[int, Kind]:
        """Return which branch of the item is null, and of what kind it is else."""
        node = self._nodes[item]
        branch = _NO_BRANCH
        if node.kind is Kind.UNION:
            kinds = [child.kind for child in node.children]
            if len(kinds) != 2 or Kind.NULL not in kinds:  # noqa: PLR2004
                raise _Beyond
            branch = kinds.index(Kind.NULL)
            node = node.children[1 - branch]
        if node.logical is not None or node.kind not in {Kind.INT, Kind.LONG, Kind.STRING}:
            raise _Beyond
        return branch, node.kind

    def _of_item(self, item: str, branch: int, kind: int, constant: object, relation: int) -> int:
        self.constants.append(constant)
        return self._row(kind, self._places[item], branch, relation, len(self.constants) - 1)

    def _row(self, kind: int, one: int, other: int, relation: int = 0, constant: int = 0) -> int:
        self.rows.append((kind, one, other, relation, constant))
        return len(self.rows) - 1


def _text(kind: Kind, value: object) -> bytes:
    if kind is not Kind.STRING or not isinstance(value, str):
        raise _Beyond
    return value.encode()


def _number(kind: Kind, value: object) -> int:
    if kind is Kind.STRING or type(value) is not int:
        raise _Beyond
    return value


class ByteTest:
    """A filter over records of one writer schema."""

    def __init__(self, table: _Table, root: int) -> None:
        self._root = root
        kinds, ones, others, relations, constants = zip(*table.rows, strict=True)
        self._kinds = array("i", kinds)
        #: Rows that are combined; or the place of an item, and its branch that is null.
        self._ones = array("i", ones)
        self._others = array("i", others)
        self._relations = array("i", relations)
        self._constants: list[Any] = [table.constants[at] for at in constants]
        self._numbers = array(
            "q", [each if isinstance(each, int) else 0 for each in self._constants]
        )

    def matches(self, value: bytes, ends: "array[int]") -> int:
        """Return what the filter says of a record whose fields end at `ends`: 1, 0 or -1."""
        return self._step(self._root, value, ends)

    def _step(self, row: int, value: bytes, ends: "array[int]") -> int:
        kind = self._kinds[row]
        if kind >= _IS_NULL:
            return self._item(row, value, ends)
        first = self._step(self._ones[row], value, ends)
        if kind == _NOT:
            return first if first < 0 else 1 - first
        if kind == _BOTH:
            if first == 0:
                return 0
            second = self._step(self._others[row], value, ends)
            return second if first == 1 or second == 0 else _FAILED
        if first == 1:
            return 1
        second = self._step(self._others[row], value, ends)
        return second if first == 0 or second == 1 else _FAILED

    def _item(self, row: int, value: bytes, ends: "array[int]") -> int:
        kind = self._kinds[row]
        place = self._ones[row]
        position = ends[place]
        if self._others[row] >= 0:
            branch, position = read_varint(value, position)
            if branch == self._others[row]:
                return self._of_null(row)
        if kind == _IS_NULL:
            return 1 if self._relations[row] == _DIFFERENT else 0
        number, position = read_varint(value, position)
        if kind == _NUMBER:
            return self._compare(self._relations[row], number, self._numbers[row])
        if kind == _AMONG_NUMBERS:
            return 1 if number in self._constants[row] else 0
        held = value[position : ends[place + 1]]
        if kind == _AMONG_TEXTS:
            return 1 if held in self._constants[row] else 0
        return self._compare_text(self._relations[row], held, self._constants[row])

    def _of_null(self, row: int) -> int:
        """Return what the test of an item says of null, which differs from every value."""
        kind = self._kinds[row]
        relation = self._relations[row]
        if kind == _IS_NULL:
            return 1 if relation == _EQUAL else 0
        if relation == _EQUAL:
            return 0
        return 1 if relation == _DIFFERENT else _FAILED

    def _compare(self, relation: int, held: int, wanted: int) -> int:
        if relation == _EQUAL:
            return held == wanted
        if relation == _DIFFERENT:
            return held != wanted
        if relation == _LESS:
            return held < wanted
        if relation == _AT_MOST:
            return held <= wanted
        if relation == _GREATER:
            return held > wanted
        return held >= wanted

    def _compare_text(self, relation: int, held: bytes, wanted: bytes) -> int:
        """Compare texts: their order is that of their UTF-8 bytes."""
        if relation == _STARTS_WITH:
            return held.startswith(wanted)
        if relation == _ENDS_WITH:
            return held.endswith(wanted)
        if relation == _CONTAINS:
            return wanted in held
        if relation == _EQUAL:
            return held == wanted
        if relation == _DIFFERENT:
            return held != wanted
        if relation in (_LESS, _AT_MOST):
            return held < wanted or (relation == _AT_MOST and held == wanted)
        return held > wanted or (relation == _AT_LEAST and held == wanted)


def compile_byte_test(
    form: FilterForm | None, places: Mapping[str, int], nodes: Mapping[str, Node]
) -> ByteTest | None:
    """
    Return the test of `form` for records whose item `i` is field `places[i]`, a `nodes[i]`.

    None, if there is no form, or if it, or an item's type, is left to the engine.
    """
    if form is None:
        return None
    table = _Table(places, nodes)
    try:
        root = table.add(form)
    except _Beyond:
        return None
    return ByteTest(table, root)
