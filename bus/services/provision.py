"""Prepare a cluster for the bus: its own topics, and the accounts of its own processes."""

from collections.abc import Mapping

from bus.domain.access import SERVICE_RULES
from bus.domain.principal import PrincipalKind, make_principal
from bus.domain.topics import base_topics
from bus.ports import AccessAdmin, CatalogStore, TopicAdmin, TopicSpec


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
    access.allow(SERVICE_RULES)


def register_services(store: CatalogStore, passwords: Mapping[str, str]) -> None:
    """
    Make the control plane know the service accounts; doing it again changes nothing.

    `passwords` are the ones that they have in Kafka, too.
    """
    with store.transaction() as transaction:
        known = transaction.principals()
        for name, password in passwords.items():
            if name not in known or not known[name].accepts(password):
                transaction.save_principal(
                    make_principal(name, PrincipalKind.SERVICE, name, password)
                )
