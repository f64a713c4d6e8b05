"""
What became of each transaction, from the broker's segment files themselves.

No client can say which records of a topic were aborted: readers of committed records do not see
them, others do not see the difference. The files can: each batch names its producer, and control
batches end that producer's transaction (Kafka's record batch, version 2).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: baseOffset, batchLength, partitionLeaderEpoch, magic, crc, attributes, lastOffsetDelta,
#: baseTimestamp, maxTimestamp, producerId, producerEpoch, baseSequence, records.
_HEADER = struct.Struct(">qiibIhiqqqhii")
#: What `batchLength` does not count: itself and the offset before it.
_BEFORE_LENGTH = 12
_TRANSACTIONAL = 0x10
_CONTROL = 0x20
_COMMIT = 1


@dataclass(slots=True)
class Fates:
    """The offsets of one partition that were not, or not yet, committed; and how many ended so."""

    aborted: set[int] = field(default_factory=set)
    unfinished: set[int] = field(default_factory=set)
    transactions: int = 0
    aborts: int = 0


def fates_of(folder: Path) -> Fates:
    """Return what became of the transactions in the partition whose segments lie in `folder`."""
    fates = Fates()
    running: dict[int, list[range]] = {}
    for segment in sorted(folder.glob("*.log")):
        for batch in _batches(segment.read_bytes()):
            if batch.commits is None:
                if batch.transactional:
                    running.setdefault(batch.producer, []).append(batch.offsets)
                continue
            fates.transactions += 1
            written = running.pop(batch.producer, [])
            if not batch.commits:
                fates.aborts += 1
                fates.aborted.update(*written)
    for written in running.values():
        fates.unfinished.update(*written)
    return fates


@dataclass(frozen=True, slots=True)
class _Batch:
    offsets: range
    producer: int
    transactional: bool
    commits: bool | None
    """Of a control batch: whether it commits; None: it holds records."""


def _batches(content: bytes) -> Iterator[_Batch]:
    at = 0
    while at + _HEADER.size <= len(content):
        (base, length, _, _, _, attributes, last, _, _, producer, _, _, _) = _HEADER.unpack_from(
            content, at
        )
        end = at + _BEFORE_LENGTH + length
        if length <= 0 or end > len(content):
            # The broker was killed while it wrote this, and cut it off when it came back.
            return
        commits = None
        if attributes & _CONTROL:
            commits = _marker(content, at + _HEADER.size) == _COMMIT
        yield _Batch(
            range(base, base + last + 1), producer, bool(attributes & _TRANSACTIONAL), commits
        )
        at = end


def _marker(content: bytes, at: int) -> int:
    """Return the type of the control record at `at`: 0 aborts, 1 commits."""
    _, at = _varint(content, at)
    at += 1
    for _ in range(2):
        _, at = _varint(content, at)
    _, at = _varint(content, at)
    _, kind = struct.unpack_from(">hh", content, at)
    return int(kind)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the (unsigned) value that begins at `at`, and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
