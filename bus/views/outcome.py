"""
What becomes of a source record, for the views of a plan.

The module is compiled where there is a C compiler: `outcome.pxd` has the types.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

#: (position in the source partition, key, value); value None is a delete.
SourceRecord: TypeAlias = tuple[int, bytes | None, bytes | None]


# Not a dataclass, because each record is one of these: compiled, a new one costs next to nothing.
# (What is compiled takes no decorators, so nothing says that methods override others.)
class Upsert:
    """The record exists; `projections` are (view index, value) of the views it belongs to."""

    __match_args__ = ("projections",)

    def __init__(self, projections: tuple[tuple[int, bytes], ...]) -> None:
        self.projections = projections

    def __eq__(self, other: object) -> bool:  # type: ignore[explicit-override]
        return isinstance(other, Upsert) and self.projections == other.projections

    def __hash__(self) -> int:  # type: ignore[explicit-override]
        return hash(self.projections)

    def __repr__(self) -> str:  # type: ignore[explicit-override]
        return f"Upsert({self.projections!r})"


def upsert(projections: tuple[tuple[int, bytes], ...]) -> Upsert:
    """Return what says `projections`, compiled without a call."""
    made = Upsert.__new__(Upsert)
    made.projections = projections
    return made


@dataclass(frozen=True, slots=True)
class Delete:
    """The record is gone, for every view that holds it."""


@dataclass(frozen=True, slots=True)
class Reject:
    """No view may have this: dead-letter it."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SchemaPending:
    """The writer schema is not in the policy (yet): wait a while, then dead-letter it."""

    schema_id: int


Outcome: TypeAlias = Upsert | Delete | Reject | SchemaPending

DELETE: Final = Delete()
#: The record exists, and belongs to none of the views.
NOWHERE: Final = Upsert(())
