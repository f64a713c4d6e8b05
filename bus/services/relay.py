"""
Publish the outbox: whole policy versions, in order, exactly once in effect (design.md §6, §8).

One relay at a time: an advisory lock chooses it, and the transactional id fences a former one that
does not know yet that it is over. Between versions a heartbeat tells readers that nothing changed.
"""

from collections.abc import Callable, Sequence

import structlog

from bus import metrics
from bus.domain.names import POLICY_TOPIC
from bus.domain.policy import PolicyHeartbeat, PolicyVersion
from bus.errors import (
    ConfigError,
    TransactionAborted,
    TransactionUnknown,
    TransientError,
    WriterFenced,
)
from bus.ports import (
    Clock,
    EventCodec,
    LogReaders,
    Outbox,
    OutboxRow,
    RelayLock,
    TransactionalWriter,
)
from bus.services.policy_follower import PolicyFollower

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 0.25
#: How often to look for something to publish.
POLL_SECONDS = 0.05
_PAUSE_AFTER_FAILURE_SECONDS = 1.0
#: Reading the policy topic to its end, to see what a former relay has published.
_CATCH_UP_SECONDS = 30.0


class Relay:
    """The relay of one replica of the control plane."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        lock: RelayLock,
        connect: Callable[[], TransactionalWriter],
        readers: LogReaders,
        codec: EventCodec,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._lock = lock
        self._connect = connect
        self._readers = readers
        self._codec = codec
        self._clock = clock
        self._writer: TransactionalWriter | None = None
        self._published = 0
        self._beat_at = 0.0

    @property
    def leading(self) -> bool:
        """Whether this replica relays."""
        return self._writer is not None

    def run(
        self,
        *,
        ended: Callable[[], bool],
        pause: Callable[[float], object],
        went_well: Callable[[], object] = lambda: None,
    ) -> None:
        """
        Relay until `ended`, or wait to become the one that does; say when a step `went_well`.

        Raise `ConfigError` if no waiting helps; another replica may lead then.
        """
        try:
            while not ended():
                try:
                    self.step()
                except (TransientError, WriterFenced) as error:
                    log.warning("relay waits", code=error.code, reason=str(error))
                    self._resign()
                    pause(_PAUSE_AFTER_FAILURE_SECONDS)
                else:
                    went_well()
                    pause(POLL_SECONDS)
        finally:
            self._resign()

    def step(self) -> None:
        """Publish what is pending, or a heartbeat; raise `TransientError` to start afresh."""
        if self._writer is None and not self._lead():
            return
        if not self._lock.held():
            self._resign()
            return
        while rows := self._outbox.next_version():
            metrics.RELAY_PENDING.set(self._outbox.pending_versions())
            self._publish(rows)
        metrics.RELAY_PENDING.set(0)
        if self._clock.monotonic() - self._beat_at >= HEARTBEAT_SECONDS:
            self._write({"heartbeat": self._codec.encode(PolicyHeartbeat(self._published))})

    def _lead(self) -> bool:
        if not self._lock.acquire():
            metrics.RELAY_LEADER.set(0)
            return False
        # Becoming the owner of the transactional id ends what a former relay left open; what it
        # has published is on the topic, whether or not it could note that in the outbox.
        self._writer = self._connect()
        self._published = self._version_on_topic()
        if self._published > self._outbox.newest_version():
            raise ConfigError(
                f"the policy topic holds version {self._published}, but the database only "
                f"{self._outbox.newest_version()}: it was restored from a backup, or belongs to "
                "another cluster. Nothing is published; see docs/how-to/restore.md."
            )
        self._outbox.mark_published(self._published)
        if self._published == 0:
            # The empty policy is a policy too: it lets readers know that there is nothing yet.
            empty = PolicyVersion(0)
            self._write({empty.object_id: self._codec.encode(empty)})
        metrics.RELAY_LEADER.set(1)
        metrics.POLICY_VERSION.set(self._published)
        log.info("relay leads", published=self._published)
        return True

    def _version_on_topic(self) -> int:
        follower = PolicyFollower(self._readers, self._codec, self._clock)
        try:
            until = self._clock.monotonic() + _CATCH_UP_SECONDS
            while not follower.caught_up:
                follower.poll(0.1)
                if self._clock.monotonic() > until:
                    raise TransactionAborted("the policy topic cannot be read to its end")
        finally:
            follower.close()
        return follower.policy.version if follower.policy else 0

    def _publish(self, rows: Sequence[OutboxRow]) -> None:
        version = rows[0].policy_version
        records = {row.key: row.value for row in rows}
        closing = PolicyVersion(version)
        self._write({**records, closing.object_id: self._codec.encode(closing)})
        self._outbox.mark_published(version)
        self._published = version
        metrics.RELAY_RECORDS.inc(len(rows))
        metrics.POLICY_VERSION.set(version)
        log.info("policy published", version=version, objects=len(rows))

    def _write(self, records: dict[str, bytes | None]) -> None:
        if self._writer is None:
            raise TransactionAborted("not the relay")
        try:
            self._writer.begin()
            for key, value in records.items():
                self._writer.write(POLICY_TOPIC, 0, key.encode(), value)
            self._writer.commit({}, None)
        except TransactionUnknown:
            # The next start of this relay reads on the topic whether it was committed.
            self._resign()
            raise
        except TransactionAborted:
            self._writer.abort()
            raise
        self._beat_at = self._clock.monotonic()

    def _resign(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._lock.release()
        metrics.RELAY_LEADER.set(0)
