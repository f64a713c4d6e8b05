"""Checkpoints of the audit log on their topic."""

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.adapters.kafka.delivery import await_answers
from bus.domain.names import AUDIT_CHECKPOINT_TOPIC
from bus.errors import BrokerUnavailable

#: The turn to make a checkpoint is held as long; the database allows a transaction a minute.
_SECONDS = 20.0


class KafkaCheckpointPublisher:
    """See `bus.ports.audit.CheckpointPublisher`."""

    def __init__(self, connection: KafkaConnection, *, topic: str = AUDIT_CHECKPOINT_TOPIC) -> None:
        self._connection = connection
        self._topic = topic
        self._producer: Producer | None = None
        self._answers: list[str] = []

    def publish(self, checkpoint: bytes) -> None:
        self._producer = producer = self._producer or self._connect()
        self._answers.clear()
        try:
            producer.produce(self._topic, checkpoint, partition=0, on_delivery=self._delivered)
            # A little more than the time after which the client itself gives up.
            await_answers(producer, _SECONDS + 1)
        except (KafkaException, BufferError) as error:
            self._answers.append(str(error))
        if self._answers != [""]:
            # After a fatal error, a missing permission for one, a producer never works again.
            producer.purge()
            self._producer = None
            reason = next(filter(None, self._answers), "no answer in time")
            raise BrokerUnavailable(f"a checkpoint could not be published: {reason}")

    def _connect(self) -> Producer:
        return Producer(
            self._connection.client(
                enable_idempotence=True, acks="all", delivery_timeout_ms=int(_SECONDS * 1000)
            ),
            logger=LOGGER,
        )

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        # The error cannot be asked when this call is over: it is the client's own memory.
        self._answers.append("" if error is None else f"{error.name()}: {error.str()}")
