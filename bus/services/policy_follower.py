"""
Follow the policy topic in whole versions (design.md §6).

The topic is compacted, so what stands on it before the newest version record may be a mixture of
versions: the first version is known only once the topic's end has been reached.
"""

import structlog

from bus.domain.names import POLICY_TOPIC
from bus.domain.policy import (
    Policy,
    PolicyHeartbeat,
    PolicyVersion,
    ResourcePolicy,
    ViewPolicy,
)
from bus.errors import ContractError
from bus.ports import Clock, EventCodec, LogReaders, Partition, Record

log = structlog.get_logger(__name__)

#: A relay that runs is heard four times a second. After so long without it the reader is taken for
#: deaf, and replaced: an old policy for ever would be the worst that can befall a router.
SILENCE_SECONDS = 30.0
_PARTITION = Partition(POLICY_TOPIC, 0)
_BATCH = 10_000


class PolicyFollower:
    """Reads the policy topic; `policy` is the newest whole version, None while none is known."""

    def __init__(self, readers: LogReaders, codec: EventCodec, clock: Clock) -> None:
        self._readers = readers
        self._codec = codec
        self._clock = clock
        beginning = readers.beginnings([_PARTITION])[_PARTITION]
        self._complete_from = readers.ends([_PARTITION])[_PARTITION]
        self._reader = readers.open({_PARTITION: beginning})
        #: What the newest whole version holds, by key, and what has come since and belongs to the
        #: next one: a version costs what it changes, not what there is.
        self._objects: dict[str, ResourcePolicy | ViewPolicy] = {}
        self._changes: dict[str, ResourcePolicy | ViewPolicy | None] = {}
        self._resources: dict[str, ResourcePolicy] = {}
        self._views: dict[str, ViewPolicy] = {}
        self._version: int | None = None
        self.policy: Policy | None = None
        #: When anything was last heard of the relay (`Clock.monotonic`).
        self.heard_at = clock.monotonic()
        self._opened_at = self.heard_at

    @property
    def caught_up(self) -> bool:
        """Whether what was on the topic at the start has been read."""
        return self._reader.position(_PARTITION) >= self._complete_from

    def poll(self, seconds: float = 0.0) -> bool:
        """Read what is there, waiting at most `seconds`; return whether `policy` has changed."""
        records = self._reader.read(_BATCH, seconds)
        for record in records:
            self._take(record)
        if records:
            self.heard_at = self._clock.monotonic()
        elif self._clock.monotonic() - max(self.heard_at, self._opened_at) >= SILENCE_SECONDS:
            self._reopen()
        if not self.caught_up or self._version is None:
            return False
        self.policy = Policy(
            version=self._version, resources=dict(self._resources), views=dict(self._views)
        )
        self._version = None
        return True

    def close(self) -> None:
        """Let go of the topic."""
        self._reader.close()

    def _reopen(self) -> None:
        position = self._reader.position(_PARTITION)
        log.warning("nothing is heard of the relay: the reader is replaced", position=position)
        self._reader.close()
        self._reader = self._readers.open({_PARTITION: position})
        self._opened_at = self._clock.monotonic()

    def _take(self, record: Record) -> None:
        key = (record.key() or b"").decode()
        value = record.value()
        if value is None:
            self._changes[key] = None
            return
        event = self._codec.decode(value)
        match event:
            case PolicyVersion(version):
                # Whatever follows belongs to the next version, so this one is fixed here and now.
                self._close_version()
                self._version = version
            case ResourcePolicy() | ViewPolicy():
                self._changes[key] = event
            case PolicyHeartbeat():
                pass
            case _:
                raise ContractError(f"{type(event).__name__} does not belong on the policy topic")

    def _close_version(self) -> None:
        """Let what has changed take the place of what was; topics may have changed, too."""
        for key in self._changes:
            match self._objects.pop(key, None):
                case ResourcePolicy(topic=topic):
                    del self._resources[topic]
                case ViewPolicy(topic=topic):
                    del self._views[topic]
        for key, event in self._changes.items():
            match event:
                case ResourcePolicy():
                    self._resources[event.topic] = event
                case ViewPolicy():
                    self._views[event.topic] = event
                case None:
                    continue
            self._objects[key] = event
        self._changes.clear()
