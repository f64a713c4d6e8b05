"""The use cases of the catalog, for the command line and for the control process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.kafka.access_admin import KafkaAccessAdmin
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.postgres.catalog_store import PostgresCatalogStore
from bus.adapters.postgres.pool import Postgres
from bus.adapters.system_clock import SystemClock
from bus.bootstrap.connections import kafka_connection, kafka_settings, postgres_settings
from bus.domain.access import CONTROL
from bus.services.access import Access
from bus.services.catalog_changes import CatalogChanges
from bus.settings import Settings


@dataclass(frozen=True, slots=True)
class CatalogParts:
    """The catalog's use cases with what they stand on."""

    changes: CatalogChanges
    store: PostgresCatalogStore
    postgres: Postgres
    topics: KafkaTopicAdmin
    access: Access


@contextmanager
def catalog(settings: Settings) -> Iterator[CatalogParts]:
    """Connect to the store and to Kafka, and let go at the end."""
    connection = kafka_connection(settings, CONTROL)
    postgres = Postgres(postgres_settings(settings).dsn.get_secret_value())
    store = PostgresCatalogStore(postgres)
    topics = KafkaTopicAdmin(connection, replication=kafka_settings(settings).replication)
    admin = KafkaAccessAdmin(connection)
    access = Access(admin, SystemClock())
    changes = CatalogChanges(
        store=store,
        topics=topics,
        access=access,
        codec=AvroEventCodec(),
        clock=SystemClock(),
        compile_filter=compile_filter,
        incompatibilities=incompatibilities,
    )
    try:
        yield CatalogParts(changes, store, postgres, topics, access)
    finally:
        admin.close()
        postgres.close()
