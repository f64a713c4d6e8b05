"""Topics through confluent-kafka's admin client."""

from collections.abc import Collection, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from bus.adapters.kafka.admin_call import again_after_transport
from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.errors import BrokerUnavailable
from bus.ports import TopicSpec

_ADMIN_SECONDS = 30.0


class KafkaTopicAdmin:
    """See `bus.ports.TopicAdmin`; `replication` is the factor of the topics it creates."""

    def __init__(self, connection: KafkaConnection, *, replication: int = 1) -> None:
        self._admin = AdminClient(connection.client(), logger=LOGGER)
        self._replication = replication

    def ensure(self, specs: Sequence[TopicSpec]) -> None:
        wanted = [
            NewTopic(
                spec.name,
                num_partitions=spec.partitions,
                replication_factor=self._replication,
                config=dict(spec.config),
            )
            for spec in specs
        ]
        if not wanted:
            return
        try:
            again_after_transport(lambda: self._create(wanted))
        except KafkaException as error:
            raise BrokerUnavailable(f"could not create topics: {error}") from error

    def _create(self, wanted: list[NewTopic]) -> None:
        futures = self._admin.create_topics(wanted, request_timeout=_ADMIN_SECONDS)
        for future in futures.values():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def existing(self, prefix: str) -> Mapping[str, int]:
        try:
            topics = again_after_transport(
                lambda: self._admin.list_topics(timeout=_ADMIN_SECONDS).topics
            )
        except KafkaException as error:
            raise BrokerUnavailable(f"could not list topics: {error}") from error
        return {
            name: len(topic.partitions) for name, topic in topics.items() if name.startswith(prefix)
        }

    def delete(self, names: Collection[str]) -> None:
        if not names:
            return
        try:
            again_after_transport(lambda: self._delete(names))
        except KafkaException as error:
            raise BrokerUnavailable(f"could not delete topics: {error}") from error

    def _delete(self, names: Collection[str]) -> None:
        futures = self._admin.delete_topics(list(names), request_timeout=_ADMIN_SECONDS)
        for future in futures.values():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
