"""
Find in a row filter what an index can answer: which values an item must have for a match.

Only forms are looked at whose other outcome is certainly "no match" and never an error, so that
leaving the evaluation out changes neither the rows nor the count of errors: comparisons of an item
with texts or integers by `==` and `in`, and what `&&` and `||` make of them.
"""

from collections.abc import Mapping

from lark import Token, Tree

from bus.adapters.cel.syntax import inner, listed, literal
from bus.views.row_filter import Equality, FilterType

#: Which literals an item may be compared with by hash. A nullable item holds values of one type or
#: null, and nothing but a text is equal to a text.
_LITERALS: Mapping[FilterType, frozenset[str]] = {
    FilterType.STRING: frozenset({"STRING_LIT", "MLSTRING_LIT"}),
    FilterType.DYN: frozenset({"STRING_LIT", "MLSTRING_LIT"}),
    FilterType.INT: frozenset({"INT_LIT"}),
}
_PAIR = 2


def find_equality(tree: Tree[Token], types: Mapping[str, FilterType]) -> Equality | None:
    """Return what the parsed filter `tree` demands of one item; None if nothing is certain."""
    node = inner(tree)
    if not isinstance(node, Tree) or len(node.children) != _PAIR:
        return None
    match str(node.data):
        case "conditionaland":
            return _both(*(_child(node, at, types) for at in range(_PAIR)))
        case "conditionalor":
            return _either(*(_child(node, at, types) for at in range(_PAIR)))
        case "relation":
            return _comparison(node, types)
        case _:
            return None


def _child(node: Tree[Token], at: int, types: Mapping[str, FilterType]) -> Equality | None:
    child = node.children[at]
    return find_equality(child, types) if isinstance(child, Tree) else None


def _both(one: Equality | None, other: Equality | None) -> Equality | None:
    if one is None or other is None:
        known = one or other
        return None if known is None else Equality(known.item, known.values, exact=False)
    if one.item == other.item:
        return Equality(one.item, one.values & other.values, exact=one.exact and other.exact)
    fewer = min(one, other, key=lambda each: len(each.values))
    return Equality(fewer.item, fewer.values, exact=False)


def _either(one: Equality | None, other: Equality | None) -> Equality | None:
    if one is None or other is None or one.item != other.item:
        return None
    return Equality(one.item, one.values | other.values, exact=one.exact and other.exact)


def _comparison(node: Tree[Token], types: Mapping[str, FilterType]) -> Equality | None:
    relation, right = node.children
    if not isinstance(relation, Tree) or len(relation.children) != 1:
        return None
    sides = [inner(each) for each in (relation.children[0], right)]
    match str(relation.data):
        case "relation_eq":
            # Which side the item stands on does not matter.
            for item, other in (sides, reversed(sides)):
                if (name := _item(item, types)) is not None:
                    return _equality(name, [other], types)
        case "relation_in":
            values = listed(sides[1])
            if (name := _item(sides[0], types)) is not None and values is not None:
                return _equality(name, values, types)
    return None


def _equality(
    item: str, literals: "list[Tree[Token] | Token]", types: Mapping[str, FilterType]
) -> Equality | None:
    values = [literal(each, _LITERALS[types[item]]) for each in literals]
    if any(each is None for each in values):
        return None
    return Equality(item, frozenset(values), exact=True)


def _item(node: "Tree[Token] | Token", types: Mapping[str, FilterType]) -> str | None:
    """Return the name of the item that `node` is, if it can be looked up."""
    if isinstance(node, Tree) and node.data == "ident":
        name = str(node.children[0])
        return name if types.get(name) in _LITERALS else None
    return None
