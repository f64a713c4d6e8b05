"""A subscriber's plain consumer of a view, in a thread: notes when records come."""

import threading
import time
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.stage import Stage
from bus.adapters.kafka.connection import LOGGER
from bus.domain.names import group_prefix, subscription_principal

_AT_ONCE = 10_000
_LOOK_SECONDS = 0.005


class ViewReader:
    """Reads the view of a resource's one subscription from its end on, committed records only."""

    def __init__(self, stage: Stage, resource: str) -> None:
        view = stage.view(resource)
        group = group_prefix(subscription_principal(resource))
        self._consumer = Consumer(
            stage.subscriber(resource).kafka.client(
                group_id=f"{group}bench",
                enable_auto_commit=False,
                auto_offset_reset="error",
                isolation_level="read_committed",
            ),
            logger=LOGGER,
        )
        self._consumer.assign([TopicPartition(*view, stage.end(view))])
        self._over = threading.Event()
        self._error: KafkaException | None = None
        #: By record, in the order of the view, which is that of the source: when it could be read
        #: and when it was accepted, in seconds since 1970.
        self.arrived: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._run, name="reader")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def await_records(self, count: int, *, seconds: float) -> None:
        """Wait until so many records have come; raise `TimeoutError` after `seconds`."""
        deadline = time.monotonic() + seconds
        while len(self.arrived) < count and self._error is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.arrived)} of {count} records have come")
            time.sleep(_LOOK_SECONDS)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not self._over.is_set():
            messages = self._consumer.consume(1, 0.1)
            messages += self._consumer.consume(_AT_ONCE, 0)
            now = time.time()
            for message in messages:
                error = message.error()
                if error is not None:
                    self._error = KafkaException(error)
                    return
                # The router keeps the time of acceptance as the timestamp of the view's record.
                self.arrived.append((now, message.timestamp()[1] / 1000))
