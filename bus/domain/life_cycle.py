"""
Life cycles: which trigger leads from which state to which (requirements.md §6).

A life cycle is a table. The functions that carry out a trigger ask the table first, so that what
is not listed is refused with the state that forbids it, and the reference is made from the tables.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from bus.errors import StateConflict

StateT = TypeVar("StateT", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Step(Generic[StateT]):
    """One line of the table: what a trigger does in a state, and on which condition."""

    state: StateT
    trigger: str
    next: StateT
    condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeCycle(Generic[StateT]):
    """All that may happen to one kind of thing."""

    name: str
    """What people call the thing; how its messages begin."""
    states: type[StateT]
    initial: StateT
    steps: tuple[Step[StateT], ...]

    @property
    def triggers(self) -> tuple[str, ...]:
        """Every trigger once, in the order of the table."""
        return tuple(dict.fromkeys(step.trigger for step in self.steps))

    def follow(self, state: StateT, trigger: str) -> tuple[StateT, ...]:
        """Return the states to which `trigger` may lead from `state`; none: it is not listed."""
        return tuple(
            step.next for step in self.steps if step.state is state and step.trigger == trigger
        )

    def require(self, subject: str, state: StateT, trigger: str) -> None:
        """Refuse `trigger` where it is not listed; the message names the current state."""
        if trigger not in self.triggers:
            raise LookupError(f"{self.name} has no trigger {trigger!r}")
        if not self.follow(state, trigger):
            raise StateConflict(
                f"{self.name} {subject} is {state}; `{trigger}` is not possible in that state"
            )

    def move(
        self, subject: str, state: StateT, trigger: str, *, to: StateT | None = None
    ) -> StateT:
        """
        Return the state after `trigger`, or refuse it as `require` does.

        `to` chooses where the table lists several. A choice that it does not list is a fault of
        the program (`LookupError`): no value ever gets into a state outside the table.
        """
        self.require(subject, state, trigger)
        listed = self.follow(state, trigger)
        if to is None and len(listed) == 1:
            return listed[0]
        if to is None or to not in listed:
            raise LookupError(f"{self.name}: {state} --{trigger}--> {to} is not listed")
        return to
