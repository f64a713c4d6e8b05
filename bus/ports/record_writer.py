"""What records are handed to that are to be written."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from bus.ports.record_sink import RecordSink

Headers: TypeAlias = Sequence[tuple[str, bytes]]
#: Topic, partition, key, value, headers, and time in milliseconds of a record to be written.
Written: TypeAlias = tuple[str, int, bytes | None, bytes | None, Headers | None, int]


class RecordWriter(Protocol):
    """Takes records to write."""

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
        """Add a record; `timestamp` in milliseconds."""
        ...

    def write_all(self, records: Sequence[Written]) -> None:
        """Add `records`, in order; see `write`."""
        ...

    def sink(self) -> RecordSink | None:
        """
        Return who takes records one by one, in their order among those of `write_all`.

        It is to be asked for again in each transaction. None: there is nobody.
        """
        ...
