"""Dead letters: records that no view may have, with the reason (design.md §4)."""

import datetime as dt
import hashlib
from dataclasses import dataclass

#: A dead letter must be writable whatever the record was: 10 MB of zeros travel in 10 kB.
MAX_VALUE_BYTES = 64 << 10
MAX_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Reason, coordinates, digest, and at most the first 64 KiB of the bytes."""

    code: str
    reason: str
    topic: str
    partition: int
    position: int
    positions: int
    """How many source positions this stands for; above 1 for an unreadable batch."""
    accepted_at: dt.datetime
    key: bytes | None
    size: int
    sha256: bytes | None
    value: bytes | None

    @property
    def whole(self) -> bool:
        """Whether the letter holds the whole record, so that it can be published again."""
        return self.value is not None and len(self.value) == self.size


def dead_letter(
    *,
    code: str,
    reason: str,
    topic: str,
    partition: int,
    position: int,
    accepted_at: dt.datetime,
    key: bytes | None,
    value: bytes | None,
    positions: int = 1,
) -> DeadLetter:
    """Return the dead letter of a record, cut to what a dead letter may hold."""
    return DeadLetter(
        code=code,
        reason=reason,
        topic=topic,
        partition=partition,
        position=position,
        positions=positions,
        accepted_at=accepted_at,
        key=None if key is None else key[:MAX_KEY_BYTES],
        size=0 if value is None else len(value),
        sha256=None if value is None else hashlib.sha256(value).digest(),
        value=None if value is None else value[:MAX_VALUE_BYTES],
    )
