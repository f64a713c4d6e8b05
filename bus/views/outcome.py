"""
What becomes of a source record, for the views of a plan.

The module is compiled where there is a C compiler: `outcome.pxd` has the types.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

#: (position in the source partition, key, value); value None is a delete.
SourceRecord: TypeAlias = tuple[int, bytes | None, bytes | None]


# Not a dataclass, because each record is one of these: compiled, a new one costs next to nothing.
# (What is compiled says of no method that it overrides another.)
class Upsert:
    """
    The record exists; `projections` are (view index, value) of the views it belongs to.

    Most often it is one view, whose `index` and `value` are there without them; else `value` is
    None.
    """

    __match_args__ = ("projections",)

    def __init__(self, projections: tuple[tuple[int, bytes], ...]) -> None:
        self.index = -1
        self.value: bytes | None = None
        self._projections: tuple[tuple[int, bytes], ...] | None = projections
        if len(projections) == 1:
            self.index, self.value = projections[0]

    @property
    def projections(self) -> tuple[tuple[int, bytes], ...]:
        """View index and value of each view."""
        if self._projections is None and self.value is not None:
            self._projections = ((self.index, self.value),)
        return self._projections or ()

    def __eq__(self, other: object) -> bool:  # type: ignore[explicit-override]
        return isinstance(other, Upsert) and self.projections == other.projections

    def __hash__(self) -> int:  # type: ignore[explicit-override]
        return hash(self.projections)

    def __repr__(self) -> str:  # type: ignore[explicit-override]
        return f"Upsert({self.projections!r})"


def in_one_view(index: int, value: bytes) -> Upsert:
    """Return what says that a record is in one view, compiled without a call."""
    made = Upsert.__new__(Upsert)
    made.index = index
    made.value = value
    made._projections = None  # noqa: SLF001
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
