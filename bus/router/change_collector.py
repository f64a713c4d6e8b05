"""Takes what a partition task writes, and keeps it as changes of views instead."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from bus.ports.record_sink import RecordSink
from bus.ports.record_writer import Headers, Written
from bus.ports.virtual_views import ViewChange
from bus.router.tombstones import PARTITION, POSITION, REASON
from bus.views.plan import PREFIX_BYTES
from bus.views.walker import read_varint

_EVENT_ID_BYTES: Final = 16


class ChangeCollector:
    """A `RecordWriter`; `changes` are in the order in which they were written."""

    def __init__(self, dead_letter_topic: str) -> None:
        """Collect all but dead letters: the router writes these."""
        self._dead_letter_topic = dead_letter_topic
        self.changes: list[ViewChange] = []

    def write(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers | None = None,
        timestamp: int = 0,
    ) -> None:
        """Keep what would stand on `topic`; see `RecordWriter`."""
        self.write_all([(topic, partition, key, value, headers, timestamp)])

    def write_all(self, records: Sequence[Written]) -> None:
        """Keep `records`; see `write`."""
        for topic, _, key, value, headers, timestamp in records:
            if topic != self._dead_letter_topic:
                said = {name: text.decode() for name, text in headers or ()}
                partition, position = _place(value, said)
                self.changes.append(
                    ViewChange(
                        view=topic,
                        key=key or b"",
                        value=value,
                        reason=said.get(REASON),
                        headers=headers or (),
                        partition=partition,
                        position=position,
                        accepted_at=dt.datetime.fromtimestamp(timestamp / 1000, dt.UTC),
                    )
                )

    def sink(self) -> RecordSink | None:
        """Return nobody; see `RecordWriter.sink`."""
        return None


def _place(value: bytes | None, said: Mapping[str, str]) -> tuple[int, int]:
    """Return (source partition, position), said in `meta`, or for a delete in headers."""
    if value is None:
        return int(said[PARTITION]), int(said[POSITION])
    _, at = read_varint(value, PREFIX_BYTES + _EVENT_ID_BYTES)
    provider, at = read_varint(value, at)
    _entry_version, at = read_varint(value, at + provider)
    _generation, at = read_varint(value, at)
    partition, at = read_varint(value, at)
    return partition, read_varint(value, at)[0]
