"""Unit tests of the calls of librdkafka, on clients that reach no broker."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer

from bus.adapters.kafka import native_calls
from bus.ports.record_writer import Written

native_client = pytest.importorskip("bus.adapters.kafka.native_client")

_NOWHERE = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0}


def written(value: bytes | None = b"value", key: bytes | None = b"key") -> Written:
    return "os.view.a.b.1", 0, key, value, None, 1_700_000_000_000


@pytest.fixture
def producer() -> Iterator[Producer]:
    """Return a producer with room for three records."""
    producer = Producer({**_NOWHERE, "queue.buffering.max.messages": 3, "message.max.bytes": 2_000})
    yield producer
    producer.purge()


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    """Return a consumer."""
    consumer = Consumer({**_NOWHERE, "group.id": "test"})
    yield consumer
    consumer.close()


def test_the_clients_of_the_release_that_is_locked_are_known(
    producer: Producer, consumer: Consumer
) -> None:
    """Else the router is as correct, and half as fast: see `_KNOWN` when the lock file changes."""
    records = native_calls.record_producer(producer)
    assert records is not None
    records.close()
    queues = native_calls.record_queues(consumer, 10)
    assert queues is not None
    queues.close()


def test_nothing_is_done_with_what_is_not_known(
    producer: Producer, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Subclass(Producer):
        pass

    for unknown in (object(), Subclass(_NOWHERE), consumer):
        assert native_client.producer_of(unknown) is None
    assert native_client.queues_of(producer, 10) is None

    monkeypatch.setattr(native_client, "_KNOWN", {"2.15.0": Producer.__basicsize__})

    assert native_calls.record_producer(producer) is None
    assert native_calls.record_queues(consumer, 10) is None


def test_without_a_compiler_the_clients_own_calls_have_to_do(
    producer: Producer, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_calls, "COMPILED", False)

    assert native_calls.record_producer(producer) is None
    assert native_calls.record_queues(consumer, 10) is None


def produce_all(producer: Producer, records: list[Written]) -> int:
    """Hand records over; return how many were taken."""
    handed = native_client.producer_of(producer)
    assert handed is not None
    try:
        return int(handed.produce_all(records))
    finally:
        handed.close()


def test_it_says_how_many_a_full_producer_has_taken(producer: Producer) -> None:
    assert produce_all(producer, [written() for _ in range(5)]) == 3


def test_a_record_that_is_too_large_is_the_first_that_is_not_taken(producer: Producer) -> None:
    records = [written(), written(b"x" * 3_000), written()]

    assert produce_all(producer, records) == 1


def test_a_tombstone_with_headers_keeps_its_place_and_is_not_taken_by_a_full_producer(
    producer: Producer,
) -> None:
    tombstone: Written = (*written(None)[:4], [("os-reason", b"deleted")], 1)

    assert produce_all(producer, [tombstone, written(), tombstone, tombstone]) == 3


def test_what_is_no_record_is_refused(producer: Producer) -> None:
    with pytest.raises(TypeError):
        produce_all(producer, [written(value="text")])  # type: ignore[arg-type]


def test_records_of_many_topics_are_taken_in_any_order() -> None:
    producer = Producer(_NOWHERE)
    topics = [f"os.view.a.b.{number % 40}" for number in range(200)]

    assert produce_all(producer, [(topic, *written()[1:]) for topic in topics]) == 200
    assert len(producer) >= 200
    producer.purge()


def test_what_is_no_name_of_a_topic_is_not_taken(producer: Producer) -> None:
    records: list[Written] = [written(), ("x" * 600, *written()[1:]), written()]

    assert produce_all(producer, records) == 1


def test_one_by_one_it_takes_what_there_is_room_for(producer: Producer) -> None:
    topic, partition, key, value, _, timestamp = written()
    handed = native_client.producer_of(producer)
    assert handed is not None

    taken = [handed.put(topic, partition, key, value, timestamp) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    # What is no name of a topic is not taken, and forgets no other.
    assert handed.put("x" * 600, partition, key, value, timestamp) is False
    producer.purge()
    producer.poll(1)
    assert handed.put(topic, partition, key, value, timestamp) is True
    handed.close()
    with pytest.raises(RuntimeError, match="closed"):
        handed.put(topic, partition, key, value, timestamp)


def test_after_it_was_closed_nothing_is_taken(producer: Producer) -> None:
    handed = native_client.producer_of(producer)
    assert handed is not None
    handed.produce_all([written()])
    handed.close()
    handed.close()

    with pytest.raises(RuntimeError, match="closed"):
        handed.produce_all([written()])


def test_a_producer_is_let_go_of_though_its_topics_were_forgotten() -> None:
    """The client must not end before its topics do."""
    producer = Producer(_NOWHERE)
    handed = native_client.producer_of(producer)
    assert handed is not None
    handed.produce_all([written()])
    producer.purge()
    del producer

    del handed


def test_queues_are_taken_and_let_go_of_in_any_order(consumer: Consumer) -> None:
    queues = native_client.queues_of(consumer, 10)
    assert queues is not None
    for number in range(40):
        queues.take("a", number)
    queues.take("a", 3)
    for number in (39, 0, 7, 0, 99):
        queues.release("a", number)
    queues.take("b", 0)

    errors: list[object] = []
    assert queues.consume(10, errors) == []
    assert errors == []
    queues.close()
    queues.close()

    queues.release("a", 1)
    assert queues.consume(10, errors) == []
    with pytest.raises(RuntimeError, match="closed"):
        queues.take("a", 50)


def test_a_consumer_is_closed_though_its_queues_were_forgotten() -> None:
    """The client waits for whoever holds on to its queues: nobody may do so by accident."""
    consumer = Consumer({**_NOWHERE, "group.id": "test"})
    queues = native_client.queues_of(consumer, 10)
    assert queues is not None
    queues.take("a", 0)
    del queues

    consumer.close()
