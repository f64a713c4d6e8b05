"""
Publish the records of one resource to its source topic.

Nothing that was handed over is lost silently: the producer is idempotent and waits for all
replicas, `flush` says what was not accepted, and a failure surfaces at the next call.
"""

import datetime as dt
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bus import metrics
from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.adapters.kafka.delivery import await_answers
from bus.errors import DeliveryFailed
from producers.publication import Publication
from producers.record_encoder import RecordEncoder

#: After this the broker is taken not to accept a record. Kafka's own default.
DELIVERY_SECONDS = 120.0
#: Records that may wait for the broker; more make the caller wait.
QUEUE_RECORDS = 100_000
QUEUE_KIBIBYTES = 64 << 10
#: A failed record is named; beyond this many they are only counted.
_NAMED_FAILURES = 100

EVENT_ID_HEADER = "os-event-id"
OCCURRED_AT_HEADER = "os-occurred-at"


@dataclass(frozen=True, slots=True)
class Unaccepted:
    """A record that the broker has not accepted."""

    key: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class FlushReport:
    """What became of the records since the last report."""

    accepted: int
    unaccepted: int
    examples: tuple[Unaccepted, ...]
    """The first of the records that were not accepted."""


class Publisher:
    """
    Publishes upserts and deletes of one resource, in the name of its provider.

    Use it as a context manager: leaving it flushes, and raises `DeliveryFailed` if anything was not
    accepted. Not for several threads at once.
    """

    def __init__(self, publication: Publication, connection: KafkaConnection) -> None:
        self.publication = publication
        self.encoder = RecordEncoder(publication)
        self._producer = Producer(
            connection.client(
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                partitioner="murmur2_random",
                linger_ms=5,
                delivery_timeout_ms=int(DELIVERY_SECONDS * 1000),
                queue_buffering_max_messages=QUEUE_RECORDS,
                queue_buffering_max_kbytes=QUEUE_KIBIBYTES,
            ),
            logger=LOGGER,
        )
        self._accepted = 0
        self._failed = 0
        self._examples: list[Unaccepted] = []
        #: Why the client accepts nothing any more, if it does not.
        self._fatal = ""

    def upsert(
        self,
        record: Mapping[str, object],
        *,
        event_id: uuid.UUID | None = None,
        occurred_at: dt.datetime | None = None,
    ) -> None:
        """
        Publish what `record` is now; the record is checked against the entry first.

        Raise `RecordInvalid` if it does not fit (nothing is sent), `DeliveryFailed` if the broker
        has refused a record handed over before. Waits while the queue is full.
        """
        checked = self.encoder.check(record)
        self.upsert_encoded(
            self.encoder.key(record),
            self.encoder.items(checked),
            event_id=event_id,
            occurred_at=occurred_at,
        )

    def upsert_encoded(
        self,
        key: bytes,
        items: bytes,
        *,
        event_id: uuid.UUID | None = None,
        occurred_at: dt.datetime | None = None,
    ) -> None:
        """Publish a record that `encoder` has encoded before."""
        value = self.encoder.value(
            items,
            event_id=event_id or uuid.uuid4(),
            occurred_at=occurred_at or dt.datetime.now(dt.UTC),
        )
        self._produce(key, value, None, "upsert")

    def publish_bytes(self, key: bytes, value: bytes) -> None:
        """Publish a record exactly as it is: a dead letter that is sent again."""
        self._produce(key, value, None, "redrive")

    def delete(
        self,
        record: Mapping[str, object],
        *,
        event_id: uuid.UUID | None = None,
        occurred_at: dt.datetime | None = None,
    ) -> None:
        """Publish that the record with these key items is gone; errors as in `upsert`."""
        self.delete_key(self.encoder.key(record), event_id=event_id, occurred_at=occurred_at)

    def delete_key(
        self,
        key: bytes,
        *,
        event_id: uuid.UUID | None = None,
        occurred_at: dt.datetime | None = None,
    ) -> None:
        """Publish that the record with this key is gone."""
        headers = [
            (EVENT_ID_HEADER, str(event_id or uuid.uuid4()).encode()),
            (OCCURRED_AT_HEADER, (occurred_at or dt.datetime.now(dt.UTC)).isoformat().encode()),
        ]
        self._produce(key, None, headers, "delete")

    def flush(self, seconds: float = DELIVERY_SECONDS) -> FlushReport:
        """
        Wait until the broker has answered for every record, at most `seconds`.

        A record without an answer counts as not accepted; it may still be accepted later.
        """
        left = self._served(lambda: await_answers(self._producer, seconds))
        if self._fatal:
            # What the broker has not accepted by now it never will.
            self._producer.purge()
            left = self._served(lambda: await_answers(self._producer, seconds))
            self._examples.insert(0, Unaccepted(b"", self._fatal))
        if left:
            self._failed += left
            self._examples.append(Unaccepted(b"", f"{left} records without an answer"))
        report = FlushReport(self._accepted, self._failed, tuple(self._examples[:_NAMED_FAILURES]))
        self._accepted = self._failed = 0
        self._examples.clear()
        return report

    def close(self) -> None:
        """Flush; raise `DeliveryFailed` if anything was not accepted."""
        report = self.flush()
        if report.unaccepted:
            raise DeliveryFailed(describe_failure(report))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._served(lambda: await_answers(self._producer, DELIVERY_SECONDS))

    def _served(self, call: Callable[[], int]) -> int:
        """
        Let the client call back; return what it returns.

        Where it has ended for good, a missing permission for one, it raises why: that is noted.
        """
        try:
            return call()
        except KafkaException as error:
            self._fatal = str(error)
            return 0

    def _produce(
        self, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]] | None, kind: str
    ) -> None:
        if self._failed or self._fatal:
            raise DeliveryFailed(describe_failure(self.flush()))
        deadline = time.monotonic() + DELIVERY_SECONDS
        while True:
            try:
                self._producer.produce(
                    self.publication.topic,
                    value,
                    key,
                    headers=list(headers) if headers else None,
                    on_delivery=partial(self._delivered, kind),
                )
            except BufferError:
                # Back-pressure: the caller waits for the broker instead of filling memory.
                self._served(lambda: self._producer.poll(0.1))
                if time.monotonic() > deadline:
                    raise DeliveryFailed("the broker takes nothing off the full queue") from None
            except KafkaException as error:
                raise DeliveryFailed(f"{key!r}: {self._reason(error)}") from error
            else:
                break
        self._served(lambda: self._producer.poll(0))

    def _reason(self, error: KafkaException) -> str:
        """Return why a record was not taken; if the client has ended, it says why when it calls."""
        self._served(lambda: self._producer.poll(0))
        return self._fatal or str(error)

    def _delivered(self, kind: str, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._accepted += 1
            metrics.PUBLISHED.labels(self.publication.resource, kind).inc()
            return
        self._failed += 1
        metrics.PUBLISH_FAILURES.labels(self.publication.resource).inc()
        if len(self._examples) < _NAMED_FAILURES:
            self._examples.append(
                Unaccepted(message.key() or b"", f"{error.name()}: {error.str()}")
            )


def describe_failure(report: FlushReport) -> str:
    """Return a sentence about what was not accepted."""
    first = report.examples[0]
    which = f"; the first is {first.key.decode(errors='replace')!r}" if first.key else ""
    return (
        f"{report.unaccepted} records were not accepted (and {report.accepted} were)"
        f"{which}: {first.reason}"
    )
