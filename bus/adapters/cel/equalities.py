"""
Find in a row filter what an index can answer: which values an item must have for a match.

Only forms are looked at whose other outcome is certainly "no match" and never an error, so that
leaving the evaluation out changes neither the rows nor the count of errors: comparisons of an item
with texts or integers by `==` and `in`, and what `&&` and `||` make of them.
"""

from collections.abc import Mapping

from cel_expr_python import cel
from lark import Token, Tree

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
    node = _inner(tree)
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
    sides = [_inner(each) for each in (relation.children[0], right)]
    match str(relation.data):
        case "relation_eq":
            # Which side the item stands on does not matter.
            for item, literal in (sides, reversed(sides)):
                if (name := _item(item, types)) is not None:
                    return _equality(name, [literal], types)
        case "relation_in":
            listed = _listed(sides[1])
            if (name := _item(sides[0], types)) is not None and listed is not None:
                return _equality(name, listed, types)
    return None


def _equality(
    item: str, literals: "list[Tree[Token] | Token]", types: Mapping[str, FilterType]
) -> Equality | None:
    values = [_value(each, _LITERALS[types[item]]) for each in literals]
    if any(each is None for each in values):
        return None
    return Equality(item, frozenset(values), exact=True)


def _item(node: "Tree[Token] | Token", types: Mapping[str, FilterType]) -> str | None:
    """Return the name of the item that `node` is, if it can be looked up."""
    if isinstance(node, Tree) and node.data == "ident":
        name = str(node.children[0])
        return name if types.get(name) in _LITERALS else None
    return None


def _listed(node: "Tree[Token] | Token") -> "list[Tree[Token] | Token] | None":
    if not isinstance(node, Tree) or node.data != "list_lit":
        return None
    if not node.children:
        return []
    expressions = node.children[0]
    return (
        [_inner(each) for each in expressions.children] if isinstance(expressions, Tree) else None
    )


def _value(node: "Tree[Token] | Token", wanted: frozenset[str]) -> object:
    """Return the value of a literal as the engine reads it; None if it is none of `wanted`."""
    if not isinstance(node, Tree) or node.data != "literal":
        return None
    token = node.children[0]
    if not isinstance(token, Token) or token.type not in wanted:
        return None
    return cel.NewEnv().compile(str(token)).eval(data={}).value()


#: What only stands around something else when it has one child.
_AROUND = frozenset(
    "expr conditionalor conditionaland relation addition multiplication unary member primary "
    "paren_expr".split()
)


def _inner(node: "Tree[Token] | Token") -> "Tree[Token] | Token":
    """Return what is left of `node` without what only stands around it."""
    while isinstance(node, Tree) and node.data in _AROUND and len(node.children) == 1:
        node = node.children[0]
    return node
