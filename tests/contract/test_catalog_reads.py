"""What the HTTP endpoints read: one suite, held by Postgres and by memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.memory.admin import MemoryAccessAdmin, MemoryTopicAdmin
from bus.adapters.memory.broker import MemoryBroker
from bus.adapters.memory.catalog_reader import MemoryCatalogReader, MemorySchemaRegistry
from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.adapters.memory.clock import ManualClock
from bus.adapters.postgres.catalog_reader import PostgresCatalogReader
from bus.adapters.postgres.catalog_store import PostgresCatalogStore
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.registry import PostgresSchemaRegistry
from bus.domain.catalog import Catalog
from bus.domain.grant import GrantState
from bus.domain.items import Nullable, Scalar
from bus.domain.names import provider_principal, subscription_principal
from bus.domain.principal import Principal
from bus.ports import CatalogReader, CatalogStore
from bus.ports.registry import SchemaRegistry
from bus.services.access import Access
from bus.services.catalog_changes import Applied, CatalogChanges
from tests import builders
from tests.live_platform import LivePlatform

SOURCE_TOPIC = builders.entry().source_topic
SOURCE_SUBJECT = f"{SOURCE_TOPIC}-value"


@dataclass
class Reads:
    """The adapters under test, and the use cases that fill what they read."""

    store: CatalogStore
    reader: CatalogReader
    registry: SchemaRegistry

    def apply(self, declared: Catalog) -> Applied:
        """Put a catalog into force."""
        applied = self.changes().apply(declared)
        assert not applied.plan.faults
        return applied

    def changes(self) -> CatalogChanges:
        """Return the use cases on the store."""
        return CatalogChanges(
            store=self.store,
            topics=MemoryTopicAdmin(MemoryBroker()),
            access=Access(MemoryAccessAdmin(), ManualClock()),
            codec=AvroEventCodec(),
            clock=ManualClock(),
            compile_filter=compile_filter,
            incompatibilities=incompatibilities,
        )

    def principal(self, name: str) -> Principal:
        """Return a principal that must be there."""
        found = self.reader.principal(name)
        assert found is not None
        return found

    def view_topic(self) -> str:
        """Return the topic that the one subscription is delivered from."""
        found = self.reader.delivery(builders.GRANT)
        assert found is not None
        return found.subscription.topic


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.platform)])
def reads(request: pytest.FixtureRequest) -> Iterator[Reads]:
    """Return the adapters over an empty store."""
    if request.param == "memory":
        memory = MemoryCatalogStore()
        yield Reads(memory, MemoryCatalogReader(memory), MemorySchemaRegistry(memory))
        return
    platform: LivePlatform = request.getfixturevalue("platform")
    postgres = Postgres(platform.new_control_database())
    yield Reads(
        PostgresCatalogStore(postgres),
        PostgresCatalogReader(postgres),
        PostgresSchemaRegistry(postgres),
    )
    postgres.close()


def test_an_empty_store_knows_nothing(reads: Reads) -> None:
    assert reads.reader.principal("org-statistics") is None
    assert reads.reader.delivery(builders.GRANT) is None
    assert reads.reader.publication(builders.RESOURCE) is None
    assert list(reads.registry.subjects()) == []
    assert list(reads.registry.subject_versions(SOURCE_SUBJECT)) == []
    assert list(reads.registry.subjects_of(1)) == []
    assert reads.registry.schema_text(1) is None


def test_a_principal_is_found_by_its_name_with_its_password(reads: Reads) -> None:
    passwords = reads.apply(builders.catalog()).passwords

    assert {name: reads.principal(name).accepts(each) for name, each in passwords.items()} == {
        "org-statistics": True,
        "org-housing": True,
        "sub-divisions-housing": True,
    }
    assert reads.reader.principal("org-nobody") is None


def test_a_delivery_is_the_subscription_with_its_grant_entry_and_view(reads: Reads) -> None:
    reads.apply(builders.catalog())

    found = reads.reader.delivery(builders.GRANT)

    assert found == builders.delivery(life=builders.incarnation(live=False))


def test_a_delivery_follows_grant_and_entry_to_their_newest_versions(reads: Reads) -> None:
    reads.apply(builders.catalog())
    entry = replace(builders.entry(), title_en="Other")
    grant = builders.grant(items=["code"])
    reads.apply(builders.catalog(entries=[entry], grants=[grant]))

    found = reads.reader.delivery(builders.GRANT)

    assert found is not None
    assert (found.grant, found.grant_version) == (grant, 2)
    assert (found.entry, found.entry_version) == (entry, 2)
    assert found.incarnation.view == grant.view(entry)


def test_an_ended_subscription_is_still_told_of(reads: Reads) -> None:
    reads.apply(builders.catalog())
    reads.apply(builders.catalog(grants=[]))

    found = reads.reader.delivery(builders.GRANT)

    assert found is not None
    assert found.subscription.ended
    assert found.state is GrantState.REVOKED


def test_a_live_incarnation_is_told_with_its_fill_ends(reads: Reads) -> None:
    reads.apply(builders.catalog())
    topic = reads.view_topic()
    with reads.store.transaction() as transaction:
        transaction.mark_live(topic, {0: 17})

    found = reads.reader.delivery(builders.GRANT)

    assert found is not None
    assert found.incarnation.live
    assert found.incarnation.fill_end == {0: 17}


def test_a_publication_is_the_entry_in_force_with_its_schema(reads: Reads) -> None:
    reads.apply(builders.catalog())
    newer = replace(
        builders.entry(),
        items=(*builders.entry().items, builders.item("area", Nullable(Scalar.DOUBLE))),
    )
    first = reads.reader.publication(builders.RESOURCE)
    reads.apply(builders.catalog(entries=[newer]))

    second = reads.reader.publication(builders.RESOURCE)

    assert first is not None
    assert second is not None
    assert (first.version, first.schema.text) == (1, builders.schema_of(builders.entry()))
    assert (second.version, second.entry) == (2, newer)
    assert second.schema.text == builders.schema_of(newer)
    assert second.schema.id != first.schema.id
    assert reads.registry.schema_text(second.schema.id) == second.schema.text


def test_nobody_publishes_a_retired_resource(reads: Reads) -> None:
    reads.apply(builders.catalog())
    reads.apply(builders.catalog(entries=[], grants=[]))

    assert reads.reader.publication(builders.RESOURCE) is None
    provider = reads.principal(provider_principal(builders.PROVIDER))
    assert reads.reader.topics_of(provider) == frozenset()


def test_each_kind_of_principal_has_its_own_topics(reads: Reads) -> None:
    reads.apply(builders.catalog())
    subscriber = reads.principal(subscription_principal(builders.GRANT))
    provider = reads.principal(provider_principal(builders.PROVIDER))
    consumer = reads.principal(provider_principal(builders.CONSUMER))

    assert reads.reader.topics_of(provider) == {SOURCE_TOPIC}
    assert reads.reader.topics_of(subscriber) == {reads.view_topic()}
    assert reads.reader.topics_of(consumer) == frozenset()

    reads.apply(builders.catalog(grants=[]))
    assert reads.reader.topics_of(subscriber) == frozenset()


def test_a_subscriber_on_its_way_to_a_wider_view_has_both_topics(reads: Reads) -> None:
    reads.apply(builders.catalog())
    before = reads.view_topic()
    with reads.store.transaction() as transaction:
        transaction.mark_live(before, {0: 0})
    reads.apply(builders.catalog(grants=[builders.grant(items=["code", "name", "district"])]))
    subscriber = reads.principal(subscription_principal(builders.GRANT))

    topics = reads.reader.topics_of(subscriber)

    assert reads.view_topic() == before
    assert before in topics
    assert len(topics) == 2


def test_versions_of_a_subject_are_counted_and_found_by_their_schema(reads: Reads) -> None:
    reads.apply(builders.catalog())
    newer = replace(
        builders.entry(),
        items=(*builders.entry().items, builders.item("area", Nullable(Scalar.DOUBLE))),
    )
    reads.apply(builders.catalog(entries=[newer]))

    versions = list(reads.registry.subject_versions(SOURCE_SUBJECT))

    assert [each.version for each in versions] == [1, 2]
    assert {each.subject for each in versions} == {SOURCE_SUBJECT}
    assert versions[1].text == builders.schema_of(newer)
    assert list(reads.registry.subjects_of(versions[1].schema_id)) == [versions[1]]
    assert list(reads.registry.subjects()) == sorted(
        [SOURCE_SUBJECT, f"{reads.view_topic()}-value"]
    )
