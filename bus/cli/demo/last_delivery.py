"""When the last record reaches a reader whose grant is being revoked, seen by the reader itself."""

import threading
import time

from confluent_kafka import Consumer, TopicPartition

from bus.adapters.kafka.connection import LOGGER, KafkaConnection

_POLL_SECONDS = 0.05
_JOIN_SECONDS = 30.0


class LastDelivery:
    """Reads a view's end with a subscriber's own account, and notes when a record last came."""

    def __init__(self, connection: KafkaConnection, *, group: str, topic: str, end: int) -> None:
        settings = connection.client(
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="error",
            isolation_level="read_committed",
        )
        # That it is refused in the end is what it is for.
        self._consumer = Consumer({**settings, "log_level": 0}, logger=LOGGER)
        self._consumer.assign([TopicPartition(topic, 0, end)])
        self._over = threading.Event()
        self._last: float | None = None
        self.records = 0
        self._thread = threading.Thread(target=self._read, name="last-delivery", daemon=True)
        self._thread.start()

    def after(self, moment: float) -> float | None:
        """Return how long after `moment` (`time.monotonic`) a record last came; None: none did."""
        return None if self._last is None or self._last < moment else self._last - moment

    def close(self) -> None:
        """Stop reading."""
        self._over.set()
        self._thread.join(_JOIN_SECONDS)
        self._consumer.close()

    def _read(self) -> None:
        while not self._over.is_set():
            message = self._consumer.poll(_POLL_SECONDS)
            if message is not None and message.error() is None:
                self._last = time.monotonic()
                self.records += 1
