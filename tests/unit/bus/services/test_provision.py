"""Unit tests of `bus.services.provision`, on adapters in memory."""

from bus.adapters.memory.admin import MemoryAccessAdmin, MemoryTopicAdmin
from bus.adapters.memory.broker import MemoryBroker
from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.domain.access import SERVICE_RULES
from bus.domain.names import AUDIT_CHECKPOINT_TOPIC, POLICY_TOPIC, ROUTER_STATE_TOPIC
from bus.domain.principal import PrincipalKind
from bus.services.provision import provision, register_services

PASSWORDS = {name: f"password of {name}" for name in SERVICE_RULES}


def test_a_cluster_gets_its_topics_and_each_process_what_it_needs() -> None:
    broker, access = MemoryBroker(), MemoryAccessAdmin()

    provision(MemoryTopicAdmin(broker), access, PASSWORDS)
    provision(MemoryTopicAdmin(broker), access, PASSWORDS)

    assert broker.topics().keys() == {POLICY_TOPIC, ROUTER_STATE_TOPIC, AUDIT_CHECKPOINT_TOPIC}
    assert access.passwords == PASSWORDS
    assert access.rules() == SERVICE_RULES


def test_the_control_plane_knows_the_processes_by_the_same_passwords() -> None:
    store = MemoryCatalogStore()

    register_services(store, PASSWORDS)

    with store.transaction() as transaction:
        known = transaction.principals()
    assert known.keys() == SERVICE_RULES.keys()
    for name, principal in known.items():
        assert principal.kind is PrincipalKind.SERVICE
        assert principal.accepts(PASSWORDS[name])


def test_registering_again_replaces_only_a_password_that_has_changed() -> None:
    store = MemoryCatalogStore()
    register_services(store, PASSWORDS)
    with store.transaction() as transaction:
        before = transaction.principals()

    register_services(store, PASSWORDS | {"os-router": "another"})

    with store.transaction() as transaction:
        after = transaction.principals()
    assert {name for name in before if before[name] != after[name]} == {"os-router"}
    assert after["os-router"].accepts("another")
