"""Unit tests of `bus.services.dead_letters`."""

import json
from collections.abc import Mapping

import pytest
from typing_extensions import override

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.memory.broker import (
    MemoryBroker,
    MemoryLogReader,
    MemoryLogReaders,
    MemoryTransactionalWriter,
)
from bus.domain.dead_letter import MAX_VALUE_BYTES, DeadLetter
from bus.domain.policy import PolicyVersion
from bus.ports import Partition
from bus.services.dead_letters import StoredLetter, newest_positions, read_letters
from tests import builders

CODEC = AvroEventCodec()
ENTRY = builders.entry(partitions=2)
LETTERS = Partition(ENTRY.dead_letter_topic, 0)
SOURCE = Partition(ENTRY.source_topic, 0)


@pytest.fixture
def broker() -> MemoryBroker:
    """Return a broker with the topics of a resource."""
    made = MemoryBroker()
    made.create(ENTRY.source_topic, ENTRY.partitions)
    made.create(ENTRY.dead_letter_topic, 1)
    return made


def put(broker: MemoryBroker, letter: DeadLetter) -> None:
    """Write a letter as the router does."""
    broker.append(LETTERS, letter.key, CODEC.encode(letter))


def read(broker: MemoryBroker) -> list[StoredLetter]:
    """Return the letters of the resource."""
    return list(read_letters(MemoryLogReaders(broker), CODEC, ENTRY.dead_letter_topic))


def test_letters_come_oldest_first_with_their_numbers(broker: MemoryBroker) -> None:
    first, second = builders.letter(position=3), builders.letter(position=7, code="BAD_UTF8")
    put(broker, first)
    put(broker, second)

    assert read(broker) == [StoredLetter(0, first), StoredLetter(1, second)]


def test_without_letters_there_are_none(broker: MemoryBroker) -> None:
    assert read(broker) == []


def test_letters_of_aborted_transactions_are_none(broker: MemoryBroker) -> None:
    writer = MemoryTransactionalWriter(broker, transactional_id="os.router.0")
    for commit in (True, False):
        writer.begin()
        writer.write(LETTERS.topic, 0, b"1", CODEC.encode(builders.letter(position=int(commit))))
        if commit:
            writer.commit({}, None)
        else:
            writer.abort()

    assert [each.letter.position for each in read(broker)] == [1]


def test_other_events_are_passed_over(broker: MemoryBroker) -> None:
    broker.append(LETTERS, b"x", CODEC.encode(PolicyVersion(1)))
    put(broker, builders.letter())

    assert [each.number for each in read(broker)] == [1]


def test_letters_are_read_in_batches_to_the_present_end_and_not_for_ever(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.services.dead_letters._BATCH", 2)
    for position in range(5):
        put(broker, builders.letter(position=position))

    positions = []
    for stored in read_letters(MemoryLogReaders(broker), CODEC, ENTRY.dead_letter_topic):
        positions.append(stored.letter.position)
        put(broker, builders.letter(position=100))

    assert positions[:5] == [0, 1, 2, 3, 4]
    assert len(positions) < 8


def test_a_letter_is_shown_as_json_without_its_bytes() -> None:
    """R-118: a named failure, readable without payload."""
    letter = builders.letter(key=b"\xff1", value=b"secret")

    shown = StoredLetter(4, letter).as_dict()

    assert shown == {
        "letter": 4,
        "code": "TRUNCATED",
        "reason": "the record ends before its time",
        "topic": builders.entry().source_topic,
        "partition": 0,
        "position": 7,
        "positions": 1,
        "accepted_at": "2026-01-05T09:00:00+00:00",
        "key": "�1",
        "size": 6,
        "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
        "whole": True,
    }
    assert "secret" not in json.dumps(shown)


def test_a_letter_without_bytes_or_of_cut_bytes_says_so() -> None:
    none = StoredLetter(0, builders.letter(key=None, value=None)).as_dict()
    cut = StoredLetter(0, builders.letter(value=b"x" * (MAX_VALUE_BYTES + 1))).as_dict()

    assert (none["key"], none["sha256"], none["size"], none["whole"]) == (None, None, 0, False)
    assert (cut["size"], cut["whole"]) == (MAX_VALUE_BYTES + 1, False)


def stored(*letters: DeadLetter) -> list[StoredLetter]:
    """Return letters with numbers."""
    return [StoredLetter(number, letter) for number, letter in enumerate(letters)]


def test_a_newer_record_of_the_key_of_a_letter_is_found(broker: MemoryBroker) -> None:
    """What has been superseded must not be published again."""
    for key in (b"1", b"2", b"1", b"3"):
        broker.append(SOURCE, key, b"")
    letters = stored(builders.letter(position=0, key=b"1"), builders.letter(position=1, key=b"2"))

    newest = newest_positions(MemoryLogReaders(broker), letters)

    assert newest == {(0, b"1"): 2, (0, b"2"): 1}


def test_a_delete_that_came_since_supersedes_too(broker: MemoryBroker) -> None:
    broker.append(SOURCE, b"1", b"bad")
    broker.append(SOURCE, b"1", None)

    newest = newest_positions(
        MemoryLogReaders(broker), stored(builders.letter(position=0, key=b"1"))
    )

    assert newest == {(0, b"1"): 1}


def test_only_partitions_with_letters_are_read_and_from_the_oldest_letter_on(
    broker: MemoryBroker,
) -> None:
    for _ in range(3):
        broker.append(SOURCE, b"1", b"")
        broker.append(Partition(ENTRY.source_topic, 1), b"1", b"")
    opened: list[dict[Partition, int]] = []

    class Readers(MemoryLogReaders):
        @override
        def open(self, starts: Mapping[Partition, int]) -> MemoryLogReader:
            opened.append(dict(starts))
            return super().open(starts)

    letters = stored(builders.letter(position=2, key=b"1"), builders.letter(position=1, key=b"1"))
    newest_positions(Readers(broker), letters)

    assert opened == [{SOURCE: 1}]


def test_without_letters_nothing_is_read(broker: MemoryBroker) -> None:
    assert newest_positions(MemoryLogReaders(broker), []) == {}
