"""
Streams for tests: encoded records, and the control plane on a broker in memory.

Records are encoded by fastavro alone, so that they can judge what the product encodes. The values
are those of `tests.builders`.
"""

import datetime as dt
import io
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import fastavro
import pytest
from typing_extensions import override

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.memory.admin import MemoryAccessAdmin, MemoryTopicAdmin
from bus.adapters.memory.broker import (
    MemoryBroker,
    MemoryLogReader,
    MemoryLogReaders,
    MemoryTransactionalWriter,
)
from bus.adapters.memory.catalog_store import MemoryCatalogStore, MemoryOutbox, MemoryRelayLock
from bus.adapters.memory.clock import ManualClock
from bus.domain.access import RELAY_TRANSACTIONAL_ID
from bus.domain.avro_schema import view_schema
from bus.domain.catalog import Catalog
from bus.domain.entry import CatalogEntry
from bus.domain.names import META, ROUTER_STATE_TOPIC, provider_principal
from bus.domain.policy import Policy
from bus.domain.record_key import KeyPart, partition_of, record_key
from bus.domain.router_state import Phase, RouterState, state_key
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.topics import base_topics
from bus.ports import BusEvent, Partition, TransactionalWriter
from bus.ports.record_writer import Headers
from bus.services.access import Access
from bus.services.catalog_changes import Applied, CatalogChanges
from bus.services.policy_follower import PolicyFollower
from bus.services.relay import Relay
from producers.publication import Publication
from producers.record_encoder import RecordEncoder
from tests import builders

EVENT_ID = uuid.UUID("00000000-0000-4000-8000-000000000001")
OCCURRED_AT = dt.datetime(2026, 1, 4, 12, 30, tzinfo=dt.UTC)

Row = dict[str, Any]


# --- Records --------------------------------------------------------------------------------------


def record(code: str = "110101", **items: Any) -> Row:
    """Return the items of a record of `builders.entry()`."""
    return {"code": code, "name": "东城", "district": "1101", "population": 708_829, **items}


def source_value(
    content: Mapping[str, Any] | None = None,
    *,
    schema: str | None = None,
    schema_id: int = 1,
    event_id: uuid.UUID = EVENT_ID,
    occurred_at: dt.datetime = OCCURRED_AT,
) -> bytes:
    """Return a record as its provider writes it, in Confluent wire format."""
    meta = {"event_id": event_id.bytes, "occurred_at": occurred_at}
    content = record() if content is None else content
    schema = schema or builders.schema_of(builders.entry())
    return encoded(schema, schema_id, {META: meta, **content})


def view_value(
    content: Mapping[str, Any] | None = None,
    *,
    kept: Iterable[str] = ("code", "name"),
    schema: str | None = None,
    schema_id: int = 2,
    **meta: Any,
) -> bytes:
    """Return a record as the router writes it to a view that keeps `kept` of a source `schema`."""
    content, kept = record() if content is None else content, set(kept)
    said = {
        "event_id": EVENT_ID.bytes,
        "occurred_at": OCCURRED_AT,
        "source": builders.PROVIDER,
        "entry_version": 1,
        "generation": 1,
        "partition": 0,
        "position": 0,
        "mark": None,
        **meta,
    }
    items = {name: value for name, value in content.items() if name in kept}
    text = view_schema(schema or builders.schema_of(builders.entry()), kept)
    return encoded(text, schema_id, {META: said, **items})


def tombstone_headers(
    *,
    reason: str = "deleted",
    position: int = 0,
    event_id: uuid.UUID = EVENT_ID,
    occurred_at: dt.datetime = OCCURRED_AT,
) -> Headers:
    """Return the headers of a delete as the router writes it."""
    return [
        ("os-event-id", str(event_id).encode()),
        ("os-occurred-at", occurred_at.isoformat().encode()),
        ("os-generation", b"1"),
        ("os-partition", b"0"),
        ("os-position", str(position).encode()),
        ("os-reason", reason.encode()),
    ]


def encoded(schema: str, schema_id: int, content: Mapping[str, Any]) -> bytes:
    """Return `content` in Confluent wire format."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(schema)), dict(content))
    return b"\x00" + schema_id.to_bytes(4, "big") + out.getvalue()


def decoded(schema: str, value: bytes) -> Row:
    """Return the record in `value`, which must hold nothing else."""
    body = io.BytesIO(value[5:])
    content = fastavro.schemaless_reader(body, fastavro.parse_schema(json.loads(schema)), None)
    assert isinstance(content, dict)
    assert body.read() == b""
    return content


def key_of(of: CatalogEntry, content: Mapping[str, Any]) -> bytes:
    """Return the Kafka key of a record of an entry."""
    parts: list[KeyPart] = [content[each.name] for each in of.key_items]
    return record_key(parts)


# --- The provider ---------------------------------------------------------------------------------


def publication(
    of: CatalogEntry | None = None, *, version: int = 1, schema_id: int = 1
) -> Publication:
    """Return what the provider of an entry is told."""
    of = of or builders.entry()
    return Publication(
        resource=of.resource,
        topic=of.source_topic,
        partitions=of.partitions,
        generation=of.generation,
        entry_version=version,
        principal=provider_principal(of.provider),
        key_items=tuple(each.name for each in of.key_items),
        schema_id=schema_id,
        schema=builders.schema_of(of),
    )


def encoder(of: CatalogEntry | None = None, *, schema_id: int = 1) -> RecordEncoder:
    """Return the encoder of the provider of an entry."""
    return RecordEncoder(publication(of, schema_id=schema_id))


def put(
    broker: MemoryBroker,
    of: CatalogEntry,
    content: Mapping[str, Any],
    *,
    schema_id: int = 1,
    schema: str | None = None,
) -> int:
    """Append a record to the source topic of an entry, where it belongs; return its position."""
    value = source_value(content, schema=schema or builders.schema_of(of), schema_id=schema_id)
    return put_bytes(broker, of, key_of(of, content), value)


def put_bytes(broker: MemoryBroker, of: CatalogEntry, key: bytes, value: bytes | None) -> int:
    """Append any bytes, or a delete, to the source topic of an entry, where the key belongs."""
    where = Partition(of.source_topic, partition_of(key, of.partitions))
    return broker.append(where, key, value)


# --- The control plane ----------------------------------------------------------------------------


class ControlPlane:
    """The control plane's use cases over memory, with all that they change."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.readers = MemoryLogReaders(self.broker)
        self.clock = ManualClock()
        self.codec = AvroEventCodec()
        self.store = MemoryCatalogStore()
        self.outbox = MemoryOutbox(self.store)
        self.topics = MemoryTopicAdmin(self.broker)
        self.admin = MemoryAccessAdmin()
        self.access = Access(self.admin, self.clock)
        self.changes = CatalogChanges(
            store=self.store,
            topics=self.topics,
            access=self.access,
            codec=self.codec,
            clock=self.clock,
            compile_filter=compile_filter,
            incompatibilities=incompatibilities,
        )
        self.leader: list[MemoryRelayLock] = []
        for name, _ in base_topics():
            self.broker.create(name, 1)

    def apply(self, declared: Catalog) -> Applied:
        """Put a catalog into force, which must have no faults."""
        applied = self.changes.apply(declared)
        assert not applied.plan.faults
        return applied

    def incarnations(self) -> dict[str, Incarnation]:
        """Return the view incarnations that have not ended, by topic."""
        with self.store.transaction() as transaction:
            return {each.topic: each for each in transaction.incarnations()}

    def incarnation_of(self, grant: str = builders.GRANT) -> Incarnation:
        """Return the incarnation that a grant's subscription is delivered from."""
        return self.incarnations()[self.subscription(grant).topic]

    def subscription(self, grant: str = builders.GRANT) -> Subscription:
        """Return the subscription of a grant."""
        with self.store.transaction() as transaction:
            return next(each for each in transaction.subscriptions() if each.id == grant)

    def readable(self, principal: str) -> set[str]:
        """Return the names of the topics that a principal may read in Kafka."""
        return {
            rule.name
            for rule in self.admin.rules().get(principal, frozenset())
            if rule.resource == "topic" and rule.operation == "read"
        }

    def objects(self) -> dict[str, BusEvent]:
        """Return what the newest policy version holds, by object id."""
        with self.store.transaction() as transaction:
            stored = transaction.policy_objects()
        return {object_id: self.codec.decode(value) for object_id, value in stored.items()}

    def fill(self, topic: str, *, source: CatalogEntry | None = None) -> None:
        """Record as the router does that an incarnation is live in every source partition."""
        source = source or builders.entry()
        for number in range(source.partitions):
            key = state_key(source.source_topic, number, topic)
            state = RouterState(phase=Phase.LIVE, policy_version=self.outbox.newest_version())
            self.broker.append(
                Partition(ROUTER_STATE_TOPIC, 0), key.encode(), self.codec.encode(state)
            )

    def writer(self) -> TransactionalWriter:
        """Return a writer of the relay, which ends the former one."""
        return MemoryTransactionalWriter(self.broker, transactional_id=RELAY_TRANSACTIONAL_ID)

    def relay(self) -> Relay:
        """Return the relay of one more replica."""
        return Relay(
            outbox=self.outbox,
            lock=MemoryRelayLock(self.leader),
            connect=self.writer,
            readers=self.readers,
            codec=self.codec,
            clock=self.clock,
        )

    def policy(self) -> Policy:
        """Return the policy that a reader of the policy topic comes to now."""
        follower = PolicyFollower(self.readers, self.codec, self.clock)
        follower.poll()
        follower.close()
        assert follower.policy is not None
        return follower.policy


class DeafReaders(MemoryLogReaders):
    """Readers of which the first hears nothing from some moment on, and says nothing of it."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.opened: list[MemoryLogReader] = []

    @override
    def open(self, starts: Mapping[Partition, int]) -> MemoryLogReader:
        self.opened.append(super().open(starts))
        return self.opened[-1]

    def deafen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the newest reader hear nothing more."""
        monkeypatch.setattr(self.opened[-1], "read", lambda _most, _seconds: ())
