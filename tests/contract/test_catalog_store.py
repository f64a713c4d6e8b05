"""The control plane's store, outbox and relay lock: one suite, held by Postgres and by memory."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from bus.adapters.memory.catalog_store import (
    MemoryCatalogStore,
    MemoryOutbox,
    MemoryRelayLock,
)
from bus.adapters.postgres.catalog_store import PostgresCatalogStore
from bus.adapters.postgres.outbox import PostgresOutbox, PostgresRelayLock
from bus.adapters.postgres.pool import Postgres
from bus.domain.access import source_of
from bus.domain.grant import GrantState
from bus.domain.names import POLICY_TOPIC
from bus.domain.subscription import Subscription
from bus.domain.view import View
from bus.ports import CatalogStore, Outbox, RelayLock
from tests import builders
from tests.live_platform import LivePlatform, wait_until


@dataclass
class Store:
    """An adapter under test; `locks` are two replicas' relay locks."""

    catalog: CatalogStore
    outbox: Outbox
    locks: tuple[RelayLock, RelayLock]


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.platform)])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Return an empty store."""
    if request.param == "memory":
        memory = MemoryCatalogStore()
        holder: list[MemoryRelayLock] = []
        yield Store(
            memory, MemoryOutbox(memory), (MemoryRelayLock(holder), MemoryRelayLock(holder))
        )
        return
    platform: LivePlatform = request.getfixturevalue("platform")
    dsn = platform.new_control_database()
    postgres = Postgres(dsn)
    locks = (PostgresRelayLock(dsn), PostgresRelayLock(dsn))
    yield Store(PostgresCatalogStore(postgres), PostgresOutbox(postgres), locks)
    for lock in locks:
        lock.release()
    postgres.close()


def view(**changes: object) -> View:
    """Return a view."""
    return replace(builders.view(), **changes)  # type: ignore[arg-type]


def add_entry(store: Store, version: int = 1, schema: str = "{}") -> int:
    """Publish a version of the entry; return its schema id."""
    with store.catalog.transaction() as transaction:
        schema_id = transaction.schema_id(schema)
        transaction.save_entry(builders.entry(), version=version, schema_id=schema_id)
    return schema_id


def test_what_was_saved_is_live(store: Store) -> None:
    organisation, entry, grant = builders.organisation(), builders.entry(), builders.grant()
    with store.catalog.transaction() as transaction:
        transaction.save_organisation(organisation)
        transaction.save_entry(entry, version=1, schema_id=transaction.schema_id("{}"))
        transaction.save_grant(grant, version=1, state=GrantState.ACTIVE)

    with store.catalog.transaction() as transaction:
        live = transaction.live()

    assert live.organisations == {organisation.code: organisation}
    assert live.entries[entry.resource].entry == entry
    assert not live.entries[entry.resource].retired
    assert live.grants[grant.id].grant == grant
    assert live.grants[grant.id].state is GrantState.ACTIVE


def test_a_failed_transaction_changes_nothing(store: Store) -> None:
    def fail() -> None:
        with store.catalog.transaction() as transaction:
            transaction.save_organisation(builders.organisation())
            transaction.publish_policy({"a": b"1"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    with store.catalog.transaction() as transaction:
        assert transaction.live().organisations == {}
        assert transaction.policy_objects() == {}
    assert store.outbox.newest_version() == 0
    assert store.outbox.next_version() == []


def test_new_versions_take_the_place_of_old_ones_and_states_change(store: Store) -> None:
    add_entry(store)
    changed = replace(builders.entry(), title_en="Other", generation=2)
    with store.catalog.transaction() as transaction:
        transaction.save_entry(changed, version=2, schema_id=transaction.schema_id("{}"))
        transaction.save_grant(builders.grant(), version=1, state=GrantState.ACTIVE)
        transaction.save_grant(builders.grant(), version=1, state=GrantState.REVOKED)
        transaction.retire_entry(changed.resource)

    with store.catalog.transaction() as transaction:
        live = transaction.live()

    held = live.entries[changed.resource]
    assert (held.entry, held.version, held.retired) == (changed, 2, True)
    assert live.grants[builders.GRANT].state is GrantState.REVOKED


def test_equal_schemas_have_one_id_and_writer_schemas_their_newest_version(store: Store) -> None:
    first = add_entry(store, 1, '{"a": 1}')
    second = add_entry(store, 2, '{"b": 2}')
    third = add_entry(store, 3, '{"b": 2}')

    with store.catalog.transaction() as transaction:
        schemas = transaction.writer_schemas(builders.RESOURCE, 1)
        other = transaction.writer_schemas(builders.RESOURCE, 2)

    assert first != second == third
    assert [(each.id, each.entry_version, each.text) for each in schemas] == [
        (first, 1, '{"a": 1}'),
        (second, 3, '{"b": 2}'),
    ]
    assert other == []


def test_an_incarnation_lives_and_ends_and_its_topic_is_never_used_again(store: Store) -> None:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    with store.catalog.transaction() as transaction:
        first = transaction.open_incarnation(view(), partitions=1)
        transaction.mark_live(first.topic, {0: 17})
        (live,) = transaction.incarnations()
        assert (live.live, live.fill_end, live.view) == (True, {0: 17}, view())
        transaction.end_incarnation(first.topic, at)
        assert transaction.incarnations() == []
        second = transaction.open_incarnation(view(), partitions=1)

    assert (first.number, second.number) == (1, 2)
    assert first.topic != second.topic
    with store.catalog.transaction() as transaction:
        assert transaction.expired_topics(at) == []
        assert transaction.expired_topics(at + dt.timedelta(seconds=1)) == [first.topic]
        transaction.topic_deleted(first.topic, at)
        assert transaction.expired_topics(at + dt.timedelta(days=99)) == []


def test_subscriptions_and_principals_are_kept(store: Store) -> None:
    principal = builders.principal()
    with store.catalog.transaction() as transaction:
        transaction.save_grant(builders.grant(), version=1, state=GrantState.ACTIVE)
        incarnation = transaction.open_incarnation(view(), partitions=1)
        subscription = Subscription(
            id=builders.GRANT, principal="sub-x", ended=False, topic=incarnation.topic
        )
        transaction.save_subscription(subscription)
        transaction.save_subscription(replace(subscription, ended=True))
        transaction.save_principal(principal)

    with store.catalog.transaction() as transaction:
        assert transaction.subscriptions() == [replace(subscription, ended=True)]
        found = transaction.principals()[principal.name]
    assert found == principal
    assert found.accepts(builders.PASSWORD)


def test_the_outbox_gives_out_whole_versions_in_order(store: Store) -> None:
    with store.catalog.transaction() as transaction:
        assert transaction.publish_policy({"a": b"1", "b": b"2"}) == 1
    with store.catalog.transaction() as transaction:
        assert transaction.publish_policy({"a": None, "c": b"3"}) == 2

    first = store.outbox.next_version()
    store.outbox.mark_published(1)
    second = store.outbox.next_version()
    assert store.outbox.pending_versions() == 1
    store.outbox.mark_published(2)

    assert [(row.key, row.value) for row in first] == [("a", b"1"), ("b", b"2")]
    assert {row.topic for row in first} == {POLICY_TOPIC}
    assert [(row.policy_version, row.key, row.value) for row in second] == [
        (2, "a", None),
        (2, "c", b"3"),
    ]
    assert store.outbox.next_version() == []
    assert store.outbox.newest_version() == 2
    with store.catalog.transaction() as transaction:
        assert transaction.policy_objects() == {"b": b"2", "c": b"3"}


def test_one_replica_at_a_time_relays(store: Store) -> None:
    first, second = store.locks

    assert first.acquire()
    assert not second.acquire()
    assert first.held()
    assert not second.held()
    first.release()
    assert not first.held()
    wait_until(second.acquire, "the other takes over")


def test_a_snapshot_tells_what_permissions_and_the_clock_need(store: Store) -> None:
    """What is looked at again and again is asked for by itself, not with the whole catalog."""
    entry, grant = builders.entry(), builders.grant()
    left = replace(builders.organisation("left"), active=False)
    add_entry(store)
    with store.catalog.transaction() as transaction:
        transaction.save_organisation(builders.organisation("here"))
        transaction.save_organisation(left)
        transaction.save_grant(grant, version=1, state=GrantState.ACTIVE)
        filled = transaction.open_incarnation(view(), partitions=1)
        filling = transaction.open_incarnation(view(), partitions=1)
        ended = transaction.open_incarnation(view(), partitions=1)
        transaction.mark_live(filled.topic, {0: 1})
        transaction.end_incarnation(ended.topic, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    with store.catalog.snapshot() as snapshot:
        assert snapshot.organisations() == [builders.organisation("here"), left]
        assert snapshot.active_organisations() == ["here"]
        assert snapshot.sources() == [source_of(entry)]
        assert snapshot.filling() == [filling]
        assert snapshot.over(grant.valid_until) == []
        assert snapshot.over(grant.valid_until + dt.timedelta(days=1)) == [entry.resource]
    with store.catalog.transaction() as transaction:
        transaction.save_grant(grant, version=1, state=GrantState.SUSPENDED)
        transaction.retire_entry(entry.resource)

    with store.catalog.snapshot() as snapshot:
        assert snapshot.over(grant.valid_until + dt.timedelta(days=1)) == []
        assert snapshot.sources() == []
