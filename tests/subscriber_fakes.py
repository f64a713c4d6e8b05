"""What a subscriber connects to, in memory: the control plane's answers and a view on a broker."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from typing_extensions import override

from bus.adapters.control_http.client import ControlClient
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.memory.broker import MemoryBroker, MemoryLogReader, MemoryLogReaders
from bus.adapters.memory.clock import ManualClock
from bus.control.delivery_routes import _descriptor
from bus.domain.avro_schema import view_schema
from bus.domain.grant import GrantState
from bus.domain.names import group_prefix, subscription_principal, value_subject
from bus.domain.subscription import Incarnation
from bus.errors import AccessDenied, BusError, NotFound
from bus.ports import Committed, Delivery, Partition
from consumers.descriptor import Descriptor
from tests import builders, stream_builders
from tests.stream_builders import tombstone_headers, view_value

VIEW_SCHEMA_ID = 2


class MemoryViewReader(MemoryLogReader):
    """`KafkaLogReader` with a group in memory."""

    def __init__(self, readers: "MemoryViewReaders", starts: Mapping[Partition, int]) -> None:
        super().__init__(readers.broker, starts)
        self._readers = readers

    @override
    def read(self, most: int, seconds: float) -> Any:
        self._readers.fail("read")
        self._readers.show(self._positions)
        return super().read(most, seconds)

    def committed(self) -> Mapping[Partition, Committed]:
        self._readers.fail("committed")
        return self._readers.broker.committed(self._readers.group, list(self._positions))

    def commit(self, positions: Mapping[Partition, Committed]) -> None:
        self._readers.fail("commit")
        self._readers.broker.commit_positions(self._readers.group, positions)


class MemoryViewReaders(MemoryLogReaders):
    """`KafkaLogReaders` on a broker in memory; `failures` are raised by the calls of that name."""

    def __init__(self, broker: MemoryBroker, group: str = "os.sub-test.main") -> None:
        super().__init__(broker)
        self.broker = broker
        self.group = group
        self.failures: dict[str, BusError] = {}
        #: Tells of a topic whether it is kept from the account.
        self.hidden: Callable[[str], bool] = lambda _topic: False

    def show(self, partitions: Collection[Partition]) -> None:
        for topic in {each.topic for each in partitions}:
            if self.hidden(topic):
                raise AccessDenied(f"{topic} may not be read")

    def fail(self, call: str) -> None:
        if call in self.failures:
            raise self.failures[call]

    @override
    def beginnings(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        self.show(partitions)
        return super().beginnings(partitions)

    @override
    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        self.show(partitions)
        return super().ends(partitions)

    @override
    def open(self, starts: Mapping[Partition, int]) -> MemoryViewReader:
        self.fail("open")
        return MemoryViewReader(self, starts)

    def as_kafka(self) -> KafkaLogReaders:
        """Return these readers under the type that consumers ask for."""
        return cast("KafkaLogReaders", self)


class MemoryControl:
    """`ControlClient` with the answers of one subscription."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.failure: BusError | None = None
        self.asked: list[str] = []
        self.schemas: dict[int, str] = {}

    def subscription(self, subscription: str) -> dict[str, Any]:
        self.asked.append(f"subscription {subscription}")
        if self.failure is not None:
            raise self.failure
        if subscription != self.delivery.subscription.id:
            raise NotFound(f"there is no subscription {subscription!r}")
        return _descriptor(self.delivery)

    def schema(self, schema_id: int) -> str:
        self.asked.append(f"schema {schema_id}")
        return self.schemas[schema_id]

    def subject_schemas(self, subject: str) -> list[str]:
        self.asked.append(f"subject {subject}")
        assert subject == value_subject(self.delivery.incarnation.topic)
        return list(self.schemas.values())

    def as_client(self) -> ControlClient:
        """Return this control plane under the type that consumers ask for."""
        return cast("ControlClient", self)


class Subscribed:
    """The subscription of `builders.grant()`, and the view topics that it is delivered from."""

    def __init__(self, *, partitions: int = 1, live: bool = True) -> None:
        self.broker = MemoryBroker()
        self.clock = ManualClock()
        life = builders.incarnation(partitions=partitions, live=False)
        self.control = MemoryControl(builders.delivery(life=life))
        group = f"{group_prefix(subscription_principal(builders.GRANT))}main"
        self.readers = MemoryViewReaders(self.broker, group)
        self._open(life)
        if live:
            self.fill()

    @property
    def incarnation(self) -> Incarnation:
        """The view incarnation that the subscription is delivered from."""
        return self.control.delivery.incarnation

    def descriptor(self) -> Descriptor:
        """Return the descriptor as it is now."""
        return Descriptor.from_json(self.control.subscription(builders.GRANT))

    def upsert(self, code: str, *, partition: int = 0, **items: Any) -> int:
        """Write a record to the view; return its position."""
        content = stream_builders.record(code, **items)
        kept = self.incarnation.view.kept()
        value = view_value(content, kept=kept, schema_id=self.incarnation.number + 1)
        return self._append(partition, code, value)

    def delete(self, code: str, *, partition: int = 0, reason: str = "deleted") -> int:
        """Write a delete to the view; return its position."""
        return self._append(partition, code, None, reason=reason)

    def fill(self) -> None:
        """Let the control plane know that the topic holds the whole view up to here."""
        ends = {
            number: self.broker.end(Partition(self.incarnation.topic, number))
            for number in range(self.incarnation.partitions)
        }
        self._deliver(replace(self.incarnation, live=True, fill_end=ends))

    def move(self, *items: str, row_filter: str | None = None) -> None:
        """Deliver from another view from now on; it is not filled yet."""
        number = self.incarnation.number + 1
        view = builders.view(items=items, row_filter=row_filter)
        self._open(
            builders.incarnation(
                view, number=number, partitions=self.incarnation.partitions, live=False
            )
        )

    def end(self) -> None:
        """End the grant."""
        held = self.control.delivery
        self.control.delivery = replace(
            held,
            state=GrantState.REVOKED,
            subscription=replace(held.subscription, ended=True),
        )

    def committed(self) -> dict[int, Committed]:
        """Return what the subscriber has remembered, by partition of the present topic."""
        partitions = [
            Partition(self.incarnation.topic, number)
            for number in range(self.incarnation.partitions)
        ]
        found = self.broker.committed(self.readers.group, partitions)
        return {each.number: committed for each, committed in found.items()}

    def _open(self, life: Incarnation) -> None:
        self.broker.create(life.topic, life.partitions)
        self._deliver(life)
        source = builders.schema_of(builders.entry())
        self.control.schemas[life.number + 1] = view_schema(source, life.view.kept())

    def _deliver(self, life: Incarnation) -> None:
        held = self.control.delivery
        moved = replace(held.subscription, topic=life.topic)
        self.control.delivery = replace(held, incarnation=life, subscription=moved)

    def _append(
        self, partition: int, code: str, value: bytes | None, reason: str = "deleted"
    ) -> int:
        headers = tombstone_headers(reason=reason) if value is None else None
        where = Partition(self.incarnation.topic, partition)
        return self.broker.append(where, code.encode(), value, headers=headers)
