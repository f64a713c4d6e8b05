"""Segment files tell which transactions were committed, which aborted, and which never ended."""

import struct
from pathlib import Path

from tests.faults.segments import fates_of

DATA, TRANSACTIONAL, CONTROL = 0, 0x10, 0x30
ABORT, COMMIT = 0, 1


def batch(base: int, count: int, producer: int, attributes: int, body: bytes = b"records") -> bytes:
    """Return a record batch as it lies in a segment (Kafka's message format 2)."""
    rest = struct.pack(">ibIhiqqqhii", 0, 2, 0, attributes, count - 1, 0, 0, producer, 0, 0, count)
    return struct.pack(">qi", base, len(rest) + len(body)) + rest + body


def marker(base: int, producer: int, kind: int) -> bytes:
    """Return the control batch that ends a producer's transaction."""
    key = struct.pack(">hh", 0, kind)
    record = bytes([0, 0, 0, 2 * len(key)]) + key + bytes([2 * 6]) + bytes(6) + bytes([0])
    return batch(base, 1, producer, CONTROL, bytes([2 * len(record)]) + record)


def test_each_marker_ends_what_its_producer_has_written_since_the_last(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000000.log").write_bytes(
        batch(0, 2, 7, TRANSACTIONAL)
        + batch(2, 1, 8, TRANSACTIONAL)
        + batch(3, 1, -1, DATA)
        + marker(4, 7, COMMIT)
        + batch(5, 2, 7, TRANSACTIONAL)
        + marker(7, 8, ABORT)
    )
    (tmp_path / "00000000000000000008.log").write_bytes(
        batch(8, 1, 7, TRANSACTIONAL)
        + marker(9, 7, ABORT)
        + batch(10, 3, 9, TRANSACTIONAL)
        + batch(13, 1, 9, TRANSACTIONAL)[:-1]
    )

    fates = fates_of(tmp_path)

    assert fates.aborted == {2, 5, 6, 8}
    assert fates.unfinished == {10, 11, 12}
    assert (fates.transactions, fates.aborts) == (3, 2)


def test_a_topic_without_records_has_no_fates(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000000.log").touch()

    assert fates_of(tmp_path).aborted == set()
