"""
A record that was read, with attributes: what compiled code looks into, without a call for each.

Only the compiled client hands these out (docs/adr/0026): whoever gets records may get others.
The module is compiled where there is a C compiler: `read_record.pxd` has the types.
"""

from collections.abc import Sequence

from bus.ports import HeadersRead, Record


class ReadRecord:
    """See `bus.ports.Record`. What it has is its own, whatever becomes of the client."""

    def __init__(
        self,
        topic: str,
        partition: int,
        position: int,
        key: bytes | None,
        value: bytes | None,
        *,
        time_kind: int = 0,
        time: int = 0,
        headers: Sequence[tuple[str, str | bytes | None]] | None = None,
    ) -> None:
        """Make the record at `position`; `time` in milliseconds, of the kind `time_kind`."""
        self.raw_topic = topic
        self.raw_partition = partition
        self.position = position
        self.raw_key = key
        self.raw_value = value
        self.time_kind = time_kind
        self.time = time
        self.raw_headers = None if headers is None else tuple(headers)

    def topic(self) -> str | None:
        """See `Record.topic`."""
        return self.raw_topic

    def partition(self) -> int | None:
        """See `Record.partition`."""
        return self.raw_partition

    def offset(self) -> int | None:
        """See `Record.offset`."""
        return self.position

    def key(self) -> bytes | None:
        """See `Record.key`."""
        return self.raw_key

    def value(self) -> bytes | None:
        """See `Record.value`."""
        return self.raw_value

    def headers(self) -> HeadersRead | None:
        """See `Record.headers`."""
        return None if self.raw_headers is None else list(self.raw_headers)

    def timestamp(self) -> tuple[int, int]:
        """See `Record.timestamp`."""
        return self.time_kind, self.time


def key_of(record: Record) -> bytes | None:
    """Return the key of a record of whatever kind."""
    if isinstance(record, ReadRecord):
        read = record
        return read.raw_key
    return record.key()


def time_of(record: Record) -> int:
    """Return the time of a record of whatever kind, in milliseconds."""
    if isinstance(record, ReadRecord):
        read = record
        return read.time
    return record.timestamp()[1]
