"""What is due when."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from bus.domain.deadline import Deadline


class DeadlineQueue(Protocol):
    """
    The deadlines, as one transaction sees and changes them.

    Nothing here is true before the transaction commits, nor after it was rolled back.
    """

    def set(self, deadline: Deadline) -> None:
        """
        Let something be due, in place of an earlier deadline of that subject and kind.

        With the same time as before nothing changes, whether it has fired or not; with another, it
        fires (again) at that time, and its failures are forgotten.
        """
        ...

    def clear(self, subject_kind: str, subject: str, kind: str | None = None) -> None:
        """Let nothing (of that kind) be due for a subject any more; fired ones are forgotten."""
        ...

    def pending(self, subject_kind: str, subject: str) -> Sequence[Deadline]:
        """Return what has not fired yet for a subject, earliest first."""
        ...

    def take_due(self, now: dt.datetime, limit: int) -> Sequence[Deadline]:
        """
        Return up to `limit` deadlines that are due, oldest first, for this transaction alone.

        Until it ends no other transaction gets them; those that another one has are passed over.
        """
        ...

    def fired(self, deadline: Deadline, at: dt.datetime) -> None:
        """Note that a taken deadline is dealt with, unless it was set to another time meanwhile."""
        ...

    def failed(self, deadline: Deadline, *, error: str, retry_at: dt.datetime) -> None:
        """Note one more failure of a deadline, unless it has changed since it was taken."""
        ...

    def failing(self) -> int:
        """Return how many deadlines wait for another attempt after a failure."""
        ...


class DeadlineTransaction(Protocol):
    """A transaction in which deadlines are handled: whatever else a handler may change in it."""

    @property
    def deadlines(self) -> DeadlineQueue:
        """The deadlines of this transaction."""
        ...
