"""
What a provider may do wrong reaches no subscriber, is told, and holds nothing up (design.md §4).

Records are written by a plain producer with the provider's own credentials, past our SDK.
"""

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer

from bus.adapters.kafka.connection import LOGGER
from bus.bootstrap.dead_letters import Redriven, dead_letters, redrive
from bus.domain.access import OPERATOR
from bus.domain.entry import CatalogEntry
from bus.domain.items import Nullable, RecordField, RecordReference, RecordType, Scalar
from bus.domain.names import provider_principal
from bus.domain.record_key import partition_of
from bus.services.dead_letters import StoredLetter
from producers import Publication
from producers.record_encoder import RecordEncoder
from tests import builders
from tests.integration.test_end_to_end import open_subscriber, take, town
from tests.live_platform import LivePlatform, wait_until
from tests.stream_builders import source_value

_HEAD = 5
#: As many zeros as a batch may unpack to in our consumer, and then some.
_BOMB_BYTES = 120_000_000


class Raw(NamedTuple):
    """A record as a provider's own program might write it."""

    key: bytes
    value: bytes
    partition: int = 0


class Provider:
    """Writes bytes to a resource's source topic."""

    def __init__(self, platform: LivePlatform, entry: CatalogEntry) -> None:
        descriptor = platform.provider().control.publication(entry.resource)
        self._encoder = RecordEncoder(Publication.from_descriptor(descriptor))
        self._topic = entry.source_topic
        kafka = platform.kafka(provider_principal(builders.PROVIDER))
        self._producer = Producer(
            kafka.client(
                message_max_bytes=200_000_000,
                queue_buffering_max_kbytes=400_000,
                compression_type="zstd",
                linger_ms=0,
            ),
            logger=LOGGER,
        )

    def value(self, code: str = "1", **items: object) -> bytes:
        """Return a good value."""
        encoded = self._encoder.items(self._encoder.check(town(code, **items)))
        return self._encoder.value(encoded, event_id=uuid.uuid4(), occurred_at=builders.NOW)

    def write(self, raw: Raw) -> None:
        """Write one record in a batch of its own, and wait until it is accepted."""
        refused: list[object] = []
        self._producer.produce(
            self._topic,
            raw.value,
            raw.key,
            raw.partition,
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )
        assert self._producer.flush(30) == 0
        assert refused == []


def letters(platform: LivePlatform, entry: CatalogEntry) -> list[StoredLetter]:
    """Return the dead letters of a resource."""
    return list(dead_letters(platform.account(OPERATOR), entry.resource))


def foreign_schema(platform: LivePlatform) -> int:
    """Return the schema id of another resource."""
    another = platform.new_resource()
    descriptor = platform.provider().control.publication(another.resource)
    return int(descriptor["schema_id"])


Bad = Callable[[LivePlatform, Provider], Raw]

BAD: dict[str, Bad] = {
    "BAD_MAGIC": lambda _, mine: Raw(b"1", b"\x01" + mine.value()[1:]),
    "SCHEMA_FOREIGN": lambda platform, mine: Raw(
        b"1", b"\0" + foreign_schema(platform).to_bytes(4, "big") + mine.value()[_HEAD:]
    ),
    "TRUNCATED": lambda _, mine: Raw(b"1", mine.value(population=None)[:-4]),
    "TRAILING_BYTES": lambda _, mine: Raw(b"1", mine.value() + b"\0"),
    "KEY_MISMATCH": lambda _, mine: Raw(b"2", mine.value()),
    "NUL_IN_TEXT": lambda _, mine: Raw(b"1", mine.value(name="ab").replace(b"ab", b"a\0")),
    "RECORD_TOO_LARGE": lambda _, mine: Raw(b"1", mine.value() + bytes(10_000_000)),
    "BATCH_UNREADABLE": lambda _, mine: Raw(b"1", mine.value() + bytes(_BOMB_BYTES)),
}


@pytest.mark.parametrize("code", BAD)
def test_a_bad_record_is_a_dead_letter_and_the_next_one_is_delivered(
    platform: LivePlatform, code: str
) -> None:
    entry = platform.new_resource()
    grant = platform.new_grant(entry)
    mine = Provider(platform, entry)
    bad = BAD[code](platform, mine)

    mine.write(Raw(b"1", mine.value(name="before")))
    mine.write(bad)
    mine.write(Raw(b"3", mine.value(code="3", name="after")))
    with open_subscriber(platform, grant) as subscriber:
        changes = take(subscriber, 2)

    assert [(change.record or {})["name"] for change in changes] == ["before", "after"]
    (stored,) = letters(platform, entry)
    assert (stored.letter.code, stored.letter.position) == (code, 1)
    if code != "BATCH_UNREADABLE":
        assert stored.letter.size == len(bad.value)
        assert bad.value.startswith(stored.letter.value or b"?")
    assert platform.verify(grant).well


def test_a_record_in_the_wrong_partition_is_a_dead_letter(platform: LivePlatform) -> None:
    """Order holds for each key because its partition is fixed."""
    entry = builders.entry(platform.new_code("res"), partitions=2)
    platform.declare(entries=(entry,))
    grant = platform.new_grant(entry)
    mine = Provider(platform, entry)
    right = partition_of(b"1", 2)

    mine.write(Raw(b"1", mine.value(), 1 - right))
    mine.write(Raw(b"1", mine.value(name="right"), right))
    with open_subscriber(platform, grant) as subscriber:
        (change,) = take(subscriber, 1)

    assert (change.record or {})["name"] == "right"
    letter = wait_until(lambda: letters(platform, entry), "the dead letter is there")[0].letter
    assert (letter.code, letter.partition) == ("WRONG_PARTITION", 1 - right)


def test_a_record_of_sixty_five_levels_is_a_dead_letter(platform: LivePlatform) -> None:
    """A recursive type lets a record nest; the walker's bound ends that (field notes: bombs)."""
    chain = RecordType("Chain", (RecordField("next", Nullable(RecordReference("Chain"))),))
    entry = builders.entry(
        platform.new_code("res"),
        items=(builders.key_item(), builders.item("chain", Nullable(chain))),
    )
    platform.declare(entries=(entry,))
    grant = platform.new_grant(entry)
    schema = builders.schema_of(entry)
    schema_id = int(platform.provider().control.publication(entry.resource)["schema_id"])

    with platform.publisher(entry) as publisher:
        for code, links in (("deep", 65), ("flat", 3)):
            content = {"code": code, "chain": _links(links)}
            value = source_value(content, schema=schema, schema_id=schema_id)
            publisher.publish_bytes(code.encode(), value)
    with open_subscriber(platform, grant) as subscriber:
        (change,) = take(subscriber, 1)

    assert change.record == {"code": "flat", "chain": _links(3)}
    (stored,) = letters(platform, entry)
    assert (stored.letter.code, stored.letter.key) == ("TOO_DEEP", b"deep")


def _links(count: int) -> dict[str, Any] | None:
    chain: dict[str, Any] | None = None
    for _ in range(count):
        chain = {"next": chain}
    return chain


def test_a_schema_that_comes_late_is_waited_for(platform: LivePlatform) -> None:
    """design.md §4: an unknown id pauses that partition, then the record goes its way."""
    entry = platform.new_resource()
    grant = platform.new_grant(entry)
    mine = Provider(platform, entry)
    # The next schema to be registered gets the next id.
    known = int(platform.provider().control.publication(entry.resource)["schema_id"])
    grown = builders.entry(
        entry.resource, items=(*entry.items, builders.item("note", Nullable(Scalar.STRING)))
    )
    value = mine.value()
    later = b"\0" + (known + 2).to_bytes(4, "big") + value[_HEAD:] + b"\0"

    mine.write(Raw(b"1", later))
    waiting = "onesource_router_partitions"
    wait_until(
        lambda: platform.metric("router", waiting, state="waiting") == 1, "the partition waits"
    )
    platform.declare(entries=(grown,))
    descriptor = platform.provider().control.publication(entry.resource)

    assert int(descriptor["schema_id"]) == known + 2
    with open_subscriber(platform, grant) as subscriber:
        (change,) = take(subscriber, 1)
    assert change.key == "1"
    assert letters(platform, entry) == []


def test_dead_letters_are_published_again_unless_a_newer_record_came(
    platform: LivePlatform,
) -> None:
    entry = platform.new_resource()
    platform.new_grant(entry)
    mine = Provider(platform, entry)
    mine.write(Raw(b"1", b"\x01bad"))
    mine.write(Raw(b"2", b"\x01bad"))
    mine.write(Raw(b"2", mine.value(code="2")))
    mine.write(Raw(b"3", mine.value(code="3") + bytes(100_000)))
    wait_until(lambda: len(letters(platform, entry)) == 3, "the dead letters are there")

    done = redrive(platform.provider(), entry.resource, letters(platform, entry))

    assert done == Redriven(published=1, superseded=1, not_whole=1)
    again = wait_until(lambda: letters(platform, entry)[3:], "what is still bad comes back")
    assert [(each.letter.code, each.letter.key) for each in again] == [("BAD_MAGIC", b"1")]
