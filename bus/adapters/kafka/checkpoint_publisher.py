"""Checkpoints of the audit log on their topic."""

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.domain.names import AUDIT_CHECKPOINT_TOPIC
from bus.errors import BrokerUnavailable

#: The turn to make a checkpoint is held as long; the database allows a transaction a minute.
_SECONDS = 20.0


class KafkaCheckpointPublisher:
    """See `bus.ports.audit.CheckpointPublisher`."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._producer = Producer(
            connection.client(
                enable_idempotence=True, acks="all", delivery_timeout_ms=int(_SECONDS * 1000)
            ),
            logger=LOGGER,
        )

    def publish(self, checkpoint: bytes) -> None:
        answers: list[KafkaError | None] = []

        def note(error: KafkaError | None, _: Message) -> None:
            answers.append(error)

        try:
            self._producer.produce(
                AUDIT_CHECKPOINT_TOPIC, checkpoint, partition=0, on_delivery=note
            )
            # A little more than the time after which the client itself gives up.
            self._producer.flush(_SECONDS + 1)
        except (KafkaException, BufferError) as error:
            raise BrokerUnavailable(f"a checkpoint could not be published: {error}") from error
        if answers != [None]:
            reason = answers[0].str() if answers and answers[0] else "no answer in time"
            raise BrokerUnavailable(f"a checkpoint could not be published: {reason}")
