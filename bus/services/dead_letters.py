"""Read dead letters, and publish again those whose cause has been mended."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bus.domain.dead_letter import DeadLetter
from bus.ports import EventCodec, LogReaders, Partition

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter with its number (its offset on the dead-letter topic)."""

    number: int
    letter: DeadLetter

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the bytes, for JSON."""
        held = self.letter
        return {
            "letter": self.number,
            "code": held.code,
            "reason": held.reason,
            "topic": held.topic,
            "partition": held.partition,
            "position": held.position,
            "positions": held.positions,
            "accepted_at": held.accepted_at.isoformat(),
            "key": None if held.key is None else held.key.decode(errors="replace"),
            "size": held.size,
            "sha256": None if held.sha256 is None else held.sha256.hex(),
            "whole": held.whole,
        }


def read_letters(
    readers: LogReaders, codec: EventCodec, dead_letter_topic: str
) -> Iterator[StoredLetter]:
    """Yield the dead letters on a topic, oldest first."""
    where = Partition(dead_letter_topic, 0)
    end = readers.ends([where])[where]
    beginning = readers.beginnings([where])[where]
    if end <= beginning:
        return
    reader = readers.open({where: beginning})
    try:
        while reader.position(where) < end:
            for record in reader.read(_BATCH, 0.2):
                event = codec.decode(record.value() or b"")
                if isinstance(event, DeadLetter):
                    yield StoredLetter(record.offset() or 0, event)
    finally:
        reader.close()


def newest_positions(
    readers: LogReaders, letters: Sequence[StoredLetter]
) -> Mapping[tuple[int, bytes], int]:
    """Return the newest source position of each letter's key, by (partition, key)."""
    if not letters:
        return {}
    topic = letters[0].letter.topic
    keys = {each.letter.key for each in letters}
    partitions = [
        Partition(topic, number) for number in {each.letter.partition for each in letters}
    ]
    starts = {
        partition: min(
            each.letter.position for each in letters if each.letter.partition == partition.number
        )
        for partition in partitions
    }
    ends = readers.ends(partitions)
    newest: dict[tuple[int, bytes], int] = {}
    reader = readers.open(starts)
    try:
        while any(reader.position(each) < ends[each] for each in partitions):
            for record in reader.read(_BATCH, 0.2):
                key = record.key()
                if key is not None and key in keys:
                    newest[record.partition() or 0, key] = record.offset() or 0
    finally:
        reader.close()
    return newest
