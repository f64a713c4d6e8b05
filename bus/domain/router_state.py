"""What the router records of its own progress, in the transactions that make it (design.md §6)."""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a state record is about."""

    PARTITION = "PARTITION"
    """The source partition as a whole."""
    FILLING = "FILLING"
    """A view incarnation that is being given the present of the source."""
    LIVE = "LIVE"
    """A view incarnation that follows the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterState:
    """One state record; `start` and `next` are source positions, and matter while filling."""

    phase: Phase
    policy_version: int
    start: int = 0
    next: int = 0


def state_key(topic: str, partition: int, view_topic: str | None = None) -> str:
    """Return the key of the state of a source partition, or of one view incarnation in it."""
    return f"{topic}/{partition}" if view_topic is None else f"{topic}/{partition}/{view_topic}"


def parse_state_key(key: str) -> tuple[str, int, str | None]:
    """Return (source topic, partition, view topic) of a state key."""
    topic, partition, *view = key.split("/")
    return topic, int(partition), view[0] if view else None
