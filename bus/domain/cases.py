"""
Cases: whatever has a life of its own in the control plane, and by what each kind is looked for.

The store keeps the newest state of each case; its history is in the audit log.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseIndex:
    """By what a case is looked for; what does not apply is empty."""

    id: str
    jurisdiction: str
    state: str
    resource: str = ""
    provider: str = ""
    consumer: str = ""


@dataclass(frozen=True, slots=True)
class CaseKind(Generic[T]):
    """A kind of case: its name, its value's type, its index."""

    name: str
    type: type[T]
    index: Callable[[T], CaseIndex]


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """A case as it is, with the version that an edit has to name."""

    value: T
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which cases to list; None: any."""

    jurisdiction: str | None = None
    states: frozenset[str] | None = None
    resource: str | None = None
    provider: str | None = None
    consumer: str | None = None
    party: str | None = None
    """The organisation is the provider or the consumer."""
