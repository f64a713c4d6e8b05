"""Unit tests of `bus.adapters.memory.broker`: what the contract suite cannot ask of a real one."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.memory.broker import (
    Fault,
    MemoryBroker,
    MemoryGroupConsumer,
    MemoryLogReaders,
    MemoryTransactionalWriter,
)
from bus.errors import BrokerUnavailable, TransactionAborted, TransactionUnknown, WriterFenced
from bus.ports import Committed, Partition, Record

TOPIC = "t"
WHERE = Partition(TOPIC, 0)


@pytest.fixture
def broker() -> MemoryBroker:
    """Return a broker with one topic."""
    return new_broker()


def new_broker() -> MemoryBroker:
    """Return a broker with one topic."""
    broker = MemoryBroker()
    broker.create(TOPIC, 1)
    return broker


def values(broker: MemoryBroker) -> list[bytes | None]:
    """Return the values that a reader of committed records gets."""
    records, _ = broker.read(WHERE, 0, 1_000_000)
    return [record.value() for record in records]


# --- Faults ---------------------------------------------------------------------------------------


def committing(broker: MemoryBroker, fault: Fault) -> MemoryTransactionalWriter:
    """Write a record and commit a position with it, while the broker is faulty."""
    consumer = MemoryGroupConsumer(broker, group="g", instance="0")
    writer = MemoryTransactionalWriter(broker, transactional_id="id")
    broker.faults.append(fault)
    writer.begin()
    writer.write(TOPIC, 0, b"k", b"v")
    expected = TransactionAborted if fault is Fault.ABORTED else TransactionUnknown
    with pytest.raises(expected):
        writer.commit({WHERE: Committed(7, "")}, consumer)
    return writer


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [(Fault.UNKNOWN_COMMITTED, True), (Fault.UNKNOWN_ABORTED, False)],
)
def test_after_an_unknown_end_records_and_positions_are_both_there_or_both_not(
    broker: MemoryBroker, fault: Fault, *, arrived: bool
) -> None:
    writer = committing(broker, fault)

    assert values(broker) == ([b"v"] if arrived else [])
    assert broker.committed("g", [WHERE]) == ({WHERE: Committed(7, "")} if arrived else {})
    writer.begin()
    writer.write(TOPIC, 0, b"k", b"again")
    writer.commit({}, None)
    assert values(broker)[-1] == b"again"


def test_an_aborted_commit_leaves_nothing_once_it_is_given_up(broker: MemoryBroker) -> None:
    writer = committing(broker, Fault.ABORTED)

    writer.abort()

    assert values(broker) == []
    assert broker.committed("g", [WHERE]) == {}


def test_a_fault_waits_for_a_commit_that_carries_positions(broker: MemoryBroker) -> None:
    broker.faults.append(Fault.ABORTED)
    writer = MemoryTransactionalWriter(broker, transactional_id="id")

    writer.begin()
    writer.write(TOPIC, 0, b"k", b"v")
    writer.commit({}, None)

    assert values(broker) == [b"v"]
    assert broker.faults == [Fault.ABORTED]


def test_positions_under_an_open_transaction_are_not_told(broker: MemoryBroker) -> None:
    consumer = MemoryGroupConsumer(broker, group="g", instance="0")
    broker.open_transaction("id").positions["g"] = {WHERE: Committed(7, "")}

    with pytest.raises(BrokerUnavailable, match="not stable"):
        consumer.committed([WHERE])
    assert MemoryGroupConsumer(broker, group="other", instance="0").committed([WHERE]) == {}


def test_a_member_that_was_replaced_commits_nothing(broker: MemoryBroker) -> None:
    old = MemoryGroupConsumer(broker, group="g", instance="0")
    MemoryGroupConsumer(broker, group="g", instance="0")
    writer = MemoryTransactionalWriter(broker, transactional_id="id")
    writer.begin()

    with pytest.raises(TransactionAborted, match="not a member"):
        writer.commit({WHERE: Committed(7, "")}, old)


def test_a_fenced_writer_can_do_nothing_any_more(broker: MemoryBroker) -> None:
    old = MemoryTransactionalWriter(broker, transactional_id="id")
    MemoryTransactionalWriter(broker, transactional_id="id")

    for call in (
        old.begin,
        lambda: old.write(TOPIC, 0, b"k", b"v"),
        lambda: old.commit({}, None),
    ):
        with pytest.raises(WriterFenced):
            call()
    assert values(broker) == []


def test_a_topic_that_is_not_there_takes_and_gives_nothing(broker: MemoryBroker) -> None:
    gone = Partition("gone", 0)
    writer = MemoryTransactionalWriter(broker, transactional_id="id")
    writer.begin()

    with pytest.raises(TransactionAborted):
        writer.write("gone", 0, b"k", b"v")
    with pytest.raises(BrokerUnavailable):
        broker.append(gone, b"k", b"v")
    with pytest.raises(BrokerUnavailable):
        MemoryLogReaders(broker).ends([gone])


def test_deleting_a_topic_takes_its_records_with_it(broker: MemoryBroker) -> None:
    broker.append(WHERE, b"k", b"v")

    broker.delete(TOPIC)
    broker.delete(TOPIC)
    broker.create(TOPIC, 1)

    assert values(broker) == []
    assert broker.end(WHERE) == 0


# --- Compaction and transactions, against a plain account -----------------------------------------

KEYS = st.sampled_from([b"a", b"b", b"c"])
VALUES = st.sampled_from([b"1", b"2", None])
BATCHES = st.lists(st.tuples(st.booleans(), st.lists(st.tuples(KEYS, VALUES), max_size=4)))


def written(batches: list[tuple[bool, list[tuple[bytes, bytes | None]]]]) -> MemoryBroker:
    """Return a broker after transactions that were committed, or not."""
    broker = new_broker()
    writer = MemoryTransactionalWriter(broker, transactional_id="id")
    for committed, records in batches:
        writer.begin()
        for key, value in records:
            writer.write(TOPIC, 0, key, value)
        if committed:
            writer.commit({}, None)
        else:
            writer.abort()
    return broker


@given(batches=BATCHES)
def test_readers_get_what_was_committed_in_order(
    batches: list[tuple[bool, list[tuple[bytes, bytes | None]]]],
) -> None:
    broker = written(batches)

    records, after = broker.read(WHERE, 0, 1_000_000)

    assert [(record.key(), record.value()) for record in records] == [
        record for committed, batch in batches if committed for record in batch
    ]
    assert after == broker.end(WHERE)
    offsets = [record.offset() or 0 for record in records]
    assert offsets == sorted(set(offsets))


@given(batches=BATCHES)
def test_compaction_keeps_the_newest_of_each_key_at_its_offset(
    batches: list[tuple[bool, list[tuple[bytes, bytes | None]]]],
) -> None:
    broker = written(batches)
    before, _ = broker.read(WHERE, 0, 1_000_000)
    newest = {record.key(): (record.offset(), record.value()) for record in before}
    end = broker.end(WHERE)

    broker.compact(TOPIC)

    after, _ = broker.read(WHERE, 0, 1_000_000)
    assert {record.key(): (record.offset(), record.value()) for record in after} == newest
    assert len(after) == len(newest)
    assert broker.end(WHERE) == end


@given(batches=BATCHES, most=st.integers(min_value=1, max_value=3))
def test_reading_in_portions_gives_the_same(
    batches: list[tuple[bool, list[tuple[bytes, bytes | None]]]], most: int
) -> None:
    broker = written(batches)
    whole, _ = broker.read(WHERE, 0, 1_000_000)
    reader = MemoryLogReaders(broker).open({WHERE: 0})

    portions: list[Record] = []
    while reader.position(WHERE) < broker.end(WHERE):
        portions += reader.read(most, 0)

    assert [record.offset() for record in portions] == [record.offset() for record in whole]


@given(members=st.integers(min_value=1, max_value=4), partitions=st.integers(0, 6))
def test_every_partition_belongs_to_one_member_of_a_group(members: int, partitions: int) -> None:
    broker = MemoryBroker()
    broker.create(TOPIC, partitions)
    owned: list[Partition] = []

    class Listener:
        def assigned(self, partitions: Sequence[Partition]) -> None:
            owned.extend(partitions)

        def revoked(self, partitions: Sequence[Partition]) -> None:
            raise AssertionError

    consumers = [
        MemoryGroupConsumer(broker, group="g", instance=str(number)) for number in range(members)
    ]
    for consumer in consumers:
        consumer.follow([TOPIC], Listener())
        consumer.consume(1, 0)

    assert sorted(owned) == [Partition(TOPIC, number) for number in range(partitions)]
