"""Unit tests of `producers.publisher`, on a client in memory."""

import datetime as dt
import uuid

import pytest
from confluent_kafka import KafkaError, KafkaException

from bus import metrics
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.memory.broker import MemoryBroker, MemoryRecord
from bus.errors import DeliveryFailed, RecordInvalid
from producers import FlushReport, Publisher, Unaccepted, publisher
from producers.publisher import describe_failure
from tests import builders, stream_builders
from tests.memory_producer import MemoryProducer
from tests.stream_builders import EVENT_ID, OCCURRED_AT, record

ENTRY = builders.entry()
CONNECTION = KafkaConnection(bootstrap="127.0.0.1:1", username="org-statistics", password="-")


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> MemoryProducer:
    """Put a client in memory in the place of confluent-kafka's."""
    broker = MemoryBroker()
    broker.create(ENTRY.source_topic, ENTRY.partitions)
    made = MemoryProducer(broker)
    monkeypatch.setattr(publisher, "Producer", made.connect)
    return made


@pytest.fixture
def mine(producer: MemoryProducer) -> Publisher:
    """Return the publisher under test."""
    return Publisher(stream_builders.publication(ENTRY), CONNECTION)


def written(producer: MemoryProducer) -> list[MemoryRecord]:
    """Return what the broker has."""
    return producer.broker.all_records(ENTRY.source_topic)


def counted(operation: str) -> float:
    """Return the metric of records published."""
    number: float = metrics.PUBLISHED.labels(ENTRY.resource, operation)._value.get()
    return number


def test_an_upsert_is_what_its_provider_says_and_no_header(
    mine: Publisher, producer: MemoryProducer
) -> None:
    mine.upsert(record(), event_id=EVENT_ID, occurred_at=OCCURRED_AT)

    (found,) = written(producer)
    assert found.key() == b"110101"
    assert found.value() == stream_builders.source_value(record())
    assert found.headers() is None


def test_an_upsert_without_more_gets_an_event_id_and_the_present(
    mine: Publisher, producer: MemoryProducer
) -> None:
    before = dt.datetime.now(dt.UTC)

    mine.upsert(record())
    mine.upsert(record())

    metas = [
        stream_builders.decoded(builders.schema_of(ENTRY), each.value() or b"")["meta"]
        for each in written(producer)
    ]
    assert len({meta["event_id"] for meta in metas}) == 2
    assert before <= metas[0]["occurred_at"] <= dt.datetime.now(dt.UTC)


def test_a_delete_is_a_null_value_with_the_event_in_headers(
    mine: Publisher, producer: MemoryProducer
) -> None:
    mine.delete({"code": "110101"}, event_id=EVENT_ID, occurred_at=OCCURRED_AT)

    (found,) = written(producer)
    assert (found.key(), found.value()) == (b"110101", None)
    assert dict(found.headers() or ()) == {
        "os-event-id": str(EVENT_ID).encode(),
        "os-occurred-at": b"2026-01-04T12:30:00+00:00",
    }


def test_a_delete_without_more_gets_an_event_id_and_an_aware_time(
    mine: Publisher, producer: MemoryProducer
) -> None:
    mine.delete_key(b"110101")

    (found,) = written(producer)
    said = dict(found.headers() or ())
    assert uuid.UUID(said["os-event-id"].decode()).version == 4
    assert dt.datetime.fromisoformat(said["os-occurred-at"].decode()).tzinfo is not None


def test_bytes_are_published_exactly_as_they_are(mine: Publisher, producer: MemoryProducer) -> None:
    mine.publish_bytes(b"110101", b"\x00not a record")

    (found,) = written(producer)
    assert (found.key(), found.value()) == (b"110101", b"\x00not a record")


def test_a_record_that_does_not_fit_is_never_sent(
    mine: Publisher, producer: MemoryProducer
) -> None:
    with pytest.raises(RecordInvalid, match="name: text is wanted"):
        mine.upsert(record(name=7))
    with pytest.raises(RecordInvalid, match="code: the key item is missing"):
        mine.delete({"name": "n"})

    assert written(producer) == []


def test_the_client_waits_for_all_replicas_and_hashes_keys_as_java_does(
    mine: Publisher, producer: MemoryProducer
) -> None:
    """Invariant 4: nothing that was handed over is lost or doubled by the client."""
    wanted = {
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "sasl.username": "org-statistics",
    }

    assert wanted.items() <= producer.config.items()


def test_flush_says_what_was_accepted_and_what_was_not_and_forgets_it(
    mine: Publisher, producer: MemoryProducer
) -> None:
    """R-118: every record ends in an acceptance or a named failure."""
    producer.refuse = {b"2": KafkaError.TOPIC_AUTHORIZATION_FAILED}
    mine.upsert(record("1"))
    mine.upsert(record("2"))

    report = mine.flush()

    assert (report.accepted, report.unaccepted) == (1, 1)
    assert report.examples[0].key == b"2"
    assert report.examples[0].reason.startswith("TOPIC_AUTHORIZATION_FAILED: ")
    assert mine.flush() == FlushReport(0, 0, ())


def test_a_record_without_an_answer_counts_as_not_accepted(
    mine: Publisher, producer: MemoryProducer
) -> None:
    producer.silent = {b"2"}
    mine.upsert(record("1"))
    mine.upsert(record("2"))

    report = mine.flush(1)

    assert report == FlushReport(1, 1, (Unaccepted(b"", "1 records without an answer"),))


def test_a_failure_surfaces_at_the_next_call(mine: Publisher, producer: MemoryProducer) -> None:
    producer.refuse = {b"1": KafkaError.MSG_SIZE_TOO_LARGE}
    mine.upsert(record("1"))

    with pytest.raises(DeliveryFailed, match=r"1 records were not accepted .* '1': MSG_SIZE_TOO"):
        mine.upsert(record("2"))

    assert written(producer) == []


def test_only_the_first_failures_are_named_but_all_are_counted(
    mine: Publisher, producer: MemoryProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer.refuse = {str(each).encode(): KafkaError.MSG_SIZE_TOO_LARGE for each in range(150)}
    with monkeypatch.context() as slow:
        slow.setattr(producer, "poll", lambda _: 0)
        for each in range(150):
            mine.delete_key(str(each).encode())

    report = mine.flush()

    assert report.unaccepted == 150
    assert [each.key for each in report.examples] == [str(each).encode() for each in range(100)]


def test_a_full_queue_makes_the_caller_wait(mine: Publisher, producer: MemoryProducer) -> None:
    producer.full = 3

    mine.upsert(record())

    assert len(written(producer)) == 1


def test_a_queue_that_stays_full_is_a_failure(
    mine: Publisher, producer: MemoryProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer.full = 1 << 30
    monkeypatch.setattr(publisher, "DELIVERY_SECONDS", -1)

    with pytest.raises(DeliveryFailed, match="the broker takes nothing off the full queue"):
        mine.upsert(record())


def test_a_record_that_the_client_itself_refuses_is_a_failure(
    mine: Publisher, producer: MemoryProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))

    monkeypatch.setattr(producer, "produce", refuse)

    with pytest.raises(DeliveryFailed, match=r"b'110101': .*MSG_SIZE_TOO_LARGE"):
        mine.upsert(record())


def test_leaving_the_publisher_waits_and_raises_if_anything_was_not_accepted(
    mine: Publisher, producer: MemoryProducer
) -> None:
    producer.refuse = {b"2": KafkaError.TOPIC_AUTHORIZATION_FAILED}
    producer.late = 5
    mine.upsert(record("1"))
    mine.upsert(record("2"))

    with pytest.raises(DeliveryFailed, match=r"1 records were not accepted \(and 1 were\)"):
        mine.__exit__(None, None, None)

    assert len(producer) == 0


def test_leaving_the_publisher_with_everything_accepted_is_quiet(
    mine: Publisher, producer: MemoryProducer
) -> None:
    producer.late = 3
    with mine:
        mine.upsert(record())

    assert len(producer) == 0


def test_an_error_of_the_caller_is_not_replaced_but_what_was_sent_is_waited_for(
    mine: Publisher, producer: MemoryProducer
) -> None:
    producer.refuse = {b"1": KafkaError.TOPIC_AUTHORIZATION_FAILED}
    producer.late = 3

    with pytest.raises(ZeroDivisionError), mine:  # noqa: PT012 (what is left is what is tested)
        mine.upsert(record("1"))
        raise ZeroDivisionError

    assert len(producer) == 0


def test_accepted_records_are_counted_by_kind(mine: Publisher, producer: MemoryProducer) -> None:
    before = {kind: counted(kind) for kind in ("upsert", "delete", "redrive")}
    producer.refuse = {b"4": KafkaError.TOPIC_AUTHORIZATION_FAILED}

    mine.upsert(record("1"))
    mine.delete_key(b"1")
    mine.delete_key(b"2")
    mine.publish_bytes(b"3", b"")
    mine.upsert(record("4"))

    grown = {kind: counted(kind) - before[kind] for kind in before}
    assert grown == {"upsert": 1, "delete": 2, "redrive": 1}


def test_a_failure_is_described_with_its_first_example() -> None:
    report = FlushReport(3, 2, (Unaccepted("东\ud800".encode(errors="surrogatepass"), "NO: why"),))

    assert describe_failure(report).startswith(
        "2 records were not accepted (and 3 were); the first is '东"
    )
    assert describe_failure(report).endswith("': NO: why")
