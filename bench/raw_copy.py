"""
The measure of the router: a copy by the same client that looks at no record.

Its settings are those of the router's consumer and producer, and so are the sizes of its batches
and transactions; it writes while it reads. A filter that passes one record in ten is played by
copying every tenth.
"""

import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.domain.names import ROUTER_GROUP
from bus.ports import Partition
from bus.router.router import CONSUME_RECORDS, TRANSACTION_RECORDS

_CALL_SECONDS = 15.0


class RawCopy:
    """Copies records from one partition to another topic."""

    def __init__(
        self,
        connection: KafkaConnection,
        source: Partition,
        target: str,
        *,
        every: int,
        exactly_once: bool,
    ) -> None:
        self._source = source
        self._target = target
        self._every = every
        self._exactly_once = exactly_once
        name = f"{ROUTER_GROUP}.{target}"
        self._consumer = Consumer(
            connection.client(
                group_id=name,
                enable_auto_commit=False,
                auto_offset_reset="error",
                isolation_level="read_committed",
                check_crcs=True,
                fetch_queue_backoff_ms=20,
                fetch_wait_max_ms=250,
                queued_min_messages=300_000,
                queued_max_messages_kbytes=65_536,
            ),
            logger=LOGGER,
        )
        settings: dict[str, object] = {"enable_idempotence": True, "acks": "all"}
        if exactly_once:
            settings = {"transactional_id": name, "transaction_timeout_ms": 10_000}
        self._producer = Producer(
            connection.client(
                **settings,
                compression_type="lz4",
                linger_ms=20,
                batch_size=1 << 20,
                message_max_bytes=1_100_000,
                queue_buffering_max_messages=1_000_000,
                queue_buffering_max_kbytes=256 << 10,
            ),
            logger=LOGGER,
        )
        if exactly_once:
            self._producer.init_transactions(_CALL_SECONDS)

    def run(self, start: int, end: int) -> float:
        """Copy what stands from `start` to `end`; return the seconds from the first record on."""
        started = 0.0
        self._consumer.assign([TopicPartition(*self._source, start)])
        position = start
        while position < end:
            until = min(position + TRANSACTION_RECORDS, end)
            if self._exactly_once:
                self._producer.begin_transaction()
            while position < until:
                most = min(CONSUME_RECORDS, until - position)
                messages = self._consumer.consume(most, 1.0)
                started = started or time.perf_counter()
                position += self._copy(messages, start)
            self._commit(position)
        seconds = time.perf_counter() - started
        self._consumer.unassign()
        return seconds

    def close(self) -> None:
        """Let go."""
        self._consumer.close()

    def _copy(self, messages: Sequence[Message], start: int) -> int:
        # A transaction's records fit into the queue, so it is never full.
        produce, every, target = self._producer.produce, self._every, self._target
        for message in messages:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            if ((message.offset() or 0) - start) % every == 0:
                timestamp = message.timestamp()[1]
                # By place, as the router's writer: that takes half the time.
                produce(target, message.value(), message.key(), 0, None, None, timestamp, None)
        return len(messages)

    def _commit(self, position: int) -> None:
        offsets = [TopicPartition(*self._source, position)]
        if self._exactly_once:
            self._producer.send_offsets_to_transaction(
                offsets, self._consumer.consumer_group_metadata(), _CALL_SECONDS
            )
            self._producer.commit_transaction(_CALL_SECONDS)
        else:
            self._producer.flush(_CALL_SECONDS)
            self._consumer.commit(offsets=offsets, asynchronous=False)
