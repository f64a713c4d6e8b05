"""What has to happen to something at a certain time, unless it is settled before."""

import datetime as dt
from dataclasses import dataclass

_FIRST_RETRY = dt.timedelta(seconds=30)
_LONGEST_RETRY = dt.timedelta(hours=1)
#: From here on the pause is the longest one, whatever the number of attempts.
_DOUBLINGS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """One deadline; a subject has at most one of each kind."""

    subject_kind: str
    """What the subject is: a request, an entry, …"""
    subject: str
    """Its id."""
    kind: str
    """What is due; names who handles it."""
    due_at: dt.datetime
    """The aware instant from which on it is due."""
    attempts: int = 0
    """How often handling it has failed."""
    last_error: str | None = None
    """Why it failed last."""

    def __post_init__(self) -> None:
        if self.due_at.tzinfo is None:
            raise ValueError(f"the deadline {self.kind} of {self.subject} has no time zone")


def retry_at(attempts: int, now: dt.datetime) -> dt.datetime:
    """Return when to try again after the `attempts`-th failure: soon, then ever more rarely."""
    doublings = min(attempts - 1, _DOUBLINGS)
    return now + min(_FIRST_RETRY * (1 << doublings), _LONGEST_RETRY)
