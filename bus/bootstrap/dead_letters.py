"""Dead letters for the command line: read as operator, published again as provider."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.bootstrap.accounts import Account
from bus.domain.names import group_prefix
from bus.services.dead_letters import StoredLetter, newest_positions, read_letters
from producers import Publication, Publisher


@dataclass(slots=True)
class Redriven:
    """What a redrive has done."""

    published: int = 0
    superseded: int = 0
    not_whole: int = 0


def dead_letters(account: Account, resource: str) -> Iterator[StoredLetter]:
    """Yield the dead letters of `resource`, oldest first."""
    descriptor = account.control.publication(resource)
    readers = KafkaLogReaders(account.kafka, group=f"{account.kafka.username}.dlq")
    return read_letters(readers, AvroEventCodec(), descriptor["dead_letter_topic"])


def redrive(account: Account, resource: str, letters: Sequence[StoredLetter]) -> Redriven:
    """Publish `letters` again in the provider's name, unless a newer record has come since."""
    publication = Publication.from_descriptor(account.control.publication(resource))
    readers = KafkaLogReaders(account.kafka, group=f"{group_prefix(account.kafka.username)}redrive")
    newest = newest_positions(readers, letters)
    done = Redriven()
    with Publisher(publication, account.kafka) as publisher:
        for stored in letters:
            letter = stored.letter
            if not letter.whole or letter.key is None or letter.value is None:
                done.not_whole += 1
            elif newest.get((letter.partition, letter.key), letter.position) > letter.position:
                done.superseded += 1
            else:
                publisher.publish_bytes(letter.key, letter.value)
                done.published += 1
    return done
