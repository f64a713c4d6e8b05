"""
Sign the audit log's newest row, and let the signature out of the database (docs/adr/0016).

A checkpoint is published before it is kept: what the database has, others have as well. One process
at a time makes one; the others find that there is nothing left to do.
"""

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus import metrics
from bus.audit.checkpoint import encode, sign
from bus.domain.audit_log import Checkpoint
from bus.ports import Clock
from bus.ports.audit import CheckpointPublisher, CheckpointStore

log = structlog.get_logger(__name__)

#: How often to look for rows that wait.
EVERY_SECONDS = 1.0


class AuditCheckpoints:
    """Makes a checkpoint when a row has waited for `seconds`, or `rows` of them wait."""

    def __init__(
        self,
        *,
        store: CheckpointStore,
        publisher: CheckpointPublisher,
        key: Ed25519PrivateKey,
        clock: Clock,
        seconds: float,
        rows: int,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._key = key
        self._clock = clock
        self._seconds = seconds
        self._rows = rows
        #: The newest checkpoint when rows were first seen to wait behind it, and since when.
        self._waiting: tuple[int, float] | None = None
        self._said_that_rows_are_gone = False

    def step(self) -> Checkpoint | None:
        """
        Make a checkpoint if one is due, and return it.

        Raise `StoreUnavailable` or `BrokerUnavailable`; then there is none, or it is made again.
        """
        with self._store.turn() as turn:
            if turn is None:
                return None
            head, newest = turn.head(), turn.newest()
            signed = newest.sequence if newest else 0
            metrics.AUDIT_ROWS.set(head.sequence)
            if not self._due(head.sequence - signed, signed):
                return None
            made = sign(head, self._clock.now(), self._key)
            turn.save(made)
            self._publisher.publish(encode(made))
        log.info("audit checkpoint", sequence=made.sequence, key_id=made.key_id)
        self._tell(0, 0.0)
        self._waiting = None
        return made

    def _due(self, unsigned: int, signed: int) -> bool:
        if unsigned < 0 and not self._said_that_rows_are_gone:
            log.error("rows of the audit log that were signed are gone", rows=-unsigned)
            self._said_that_rows_are_gone = True
        if unsigned <= 0:
            self._tell(unsigned, 0.0)
            self._waiting = None
            return False
        now = self._clock.monotonic()
        if self._waiting is None or self._waiting[0] != signed:
            self._waiting = signed, now
        waited = now - self._waiting[1]
        self._tell(unsigned, waited)
        return unsigned >= self._rows or waited >= self._seconds

    def _tell(self, unsigned: int, waited: float) -> None:
        metrics.AUDIT_UNSIGNED_ROWS.set(unsigned)
        metrics.AUDIT_UNSIGNED_SECONDS.set(waited)
