"""What the audit log is made of: chained rows, its head, signed checkpoints (R-193)."""

import datetime as dt
from dataclasses import dataclass

from bus.domain.audit_record import AuditRecord

#: What happens to a grant, and so to who may read a resource; `bus.audit.trace` reads these.
GRANT_ACTIONS = frozenset(
    {
        "grant.activated",
        "grant.suspended",
        "grant.resumed",
        "grant.amended",
        "grant.expired",
        "grant.revoked",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """A record in its place: the first row is number 1, and no number is left out."""

    sequence: int
    record: AuditRecord
    previous: bytes
    """The hash of the row before; of the first: `bus.audit.chain.genesis`."""
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """The newest row of a log; 0 and the genesis value if there is none."""

    log: str
    """The id of the log, made when its database was."""
    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed statement: at this time the log's newest row was this one."""

    log: str
    sequence: int
    hash: bytes
    at: dt.datetime
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which rows are asked for; what is None does not matter."""

    jurisdiction: str | None = None
    organisation: str | None = None
    account: str | None = None
    subject_kind: str | None = None
    subject: str | None = None
    action: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    """The first moment that is not asked for any more."""
