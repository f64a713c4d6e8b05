"""
Who may do what in Kafka: least privilege for each principal (design.md §10).

`organisation_rules` and `subscriber_rules` follow from the catalog; `SERVICE_RULES` is what the
bus's own processes need, and no more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bus.domain.entry import CatalogEntry
from bus.domain.names import (
    AUDIT_CHECKPOINT_TOPIC,
    OFFSETS_TOPIC,
    POLICY_TOPIC,
    ROUTER_GROUP,
    ROUTER_STATE_TOPIC,
    TOPIC_PREFIX,
    group_prefix,
    provider_principal,
)
from bus.domain.subscription import Subscription


class Resource(StrEnum):
    """What an access rule is about."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"
    CLUSTER = "cluster"


class Operation(StrEnum):
    """What an access rule allows."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"
    CREATE = "create"
    DELETE = "delete"
    ALTER = "alter"
    ALTER_CONFIGS = "alter-configs"
    DESCRIBE_CONFIGS = "describe-configs"


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One permission; `prefixed`: for every name that starts with `name`."""

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False


CONTROL = "os-control"
ROUTER = "os-router"
OPERATOR = "os-operator"
#: The one name that Kafka gives to the cluster as a resource.
_CLUSTER = "kafka-cluster"


def _on(
    resource: Resource, name: str, *operations: Operation, prefixed: bool = False
) -> frozenset[AccessRule]:
    return frozenset(AccessRule(resource, name, operation, prefixed) for operation in operations)


#: The relay's transactional id: one at a time, fenced by Kafka.
RELAY_TRANSACTIONAL_ID = "os.relay"

SERVICE_RULES: Mapping[str, frozenset[AccessRule]] = {
    ROUTER: (
        _on(Resource.TOPIC, "os.src.", Operation.READ, prefixed=True)
        | _on(Resource.TOPIC, "os.view.", Operation.READ, Operation.WRITE, prefixed=True)
        | _on(Resource.TOPIC, "os.dlq.", Operation.WRITE, prefixed=True)
        | _on(Resource.TOPIC, POLICY_TOPIC, Operation.READ)
        | _on(Resource.TOPIC, ROUTER_STATE_TOPIC, Operation.READ, Operation.WRITE)
        | _on(Resource.GROUP, ROUTER_GROUP, Operation.READ, prefixed=True)
        | _on(
            Resource.TRANSACTIONAL_ID,
            f"{ROUTER_GROUP}.",
            Operation.WRITE,
            Operation.DESCRIBE,
            prefixed=True,
        )
    ),
    CONTROL: (
        _on(
            Resource.CLUSTER,
            _CLUSTER,
            Operation.CREATE,
            Operation.ALTER,
            Operation.DESCRIBE,
            Operation.ALTER_CONFIGS,
            Operation.DESCRIBE_CONFIGS,
        )
        | _on(
            Resource.TOPIC,
            TOPIC_PREFIX,
            Operation.CREATE,
            Operation.DELETE,
            Operation.DESCRIBE,
            Operation.ALTER_CONFIGS,
            Operation.DESCRIBE_CONFIGS,
            prefixed=True,
        )
        | _on(Resource.TOPIC, POLICY_TOPIC, Operation.READ, Operation.WRITE)
        | _on(Resource.TOPIC, ROUTER_STATE_TOPIC, Operation.READ)
        # Where it ends, and nothing of what it says: a transaction may hang there, too.
        | _on(Resource.TOPIC, OFFSETS_TOPIC, Operation.DESCRIBE)
        | _on(Resource.TOPIC, AUDIT_CHECKPOINT_TOPIC, Operation.WRITE)
        | _on(Resource.GROUP, CONTROL, Operation.READ, prefixed=True)
        | _on(
            Resource.TRANSACTIONAL_ID,
            RELAY_TRANSACTIONAL_ID,
            Operation.WRITE,
            Operation.DESCRIBE,
        )
    ),
    OPERATOR: (
        _on(Resource.TOPIC, TOPIC_PREFIX, Operation.READ, prefixed=True)
        | _on(Resource.GROUP, OPERATOR, Operation.READ, prefixed=True)
        | _on(Resource.GROUP, ROUTER_GROUP, Operation.DESCRIBE)
        | _on(Resource.CLUSTER, _CLUSTER, Operation.DESCRIBE)
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Who provides what: as much of an entry as permissions need."""

    provider: str
    source_topic: str
    dead_letter_topic: str


def source_of(entry: CatalogEntry) -> Source:
    """Return the source that an entry describes."""
    return Source(entry.provider, entry.source_topic, entry.dead_letter_topic)


def organisation_rules(
    organisations: Iterable[str], entries: Iterable[CatalogEntry | Source]
) -> dict[str, frozenset[AccessRule]]:
    """
    Return, by principal, what active `organisations` may do.

    Each may name consumer groups of its own; a provider may write the source topics of its
    `entries`, and read them and what was refused of them.
    """
    rules: dict[str, frozenset[AccessRule]] = {}
    for code in organisations:
        principal = provider_principal(code)
        rules[principal] = _on(
            Resource.GROUP, group_prefix(principal), Operation.READ, prefixed=True
        )
    for entry in entries:
        principal = provider_principal(entry.provider)
        if principal in rules:
            rules[principal] |= _on(
                Resource.TOPIC, entry.source_topic, Operation.WRITE, Operation.READ
            ) | _on(Resource.TOPIC, entry.dead_letter_topic, Operation.READ)
    return rules


def subscriber_rules(subscriptions: Iterable[Subscription]) -> dict[str, frozenset[AccessRule]]:
    """Return, by principal, what subscribers may do: read their view, in groups of their own."""
    rules: dict[str, frozenset[AccessRule]] = {}
    for subscription in subscriptions:
        if subscription.ended or subscription.blocked:
            continue
        allowed = _on(Resource.GROUP, subscription.group_prefix, Operation.READ, prefixed=True)
        for topic in subscription.topics():
            allowed |= _on(Resource.TOPIC, topic, Operation.READ)
        rules[subscription.principal] = allowed
    return rules
