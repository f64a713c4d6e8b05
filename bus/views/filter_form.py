"""
The common forms of row filters as trees: what can be told of a record without an engine.

A reader of CEL finds the form of an expression; the kernel tests it on the bytes of a record
(`byte_test`).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Relation(StrEnum):
    """How an item is compared."""

    EQUAL = "=="
    DIFFERENT = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


class TextRelation(StrEnum):
    """What is asked of a text."""

    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"
    CONTAINS = "contains"


@dataclass(frozen=True, slots=True)
class Compared:
    """An item beside a literal; None is null, which is only equal or different."""

    item: str
    relation: Relation
    value: object


@dataclass(frozen=True, slots=True)
class ComparedItems:
    """Two items of one type."""

    one: str
    relation: Relation
    other: str


@dataclass(frozen=True, slots=True)
class Among:
    """An item that is one of several texts or integers."""

    item: str
    values: frozenset[object]


@dataclass(frozen=True, slots=True)
class TextTested:
    """An item's text and a part of it."""

    item: str
    relation: TextRelation
    text: str


@dataclass(frozen=True, slots=True)
class IsTrue:
    """A boolean item that is never null."""

    item: str


@dataclass(frozen=True, slots=True)
class Both:
    """`&&`: what is false on one side is false, though the other fails."""

    one: "FilterForm"
    other: "FilterForm"


@dataclass(frozen=True, slots=True)
class Either:
    """`||`: what is true on one side is true, though the other fails."""

    one: "FilterForm"
    other: "FilterForm"


@dataclass(frozen=True, slots=True)
class Negated:
    """`!`: what fails still fails."""

    form: "FilterForm"


FilterForm: TypeAlias = (
    Compared | ComparedItems | Among | TextTested | IsTrue | Both | Either | Negated
)
