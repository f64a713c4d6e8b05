"""confluent-kafka's `Producer`, as far as the publisher uses it, on a broker in memory."""

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError

from bus.adapters.memory.broker import MemoryBroker
from bus.domain.record_key import partition_of
from bus.ports import Partition

OnDelivery = Callable[[KafkaError | None, "MemoryMessage"], None]


class MemoryMessage:
    """What a delivery report is about."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def key(self) -> bytes:
        return self._key


class MemoryProducer:
    """
    Takes records at once and answers for them at the next poll, as the real one does.

    `refuse` says which keys the broker refuses, and why; `silent` are those it never answers for.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.config: dict[str, Any] = {}
        self.refuse: dict[bytes, int] = {}
        self.silent: set[bytes] = set()
        #: How often the queue is full before it takes the next record.
        self.full = 0
        #: How often it is polled in vain before the broker answers.
        self.late = 0
        self._waiting: list[tuple[KafkaError | None, MemoryMessage, OnDelivery]] = []

    def connect(self, config: dict[str, Any], logger: object) -> "MemoryProducer":
        """Stand in for the constructor."""
        self.config = config
        return self

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes,
        *,
        headers: list[tuple[str, bytes]] | None,
        on_delivery: OnDelivery,
    ) -> None:
        if self.full:
            self.full -= 1
            raise BufferError("Local: Queue full")
        error = None
        if key in self.refuse:
            error = KafkaError(self.refuse[key])
        elif key not in self.silent:
            where = Partition(topic, partition_of(key, self.broker.topics()[topic]))
            self.broker.append(where, key, value, headers=headers)
        self._waiting.append((error, MemoryMessage(key), on_delivery))

    def poll(self, timeout: float) -> int:
        answered = [each for each in self._waiting if each[1].key() not in self.silent]
        if self.late:
            self.late -= 1
            answered = []
        else:
            self._waiting = [each for each in self._waiting if each[1].key() in self.silent]
        for error, message, on_delivery in answered:
            on_delivery(error, message)
        if not answered:
            time.sleep(timeout)
        return len(answered)

    def __len__(self) -> int:
        return len(self._waiting)
