"""The checkpoints that have left the database, read where they were published."""

from collections.abc import Iterator

import structlog

from bus.audit.checkpoint import decode
from bus.domain.audit_log import Checkpoint
from bus.domain.names import AUDIT_CHECKPOINT_TOPIC
from bus.errors import BrokerUnavailable
from bus.ports import Clock, LogReaders, Partition

log = structlog.get_logger(__name__)

_MOST = 1_000
_LOOK_SECONDS = 0.2
#: How long nothing may come while there is something to come.
_PATIENCE_SECONDS = 30.0


def published_checkpoints(
    readers: LogReaders, clock: Clock, topic: str = AUDIT_CHECKPOINT_TOPIC
) -> Iterator[Checkpoint]:
    """
    Yield the checkpoints that are published now, as long as they are taken.

    Raise `BrokerUnavailable` if they cannot be read to their end.
    """
    where = Partition(topic, 0)
    start = readers.beginnings([where])[where]
    end = readers.ends([where])[where]
    return _read(readers, clock, where, start, end)


def _read(
    readers: LogReaders, clock: Clock, where: Partition, start: int, end: int
) -> Iterator[Checkpoint]:
    if start >= end:
        return
    reader = readers.open({where: start})
    deadline = clock.monotonic() + _PATIENCE_SECONDS
    try:
        while (position := reader.position(where)) < end:
            for record in reader.read(_MOST, _LOOK_SECONDS):
                try:
                    checkpoint = decode(record.value() or b"")
                except ValueError:
                    # Only control may write here; whatever this is, it vouches for nothing.
                    log.warning("a record that is no checkpoint", offset=record.offset())
                    continue
                yield checkpoint
            if reader.position(where) > position:
                deadline = clock.monotonic() + _PATIENCE_SECONDS
            elif clock.monotonic() > deadline:
                raise BrokerUnavailable(f"{where.topic} cannot be read to its end")
    finally:
        reader.close()
