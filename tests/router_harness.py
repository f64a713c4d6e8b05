"""A router on a broker in memory, stepped by hand, and an oracle for what its views must hold."""

import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import fastavro

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.memory.broker import (
    MemoryBroker,
    MemoryGroupConsumer,
    MemoryLogReaders,
    MemoryRecord,
    MemoryTransactionalWriter,
)
from bus.adapters.memory.clock import ManualClock
from bus.domain.avro_schema import view_schema
from bus.domain.dead_letter import DeadLetter
from bus.domain.names import POLICY_TOPIC, ROUTER_GROUP, ROUTER_STATE_TOPIC
from bus.domain.policy import PolicyVersion, ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.pseudonyms import PseudonymKey
from bus.domain.record_key import partition_of
from bus.domain.view import Treatment, make_view
from bus.ports import Partition
from bus.ports.pseudonym_secrets import PseudonymSecrets
from bus.router.router import Router
from bus.services.policy_follower import PolicyFollower
from tests.pseudonym_secrets import PSEUDONYMS, SECRETS

SOURCE_META = {
    "type": "record",
    "name": "SourceMeta",
    "fields": [
        {"name": "event_id", "type": {"type": "fixed", "name": "EventId", "size": 16}},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}
TOWNS = json.dumps(
    {
        "type": "record",
        "name": "Record",
        "namespace": "os.cn.towns",
        "fields": [
            {"name": "meta", "type": SOURCE_META},
            {"name": "id", "type": "string"},
            {"name": "kind", "type": "string"},
            {"name": "size", "type": ["null", "int"]},
            {"name": "secret", "type": "string"},
        ],
    }
)
#: The schema id of TOWNS.
TOWNS_ID = 1
SOURCE = "os.src.cn.bureau.towns.1"
DEAD_LETTERS = "os.dlq.cn.towns"

Row = dict[str, Any]


def towns(partitions: int = 2, *, schemas: Mapping[int, str] | None = None) -> ResourcePolicy:
    """Return the policy of the resource that most tests use."""
    return ResourcePolicy(
        jurisdiction="cn",
        resource="towns",
        provider="bureau",
        generation=1,
        topic=SOURCE,
        partitions=partitions,
        dead_letter_topic=DEAD_LETTERS,
        key_items=("id",),
        schemas=tuple(
            WriterSchema(schema_id, version, text)
            for version, (schema_id, text) in enumerate((schemas or {TOWNS_ID: TOWNS}).items(), 1)
        ),
    )


def towns_view(
    *kept: str,
    treated: Mapping[str, Treatment] | None = None,
    rows: str | None = None,
    incarnation: int = 1,
    partitions: int = 1,
    pseudonyms_for: PseudonymKey = PSEUDONYMS,
) -> ViewPolicy:
    """Return a view of `towns`; view schema ids are 1000 more than their writers'."""
    view = make_view(
        jurisdiction="cn",
        resource="towns",
        generation=1,
        row_filter=rows,
        treatments=dict.fromkeys({"id", *kept}, Treatment.KEEP) | dict(treated or {}),
        pseudonyms_for=pseudonyms_for,
    )
    return ViewPolicy(
        view=view,
        incarnation=incarnation,
        topic=f"os.view.cn.towns.{view.id}.{incarnation}",
        partitions=partitions,
        projections={schema_id: 1000 + schema_id for schema_id in range(1, 10)},
    )


class Bus:
    """A broker with policy, sources and views, and routers to step."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.clock = ManualClock()
        self.codec = AvroEventCodec()
        self.readers = MemoryLogReaders(self.broker)
        self.resources: dict[str, ResourcePolicy] = {}
        self.views: dict[str, ViewPolicy] = {}
        self.all_views: dict[str, ViewPolicy] = {}
        self.version = 0
        #: What routers have of it; None: they were given none.
        self.secrets: PseudonymSecrets | None = SECRETS
        self._published: dict[str, bytes] = {}
        self.broker.create(POLICY_TOPIC, 1)
        self.broker.create(ROUTER_STATE_TOPIC, 1)

    # --- control's part ---------------------------------------------------------------------------

    def declare(self, resource: ResourcePolicy, *views: ViewPolicy) -> None:
        """Make exactly `views` the views of `resource`, in a new policy version."""
        self.resources[resource.topic] = resource
        self.broker.create(resource.topic, resource.partitions)
        self.broker.create(resource.dead_letter_topic, 1)
        for view in views:
            self.broker.create(view.topic, view.partitions)
            self.all_views[view.topic] = view
        self.views = {
            topic: view
            for topic, view in self.views.items()
            if view.view.resource != resource.resource
        } | {view.topic: view for view in views}
        self.publish_policy()

    def publish_policy(self) -> None:
        """Publish what has changed as one version, like the relay."""
        wanted: list[ResourcePolicy | ViewPolicy] = [
            *self.resources.values(),
            *self.views.values(),
        ]
        objects = {each.object_id: self.codec.encode(each) for each in wanted}
        self.version += 1
        changes: dict[str, bytes | None] = {
            key: value for key, value in objects.items() if self._published.get(key) != value
        }
        changes.update(dict.fromkeys(self._published.keys() - objects.keys()))
        self._published = objects
        writer = MemoryTransactionalWriter(self.broker, transactional_id="os.relay")
        writer.begin()
        for key, value in changes.items():
            writer.write(POLICY_TOPIC, 0, key.encode(), value)
        closing = self.codec.encode(PolicyVersion(self.version))
        writer.write(POLICY_TOPIC, 0, b"version", closing)
        writer.commit({}, None)

    # --- the provider's part ----------------------------------------------------------------------

    def upsert(self, key: str, **items: Any) -> int:
        """Publish a record of `towns`; return its position."""
        record = {"id": key, "kind": "town", "size": 1, "secret": f"secret-{key}", **items}
        return self.publish(towns_of(self), key.encode(), encode(record))

    def delete(self, key: str) -> int:
        """Publish a delete; return its position."""
        return self.publish(towns_of(self), key.encode(), None)

    def publish(
        self,
        resource: ResourcePolicy,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
    ) -> int:
        """Append bytes to a source topic, by default where the key belongs."""
        if partition is None:
            partition = partition_of(key or b"", resource.partitions)
        return self.broker.append(Partition(resource.topic, partition), key, value)

    # --- the router's part ------------------------------------------------------------------------

    def router(self, instance: str = "0") -> Router:
        """Start a router; one with the same instance before it is thereby dead."""
        follower = PolicyFollower(self.readers, self.codec, self.clock)
        return Router(
            consumer=MemoryGroupConsumer(self.broker, group=ROUTER_GROUP, instance=instance),
            writer=MemoryTransactionalWriter(
                self.broker, transactional_id=f"{ROUTER_GROUP}.{instance}"
            ),
            readers=self.readers,
            follower=follower,
            codec=self.codec,
            clock=self.clock,
            compile_filter=compile_filter,
            run_id=uuid.uuid4().hex[:8],
            pseudonym_secrets=self.secrets,
        )

    def settle(self, *routers: Router, rounds: int = 400) -> None:
        """Step `routers` until nothing moves any more."""
        quiet = 0
        for _ in range(rounds):
            before = self._size()
            for router in routers:
                router.step()
            # The first pass of a fill writes nothing, and neither does loading.
            busy = any(
                router._groups or any(task.filling for task in router._tasks.values())
                for router in routers
            )
            quiet = quiet + 1 if self._size() == before and not busy else 0
            if quiet > 6:
                return
        raise AssertionError("the routers do not come to rest")

    def _size(self) -> int:
        return sum(
            self.broker.end(Partition(topic, number))
            for topic, count in self.broker.topics().items()
            for number in range(count)
        )

    # --- what has come of it ----------------------------------------------------------------------

    def committed(self, topic: str) -> list[MemoryRecord]:
        """Return the committed records of a topic, partition by partition."""
        found: list[MemoryRecord] = []
        for number in range(self.broker.topics()[topic]):
            records, _ = self.broker.read(Partition(topic, number), 0, 1 << 30)
            found += [record for record in records if isinstance(record, MemoryRecord)]
        return found

    def rows(self, view: ViewPolicy) -> dict[str, Row]:
        """Return the last committed value of each key of a view."""
        rows: dict[str, Row] = {}
        for record in self.committed(view.topic):
            key = (record.key() or b"").decode()
            value = record.value()
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = self.decode(view, value)[1]
        return rows

    def decode(self, view: ViewPolicy, value: bytes) -> tuple[Row, Row]:
        """Return (meta, items) of a view record."""
        writer = next(
            schema.text
            for schema in next(iter(self.resources.values())).schemas
            if view.projections[schema.id] == int.from_bytes(value[1:5], "big")
        )
        text = view_schema(writer, view.view.kept(), view.view.nulled())
        schema = fastavro.parse_schema(json.loads(text))
        record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        assert isinstance(record, dict)
        return record.pop("meta"), record

    def letters(self) -> list[DeadLetter]:
        """Return the dead letters of `towns`."""
        found = [
            self.codec.decode(record.value() or b"") for record in self.committed(DEAD_LETTERS)
        ]
        return [letter for letter in found if isinstance(letter, DeadLetter)]


def towns_of(bus: Bus) -> ResourcePolicy:
    """Return the policy of `towns` as it is now."""
    return bus.resources[SOURCE]


def encode(
    record: Mapping[str, Any],
    schema: str = TOWNS,
    schema_id: int = TOWNS_ID,
    *,
    event_id: uuid.UUID | None = None,
) -> bytes:
    """Return a source record in Confluent wire format."""
    meta = {"event_id": (event_id or uuid.uuid4()).bytes, "occurred_at": 1_700_000_000_000_000}
    out = io.BytesIO()
    parsed = fastavro.parse_schema(json.loads(schema))
    fastavro.schemaless_writer(out, parsed, {"meta": meta, **record})
    return b"\x00" + schema_id.to_bytes(4, "big") + out.getvalue()


def expected_rows(
    source: Iterable[tuple[str, Row | None]],
    kept: Iterable[str],
    matches: Callable[[Row], bool] = lambda _: True,
) -> dict[str, Row]:
    """Return what a view must hold after (key, record or None) in this order."""
    kept = set(kept)
    rows: dict[str, Row] = {}
    for key, record in source:
        if record is None or not matches(record):
            rows.pop(key, None)
        else:
            rows[key] = {name: value for name, value in record.items() if name in kept}
    return rows
