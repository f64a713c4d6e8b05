"""What the router has recorded of its progress, read from the state topic."""

from collections.abc import Mapping

from bus.domain.names import ROUTER_STATE_TOPIC
from bus.domain.router_state import RouterState, parse_state_key
from bus.ports import EventCodec, LogReaders, Partition

_STATE = Partition(ROUTER_STATE_TOPIC, 0)
_BATCH = 10_000


class StateTable:
    """The newest state records, read from the state topic when asked."""

    def __init__(self, readers: LogReaders, codec: EventCodec) -> None:
        self._readers = readers
        self._codec = codec
        self._reader = readers.open({_STATE: readers.beginnings([_STATE])[_STATE]})
        self._states: dict[Partition, dict[str, RouterState]] = {}
        self._end = 0
        #: Grows with every record that was read.
        self.changes = 0

    def aim(self) -> None:
        """Take the topic's present end as the one to read to."""
        self._end = self._readers.ends([_STATE])[_STATE]

    def step(self) -> bool:
        """Read on; return whether everything up to the last `aim` is known."""
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
        return self._reader.position(_STATE) >= self._end

    def of(self, partition: Partition) -> Mapping[str, RouterState]:
        """Return the state records of a source partition, by key."""
        return self._states.get(partition, {})

    def close(self) -> None:
        """Let go of the topic."""
        self._reader.close()
