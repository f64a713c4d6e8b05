"""What a parsed CEL expression looks like: cel-python's tree, without what only stands around."""

from collections.abc import Collection
from typing import TypeAlias

from cel_expr_python import cel
from lark import Token, Tree

Node: TypeAlias = Tree[Token] | Token


def listed(node: Node) -> list[Node] | None:
    """Return the expressions of a list; None if `node` is none."""
    if not isinstance(node, Tree) or node.data != "list_lit":
        return None
    if not node.children:
        return []
    expressions = node.children[0]
    return [inner(each) for each in expressions.children] if isinstance(expressions, Tree) else None


def literal(node: Node, wanted: Collection[str]) -> object:
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


def inner(node: Node) -> Node:
    """Return what is left of `node` without what only stands around it."""
    while isinstance(node, Tree) and node.data in _AROUND and len(node.children) == 1:
        node = node.children[0]
    return node
