"""Topics through confluent-kafka's admin client."""

from collections.abc import Collection, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.kafka_admin import KafkaAdmin
from bus.errors import BrokerUnavailable
from bus.ports import TopicSpec


class KafkaTopicAdmin:
    """See `bus.ports.TopicAdmin`; `replication` is the factor of the topics it creates."""

    def __init__(self, connection: KafkaConnection, *, replication: int = 1) -> None:
        self._admin = KafkaAdmin(connection)
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
            self._admin.ask(lambda client: self._create(client, wanted))
        except KafkaException as error:
            raise BrokerUnavailable(f"could not create topics: {error}") from error

    def _create(self, client: AdminClient, wanted: list[NewTopic]) -> None:
        futures = client.create_topics(wanted, request_timeout=self._admin.seconds)
        for future in futures.values():
            try:
                self._admin.answer(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def existing(self, prefix: str) -> Mapping[str, int]:
        try:
            topics = self._admin.ask(
                lambda client: client.list_topics(timeout=self._admin.seconds).topics
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
            self._admin.ask(lambda client: self._delete(client, names))
        except KafkaException as error:
            raise BrokerUnavailable(f"could not delete topics: {error}") from error

    def _delete(self, client: AdminClient, names: Collection[str]) -> None:
        futures = client.delete_topics(list(names), request_timeout=self._admin.seconds)
        for future in futures.values():
            try:
                self._admin.answer(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
