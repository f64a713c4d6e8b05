"""What the router has recorded of its progress, read from the state topic."""

from collections.abc import Mapping

import structlog

from bus.domain.names import ROUTER_STATE_TOPIC
from bus.domain.router_state import RouterState, parse_state_key
from bus.ports import Clock, EventCodec, LogReaders, Partition

log = structlog.get_logger(__name__)

_STATE = Partition(ROUTER_STATE_TOPIC, 0)
_BATCH = 10_000
#: What stands on the topic comes at once. After so long without it the reader is taken for deaf.
SILENCE_SECONDS = 30.0


class StateTable:
    """The newest state records, read from the state topic when asked."""

    def __init__(self, readers: LogReaders, codec: EventCodec, clock: Clock) -> None:
        self._readers = readers
        self._codec = codec
        self._clock = clock
        self._reader = readers.open({_STATE: readers.beginnings([_STATE])[_STATE]})
        self._states: dict[Partition, dict[str, RouterState]] = {}
        self._end = 0
        self._moved_at = clock.monotonic()
        #: Grows with every record that was read.
        self.changes = 0

    def aim(self) -> None:
        """Take the topic's present end as the one to read to."""
        self._end = self._readers.ends([_STATE])[_STATE]

    def step(self) -> bool:
        """Read on; return whether everything up to the last `aim` is known."""
        before = self._reader.position(_STATE)
        for record in self._reader.read(_BATCH, 0.05):
            self.changes += 1
            key = (record.key() or b"").decode()
            topic, number, _ = parse_state_key(key)
            states = self._states.setdefault(Partition(topic, number), {})
            value = record.value()
            if value is None:
                states.pop(key, None)
                continue
            event = self._codec.decode(value)
            if isinstance(event, RouterState):
                states[key] = event
        after = self._reader.position(_STATE)
        if after > before or after >= self._end:
            self._moved_at = self._clock.monotonic()
        elif self._clock.monotonic() - self._moved_at >= SILENCE_SECONDS:
            self._reopen(after)
        return after >= self._end

    def of(self, partition: Partition) -> Mapping[str, RouterState]:
        """Return the state records of a source partition, by key."""
        return self._states.get(partition, {})

    def _reopen(self, position: int) -> None:
        log.warning("the state topic has more than is read: the reader is replaced", at=position)
        self._reader.close()
        self._reader = self._readers.open({_STATE: position})
        self._moved_at = self._clock.monotonic()

    def close(self) -> None:
        """Let go of the topic."""
        self._reader.close()
