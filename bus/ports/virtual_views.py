"""
What a view without a topic gives out, and what whoever takes it keeps of it (docs/adr/0023).

A *view* is named like its incarnation on the policy topic, whether or not there is such a topic.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bus.ports.record_writer import Headers


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a view has been given out, from one partition of its source."""

    start: int
    """Before it, each key's last record alone counts: a view begins with the present."""
    next: int
    """The position to go on from."""

    @property
    def filling(self) -> bool:
        """Whether the taker does not have the whole view yet."""
        return self.next < self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewChange:
    """One change of one record of a view."""

    view: str
    key: bytes
    value: bytes | None
    """The record as it would stand on the view's topic; None: the view has it no more."""
    reason: str | None
    """Of a delete: `deleted` at the source, or `left-view`."""
    headers: Headers
    """Of a delete, what an upsert says in its `meta`: event id, time, generation, place."""
    partition: int
    position: int
    """Of the source record that caused it."""
    accepted_at: dt.datetime


class ViewProgress(Protocol):
    """
    What the taker of views keeps, and gives back after a restart.

    It is kept after the changes have had their effect, and what is held never later than the
    bookmark: then nothing is lost, and the changes since are given out once more.
    """

    def bookmark(self, view: str, partition: int) -> Bookmark | None:
        """Return the newest bookmark that was kept; None: the view begins now."""
        ...

    def held(self, view: str, partition: int) -> Iterable[bytes]:
        """Return the keys from this source partition that the taker has in the view."""
        ...
