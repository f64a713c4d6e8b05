"""How long single records are on their way, through the router as a process of its own."""

import random
import threading
import time
import uuid
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.contest import Latency, Options
from bench.records import Content, Encoded, Register
from bench.stage import PACED, Stage
from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.domain.names import group_prefix, subscription_principal
from bus.ports import Partition
from consumers import Subscriber
from producers import Publisher

RATES = (1_000, 5_000)
SECONDS = 10
#: The first records of a run open connections; they do not count.
_RUN_IN_SECONDS = 1
_TICK_SECONDS = 0.005
_DEADLINE_SECONDS = 30.0
CHANGES = 50
_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.02, 0.2


def measure_paced(options: Options, stage: Stage) -> list[Latency]:
    """Measure from the broker's acceptance to a read_committed reader of the view, at a rate."""
    register = Register(options.seed)
    publication = stage.publication(PACED)
    found: list[Latency] = []
    for rate in RATES:
        options.say(f"latency at {rate:,} records/s, {SECONDS} s")
        contents = register.take(rate * (SECONDS + _RUN_IN_SECONDS))
        encoded = register.encode(publication, contents)
        view = stage.view(PACED)
        reader = _ViewReader(
            stage.subscriber(PACED).kafka, view, start=stage.end(view), count=len(encoded)
        )
        with Publisher(publication, stage.provider.kafka) as publisher:
            seconds = _publish_paced(publisher, encoded, rate)
        measured = reader.result()[rate * _RUN_IN_SECONDS :]
        found.append(
            Latency(
                "latency",
                f"accepted → readable in the view, {len(encoded) / seconds:,.0f}/s",
                tuple(measured),
            )
        )
    return found


def measure_changes(options: Options, stage: Stage) -> list[Latency]:
    """Measure from a call of the publisher's SDK to the change in the subscriber's SDK."""
    options.say(f"{CHANGES} single changes")
    contents = Register(options.seed).take(CHANGES + 1)
    pauses = random.Random(options.seed)
    account = stage.subscriber(PACED)
    with (
        Publisher(stage.publication(PACED), stage.provider.kafka) as publisher,
        Subscriber(
            PACED,
            kafka=account.kafka,
            control=account.control,
            name=uuid.uuid4().hex,
            remember=False,
        ) as subscriber,
    ):
        # A poll before anything is published: the stream begins at the end of the view.
        list(subscriber.poll(0.5))
        measured = []
        for content in contents:
            # So that the beat of no loop is met.
            time.sleep(pauses.uniform(_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS))
            measured.append(_follow_change(publisher, subscriber, content))
    return [Latency("change", "published → seen by the subscriber", tuple(measured[1:]))]


def _follow_change(publisher: Publisher, subscriber: Subscriber, content: Content) -> float:
    started = time.perf_counter()
    publisher.upsert({**content, "name": "changed"})
    while time.perf_counter() - started < _DEADLINE_SECONDS:
        for change in subscriber.poll(1.0):
            if change.record is not None and change.record["name"] == "changed":
                seconds = time.perf_counter() - started
                # What comes behind it is of no interest, but must have been asked for.
                list(subscriber.poll(0))
                return seconds * 1000
    raise TimeoutError("a change has not arrived")


def _publish_paced(publisher: Publisher, encoded: Sequence[Encoded], rate: int) -> float:
    """Publish at a steady rate, a few records at each tick; return the seconds it took."""
    started = time.perf_counter()
    sent = 0
    while sent < len(encoded):
        due = min(len(encoded), int((time.perf_counter() - started) * rate) + 1)
        for key, value in encoded[sent:due]:
            publisher.publish_bytes(key, value)
        sent = due
        time.sleep(_TICK_SECONDS)
    return time.perf_counter() - started


class _ViewReader:
    """A subscriber's plain consumer, in a thread: notes when each record could be read."""

    def __init__(
        self, connection: KafkaConnection, view: Partition, *, start: int, count: int
    ) -> None:
        group = group_prefix(subscription_principal(PACED))
        self._consumer = Consumer(
            connection.client(
                group_id=f"{group}bench",
                enable_auto_commit=False,
                auto_offset_reset="error",
                isolation_level="read_committed",
            ),
            logger=LOGGER,
        )
        self._consumer.assign([TopicPartition(*view, start)])
        self._count = count
        self._milliseconds: list[float] = []
        self._error: KafkaException | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def result(self) -> list[float]:
        """Wait for the last record; return the milliseconds of each, in the order of the view."""
        self._thread.join()
        self._consumer.close()
        if self._error is not None:
            raise self._error
        if len(self._milliseconds) < self._count:
            raise TimeoutError(f"{len(self._milliseconds)} of {self._count} records have arrived")
        return self._milliseconds

    def _read(self) -> None:
        deadline = time.monotonic() + SECONDS + _DEADLINE_SECONDS
        while len(self._milliseconds) < self._count and time.monotonic() < deadline:
            messages = self._consumer.consume(1, 0.1)
            messages += self._consumer.consume(self._count, 0)
            # The router keeps the time of acceptance as the timestamp of the view's record.
            now = time.time() * 1000
            for message in messages:
                error = message.error()
                if error is not None:
                    self._error = KafkaException(error)
                    return
                self._milliseconds.append(now - message.timestamp()[1])
