"""
Make the data plane follow from the catalog: incarnations, subscriptions, compiled policy.

`refresh` is called at the end of every transaction that changes the catalog. It looks only at the
state in that transaction, so whatever led to the state, the result is the same.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from bus.domain.avro_schema import view_schema
from bus.domain.catalog import LiveCatalog
from bus.domain.grant import GrantState
from bus.domain.names import dead_letter_topic, subscription_principal, value_subject
from bus.domain.policy import (
    ResourcePolicy,
    ViewPolicy,
    resource_object_id,
    view_object_id,
)
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.topics import MAX_RESOURCES, incarnation_topic, resource_topics
from bus.domain.view import View, widens
from bus.errors import Refused
from bus.ports import CatalogTransaction, Clock, EventCodec, TopicSpec


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to."""

    policy_version: int | None
    """The new version that was queued; None if the policy is as it was."""
    topics: tuple[TopicSpec, ...]
    """Topics that must exist before the transaction is committed."""
    changed: tuple[Subscription, ...] = ()
    """The subscriptions that are new or not as they were."""


def refresh(
    transaction: CatalogTransaction,
    codec: EventCodec,
    clock: Clock,
    resources: Collection[str] | None = None,
) -> Refreshed:
    """
    Bring incarnations, subscriptions and the queued policy in line with the catalog.

    With `resources`, only what concerns these is looked at: the cost of a decision does not grow
    with the catalog. Raise `Refused` (CATALOG_FULL) if there are more resources than can be routed.
    """
    live = transaction.live(resources)
    incarnations = {each.topic: each for each in transaction.incarnations(resources)}
    before = set(incarnations)
    subscriptions, changed = _settle_subscriptions(transaction, live, incarnations, resources)
    used = {topic for each in subscriptions for topic in each.kept_topics()}
    for topic in incarnations.keys() - used:
        transaction.end_incarnation(topic, clock.now())
    kept = [incarnations[topic] for topic in sorted(used)]
    objects = _policy_objects(transaction, live, kept)
    asked = None if resources is None else _object_ids(live, before) | objects.keys()
    known = transaction.policy_objects(asked)
    if _has_new_resource(known, objects):
        _refuse_too_many(transaction)
    changes = _changes(known, objects, codec)
    version = transaction.publish_policy(changes) if changes else None
    return Refreshed(version, tuple(_topics(live, kept)), tuple(changed))


def _object_ids(live: LiveCatalog, topics: Collection[str]) -> set[str]:
    """Return the ids of all policy objects that these resources may have had."""
    resources = (held.entry for held in live.entries.values())
    return {resource_object_id(each.jurisdiction, each.resource) for each in resources} | {
        view_object_id(topic) for topic in topics
    }


def _settle_subscriptions(
    transaction: CatalogTransaction,
    live: LiveCatalog,
    incarnations: dict[str, Incarnation],
    resources: Collection[str] | None,
) -> tuple[list[Subscription], list[Subscription]]:
    """
    Give each standing grant its subscription on an incarnation of its view; end the others.

    Return the subscriptions that stand, and those that are new or changed.
    """
    known = {each.id: each for each in transaction.subscriptions(resources)}
    by_view = {each.view.id: each for each in incarnations.values()}
    settled: list[Subscription] = []
    changed: list[Subscription] = []
    for held, entry in live.standing_grants():
        grant = held.grant
        consumer = live.organisations[grant.consumer]
        view = grant.view(entry, pseudonym_key=consumer.pseudonym_key)
        incarnation = by_view.get(view.id)
        if incarnation is None:
            incarnation = by_view[view.id] = transaction.open_incarnation(view, partitions=1)
            incarnations[incarnation.topic] = incarnation
        subscription = replace(
            _follow(known.get(grant.id), grant.id, view, incarnation, incarnations),
            blocked=held.state is GrantState.SUSPENDED,
        )
        if subscription != known.pop(grant.id, None):
            changed.append(subscription)
        settled.append(subscription)
    changed += [
        replace(subscription, ended=True, next_topic=None, blocked=False)
        for subscription in known.values()
        if not subscription.ended
    ]
    for subscription in changed:
        transaction.save_subscription(subscription)
    return settled, changed


def _follow(
    subscription: Subscription | None,
    grant: str,
    view: View,
    incarnation: Incarnation,
    incarnations: Mapping[str, Incarnation],
) -> Subscription:
    """
    Return the subscription of `grant` as it is to be delivered from `incarnation`.

    A wider view is waited for on the old one; anything else moves at once (design.md §9).
    """
    if subscription is None:
        return Subscription(
            id=grant,
            principal=subscription_principal(grant),
            ended=False,
            topic=incarnation.topic,
        )
    old = incarnations.get(subscription.topic)
    waits = (
        old is not None
        and old.topic != incarnation.topic
        and not incarnation.live
        and widens(old.view, view)
    )
    if waits:
        return replace(subscription, next_topic=incarnation.topic)
    return replace(subscription, topic=incarnation.topic, next_topic=None)


def _policy_objects(
    transaction: CatalogTransaction, live: LiveCatalog, incarnations: list[Incarnation]
) -> dict[str, ResourcePolicy | ViewPolicy]:
    objects: dict[str, ResourcePolicy | ViewPolicy] = {}
    by_generation: dict[tuple[str, int], ResourcePolicy] = {}
    for held in live.entries.values():
        if held.retired:
            continue
        entry = held.entry
        policy = ResourcePolicy(
            jurisdiction=entry.jurisdiction,
            resource=entry.resource,
            provider=entry.provider,
            generation=entry.generation,
            topic=entry.source_topic,
            partitions=entry.partitions,
            dead_letter_topic=dead_letter_topic(entry.jurisdiction, entry.resource),
            key_items=tuple(item.name for item in entry.key_items),
            schemas=tuple(transaction.writer_schemas(entry.resource, entry.generation)),
        )
        objects[policy.object_id] = policy
        by_generation[entry.resource, entry.generation] = policy
    for incarnation in incarnations:
        view = incarnation.view
        projections: dict[int, int] = {}
        for writer in by_generation[view.resource, view.generation].schemas:
            schema_id = transaction.schema_id(view_schema(writer.text, view.kept(), view.nulled()))
            transaction.add_to_subject(value_subject(incarnation.topic), schema_id)
            projections[writer.id] = schema_id
        compiled = ViewPolicy(
            view=view,
            incarnation=incarnation.number,
            topic=incarnation.topic,
            partitions=incarnation.partitions,
            projections=projections,
        )
        objects[compiled.object_id] = compiled
    return objects


def _has_new_resource(
    known: Mapping[str, bytes], objects: Mapping[str, ResourcePolicy | ViewPolicy]
) -> bool:
    return any(
        isinstance(each, ResourcePolicy) and object_id not in known
        for object_id, each in objects.items()
    )


def _refuse_too_many(transaction: CatalogTransaction) -> None:
    count = len(transaction.sources())
    if count > MAX_RESOURCES:
        raise Refused(
            f"this bus would route {count:,} resources, and can route {MAX_RESOURCES:,}: retire "
            "what is not needed any more, or set up another bus for a part of the departments",
            code="CATALOG_FULL",
        )


def _changes(
    known: Mapping[str, bytes],
    objects: Mapping[str, ResourcePolicy | ViewPolicy],
    codec: EventCodec,
) -> dict[str, bytes | None]:
    encoded = {object_id: codec.encode(each) for object_id, each in objects.items()}
    changes: dict[str, bytes | None] = {
        object_id: value for object_id, value in encoded.items() if known.get(object_id) != value
    }
    changes.update(dict.fromkeys(known.keys() - encoded.keys()))
    return changes


def _topics(live: LiveCatalog, incarnations: list[Incarnation]) -> list[TopicSpec]:
    wanted = [
        topic
        for held in live.entries.values()
        if not held.retired
        for topic in resource_topics(held.entry)
    ]
    wanted += [incarnation_topic(each) for each in incarnations]
    return [
        TopicSpec(name=name, partitions=partitions, config=config)
        for name, partitions, config in wanted
    ]
