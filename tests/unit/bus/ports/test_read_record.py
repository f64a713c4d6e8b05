"""Unit tests of `bus.ports.read_record`, and of who looks into such records."""

from collections.abc import Callable

import pytest

from bus.adapters.memory.broker import MemoryRecord
from bus.ports import Partition, Record
from bus.ports.read_record import ReadRecord, key_of, time_of
from bus.router.membership import Membership
from bus.router.runs import by_partition
from bus.views.held import Held


def read(topic: str, partition: int, position: int) -> Record:
    """Return a record of the kind that is looked into."""
    return ReadRecord(topic, partition, position, b"key", None, time_kind=2, time=1_700_000_000_000)


def other(topic: str, partition: int, position: int) -> Record:
    """Return a record of another kind."""
    where = Partition(topic, partition)
    return MemoryRecord(where, position, b"key", None, None, 1_700_000_000_000, None)


def test_it_says_what_a_record_says() -> None:
    record = ReadRecord(
        "t", 3, 1 << 40, b"k", b"v", time_kind=2, time=1 << 41, headers=[("a", b"b"), ("c", None)]
    )

    assert (record.topic(), record.partition(), record.offset()) == ("t", 3, 1 << 40)
    assert (record.key(), record.value()) == (b"k", b"v")
    assert record.timestamp() == (2, 1 << 41)
    assert record.headers() == [("a", b"b"), ("c", None)]
    assert read("t", 0, 0).headers() is None


@pytest.mark.parametrize("kind", [read, other])
def test_both_kinds_are_looked_into(kind: Callable[[str, int, int], Record]) -> None:
    record = kind("t", 0, 0)

    assert key_of(record) == b"key"
    assert time_of(record) == 1_700_000_000_000


def test_records_of_both_kinds_are_sorted_by_partition() -> None:
    records = [
        made(topic, partition, position)
        for position, (made, topic, partition) in enumerate(
            [
                (read, "a", 0),
                (other, "a", 0),
                (read, "a", 1),
                (read, "b", 1),
                (other, "b", 0),
                (read, "a", 0),
            ]
        )
    ]

    found = by_partition(records)

    assert {where: [each.offset() for each in run] for where, run in found.items()} == {
        Partition("a", 0): [0, 1, 5],
        Partition("a", 1): [2],
        Partition("b", 1): [3],
        Partition("b", 0): [4],
    }


def test_nobody_holds_a_key_for_who_does_not_say_who() -> None:
    with pytest.raises(NotImplementedError):
        Held().get(b"key")


def test_a_membership_says_it_whatever_its_keys_are_kept_in() -> None:
    members = Membership(table_keys=10, memory_keys=20)
    for number in range(40):
        members.set(b"%d" % number, number % 3)

        assert [members.get(b"%d" % each) for each in range(40)] == [
            each % 3 if each <= number else 0 for each in range(40)
        ]
    members.close()
