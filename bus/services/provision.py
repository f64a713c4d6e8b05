"""Prepare a Kafka cluster for the bus: its own topics, and the accounts of its own processes."""

from collections.abc import Mapping

from bus.domain.access import SERVICE_RULES, AccessRule
from bus.domain.topics import base_topics
from bus.ports import AccessAdmin, TopicAdmin, TopicSpec


def provision(topics: TopicAdmin, access: AccessAdmin, passwords: Mapping[str, str]) -> None:
    """
    Create what is missing; doing it again changes nothing.

    `passwords` are those of the service accounts (`bus.domain.access.SERVICE_RULES` names them).
    """
    topics.ensure(
        [TopicSpec(name=name, partitions=1, config=config) for name, config in base_topics()]
    )
    for principal, password in passwords.items():
        access.set_password(principal, password)
    existing = access.rules()
    none = frozenset[AccessRule]()
    access.allow(
        {
            principal: rules - existing.get(principal, none)
            for principal, rules in SERVICE_RULES.items()
        }
    )
