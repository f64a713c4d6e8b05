"""The audit log's seams: writing within a transaction, reading, and letting checkpoints out."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bus.domain.audit_log import AuditFilter, AuditHead, AuditRow, Checkpoint
from bus.domain.audit_record import AuditRecord


class AuditLog(Protocol):
    """Appends to the log, within a transaction that somebody else ends."""

    def append(self, record: AuditRecord) -> AuditRow:
        """
        Append `record` as the newest row, and return it as it is written.

        Whoever else appends waits until the transaction has ended; if that rolls back, the row has
        never been, and its number is the next one's. What no database can hold of the record's
        texts (NUL, lone surrogates) is replaced.
        """
        ...


class AuditWriter(Protocol):
    """Appends what belongs to no other transaction: refusals, and looks at the log itself."""

    def write(self, record: AuditRecord) -> AuditRow:
        """Append `record` in a transaction of its own; raise `StoreUnavailable`."""
        ...


class AuditReader(Protocol):
    """Reads the log; every method may raise `StoreUnavailable`."""

    def head(self) -> AuditHead:
        """Return the newest row's number and hash."""
        ...

    def rows(self, after: int, limit: int) -> Sequence[AuditRow]:
        """
        Return about `limit` rows behind row `after`, in order; an empty list at the end.

        Rows with one number, which there are only if somebody tampered, come together.
        """
        ...

    def page(
        self, wanted: AuditFilter, *, before: int | None = None, limit: int = 50
    ) -> Sequence[AuditRow]:
        """Return up to `limit` wanted rows, newest first, from below row `before`."""
        ...

    def grant_rows(self, resource: str, after: int, limit: int) -> Sequence[AuditRow]:
        """Return up to `limit` rows of grants on `resource` (`GRANT_ACTIONS`), in order."""
        ...

    def checkpoints(self, after: int, limit: int) -> Sequence[Checkpoint]:
        """Return up to `limit` checkpoints of rows behind row `after`, in order."""
        ...

    def newest_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint of the newest row that has one."""
        ...


class CheckpointTurn(Protocol):
    """The right to make the next checkpoint; others wait for it."""

    def head(self) -> AuditHead:
        """Return the newest row that is committed."""
        ...

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint."""
        ...

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; it is kept only if the turn ends without an exception."""
        ...


class CheckpointStore(Protocol):
    """Where checkpoints are kept beside the log."""

    def turn(self) -> AbstractContextManager[CheckpointTurn | None]:
        """
        Take the turn until the block ends; None if another process has it just now.

        Raise `StoreUnavailable`.
        """
        ...


class CheckpointPublisher(Protocol):
    """Lets checkpoints out of the database, to where nobody who could alter it can alter them."""

    def publish(self, checkpoint: bytes) -> None:
        """Return once it is published for good; raise `BrokerUnavailable` if that is not known."""
        ...
