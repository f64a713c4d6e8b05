"""The audit log and its checkpoints in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from bus.audit.chain import genesis, next_row, storable_text
from bus.domain.audit_log import GRANT_ACTIONS, AuditFilter, AuditHead, AuditRow, Checkpoint
from bus.domain.audit_record import DONE, AuditRecord
from bus.ports.audit import CheckpointTurn

_TIMES = ("since", "until")


@dataclass(slots=True)
class MemoryAudit:
    """What the database would hold; see `bus.ports.audit.AuditReader` and `CheckpointStore`."""

    log: str = "memory"
    all_rows: list[AuditRow] = field(default_factory=list)
    all_checkpoints: list[Checkpoint] = field(default_factory=list)
    busy: bool = False
    """Whether another process has the turn to make a checkpoint."""

    @contextmanager
    def transaction(self) -> Iterator["MemoryAuditLog"]:
        """Lend a log whose rows stay unless the block raises."""
        count = len(self.all_rows)
        try:
            yield MemoryAuditLog(self)
        except BaseException:
            del self.all_rows[count:]
            raise

    def write(self, record: AuditRecord) -> AuditRow:
        with self.transaction() as log:
            return log.append(record)

    def head(self) -> AuditHead:
        if not self.all_rows:
            return AuditHead(log=self.log, sequence=0, hash=genesis(self.log))
        newest = self.all_rows[-1]
        return AuditHead(log=self.log, sequence=newest.sequence, hash=newest.hash)

    def rows(self, after: int, limit: int) -> Sequence[AuditRow]:
        found = [row for row in self.all_rows if row.sequence > after]
        return [row for row in found if row.sequence <= found[:limit][-1].sequence]

    def page(
        self, wanted: AuditFilter, *, before: int | None = None, limit: int = 50
    ) -> Sequence[AuditRow]:
        found = [
            row
            for row in reversed(self.all_rows)
            if (before is None or row.sequence < before) and _is_wanted(row.record, wanted)
        ]
        return found[:limit]

    def grant_rows(self, resource: str, after: int, limit: int) -> Sequence[AuditRow]:
        found = [
            row
            for row in self.all_rows
            if row.sequence > after
            and row.record.subject_kind == "grant"
            and row.record.details.get("resource") == storable_text(resource)
            and row.record.action in GRANT_ACTIONS
            and row.record.outcome == DONE
        ]
        return found[:limit]

    def checkpoints(self, after: int, limit: int) -> Sequence[Checkpoint]:
        return [each for each in self.all_checkpoints if each.sequence > after][:limit]

    def newest_checkpoint(self) -> Checkpoint | None:
        return self.all_checkpoints[-1] if self.all_checkpoints else None

    @contextmanager
    def turn(self) -> Iterator[CheckpointTurn | None]:
        count = len(self.all_checkpoints)
        try:
            yield None if self.busy else MemoryCheckpointTurn(self)
        except BaseException:
            del self.all_checkpoints[count:]
            raise


class MemoryAuditLog:
    """See `bus.ports.audit.AuditLog`."""

    def __init__(self, audit: MemoryAudit) -> None:
        self._audit = audit

    def append(self, record: AuditRecord) -> AuditRow:
        row = next_row(self._audit.head(), record)
        self._audit.all_rows.append(row)
        return row


class MemoryCheckpointTurn:
    """See `bus.ports.audit.CheckpointTurn`."""

    def __init__(self, audit: MemoryAudit) -> None:
        self._audit = audit

    def head(self) -> AuditHead:
        return self._audit.head()

    def newest(self) -> Checkpoint | None:
        return self._audit.newest_checkpoint()

    def save(self, checkpoint: Checkpoint) -> None:
        self._audit.all_checkpoints.append(checkpoint)


def _is_wanted(record: AuditRecord, wanted: AuditFilter) -> bool:
    if wanted.since is not None and record.at < wanted.since:
        return False
    if wanted.until is not None and record.at >= wanted.until:
        return False
    return all(
        value is None or getattr(record, name) == storable_text(value)
        for name, value in asdict(wanted).items()
        if name not in _TIMES
    )
