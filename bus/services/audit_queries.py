"""
Look at the audit log; every look is itself written down (R-195, R-228).

A look is written down before anything is shown: what cannot be recorded is not answered.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TypeVar

from bus.audit.trace import Access, trace
from bus.domain.audit_log import AuditFilter, AuditHead, AuditRow, Checkpoint
from bus.domain.audit_record import AuditRecord
from bus.domain.identity import Actor, Role
from bus.ports import Clock
from bus.ports.audit import AuditReader, AuditWriter

#: How many rows are read at once.
PORTION = 1_000
_NOWHERE = -(1 << 63)

_Numbered = TypeVar("_Numbered", AuditRow, Checkpoint)


class AuditQueries:
    """
    Questions to the log, each asked by somebody in a role.

    Whether that role may ask is for the caller to check; `StoreUnavailable` goes through.
    """

    def __init__(self, *, reader: AuditReader, writer: AuditWriter, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    def trace(
        self, by: Actor, role: Role, resource: str, since: dt.datetime | None = None
    ) -> list[Access]:
        """Return who could read records of `resource` since then, under which grant, for what."""
        about = {"since": since.isoformat()} if since else {}
        self._note(by, role, "audit.traced", subject_kind="resource", subject=resource, about=about)
        return trace(
            _portions(lambda after: self._reader.grant_rows(resource, after, PORTION)), since
        )

    def page(
        self,
        by: Actor,
        role: Role,
        wanted: AuditFilter,
        *,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[AuditRow]:
        """Return up to `limit` wanted rows, newest first, from below row `before`."""
        about = {name: str(value) for name, value in asdict(wanted).items() if value is not None}
        if before is not None:
            about["before"] = str(before)
        # The page is what it was before the look at it.
        found = self._reader.page(wanted, before=before, limit=limit)
        self._note(by, role, "audit.read", about=about)
        return found

    def export(
        self, by: Actor, role: Role
    ) -> tuple[AuditHead, Iterator[Checkpoint], Iterator[AuditRow]]:
        """Return the log as it is now, with its checkpoints; they are read while they are taken."""
        self._note(by, role, "audit.exported", about={})
        head = self._reader.head()
        return (
            head,
            _until(head.sequence, stored_checkpoints(self._reader)),
            _until(head.sequence, stored_rows(self._reader)),
        )

    def _note(
        self,
        by: Actor,
        role: Role,
        action: str,
        *,
        subject_kind: str = "audit-log",
        subject: str = "",
        about: dict[str, str],
    ) -> None:
        self._writer.write(
            AuditRecord(
                at=self._clock.now(),
                jurisdiction=by.jurisdiction,
                account=by.account,
                organisation=by.organisation,
                role=str(role),
                action=action,
                subject_kind=subject_kind,
                subject=subject,
                trace_id=by.trace_id,
                details=about,
            )
        )


def stored_rows(reader: AuditReader) -> Iterator[AuditRow]:
    """Yield all rows of the log, also those that should not be there."""
    return _portions(lambda after: reader.rows(after, PORTION))


def stored_checkpoints(reader: AuditReader) -> Iterator[Checkpoint]:
    """Yield the checkpoints that there are now, and none that is made while they are read."""
    newest = reader.newest_checkpoint()
    if newest is None:
        return iter(())
    return _until(newest.sequence, _portions(lambda after: reader.checkpoints(after, PORTION)))


def _portions(read: Callable[[int], Sequence[_Numbered]]) -> Iterator[_Numbered]:
    after = _NOWHERE
    while portion := read(after):
        yield from portion
        after = portion[-1].sequence


def _until(last: int, numbered: Iterator[_Numbered]) -> Iterator[_Numbered]:
    for each in numbered:
        if each.sequence > last:
            return
        yield each
