"""
Find the common forms of row filters, and compile them to functions of Python.

Comparisons of items with literals and with each other, `in` a list of literals, `startsWith`,
`endsWith`, `contains`, and what `!`, `&&` and `||` make of them. A function is a tenth of the price
of the engine; the kernel does better still where it can (`bus.views.byte_test`). What is not among
these forms is the engine's, and values that are not of the type that is asked for. The answer is
the same, as property tests hold.
"""

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from lark import Token, Tree

from bus.adapters.cel.syntax import Node, inner, listed, literal
from bus.views.filter_form import (
    Among,
    Both,
    Compared,
    ComparedItems,
    Either,
    FilterForm,
    IsTrue,
    Negated,
    Relation,
    TextRelation,
    TextTested,
)
from bus.views.row_filter import FilterType

#: Values by item -> whether the record matches; None: the evaluation failed. Raises `AskEngine`.
Test: TypeAlias = Callable[[Mapping[str, Any]], bool | None]


class AskEngine(Exception):
    """A nullable item holds what only the engine can compare."""


class _Unknown(Exception):
    """The expression, or a part of it, is none of the common forms."""


_RELATIONS: Final[Mapping[str, Relation]] = {
    "relation_eq": Relation.EQUAL,
    "relation_ne": Relation.DIFFERENT,
    "relation_lt": Relation.LESS,
    "relation_le": Relation.AT_MOST,
    "relation_gt": Relation.GREATER,
    "relation_ge": Relation.AT_LEAST,
}
#: The same with both sides exchanged.
_TURNED: Final[Mapping[Relation, Relation]] = {
    Relation.EQUAL: Relation.EQUAL,
    Relation.DIFFERENT: Relation.DIFFERENT,
    Relation.LESS: Relation.GREATER,
    Relation.AT_MOST: Relation.AT_LEAST,
    Relation.GREATER: Relation.LESS,
    Relation.AT_LEAST: Relation.AT_MOST,
}
_OPERATORS: Final[Mapping[Relation, Callable[[Any, Any], bool]]] = {
    Relation.EQUAL: operator.eq,
    Relation.DIFFERENT: operator.ne,
    Relation.LESS: operator.lt,
    Relation.AT_MOST: operator.le,
    Relation.GREATER: operator.gt,
    Relation.AT_LEAST: operator.ge,
}
#: A null differs from every value, and is neither less nor more than any.
_OF_NULL: Final = {Relation.EQUAL: False, Relation.DIFFERENT: True}
_TEXT_TESTS: Final[Mapping[TextRelation, Callable[[str, str], bool]]] = {
    TextRelation.STARTS_WITH: str.startswith,
    TextRelation.ENDS_WITH: str.endswith,
    TextRelation.CONTAINS: str.__contains__,
}
_STRINGS: Final = frozenset({"STRING_LIT", "MLSTRING_LIT"})
_ALL: Final = _STRINGS | {"INT_LIT", "FLOAT_LIT", "BOOL_LIT"}
#: What literals an item may be compared with here: of its own type.
_LITERALS: Final[Mapping[FilterType, frozenset[str]]] = {
    FilterType.STRING: _STRINGS,
    FilterType.INT: frozenset({"INT_LIT"}),
    FilterType.DOUBLE: frozenset({"FLOAT_LIT"}),
    FilterType.BOOL: frozenset({"BOOL_LIT"}),
    FilterType.DYN: _ALL,
}


# --- From the expression to its form --------------------------------------------------------------


def find_form(tree: Tree[Token], types: Mapping[str, FilterType]) -> FilterForm | None:
    """Return the form of the parsed filter `tree`; None if it is none of the common ones."""
    try:
        return _form(tree, types)
    except _Unknown:
        return None


def _form(tree: Node, types: Mapping[str, FilterType]) -> FilterForm:
    node = inner(tree)
    if not isinstance(node, Tree):
        raise _Unknown
    match str(node.data), node.children:
        case "conditionaland", [one, other]:
            return Both(_form(one, types), _form(other, types))
        case "conditionalor", [one, other]:
            return Either(_form(one, types), _form(other, types))
        case "unary", [Tree(data="unary_not"), negated]:
            return Negated(_form(negated, types))
        case "relation", [Tree() as relation, right]:
            return _relation(relation, right, types)
        case "member_dot_arg", [item, Token() as method, arguments]:
            return _method(item, str(method), arguments, types)
        case "ident", [name] if types.get(str(name)) is FilterType.BOOL:
            return IsTrue(str(name))
        case _:
            raise _Unknown


def _relation(relation: Tree[Token], right: Node, types: Mapping[str, FilterType]) -> FilterForm:
    if len(relation.children) != 1:
        raise _Unknown
    sides = inner(relation.children[0]), inner(right)
    items = [_item(side, types) for side in sides]
    if relation.data == "relation_in" and items[0] is not None:
        return _among(items[0], sides[1], types)
    kind = _RELATIONS.get(str(relation.data))
    if kind is None:
        raise _Unknown
    match items:
        case [str() as name, None]:
            return _compared(name, kind, sides[1], types[name])
        case [None, str() as name]:
            return _compared(name, _TURNED[kind], sides[0], types[name])
        case [str() as one, str() as other] if types[one] is types[other] is not FilterType.DYN:
            return ComparedItems(one, kind, other)
        case _:
            raise _Unknown


def _compared(name: str, kind: Relation, side: Node, item_type: FilterType) -> Compared:
    if item_type is FilterType.DYN and _is_null(side):
        if kind not in _OF_NULL:
            raise _Unknown
        return Compared(name, kind, None)
    value = literal(side, _LITERALS[item_type])
    if value is None:
        raise _Unknown
    return Compared(name, kind, value)


def _among(name: str, side: Node, types: Mapping[str, FilterType]) -> Among:
    written = listed(side)
    item_type = types[name]
    # Numbers that are equal to a number of another type are left to the engine.
    if written is None or item_type not in {FilterType.STRING, FilterType.INT, FilterType.DYN}:
        raise _Unknown
    kinds = _STRINGS if item_type is FilterType.DYN else _LITERALS[item_type]
    wanted = frozenset(literal(each, kinds) for each in written)
    if None in wanted:
        raise _Unknown
    return Among(name, wanted)


def _method(
    item: Node, method: str, arguments: Node, types: Mapping[str, FilterType]
) -> TextTested:
    name = _item(inner(item), types)
    if name is None or method not in set(TextRelation) or not isinstance(arguments, Tree):
        raise _Unknown
    if len(arguments.children) != 1:
        raise _Unknown
    text = literal(inner(arguments.children[0]), _STRINGS)
    if not isinstance(text, str) or types[name] not in {FilterType.STRING, FilterType.DYN}:
        raise _Unknown
    return TextTested(name, TextRelation(method), text)


def _item(node: Node, types: Mapping[str, FilterType]) -> str | None:
    """Return the name of the item that `node` is, if it is of a type that is compared here."""
    if isinstance(node, Tree) and node.data == "ident":
        name = str(node.children[0])
        return name if types.get(name) in _LITERALS else None
    return None


def _is_null(node: Node) -> bool:
    if not isinstance(node, Tree) or node.data != "literal":
        return False
    (token,) = node.children
    return isinstance(token, Token) and token.type == "NULL_LIT"


# --- From the form to a function ------------------------------------------------------------------


def compile_common(tree: Tree[Token], types: Mapping[str, FilterType]) -> Test | None:
    """Return the test that the parsed filter `tree` is; None if it is none of the common forms."""
    form = find_form(tree, types)
    return None if form is None else compile_form(form, types)


def compile_form(form: FilterForm, types: Mapping[str, FilterType]) -> Test:
    """Return the test that `form` is."""
    match form:
        case Both(one, other):
            return partial(_both, compile_form(one, types), compile_form(other, types))
        case Either(one, other):
            return partial(_either, compile_form(one, types), compile_form(other, types))
        case Negated(negated):
            return partial(_not, compile_form(negated, types))
        case IsTrue(name):
            return operator.itemgetter(name)
        case ComparedItems(first, relation, second):
            return partial(_compare_items, _OPERATORS[relation], first, second)
        case Compared(name, relation, None):
            return partial(_is_or_not, name, relation is Relation.EQUAL)
        case Compared(name, relation, value):
            compare = _OPERATORS[relation]
            test = partial(_compare, compare, value)
            return _of_item(name, type(value), _OF_NULL.get(relation), test, types)
        case Among(name, values):
            # Of a nullable item, only texts.
            return _of_item(name, str, False, values.__contains__, types)
        case TextTested(name, asked, text):
            return _of_item(name, str, None, partial(_ask, _TEXT_TESTS[asked], text), types)


def _of_item(
    name: str,
    wanted: type,
    of_null: bool | None,  # noqa: FBT001
    test: Callable[[Any], bool],
    types: Mapping[str, FilterType],
) -> Test:
    if types[name] is FilterType.DYN:
        return partial(_of_type, name, wanted, of_null, test)
    return lambda values: test(values[name])


def _of_type(
    name: str,
    wanted: type,
    of_null: bool | None,  # noqa: FBT001
    test: Callable[[Any], bool],
    values: Mapping[str, Any],
) -> bool | None:
    """Test a nullable item."""
    held = values[name]
    if held is None:
        return of_null
    if type(held) is not wanted:
        raise AskEngine
    return test(held)


def _compare(compare: Callable[[Any, Any], bool], value: object, held: object) -> bool:
    return compare(held, value)


def _ask(test: Callable[[str, str], bool], text: str, held: str) -> bool:
    return test(held, text)


def _is_or_not(name: str, wanted: bool, values: Mapping[str, Any]) -> bool:  # noqa: FBT001
    return (values[name] is None) is wanted


def _compare_items(
    compare: Callable[[Any, Any], bool], one: str, other: str, values: Mapping[str, Any]
) -> bool:
    return compare(values[one], values[other])


def _both(one: Test, other: Test, values: Mapping[str, Any]) -> bool | None:
    first = one(values)
    if first is False:
        return False
    second = other(values)
    return second if first or second is False else None


def _either(one: Test, other: Test, values: Mapping[str, Any]) -> bool | None:
    first = one(values)
    if first:
        return True
    second = other(values)
    return second if first is False or second else None


def _not(test: Test, values: Mapping[str, Any]) -> bool | None:
    found = test(values)
    return None if found is None else not found
