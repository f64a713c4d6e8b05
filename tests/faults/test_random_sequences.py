"""
A hundred random sequences on the real broker, with thirty kills of the router.

Each sequence is a resource with a random schema: upserts, deletes, malformed records, grants,
changes of filters and items, revocations, new entry versions. The router is killed at random
moments. In the end, with an oracle that shares no code with the router: every live view holds what
it must (invariant 1); nothing that was ever written to a view topic, committed or aborted, is
outside the view (2); positions grow strictly (3), so that nothing was written twice (4).

The seed is printed; TEST_SEED repeats a run.
"""

import io
import json
import os
import random
import threading
import time
import uuid
from collections.abc import Iterable
from typing import Any

import fastavro
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from bus.adapters.cel.cel_python import row_predicate
from bus.bootstrap.catalog import catalog
from bus.domain.access import OPERATOR
from bus.domain.dead_letter import DeadLetter
from bus.domain.names import ROUTER_GROUP, provider_principal
from bus.domain.policy import ResourcePolicy, WriterSchema
from bus.domain.record_key import partition_of
from bus.domain.subscription import Incarnation
from bus.ports import Partition, Record
from bus.services.verification.oracle import ViewOracle
from bus.services.verification.rows import plain
from producers.publication import Publication
from producers.record_encoder import RecordEncoder
from tests import builders
from tests.faults.world import KEYS, Resource, random_resource
from tests.live_platform import LivePlatform, wait_until

SEQUENCES = int(os.environ.get("TEST_SEQUENCES", "100"))
ROUNDS = 10
KILLS_A_ROUND = 3
#: No magic, cut off, and a schema that nobody has, which is waited for before it is given up.
_MALFORMED = [b"", b"\x01\x00\x00\x00\x00", b"\x00\x00\x00", b"\x00\xff\xff\xff\xff", b"?"]


class Play:
    """The sequences, side by side on one platform."""

    def __init__(self, platform: LivePlatform, seed: int) -> None:
        self.platform = platform
        self.chance = random.Random(seed)
        self.resources = [
            random_resource(platform.new_code("seq"), self.chance) for _ in range(SEQUENCES)
        ]
        self.encoders: dict[str, RecordEncoder] = {}
        self.incarnations: dict[str, Incarnation] = {}
        self.failed: list[str] = []

    def run(self) -> int:
        """Play all rounds; return how many kills there were."""
        self.platform.declare(entries=tuple(each.entry for each in self.resources))
        # Only now may the provider write anything, and so have an idempotent producer.
        provider = self.platform.kafka(provider_principal(builders.PROVIDER))
        self.producer = Producer(provider.client(enable_idempotence=True, linger_ms=5))
        for resource in self.resources:
            self._learn(resource)
        kills = 0
        for _ in range(ROUNDS):
            killer = threading.Thread(target=self._kill, args=(self.chance.random(),))
            killer.start()
            self._change_grants()
            for _ in range(3):
                self._publish()
            killer.join()
            kills += KILLS_A_ROUND
        assert self.failed == []
        return kills

    def _learn(self, resource: Resource) -> None:
        """Learn how to publish to a resource as its entry is now."""
        descriptor = self.platform.provider().control.publication(resource.entry.resource)
        self.encoders[resource.entry.resource] = RecordEncoder(
            Publication.from_descriptor(descriptor)
        )

    def _kill(self, seed: float) -> None:
        """Kill the router at random moments, and start it again each time."""
        chance = random.Random(seed)
        for _ in range(KILLS_A_ROUND):
            time.sleep(chance.random() * 1.5)
            self.platform.kill("router")
            self.platform.restart("router")

    def _change_grants(self) -> None:
        """Give, amend and revoke grants, and publish new entry versions, in one transaction."""
        grants, revoked, grown = [], [], []
        for resource in self.resources:
            draw = self.chance.random()
            held = sorted(resource.grants)
            if draw < 0.1:
                resource.grow(self.chance)
                grown.append(resource)
            elif draw < 0.5 and len(held) < 3:
                code = self.platform.new_code(f"{resource.entry.resource}-g")
                resource.grants[code] = resource.random_grant(code, self.chance)
                grants.append(resource.grants[code])
            elif draw < 0.65 and held:
                code = self.chance.choice(held)
                resource.grants[code] = resource.amended(resource.grants[code], self.chance)
                grants.append(resource.grants[code])
            elif draw < 0.75 and held:
                code = self.chance.choice(held)
                del resource.grants[code]
                revoked.append(code)
        self.platform.declare(
            entries=tuple(each.entry for each in grown),
            grants=tuple(grants),
            revoke=tuple(revoked),
            wait=False,
        )
        for resource in grown:
            self._learn(resource)
        with (
            catalog(self.platform.settings) as parts,
            parts.store.transaction() as transaction,
        ):
            for incarnation in transaction.incarnations():
                self.incarnations[incarnation.topic] = incarnation

    def _publish(self) -> None:
        for resource in self.resources:
            topic = resource.entry.source_topic
            encoder = self.encoders[resource.entry.resource]
            for _ in range(self.chance.randint(1, 3)):
                key = self.chance.choice(KEYS).encode()
                draw = self.chance.random()
                value: bytes | None
                if draw < 0.08:
                    value = self.chance.choice(_MALFORMED)
                elif draw < 0.25:
                    value = None
                else:
                    record = resource.record(key.decode(), self.chance)
                    items = encoder.items(encoder.check(record))
                    value = encoder.value(items, event_id=uuid.uuid4(), occurred_at=builders.NOW)
                partition = partition_of(key, resource.entry.partitions)
                self.producer.produce(topic, value, key, partition, on_delivery=self._delivered)
        self.producer.flush(60)

    def _delivered(self, error: object, _message: object) -> None:
        if error is not None:
            self.failed.append(str(error))


class Outcome:
    """Everything that is on the topics in the end."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.platform = play.platform
        self.readers = self.platform.readers()
        self.sources = self._by_topic(
            Partition(each.entry.source_topic, number)
            for each in play.resources
            for number in range(each.entry.partitions)
        )
        self.letters = self._letters()

    def _by_topic(self, partitions: Iterable[Partition]) -> dict[str, list[Record]]:
        """Return the committed records of partitions, by topic."""
        wanted = list(partitions)
        ends = {each: end for each, end in self.readers.ends(wanted).items() if end}
        found: dict[str, list[Record]] = {each.topic: [] for each in wanted}
        reader = self.readers.open(dict.fromkeys(ends, 0))
        try:
            while any(reader.position(each) < end for each, end in ends.items()):
                for record in reader.read(10_000, 0.2):
                    found[record.topic() or ""].append(record)
        finally:
            reader.close()
        return found

    def _letters(self) -> dict[str, dict[tuple[int, int], bytes]]:
        topics = [Partition(each.entry.dead_letter_topic, 0) for each in self.play.resources]
        letters: dict[str, dict[tuple[int, int], bytes]] = {}
        for records in self._by_topic(topics).values():
            for record in records:
                letter = self.platform.codec.decode(record.value() or b"")
                assert isinstance(letter, DeadLetter)
                by_position = letters.setdefault(letter.topic, {})
                at = (letter.partition, letter.position)
                assert at not in by_position, f"two letters about {letter.topic} {at}"
                by_position[at] = letter.key or b""
        return letters

    def check(self) -> tuple[int, int]:
        """Check every invariant; return how many views and records were checked."""
        with (
            catalog(self.platform.settings) as parts,
            parts.store.transaction() as transaction,
        ):
            live = {each.topic: each for each in transaction.incarnations()}
            schemas = {
                each.entry.resource: tuple(transaction.writer_schemas(each.entry.resource, 1))
                for each in self.play.resources
            }
        mine = {each.entry.resource: each for each in self.play.resources}
        topics = {
            topic: each
            for topic, each in {**self.play.incarnations, **live}.items()
            if each.view.resource in mine
        }
        committed = self._by_topic(Partition(topic, 0) for topic in topics)
        for topic, incarnation in topics.items():
            resource = mine[incarnation.view.resource]
            if topic in live:
                policy = self._policy(resource, schemas[resource.entry.resource])
                self._check_view(incarnation, policy, committed[topic])
            self._check_order(topic, committed[topic])
        everything = self._uncommitted(topics)
        for topic, messages in everything.items():
            self._check_nothing_forbidden(topics[topic], mine, messages)
        return len(topics), sum(len(messages) for messages in everything.values())

    @staticmethod
    def _policy(resource: Resource, schemas: tuple[WriterSchema, ...]) -> ResourcePolicy:
        entry = resource.entry
        return ResourcePolicy(
            jurisdiction=entry.jurisdiction,
            resource=entry.resource,
            provider=entry.provider,
            generation=entry.generation,
            topic=entry.source_topic,
            partitions=entry.partitions,
            dead_letter_topic=entry.dead_letter_topic,
            key_items=("code",),
            schemas=schemas,
        )

    def _check_view(
        self, incarnation: Incarnation, policy: ResourcePolicy, records: list[Record]
    ) -> None:
        """Invariant 1: the last value per key is what the oracle says."""
        rows = incarnation.view.row_filter
        letters = self.letters.get(policy.topic, {})
        oracle = ViewOracle(
            policy,
            incarnation.view,
            None if rows is None else row_predicate(rows),
            letters.values(),
        )
        expected: dict[bytes, Any] = {}
        for record in self.sources[policy.topic]:
            partition, position = record.partition() or 0, record.offset() or 0
            counts, row = oracle.row(
                partition,
                position,
                record.key() or b"",
                record.value(),
                dead_lettered=(partition, position) in letters,
            )
            if counts:
                expected[record.key() or b""] = row
        found: dict[bytes, Any] = {}
        for record in records:
            value = record.value()
            found[record.key() or b""] = None if value is None else self._decode(value)[1]
        for rows_by_key in (expected, found):
            for key in oracle.undecided:
                rows_by_key.pop(key, None)
        assert oracle.wrongly_refused == []
        assert oracle.unexplained == []
        assert _present(found) == _present(expected), (incarnation.topic, rows)

    def _check_order(self, topic: str, records: list[Record]) -> None:
        """Invariants 3 and 4: positions grow strictly, for each source partition."""
        last: dict[int, int] = {}
        for record in records:
            partition, position = self._origin(record)
            assert position > last.get(partition, -1), (topic, partition, position)
            last[partition] = position

    def _check_nothing_forbidden(
        self, incarnation: Incarnation, mine: dict[str, Resource], messages: list[Record]
    ) -> None:
        """Invariant 2: no record, committed or aborted, is outside the view."""
        view = incarnation.view
        matches = row_predicate(view.row_filter) if view.row_filter else (lambda _: True)
        topic = mine[view.resource].entry.source_topic
        sources = {(each.partition(), each.offset()): each for each in self.sources[topic]}
        members: set[bytes] = set()
        for message in messages:
            key, value = message.key() or b"", message.value()
            if value is None:
                # A tombstone must not betray a key that the view never held.
                assert view.row_filter is None or key in members, incarnation.topic
                continue
            members.add(key)
            meta, row = self._decode(value)
            assert row.keys() <= view.kept()
            source = sources[meta["partition"], meta["position"]]
            assert source.key() == key
            assert matches(self._decode(source.value() or b"")[1]), incarnation.topic

    def _uncommitted(self, topics: Iterable[str]) -> dict[str, list[Record]]:
        """Return all records of view topics, those of aborted transactions too."""
        account = self.platform.kafka(OPERATOR)
        partitions = [Partition(topic, 0) for topic in topics]
        ends = {each: end for each, end in self.readers.ends(partitions).items() if end}
        consumer = Consumer(
            account.client(
                group_id=f"{OPERATOR}.uncommitted",
                isolation_level="read_uncommitted",
                enable_auto_commit=False,
                auto_offset_reset="error",
                enable_partition_eof=True,
            )
        )
        found: dict[str, list[Record]] = {topic: [] for topic in topics}
        waiting = set(ends)
        consumer.assign([TopicPartition(*each, 0) for each in ends])
        deadline = time.monotonic() + 300
        while waiting and time.monotonic() < deadline:
            for message in consumer.consume(10_000, 0.2):
                where = Partition(message.topic() or "", message.partition() or 0)
                if message.error() is not None:
                    waiting.discard(where)
                else:
                    found[where.topic].append(message)
        consumer.close()
        assert not waiting
        return found

    def _decode(self, value: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (meta, items) of a source or view record."""
        text = self.platform.account(OPERATOR).control.schema(int.from_bytes(value[1:5], "big"))
        schema = _PARSED.setdefault(text, fastavro.parse_schema(json.loads(text)))
        record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        assert isinstance(record, dict)
        return record.pop("meta"), record

    def _origin(self, record: Record) -> tuple[int, int]:
        value = record.value()
        if value is None:
            said: dict[str, Any] = dict(record.headers() or ())
            return int(said["os-partition"]), int(said["os-position"])
        meta, _ = self._decode(value)
        return meta["partition"], meta["position"]


_PARSED: dict[str, Any] = {}


def _present(rows: dict[bytes, Any]) -> dict[bytes, Any]:
    return {key: plain(row) for key, row in rows.items() if row is not None}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_random_sequences_with_kills(platform: LivePlatform) -> None:
    """Invariants 1 to 4 of design.md §7, on the real Kafka."""
    seed = int(os.environ.get("TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\nTEST_SEED={seed} ({SEQUENCES} sequences)")
    play = Play(platform, seed)

    kills = play.run()
    _await_quiet(platform, play)
    views, records = Outcome(play).check()

    print(f"{kills} kills; {views} view incarnations, {records} records in them")
    assert kills >= 30
    assert views > SEQUENCES // 2


def _await_quiet(platform: LivePlatform, play: Play) -> None:
    """Wait until the router has routed everything and filled every view."""
    readers = platform.readers()
    partitions = [
        Partition(each.entry.source_topic, number)
        for each in play.resources
        for number in range(each.entry.partitions)
    ]
    ends = readers.ends(partitions)

    def caught_up() -> bool:
        positions = readers.group_positions(ROUTER_GROUP, partitions)
        return all(positions.get(each, 0) >= end for each, end in ends.items())

    def filled() -> bool:
        with (
            catalog(platform.settings) as parts,
            parts.store.transaction() as transaction,
        ):
            return all(each.live for each in transaction.incarnations())

    wait_until(caught_up, "the router has caught up", seconds=300)
    wait_until(filled, "all views are filled", seconds=300)
