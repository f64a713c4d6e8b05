"""Sends records that lie ready as fast as they can be taken, or at a rate."""

import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Producer

from bench.records import Encoded
from bus.adapters.kafka.connection import LOGGER, KafkaConnection

_TICK_SECONDS = 0.005
_FLUSH_SECONDS = 120.0


class Sender:
    """An idempotent producer with one topic, fed by an iterable of records that does not end."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        records: Iterable[Encoded],
        *,
        partition: int | None = None,
    ) -> None:
        """Send `records` to `partition` of `topic`; None: where their keys belong."""
        self._topic = topic
        self._place = () if partition is None else (partition,)
        self._records = iter(records)
        self._producer = Producer(
            connection.client(
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                partitioner="murmur2_random",
                linger_ms=5,
                batch_size=1 << 20,
                queue_buffering_max_messages=200_000,
            ),
            logger=LOGGER,
        )

    def send(self, count: int) -> None:
        """Send the next `count` records, and wait until they are accepted."""
        self._queue(count)
        if self._producer.flush(_FLUSH_SECONDS):
            raise TimeoutError("the broker does not take the records")

    def paced(self, rate: int, seconds: float, sample: float) -> Iterator[tuple[float, int]]:
        """
        Send `rate` records a second for `seconds`.

        Yield (seconds since the beginning, records that should have been sent and were not), every
        `sample` seconds.
        """
        started = time.monotonic()
        sent, sampled = 0, 0.0
        while (now := time.monotonic() - started) < seconds:
            due = int(now * rate)
            # No more than a second's worth at once, so that samples come in time.
            step = min(due - sent, rate)
            self._queue(step)
            sent += step
            if now - sampled >= sample:
                sampled = now
                yield now, due - sent
            time.sleep(_TICK_SECONDS)
        self.send(0)

    def _queue(self, count: int) -> None:
        produce, topic, place = self._producer.produce, self._topic, self._place
        for _ in range(count):
            key, value = next(self._records)
            while True:
                try:
                    produce(topic, value, key, *place)
                except BufferError:
                    self._producer.poll(0.01)
                else:
                    break
        self._producer.poll(0)
