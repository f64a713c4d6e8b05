"""
A broker in memory: logs, transactions with markers, read_committed, groups, compaction.

It is as strict as Kafka where the bus depends on it: a marker takes an offset, an open transaction
holds readers back, an aborted one is never seen, a new writer ends the old one's transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from bus.errors import BrokerUnavailable, TransactionAborted, TransactionUnknown, WriterFenced
from bus.ports import (
    Committed,
    GroupConsumer,
    GroupListener,
    Partition,
    ReadFault,
    Record,
)
from bus.ports.record_sink import RecordSink
from bus.ports.record_writer import Headers, Written


class _State(Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(slots=True, eq=False)
class _Transaction:
    state: _State = _State.OPEN
    touched: set[Partition] = field(default_factory=set)
    #: Group -> positions that it commits.
    positions: dict[str, Mapping[Partition, Committed]] = field(default_factory=dict)


class Fault(Enum):
    """What happens to the next commit."""

    ABORTED = "the broker aborts it"
    UNKNOWN_COMMITTED = "it is committed, but the answer is lost"
    UNKNOWN_ABORTED = "it is lost, and so is the answer"


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """See `bus.ports.Record`."""

    where: Partition
    at: int
    the_key: bytes | None
    the_value: bytes | None
    the_headers: Headers | None
    milliseconds: int
    transaction: _Transaction | None
    marker: bool = False

    def topic(self) -> str:
        return self.where.topic

    def partition(self) -> int:
        return self.where.number

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.the_key

    def value(self) -> bytes | None:
        return self.the_value

    def headers(self) -> Headers | None:
        return self.the_headers

    def timestamp(self) -> tuple[int, int]:
        return 2, self.milliseconds


class MemoryBroker:
    """Topics, groups and transactional ids; shared by everything that connects to it."""

    def __init__(self) -> None:
        self._topics: dict[str, int] = {}
        self._logs: dict[Partition, list[MemoryRecord]] = {}
        self._ends: dict[Partition, int] = {}
        self._committed: dict[str, dict[Partition, Committed]] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, _Transaction] = {}
        self.members: dict[str, dict[str, MemoryGroupConsumer]] = {}
        self._now = 1_600_000_000_000
        #: Consumed in order by commits that carry a consumer's positions.
        self.faults: list[Fault] = []

    # --- topics -----------------------------------------------------------------------------------

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic; one that exists is left as it is."""
        if topic in self._topics:
            return
        self._topics[topic] = partitions
        for number in range(partitions):
            self._logs[Partition(topic, number)] = []
            self._ends[Partition(topic, number)] = 0

    def delete(self, topic: str) -> None:
        """Delete a topic with all it holds."""
        for number in range(self._topics.pop(topic, 0)):
            del self._logs[Partition(topic, number)]
            del self._ends[Partition(topic, number)]

    def topics(self) -> Mapping[str, int]:
        """Return all topics with their partition counts."""
        return dict(self._topics)

    def compact(self, topic: str) -> None:
        """Remove what a later committed record of the same key has superseded."""
        for number in range(self._topics[topic]):
            where = Partition(topic, number)
            newest = {
                record.the_key: record.at for record in self._readable(where, 0, self.end(where))
            }
            self._logs[where] = [
                record
                for record in self._logs[where]
                if record.marker or newest.get(record.the_key, record.at) == record.at
            ]

    # --- records ----------------------------------------------------------------------------------

    def append(
        self,
        where: Partition,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers | None = None,
        timestamp: int = 0,
        transaction: _Transaction | None = None,
        marker: bool = False,
    ) -> int:
        """Append a record and return its offset; `timestamp` 0 is the broker's own time."""
        if where not in self._logs:
            raise BrokerUnavailable(f"there is no {where.topic}/{where.number}")
        self._now += 1
        offset = self._ends[where]
        self._ends[where] = offset + 1
        self._logs[where].append(
            MemoryRecord(
                where, offset, key, value, headers, timestamp or self._now, transaction, marker
            )
        )
        return offset

    def end(self, where: Partition) -> int:
        """Return the high watermark."""
        if where not in self._ends:
            raise BrokerUnavailable(f"there is no {where.topic}/{where.number}")
        return self._ends[where]

    def stable_end(self, where: Partition) -> int:
        """Return the last stable offset: up to here transactions have ended."""
        for record in self._logs[where]:
            if record.transaction is not None and record.transaction.state is _State.OPEN:
                return record.at
        return self.end(where)

    def read(self, where: Partition, position: int, most: int) -> tuple[list[Record], int]:
        """Return up to `most` committed records from `position`, and the position after them."""
        stable = self.stable_end(where)
        found: list[Record] = []
        for record in self._readable(where, position, stable):
            if len(found) == most:
                return found, found[-1].offset() + 1  # type: ignore[operator]
            found.append(record)
        return found, max(position, stable)

    def all_records(self, topic: str) -> list[MemoryRecord]:
        """Return everything that was ever written to a topic, aborted or not, but markers."""
        return [
            record
            for number in range(self._topics[topic])
            for record in self._logs[Partition(topic, number)]
            if not record.marker
        ]

    def _readable(self, where: Partition, start: int, stop: int) -> Iterable[MemoryRecord]:
        for record in self._logs[where]:
            if start <= record.at < stop and not record.marker:
                transaction = record.transaction
                if transaction is None or transaction.state is _State.COMMITTED:
                    yield record

    # --- transactions and groups ------------------------------------------------------------------

    def initialise(self, transactional_id: str) -> int:
        """Become the owner of a transactional id; a former owner's transaction is aborted."""
        self._finish(transactional_id, _State.ABORTED)
        self._epochs[transactional_id] = self._epochs.get(transactional_id, 0) + 1
        return self._epochs[transactional_id]

    def check_epoch(self, transactional_id: str, epoch: int) -> None:
        """Raise `WriterFenced` if there is a newer owner."""
        if self._epochs.get(transactional_id) != epoch:
            raise WriterFenced(f"{transactional_id} has a newer owner")

    def open_transaction(self, transactional_id: str) -> _Transaction:
        """Return the open transaction of an id, a new one if there is none."""
        return self._open.setdefault(transactional_id, _Transaction())

    def end_transaction(self, transactional_id: str, *, commit: bool) -> None:
        """Commit or abort."""
        self._finish(transactional_id, _State.COMMITTED if commit else _State.ABORTED)

    def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        """Return committed positions; raise `BrokerUnavailable` if a transaction is open on one."""
        wanted = set(partitions)
        for transaction in self._open.values():
            if wanted & transaction.positions.get(group, {}).keys():
                raise BrokerUnavailable("positions are not stable")
        known = self._committed.get(group, {})
        return {each: known[each] for each in wanted if each in known}

    def commit_positions(self, group: str, positions: Mapping[Partition, Committed]) -> None:
        """Commit positions outside of a transaction."""
        self._committed.setdefault(group, {}).update(positions)

    def _finish(self, transactional_id: str, state: _State) -> None:
        transaction = self._open.pop(transactional_id, None)
        if transaction is None:
            return
        transaction.state = state
        for where in transaction.touched:
            if where in self._logs:
                self.append(where, None, None, marker=True)
        if state is _State.COMMITTED:
            for group, positions in transaction.positions.items():
                self.commit_positions(group, positions)


class MemoryTransactionalWriter:
    """See `bus.ports.TransactionalWriter`."""

    def __init__(self, broker: MemoryBroker, *, transactional_id: str) -> None:
        self._broker = broker
        self._id = transactional_id
        self._epoch = broker.initialise(transactional_id)

    def begin(self) -> None:
        self._broker.check_epoch(self._id, self._epoch)
        self._broker.open_transaction(self._id)

    def write(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers | None = None,
        timestamp: int = 0,
    ) -> None:
        self._broker.check_epoch(self._id, self._epoch)
        where = Partition(topic, partition)
        transaction = self._broker.open_transaction(self._id)
        try:
            self._broker.append(
                where, key, value, headers=headers, timestamp=timestamp, transaction=transaction
            )
        except BrokerUnavailable as error:
            raise TransactionAborted(str(error)) from error
        transaction.touched.add(where)

    def write_all(self, records: Sequence[Written]) -> None:
        for topic, partition, key, value, headers, timestamp in records:
            self.write(topic, partition, key, value, headers=headers, timestamp=timestamp)

    def sink(self) -> RecordSink | None:
        return None

    def commit(
        self, positions: Mapping[Partition, Committed], consumer: GroupConsumer | None
    ) -> None:
        self._broker.check_epoch(self._id, self._epoch)
        if isinstance(consumer, MemoryGroupConsumer):
            if not consumer.is_member():
                raise TransactionAborted("the consumer is not a member of its group any more")
            transaction = self._broker.open_transaction(self._id)
            transaction.positions[consumer.group] = dict(positions)
        fault = self._broker.faults.pop(0) if self._broker.faults and consumer else None
        if fault is Fault.ABORTED:
            raise TransactionAborted("injected")
        if fault is not None:
            self._broker.end_transaction(self._id, commit=fault is Fault.UNKNOWN_COMMITTED)
            self._epoch = self._broker.initialise(self._id)
            raise TransactionUnknown("injected")
        self._broker.end_transaction(self._id, commit=True)

    def abort(self) -> None:
        self._broker.end_transaction(self._id, commit=False)

    def close(self) -> None:
        """Leave an open transaction to the next owner of the id, as a crash does."""


class MemoryLogReader:
    """See `bus.ports.LogReader`."""

    def __init__(self, broker: MemoryBroker, starts: Mapping[Partition, int]) -> None:
        self._broker = broker
        self._positions = dict(starts)

    def read(self, most: int, seconds: float) -> Sequence[Record]:
        found: list[Record] = []
        for where, position in self._positions.items():
            records, after = self._broker.read(where, position, most - len(found))
            found += records
            self._positions[where] = after
            if len(found) == most:
                break
        return found

    def position(self, partition: Partition) -> int:
        return self._positions[partition]

    def seek(self, partition: Partition, position: int) -> None:
        self._positions[partition] = position

    def close(self) -> None:
        self._positions.clear()


class MemoryLogReaders:
    """See `bus.ports.LogReaders`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def open(self, starts: Mapping[Partition, int]) -> MemoryLogReader:
        return MemoryLogReader(self._broker, starts)

    def beginnings(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return dict.fromkeys(partitions, 0)

    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {each: self._broker.end(each) for each in partitions}

    def group_positions(
        self, group: str, partitions: Collection[Partition]
    ) -> Mapping[Partition, int]:
        committed = self._broker.committed(group, partitions)
        return {each: found.position for each, found in committed.items()}


class MemoryGroupConsumer:
    """See `bus.ports.GroupConsumer`; `instance` is the static member's name."""

    def __init__(self, broker: MemoryBroker, *, group: str, instance: str) -> None:
        self._broker = broker
        self.group = group
        self._instance = instance
        self._topics: frozenset[str] = frozenset()
        self._listener: GroupListener | None = None
        self._owned: set[Partition] = set()
        self._positions: dict[Partition, int] = {}
        broker.members.setdefault(group, {})[instance] = self

    def is_member(self) -> bool:
        """Whether no other consumer has taken this member's name."""
        return self._broker.members[self.group].get(self._instance) is self

    def follow(self, topics: Collection[str], listener: GroupListener) -> None:
        self._topics = frozenset(topics)
        self._listener = listener

    def consume(self, most: int, seconds: float) -> tuple[Sequence[Record], Sequence[ReadFault]]:
        self._rebalance()
        found: list[Record] = []
        for where, position in sorted(self._positions.items()):
            records, after = self._broker.read(where, position, most - len(found))
            found += records
            self._positions[where] = after
            if len(found) == most:
                break
        return found, ()

    def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        return self._broker.committed(self.group, partitions)

    def ends(self) -> Mapping[Partition, int]:
        return {each: self._broker.end(each) for each in self._owned}

    def start(self, positions: Mapping[Partition, int]) -> None:
        for where, position in positions.items():
            if where in self._owned:
                self._positions[where] = position

    def pause(self, partitions: Collection[Partition]) -> None:
        for each in partitions:
            self._positions.pop(each, None)

    def close(self) -> None:
        """Go; a static member's partitions stay with its name."""

    def leave(self) -> None:
        """Give the member's partitions to the others."""
        if self.is_member():
            del self._broker.members[self.group][self._instance]

    def _rebalance(self) -> None:
        """Take what is ours now: partitions go round the members in the order of their names."""
        if self._listener is None:
            return
        names = sorted(self._broker.members[self.group])
        partitions = sorted(
            Partition(topic, number)
            for topic, count in self._broker.topics().items()
            if topic in self._topics
            for number in range(count)
        )
        ours = {
            each
            for index, each in enumerate(partitions)
            if self.is_member() and names[index % len(names)] == self._instance
        }
        lost = sorted(self._owned - ours)
        if lost:
            self._listener.revoked(lost)
            for each in lost:
                self._positions.pop(each, None)
        gained = sorted(ours - self._owned)
        self._owned = ours
        if gained:
            self._listener.assigned(gained)
