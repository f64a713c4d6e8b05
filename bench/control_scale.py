"""
What a decision, a start and a policy version cost in a large catalog.

Ten thousand entries, all that a bus takes, a thousand organisations and fifty thousand grants are
put into the store as they would stand after years; every fourth view has a row filter. Kafka has
the source topics of all entries and the view topics of the filtered views. Single decisions go
through the HTTP API, on a resource of their own, published while there was room for it.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import psycopg

from bench.contest import Latency, Options
from bench.office import Office
from bench.records import ITEMS, KEPT, Register
from bench.stage import Stage, address_entry, address_grant, organisation
from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.postgres.catalog_store import PostgresCatalogTransaction
from bus.adapters.postgres.statements import statements
from bus.adapters.system_clock import SystemClock
from bus.bootstrap.connections import kafka_connection, postgres_settings
from bus.domain.access import CONTROL, ROUTER
from bus.domain.avro_schema import source_schema, view_schema
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant, GrantState
from bus.domain.names import (
    ROUTER_GROUP,
    dead_letter_topic,
    provider_principal,
    subscription_principal,
    value_subject,
)
from bus.domain.policy import ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.topics import MAX_RESOURCES
from bus.ports import TopicSpec
from bus.router.plans import Plans
from bus.services.policy_follower import PolicyFollower
from producers import Publication, Publisher

ORGANISATIONS = 1_000
GRANTS = 50_000
DECISIONS = 100
_AT_ONCE = 500
_RESOURCE = "scl-addresses"
_PROVIDER, _CONSUMER, _AUTHORITY, _OPERATOR = "scl-prov", "scl-cons", "scl-auth", "scl-oper"
_ROWS = "tier >= 0"
#: One view in so many has a row filter.
_FILTERED = 4
_WAIT_SECONDS = 300.0
_STARTS = 3
_CODEC = AvroEventCodec()


def measure(options: Options, stage: Stage) -> list[Latency]:
    """Load the catalog, then start, follow and decide."""
    partitions = stage.running_partitions()
    stage.stop_router()
    empty = _repeat("control, start to ready, small catalog", stage.restart_control, options)
    dsn = postgres_settings(stage.settings).dsn.get_secret_value()
    started = time.monotonic()
    with psycopg.connect(dsn) as connection:
        entries = _load(connection, options)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ANALYZE")
        options.say(f"loaded in {time.monotonic() - started:.0f} s; the relay publishes")
        _await_relay(connection)
    found = [
        empty,
        _repeat("control, start to ready", stage.restart_control, options),
        *_follow(stage, options),
        *_start_router(stage, options, entries, partitions + len(entries)),
    ]
    return found + _decide(stage, options)


def _repeat(name: str, start: Callable[[], float], options: Options) -> Latency:
    seconds = [start() for _ in range(_STARTS)]
    options.say(f"{name}: {max(seconds):.1f} s")
    return Latency("control-scale", name, tuple(each * 1000 for each in seconds))


# --- loading --------------------------------------------------------------------------------------


def _load(connection: psycopg.Connection, options: Options) -> list[CatalogEntry]:
    """Fill the catalog up, but for the one resource that is published later; return its entries."""
    transaction = PostgresCatalogTransaction(connection)
    connection.execute(statements("catalog")["lock"])
    catalog = [_entry(number) for number in range(MAX_RESOURCES - len(transaction.sources()) - 1)]
    for number in range(ORGANISATIONS):
        transaction.save_organisation(organisation(f"scale-{number}"))
    for start in range(0, len(catalog), _AT_ONCE):
        entries = catalog[start : start + _AT_ONCE]
        topics: list[str] = []
        policy: dict[str, bytes | None] = {}
        for entry in entries:
            resource, view = _save_entry(transaction, entry)
            topics.append(view.topic)
            policy[resource.object_id] = _CODEC.encode(resource)
            policy[view.object_id] = _CODEC.encode(view)
        with connection.pipeline():
            for number, (entry, topic) in enumerate(zip(entries, topics, strict=True), start):
                first, last = (GRANTS * each // len(catalog) for each in (number, number + 1))
                for grant in range(first, last):
                    _save_grant(transaction, entry, topic, grant)
        with connection.pipeline():
            transaction.publish_policy(policy)
        if not start % (5 * _AT_ONCE):
            options.say(f"{start + len(entries):,} of {len(catalog):,} entries loaded")
    return catalog


def _rows(entry: CatalogEntry) -> str | None:
    """Return the row filter of the grants on an entry."""
    return None if int(entry.resource.rpartition("-")[2]) % _FILTERED else _ROWS


def _entry(number: int) -> CatalogEntry:
    provider = f"scale-{number % ORGANISATIONS}"
    return replace(address_entry(f"scale-{number}"), provider=provider)


def _grant(entry: CatalogEntry, number: int) -> Grant:
    consumer = f"scale-{(number + 1) % ORGANISATIONS}"
    made = address_grant(f"scale-{number}", _ROWS)
    return replace(made, consumer=consumer, resource=entry.resource, row_filter=_rows(entry))


def _save_entry(
    transaction: PostgresCatalogTransaction, entry: CatalogEntry
) -> tuple[ResourcePolicy, ViewPolicy]:
    text = source_schema(entry.jurisdiction, entry.resource, entry.items)
    schema = transaction.schema_id(text)
    transaction.save_entry(entry, version=1, schema_id=schema)
    transaction.add_to_subject(value_subject(entry.source_topic), schema)
    view = _grant(entry, 0).view(entry)
    incarnation = transaction.open_incarnation(view, partitions=1)
    transaction.mark_live(incarnation.topic, {0: 0})
    projection = transaction.schema_id(view_schema(text, view.kept()))
    return (
        ResourcePolicy(
            jurisdiction=entry.jurisdiction,
            resource=entry.resource,
            provider=entry.provider,
            generation=entry.generation,
            topic=entry.source_topic,
            partitions=entry.partitions,
            dead_letter_topic=dead_letter_topic(entry.jurisdiction, entry.resource),
            key_items=tuple(item.name for item in entry.key_items),
            schemas=(WriterSchema(schema, 1, text),),
        ),
        _view_policy(incarnation, {schema: projection}),
    )


def _view_policy(incarnation: Incarnation, projections: dict[int, int]) -> ViewPolicy:
    return ViewPolicy(
        view=incarnation.view,
        incarnation=incarnation.number,
        topic=incarnation.topic,
        partitions=incarnation.partitions,
        projections=projections,
    )


def _save_grant(
    transaction: PostgresCatalogTransaction, entry: CatalogEntry, topic: str, number: int
) -> None:
    grant = _grant(entry, number)
    transaction.save_grant(grant, version=1, state=GrantState.ACTIVE)
    transaction.save_subscription(
        Subscription(
            id=grant.id, principal=subscription_principal(grant.id), ended=False, topic=topic
        )
    )


def _await_relay(connection: psycopg.Connection) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while connection.execute(statements("policy")["pending_versions"]).fetchone() != (0,):
        if time.monotonic() > deadline:
            raise TimeoutError("the relay has not published everything")
        time.sleep(0.1)


# --- what is measured -----------------------------------------------------------------------------


def _follow(stage: Stage, options: Options) -> list[Latency]:
    """Do what a router does before it takes part: read the policy, and take it in."""
    read: list[float] = []
    taken_in: list[float] = []
    again: list[float] = []
    for _ in range(_STARTS):
        started = time.monotonic()
        readers = KafkaLogReaders(
            kafka_connection(stage.settings, ROUTER), group=f"{ROUTER_GROUP}.bench"
        )
        follower = PolicyFollower(readers, _CODEC, SystemClock())
        while follower.policy is None:
            follower.poll(0.1)
        read.append((time.monotonic() - started) * 1000)
        policy = follower.policy
        follower.close()
        plans = Plans(compile_filter)
        started = time.monotonic()
        plans.follow(policy)
        taken_in.append((time.monotonic() - started) * 1000)
        started = time.monotonic()
        plans.follow(replace(policy, version=policy.version + 1))
        again.append((time.monotonic() - started) * 1000)
        options.say(f"{len(policy.resources):,} resources, {len(policy.views):,} views followed")
    return [
        Latency("control-scale", "router, the policy is read", tuple(read)),
        Latency("control-scale", "router, the policy is taken in", tuple(taken_in)),
        Latency("control-scale", "router, the next version", tuple(again)),
    ]


def _start_router(
    stage: Stage, options: Options, entries: list[CatalogEntry], partitions: int
) -> list[Latency]:
    """Start the router process with topics for all entries, and let it take its partitions on."""
    started = time.monotonic()
    _make_topics(stage, options, entries)
    options.say(f"topics made in {time.monotonic() - started:.0f} s")
    ready: list[float] = []
    running: list[float] = []
    for _ in range(_STARTS):
        started = time.monotonic()
        ready.append(stage.start_router() * 1000)
        options.say(f"router ready after {ready[-1] / 1000:.1f} s")
        while stage.running_partitions() < partitions:
            if time.monotonic() - started > _WAIT_SECONDS:
                raise TimeoutError("the router has not taken all partitions on")
            time.sleep(0.1)
        running.append((time.monotonic() - started) * 1000)
        options.say(f"router with all partitions after {running[-1] / 1000:.1f} s")
        stage.stop_router()
    return [
        Latency("control-scale", "router, start to ready", tuple(ready)),
        Latency("control-scale", f"router, start to {partitions:,} partitions", tuple(running)),
    ]


def _make_topics(stage: Stage, options: Options, entries: list[CatalogEntry]) -> None:
    topics = KafkaTopicAdmin(kafka_connection(stage.settings, CONTROL))
    names = [entry.source_topic for entry in entries]
    dsn = postgres_settings(stage.settings).dsn.get_secret_value()
    with psycopg.connect(dsn) as connection:
        subscriptions = PostgresCatalogTransaction(connection).subscriptions(
            [entry.resource for entry in entries if _rows(entry)]
        )
    names += sorted({each.topic for each in subscriptions if each.topic})
    for start in range(0, len(names), _AT_ONCE):
        topics.ensure(
            [
                TopicSpec(name=name, partitions=1, config={})
                for name in names[start : start + _AT_ONCE]
            ]
        )
        if not start % (10 * _AT_ONCE):
            options.say(f"{start:,} of {len(names):,} topics")
    # The controller confirms them before the broker has made their logs.
    deadline = time.monotonic() + _WAIT_SECONDS
    while len(topics.existing("os.")) < len(names):
        if time.monotonic() > deadline:
            raise TimeoutError("the broker has not made all topics")
        time.sleep(1)


def _decide(stage: Stage, options: Options) -> list[Latency]:
    approve: list[float] = []
    activate: list[float] = []
    with Office(stage) as office:
        office.open("scl", _PROVIDER, _CONSUMER)
        office.open_operator("scl", _AUTHORITY, _OPERATOR)
        office.publish_entry("scl", _RESOURCE, _PROVIDER, ITEMS, conditional=True)
        account = stage.account(provider_principal(_PROVIDER))
        publication = Publication.from_descriptor(account.control.publication(_RESOURCE))
        with Publisher(publication, account.kafka) as publisher:
            publisher.upsert(Register(options.seed).take(1)[0])
        office.await_published(_RESOURCE, _PROVIDER)
        kept = [item for item in ITEMS if item.name in KEPT]
        for number in range(DECISIONS):
            request = office.request(_CONSUMER, _RESOURCE, ITEMS)
            # Every tenth has a view, and with it a topic, of its own.
            items = kept[: 2 + number // 10 % 8]
            approve.append(_timed(lambda: office.approve(_PROVIDER, request, items)))  # noqa: B023
            activate.append(_timed(lambda: office.activate(_OPERATOR, request)))  # noqa: B023
    options.say(f"{DECISIONS} grants decided")
    return [
        Latency("control-scale", "a grant is approved", tuple(approve)),
        Latency("control-scale", "a grant is activated", tuple(activate)),
    ]


def _timed(act: Callable[[], None]) -> float:
    started = time.monotonic()
    act()
    return (time.monotonic() - started) * 1000
