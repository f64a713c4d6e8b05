"""
The transactional producer, with the rules that librdkafka's lack of KIP-890 asks for.

After an EndTxn whose outcome is unknown a producer is never used again: a new one with the same
transactional id ends the old transaction, one way or the other, and fences what is still in flight
(field-notes.md B1).
"""

import time
from collections.abc import Callable, Mapping, Sequence

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from bus.adapters.kafka.bounded_call import in_time
from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.adapters.kafka.group_consumer import KafkaGroupConsumer
from bus.adapters.kafka.native_calls import record_producer
from bus.errors import BrokerUnavailable, TransactionAborted, TransactionUnknown, WriterFenced
from bus.ports import Committed, GroupConsumer, Partition
from bus.ports.record_sink import RecordSink
from bus.ports.record_writer import Headers, Written

log = structlog.get_logger(__name__)

#: Longer than any batch takes, shorter than readers of read_committed may be held up.
TRANSACTION_TIMEOUT_MILLISECONDS = 10_000
#: A call on a transaction that takes longer is taken for lost.
_CALL_SECONDS = 15.0
#: librdkafka's own time-out does not hold when positions are sent: a coordinator that is gone from
#: metadata is waited for without end (librdkafka issues 5456 and 5511).
_HUNG_SECONDS = _CALL_SECONDS + 5.0
#: How long to go on trying to become the owner of the transactional id.
_INIT_SECONDS = 60.0
#: How long the local queue may stay full before the transaction is given up.
_QUEUE_SECONDS = 10.0

_FENCED = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.TRANSACTION_COORDINATOR_FENCED,
    }
)


class KafkaTransactionalWriter:
    """See `bus.ports.TransactionalWriter`."""

    def __init__(self, connection: KafkaConnection, *, transactional_id: str) -> None:
        self._config = connection.client(
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MILLISECONDS,
            compression_type="lz4",
            linger_ms=20,
            # The coordinator sends a transaction's first request back while it still writes the
            # markers of the one before: for some milliseconds, not for the 100 of the default.
            retry_backoff_ms=5,
            batch_size=1 << 20,
            # View records are at most a little larger than what the kernel lets in.
            message_max_bytes=1_100_000,
            queue_buffering_max_messages=1_000_000,
            queue_buffering_max_kbytes=256 << 10,
            # With one broker, every idle connection that the broker closes looks like the loss of
            # the cluster: the client would begin anew, and a transaction that comes just then
            # waits for ten seconds, or is fenced. A writer that has lost its broker is replaced
            # after the first call that fails (ADR 0014).
            metadata_recovery_strategy="none",
            connections_max_idle_ms=0,
        )
        self._producer = self._connect()
        #: Where records are handed over in lots; None: one by one.
        self._records = record_producer(self._producer)
        self._begun = False

    def begin(self) -> None:
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            _end_if_fenced(error)
            self._renew()
            raise TransactionAborted(f"could not begin: {error}") from error
        self._begun = True

    def write(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers | None = None,
        timestamp: int = 0,
    ) -> None:
        deadline = 0.0
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    timestamp=timestamp,
                    headers=None if headers is None else list(headers),
                )
            except BufferError:
                now = time.monotonic()
                deadline = deadline or now + _QUEUE_SECONDS
                if now > deadline:
                    raise TransactionAborted("the broker takes nothing off the queue") from None
                self._producer.poll(0.05)
            except KafkaException as error:
                raise TransactionAborted(f"could not write to {topic}: {error}") from error
            else:
                return

    def write_all(self, records: Sequence[Written]) -> None:
        # The router's inner loop.
        written = 0
        while True:
            written += self._hand_over(records[written:] if written else records)
            if written == len(records):
                return
            # The same again for the one that was not taken: it knows how to wait, and how to fail.
            topic, partition, key, value, headers, timestamp = records[written]
            self.write(topic, partition, key, value, headers=headers, timestamp=timestamp)
            written += 1

    def sink(self) -> RecordSink | None:
        return self._records

    def _hand_over(self, records: Sequence[Written]) -> int:
        """Hand `records` to the producer; return how many it took."""
        if self._records is not None:
            return self._records.produce_all(records)
        return _produce_all(self._producer, records)

    def commit(
        self, positions: Mapping[Partition, Committed], consumer: GroupConsumer | None
    ) -> None:
        if consumer is not None:
            if not isinstance(consumer, KafkaGroupConsumer):
                raise TypeError("positions belong to a Kafka consumer group")
            offsets = [
                TopicPartition(*partition, committed.position, committed.note)
                for partition, committed in positions.items()
            ]
            # Fresh metadata each time: it can go stale without a rebalance (field-notes.md B1.6).
            membership = consumer.client.consumer_group_metadata()
            producer = self._producer
            self._call(
                lambda: in_time(
                    lambda: producer.send_offsets_to_transaction(
                        offsets, membership, _CALL_SECONDS
                    ),
                    _HUNG_SECONDS,
                ),
                ends=False,
            )
        self._call(lambda: self._producer.commit_transaction(_CALL_SECONDS), ends=True)

    def abort(self) -> None:
        if not self._begun:
            # A new producer has taken over, which ended the transaction of the one before.
            return
        try:
            self._producer.abort_transaction(_CALL_SECONDS)
        except KafkaException as error:
            _end_if_fenced(error)
            log.warning("abort failed; a new producer takes over", reason=str(error))
            self._renew()

    def close(self) -> None:
        # A destroyed producer leaves its transaction to the coordinator's time-out, or to the next
        # producer with this id, whichever comes first.
        self._let_go()

    def _call(self, call: Callable[[], None], *, ends: bool) -> None:
        """Make a call on the transaction until it is through; `ends`: it ends the transaction."""
        deadline = time.monotonic() + _CALL_SECONDS
        while True:
            try:
                call()
            except TimeoutError as hung:
                log.warning("positions could not be sent", reason=str(hung))
                self._renew()
                raise TransactionAborted(f"positions could not be sent: {hung}") from hung
            except KafkaException as exception:
                _end_if_fenced(exception)
                error: KafkaError = exception.args[0]
                if error.txn_requires_abort():
                    raise TransactionAborted(f"{error.name()}: {error.str()}") from exception
                if error.retriable() and time.monotonic() < deadline:
                    continue
                log.warning("transaction failed", code=error.name(), reason=error.str())
                self._renew()
                if ends:
                    raise TransactionUnknown(f"{error.name()}: {error.str()}") from exception
                raise TransactionAborted(f"{error.name()}: {error.str()}") from exception
            else:
                return

    def _renew(self) -> None:
        self._begun = False
        self._let_go()
        self._producer = self._connect()
        self._records = record_producer(self._producer)

    def _let_go(self) -> None:
        self._producer.purge(blocking=False)
        if self._records is not None:
            self._records.close()
            self._records = None

    def _connect(self) -> Producer:
        deadline = time.monotonic() + _INIT_SECONDS
        while True:
            producer = Producer(self._config, logger=LOGGER)
            try:
                producer.init_transactions(_CALL_SECONDS)
            except KafkaException as error:
                log.warning("could not take the transactional id", reason=str(error))
                if time.monotonic() > deadline:
                    raise BrokerUnavailable(f"no transactional producer: {error}") from error
            else:
                return producer


def _end_if_fenced(exception: KafkaException) -> None:
    """
    Raise `WriterFenced` if another process has the transactional id now.

    To take it back with a new producer would fence that one: a router that stood still and goes on
    beside its replacement must end, not end the replacement.
    """
    error: KafkaError = exception.args[0]
    if error.code() in _FENCED:
        raise WriterFenced(f"another process took over: {error.str()}") from exception


def _produce_all(producer: Producer, records: Sequence[Written]) -> int:
    """Hand `records` to `producer`; return how many it took."""
    # By place, the client finds its arguments in half the time; it has two names for one who is
    # called back, and so two places.
    produce: Callable[..., None] = producer.produce
    taken = 0
    try:
        for topic, partition, key, value, headers, timestamp in records:
            produce(topic, value, key, partition, None, None, timestamp, headers)
            taken += 1
    except (BufferError, KafkaException):
        pass
    return taken
