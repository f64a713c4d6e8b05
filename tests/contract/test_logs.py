"""Logs, transactions and consumer groups: one suite, held by Kafka and by memory."""

import time
import uuid
from collections.abc import Callable, Sequence

import pytest

from bus.adapters.kafka import native_calls
from bus.adapters.kafka.group_consumer import KafkaGroupConsumer
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.kafka.transactional_writer import KafkaTransactionalWriter
from bus.adapters.memory.broker import (
    MemoryBroker,
    MemoryGroupConsumer,
    MemoryLogReaders,
    MemoryTransactionalWriter,
)
from bus.errors import WriterFenced
from bus.ports import (
    Committed,
    GroupConsumer,
    LogReader,
    LogReaders,
    Partition,
    Record,
    TopicSpec,
    TransactionalWriter,
)
from tests.live_platform import LivePlatform, wait_until


class MemoryLogs:
    """The suite's way to the memory broker."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.readers: LogReaders = MemoryLogReaders(self.broker)

    def topic(self, partitions: int = 1, *, name: str = "") -> str:
        name = name or f"os.test.{uuid.uuid4().hex[:10]}"
        self.broker.create(name, partitions)
        return name

    def writer(self, transactional_id: str) -> TransactionalWriter:
        return MemoryTransactionalWriter(self.broker, transactional_id=transactional_id)

    def consumer(self, group: str, instance: str) -> GroupConsumer:
        return MemoryGroupConsumer(self.broker, group=group, instance=instance)


class KafkaLogs:
    """The suite's way to the real broker."""

    def __init__(self, platform: LivePlatform) -> None:
        self._admin = platform.admin()
        self._topics = KafkaTopicAdmin(self._admin)
        self.readers: LogReaders = KafkaLogReaders(self._admin, group="test.reader")

    def topic(self, partitions: int = 1, *, name: str = "") -> str:
        name = name or f"test.{uuid.uuid4().hex[:10]}"
        self._topics.ensure([TopicSpec(name=name, partitions=partitions, config={})])
        return name

    def writer(self, transactional_id: str) -> TransactionalWriter:
        return KafkaTransactionalWriter(self._admin, transactional_id=transactional_id)

    def consumer(self, group: str, instance: str) -> GroupConsumer:
        return KafkaGroupConsumer(self._admin, group=group, instance=instance)


Logs = MemoryLogs | KafkaLogs


@pytest.fixture(
    params=[
        "memory",
        pytest.param("kafka", marks=pytest.mark.platform),
        pytest.param("kafka, not compiled", marks=pytest.mark.platform),
    ]
)
def logs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Logs:
    """Return the adapter under test."""
    if request.param == "memory":
        return MemoryLogs()
    if request.param == "kafka, not compiled":
        monkeypatch.setattr(native_calls, "COMPILED", False)
    return KafkaLogs(request.getfixturevalue("platform"))


@pytest.fixture
def name() -> str:
    """Return a name that no other test uses."""
    return f"test.{uuid.uuid4().hex[:10]}"


class Listener:
    """Starts what is assigned where it is told to."""

    def __init__(self, consumer: GroupConsumer) -> None:
        self.consumer = consumer
        self.owned: set[Partition] = set()
        self._waiting: list[Partition] = []

    def assigned(self, partitions: Sequence[Partition]) -> None:
        self.owned |= set(partitions)
        self._waiting += partitions

    def revoked(self, partitions: Sequence[Partition]) -> None:
        self.owned -= set(partitions)

    def poll(self) -> list[Record]:
        """Consume, having started what has been assigned at its committed position."""
        if self._waiting:
            committed = self.consumer.committed(self._waiting)
            positions = {
                each: committed.get(each, Committed(0, "")).position for each in self._waiting
            }
            self._waiting.clear()
            self.consumer.start(positions)
        records, faults = self.consumer.consume(100, 0.1)
        assert not faults
        return list(records)


def write(logs: Logs, topic: str, *keys: bytes, commit: bool = True) -> TransactionalWriter:
    """Write records in one transaction of a writer of its own, and return that."""
    writer = logs.writer(f"test.{uuid.uuid4().hex[:10]}")
    writer.begin()
    for key in keys:
        writer.write(topic, 0, key, b"value-" + key)
    if commit:
        writer.commit({}, None)
    return writer


def read_until(reader: LogReader, where: Partition, end: int) -> list[Record]:
    """Return the records before `end`, waiting for them."""
    found: list[Record] = []

    def reached() -> bool:
        found.extend(reader.read(100, 0.1))
        return reader.position(where) >= end

    wait_until(reached, f"{where} is read to {end}")
    return found


def consume_until(listener: Listener, done: Callable[[list[Record]], bool]) -> list[Record]:
    """Return what is consumed until `done`."""
    found: list[Record] = []

    def enough() -> bool:
        found.extend(listener.poll())
        return done(found)

    wait_until(enough, "the records are consumed")
    return found


def test_committed_records_come_back_as_they_were_written(logs: Logs) -> None:
    topic = logs.topic()
    where = Partition(topic, 0)
    writer = logs.writer(f"{topic}.writer")
    writer.begin()
    writer.write(topic, 0, "键".encode(), b"value", timestamp=1_600_000_000_123)
    writer.write(topic, 0, b"gone", None, headers=[("os-reason", b"deleted"), ("x", b"")])
    writer.commit({}, None)

    reader = logs.readers.open({where: 0})
    first, second = read_until(reader, where, logs.readers.ends([where])[where])
    reader.close()

    assert (first.topic(), first.partition(), first.offset()) == (topic, 0, 0)
    assert (first.key(), first.value()) == ("键".encode(), b"value")
    assert first.timestamp()[1] == 1_600_000_000_123
    assert second.value() is None
    assert list(second.headers() or ()) == [("os-reason", b"deleted"), ("x", b"")]


def test_markers_take_offsets_and_positions_pass_them(logs: Logs) -> None:
    topic = logs.topic()
    where = Partition(topic, 0)
    write(logs, topic, b"a", b"b")

    end = logs.readers.ends([where])[where]
    reader = logs.readers.open({where: 0})
    records = read_until(reader, where, end)
    reader.close()

    assert end == 3
    assert [record.offset() for record in records] == [0, 1]


def test_aborted_records_are_never_read(logs: Logs) -> None:
    topic = logs.topic()
    where = Partition(topic, 0)
    writer = write(logs, topic, b"lost", commit=False)
    writer.abort()
    write(logs, topic, b"kept")

    reader = logs.readers.open({where: 0})
    records = read_until(reader, where, logs.readers.ends([where])[where])
    reader.close()

    assert [record.key() for record in records] == [b"kept"]


def test_an_open_transaction_holds_readers_back(logs: Logs) -> None:
    topic = logs.topic()
    where = Partition(topic, 0)
    write(logs, topic, b"a")
    writer = logs.writer(f"{topic}.open")
    writer.begin()
    writer.write(topic, 0, b"b", b"")
    # Something else after it shows that the open record has arrived.
    write(logs, topic, b"c")
    end = wait_until(
        lambda: (found := logs.readers.ends([where])[where]) >= 5 and found, "all have arrived"
    )

    reader = logs.readers.open({where: 0})
    early = read_until(reader, where, 2)
    assert reader.position(where) < end
    writer.commit({}, None)
    late = read_until(reader, where, end)
    reader.close()

    assert [record.key() for record in early + late] == [b"a", b"b", b"c"]


def test_a_new_writer_ends_the_transaction_of_the_old_one_and_fences_it(logs: Logs) -> None:
    """field-notes B1: what a crashed or sleeping router left open is aborted."""
    topic = logs.topic()
    where = Partition(topic, 0)
    old = logs.writer(f"{topic}.writer")
    old.begin()
    old.write(topic, 0, b"half", b"")

    new = logs.writer(f"{topic}.writer")
    new.begin()
    new.write(topic, 0, b"whole", b"")
    new.commit({}, None)
    with pytest.raises(WriterFenced):
        old.commit({}, None)

    reader = logs.readers.open({where: 0})
    records = read_until(reader, where, logs.readers.ends([where])[where])
    reader.close()
    assert [record.key() for record in records] == [b"whole"]


def test_reading_goes_on_where_it_is_told_to(logs: Logs) -> None:
    topic = logs.topic()
    where = Partition(topic, 0)
    write(logs, topic, b"a", b"b", b"c")
    end = logs.readers.ends([where])[where]
    reader = logs.readers.open({where: 1})

    first = read_until(reader, where, end)
    reader.seek(where, 2)
    second = read_until(reader, where, end)
    reader.close()

    assert [record.key() for record in first] == [b"b", b"c"]
    assert [record.key() for record in second] == [b"c"]


def test_positions_and_notes_are_committed_with_the_records(logs: Logs, name: str) -> None:
    source, view = logs.topic(), logs.topic()
    where = Partition(source, 0)
    write(logs, source, b"a", b"b")
    consumer = logs.consumer(name, "0")
    listener = Listener(consumer)
    consumer.follow([source], listener)
    consume_until(listener, lambda found: len(found) == 2)
    writer = logs.writer(f"{name}.writer")

    writer.begin()
    writer.write(view, 0, b"a", b"")
    writer.commit({where: Committed(2, "note-1")}, consumer)

    assert consumer.committed([where]) == {where: Committed(2, "note-1")}
    assert logs.readers.group_positions(name, [where]) == {where: 2}
    consumer.close()


def test_an_aborted_transaction_commits_no_positions(logs: Logs, name: str) -> None:
    source, view = logs.topic(), logs.topic()
    where = Partition(source, 0)
    write(logs, source, b"a")
    consumer = logs.consumer(name, "0")
    listener = Listener(consumer)
    consumer.follow([source], listener)
    consume_until(listener, lambda found: len(found) == 1)
    writer = logs.writer(f"{name}.writer")

    writer.begin()
    writer.write(view, 0, b"a", b"")
    writer.abort()

    assert consumer.committed([where]) == {}
    consumer.close()


def test_a_group_member_gets_records_as_they_were_written(logs: Logs, name: str) -> None:
    topic = logs.topic()
    headers = [("os-event-id", b"1"), ("empty", b"")]
    # Not long ago: the broker deletes what is older than the topic keeps.
    written = int(time.time() * 1000) - 60_000
    writer = logs.writer(name)
    writer.begin()
    writer.write(topic, 0, b"\xe9\x95\x87", b"value", timestamp=written + 1)
    writer.write_all(
        [
            (topic, 0, b"all", b"\x00\xff", None, written + 2),
            (topic, 0, b"gone", None, headers, written + 3),
            (topic, 0, None, b"", None, written + 4),
        ]
    )
    writer.commit({}, None)
    consumer = logs.consumer(name, "0")
    listener = Listener(consumer)
    consumer.follow([topic], listener)

    found = consume_until(listener, lambda found: len(found) == 4)

    assert [(record.key(), record.value()) for record in found] == [
        ("镇".encode(), b"value"),
        (b"all", b"\x00\xff"),
        (b"gone", None),
        (None, b""),
    ]
    assert [list(record.headers() or ()) for record in found] == [[], [], headers, []]
    assert [record.timestamp()[1] - written for record in found] == [1, 2, 3, 4]
    assert [record.offset() for record in found] == [0, 1, 2, 3]
    assert {(record.topic(), record.partition()) for record in found} == {(topic, 0)}
    consumer.close()


def test_a_partition_is_read_again_from_where_it_is_started(logs: Logs, name: str) -> None:
    source = logs.topic()
    where = Partition(source, 0)
    write(logs, source, b"a", b"b", b"c")
    consumer = logs.consumer(name, "0")
    listener = Listener(consumer)
    consumer.follow([source], listener)
    consume_until(listener, lambda found: len(found) == 3)

    consumer.start({where: 1})
    again = consume_until(listener, lambda found: len(found) == 2)

    assert [record.key() for record in again] == [b"b", b"c"]
    consumer.close()


def test_a_paused_partition_is_not_read_until_it_is_started(logs: Logs, name: str) -> None:
    source = logs.topic(partitions=2)
    consumer = logs.consumer(name, "0")
    listener = Listener(consumer)
    consumer.follow([source], listener)
    wait_until(lambda: listener.poll() or len(listener.owned) == 2, "both are assigned")
    listener.poll()
    consumer.pause([Partition(source, 0)])
    writer = logs.writer(f"{name}.writer")
    writer.begin()
    writer.write(source, 0, b"paused", b"")
    writer.write(source, 1, b"running", b"")
    writer.commit({}, None)

    running = consume_until(listener, lambda found: len(found) >= 1)
    consumer.start({Partition(source, 0): 0})
    started = consume_until(listener, lambda found: len(found) >= 1)

    assert [record.key() for record in running] == [b"running"]
    assert [record.key() for record in started] == [b"paused"]
    consumer.close()


def test_a_member_that_comes_back_takes_its_partitions_back(logs: Logs, name: str) -> None:
    """Static membership: a killed router goes on at once, not after a session has timed out."""
    source = logs.topic(partitions=2)
    first = logs.consumer(name, "0")
    before = Listener(first)
    first.follow([source], before)
    wait_until(lambda: before.poll() or len(before.owned) == 2, "the first has them")

    second = logs.consumer(name, "0")
    after = Listener(second)
    second.follow([source], after)
    wait_until(lambda: after.poll() or len(after.owned) == 2, "the second has them", seconds=8)

    second.close()


@pytest.mark.parametrize("others_too", [True, False])
def test_a_member_that_comes_back_with_other_topics_reads_these(
    logs: Logs, name: str, *, others_too: bool
) -> None:
    """What was published or retired while a router was away for a moment; ADR 0002."""
    one, two = logs.topic(), logs.topic()
    first = logs.consumer(name, "0")
    before = Listener(first)
    first.follow([one], before)
    wait_until(lambda: before.poll() or before.owned == {Partition(one, 0)}, "the first has one")

    second = logs.consumer(name, "0")
    after = Listener(second)
    topics = [one, two] if others_too else [two]
    second.follow(topics, after)
    wanted = {Partition(topic, 0) for topic in topics}
    wait_until(lambda: after.poll() or after.owned == wanted, "the second has its own")

    second.close()


def test_topics_can_be_followed_and_left_while_consuming(logs: Logs, name: str) -> None:
    one, two = logs.topic(), logs.topic()
    consumer = logs.consumer(name, "0")
    listener = Listener(consumer)
    consumer.follow([one], listener)
    wait_until(lambda: listener.poll() or listener.owned == {Partition(one, 0)}, "one is ours")

    consumer.follow([one, two], listener)
    wait_until(lambda: listener.poll() or len(listener.owned) == 2, "both are ours")
    consumer.follow([two], listener)
    wait_until(lambda: listener.poll() or listener.owned == {Partition(two, 0)}, "two is ours")

    consumer.close()


def test_a_topic_can_be_followed_before_it_is_there(logs: Logs, name: str) -> None:
    """The client alone would look for it again after five minutes."""
    one, later = logs.topic(), f"{name}.later"
    consumer = logs.consumer(name, "0")
    listener = Listener(consumer)
    consumer.follow([one, later], listener)
    wait_until(lambda: listener.poll() or listener.owned == {Partition(one, 0)}, "one is ours")

    logs.topic(name=later)

    wait_until(lambda: listener.poll() or len(listener.owned) == 2, "both are ours")
    consumer.close()
