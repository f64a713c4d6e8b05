"""
Make the data plane follow from the catalog: incarnations, subscriptions, compiled policy.

`refresh` is called at the end of every transaction that changes the catalog. It looks only at the
state in that transaction, so whatever led to the state, the result is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bus.domain.avro_schema import view_schema
from bus.domain.catalog import LiveCatalog
from bus.domain.names import dead_letter_topic, subscription_principal, value_subject
from bus.domain.policy import ResourcePolicy, ViewPolicy
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.topics import incarnation_topic, resource_topics
from bus.domain.view import View, widens
from bus.ports import CatalogTransaction, Clock, EventCodec, TopicSpec


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to."""

    policy_version: int | None
    """The new version that was queued; None if the policy is as it was."""
    topics: tuple[TopicSpec, ...]
    """Topics that must exist before the transaction is committed."""


def refresh(transaction: CatalogTransaction, codec: EventCodec, clock: Clock) -> Refreshed:
    """Bring incarnations, subscriptions and the queued policy in line with the catalog."""
    live = transaction.live()
    incarnations = {each.topic: each for each in transaction.incarnations()}
    subscriptions = _settle_subscriptions(transaction, live, incarnations)
    used = {topic for each in subscriptions for topic in each.topics()}
    for topic in incarnations.keys() - used:
        transaction.end_incarnation(topic, clock.now())
    kept = [incarnations[topic] for topic in sorted(used)]
    objects = _policy_objects(transaction, live, kept)
    changes = _changes(transaction.policy_objects(), objects, codec)
    version = transaction.publish_policy(changes) if changes else None
    return Refreshed(version, tuple(_topics(live, kept)))


def _settle_subscriptions(
    transaction: CatalogTransaction, live: LiveCatalog, incarnations: dict[str, Incarnation]
) -> list[Subscription]:
    """Give each active grant its subscription on an incarnation of its view; end the others."""
    known = {each.id: each for each in transaction.subscriptions()}
    by_view = {each.view.id: each for each in incarnations.values()}
    settled: list[Subscription] = []
    for grant, entry in live.active_grants():
        view = grant.view(entry)
        incarnation = by_view.get(view.id)
        if incarnation is None:
            incarnation = by_view[view.id] = transaction.open_incarnation(view, partitions=1)
            incarnations[incarnation.topic] = incarnation
        subscription = _follow(known.get(grant.id), grant.id, view, incarnation, incarnations)
        if subscription != known.pop(grant.id, None):
            transaction.save_subscription(subscription)
        settled.append(subscription)
    for subscription in known.values():
        if not subscription.ended:
            transaction.save_subscription(replace(subscription, ended=True, next_topic=None))
    return settled


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
            schema_id = transaction.schema_id(view_schema(writer.text, view.kept()))
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
