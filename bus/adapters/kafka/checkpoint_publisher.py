"""Checkpoints of the audit log on their topic."""

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.domain.names import AUDIT_CHECKPOINT_TOPIC
from bus.errors import BrokerUnavailable

#: The turn to make a checkpoint is held as long; the database allows a transaction a minute.
_SECONDS = 20.0


class KafkaCheckpointPublisher:
    """See `bus.ports.audit.CheckpointPublisher`."""

    def __init__(self, connection: KafkaConnection, *, topic: str = AUDIT_CHECKPOINT_TOPIC) -> None:
        self._topic = topic
        self._producer = Producer(
            connection.client(
                enable_idempotence=True, acks="all", delivery_timeout_ms=int(_SECONDS * 1000)
            ),
            logger=LOGGER,
        )

    def publish(self, checkpoint: bytes) -> None:
        answers: list[str] = []

        def note(error: KafkaError | None, _: Message) -> None:
            # The error is the client's own memory: it cannot be asked when the call is over.
            answers.append("" if error is None else f"{error.name()}: {error.str()}")

        try:
            self._producer.produce(self._topic, checkpoint, partition=0, on_delivery=note)
            # A little more than the time after which the client itself gives up.
            self._producer.flush(_SECONDS + 1)
        except (KafkaException, BufferError) as error:
            raise BrokerUnavailable(f"a checkpoint could not be published: {error}") from error
        if answers != [""]:
            reason = answers[0] if answers else "no answer in time"
            raise BrokerUnavailable(f"a checkpoint could not be published: {reason}")
