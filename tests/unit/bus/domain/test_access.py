"""Unit tests of `bus.domain.access`."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from bus.domain import names
from bus.domain.access import (
    CONTROL,
    OPERATOR,
    ROUTER,
    SERVICE_RULES,
    AccessRule,
    Operation,
    Resource,
    organisation_rules,
    subscriber_rules,
)
from bus.domain.entry import CatalogEntry
from bus.domain.subscription import Subscription
from tests import builders
from tests.domain_strategies import CODES

#: Whatever else a rule may allow, these change something.
_CHANGING = set(Operation) - {Operation.READ, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS}
READ, WRITE, DESCRIBE = Operation.READ, Operation.WRITE, Operation.DESCRIBE
TOPIC, GROUP = Resource.TOPIC, Resource.GROUP


def reaches(rule: AccessRule, topic: str) -> bool:
    if rule.resource is not TOPIC:
        return False
    return topic.startswith(rule.name) if rule.prefixed else topic == rule.name


def may(rules: Iterable[AccessRule], operation: Operation, topic: str) -> bool:
    return any(rule.operation is operation and reaches(rule, topic) for rule in rules)


@st.composite
def providers(draw: st.DrawFn) -> list[CatalogEntry]:
    codes = draw(st.lists(CODES, min_size=1, max_size=4, unique=True))
    return [
        builders.entry(code, provider=draw(CODES), generation=draw(st.integers(1, 12)))
        for code in codes
    ]


@st.composite
def subscriptions(draw: st.DrawFn) -> list[Subscription]:
    codes = draw(st.lists(CODES, min_size=1, max_size=4, unique=True))
    return [
        builders.subscription(
            code,
            topic=names.view_topic("cn", draw(CODES), "abcdefghijkl", draw(st.integers(1, 12))),
            next_topic=draw(st.none() | st.just("os.view.cn.divisions.abc.2")),
            ended=draw(st.booleans()),
        )
        for code in codes
    ]


def test_a_provider_may_write_and_read_its_source_topic_and_read_its_dead_letters() -> None:
    """design.md §10: a provider writes (and reads) its own source topics only."""
    rules = organisation_rules(["statistics"], [builders.entry()])

    assert rules == {
        "org-statistics": {
            AccessRule(GROUP, "os.org-statistics.", READ, prefixed=True),
            AccessRule(TOPIC, "os.src.cn.statistics.divisions.1", WRITE),
            AccessRule(TOPIC, "os.src.cn.statistics.divisions.1", READ),
            AccessRule(TOPIC, "os.dlq.cn.divisions", READ),
        }
    }


def test_an_organisation_that_provides_nothing_may_only_name_groups_of_its_own() -> None:
    rules = organisation_rules(["housing"], [builders.entry()])

    assert rules == {"org-housing": {AccessRule(GROUP, "os.org-housing.", READ, prefixed=True)}}


def test_an_inactive_provider_may_do_nothing() -> None:
    """R-001: an inactive organisation can neither publish nor consume."""
    assert organisation_rules([], [builders.entry()]) == {}


def test_a_subscriber_may_read_its_view_in_groups_of_its_own() -> None:
    rules = subscriber_rules([builders.subscription("divisions-housing", topic="one")])

    assert rules == {
        "sub-divisions-housing": {
            AccessRule(GROUP, "os.sub-divisions-housing.", READ, prefixed=True),
            AccessRule(TOPIC, "one", READ),
        }
    }


def test_a_subscriber_that_is_being_widened_may_read_both_topics() -> None:
    rules = subscriber_rules([builders.subscription(topic="one", next_topic="two")])

    topics = {rule.name for rule in rules["sub-divisions-housing"] if rule.resource is TOPIC}
    assert topics == {"one", "two"}


def test_a_subscriber_whose_grant_ended_may_do_nothing() -> None:
    """Invariant 6: no rule is left, not even on its groups."""
    assert subscriber_rules([builders.subscription(ended=True)]) == {}


@given(providers(), st.lists(CODES, max_size=4))
def test_no_provider_touches_anothers_topic(entries: list[CatalogEntry], others: list[str]) -> None:
    """Invariant 5: only the assigned organisation's principal can write a source topic."""
    organisations = {entry.provider for entry in entries} | set(others)

    rules = organisation_rules(organisations, entries)

    for entry in entries:
        for principal, allowed in rules.items():
            mine = principal == names.provider_principal(entry.provider)
            assert may(allowed, WRITE, entry.source_topic) is mine
            assert may(allowed, READ, entry.source_topic) is mine
            assert may(allowed, READ, entry.dead_letter_topic) is mine
            assert not may(allowed, WRITE, entry.dead_letter_topic)


@given(subscriptions())
def test_no_subscriber_can_change_anything_or_read_what_is_not_its_own(
    found: list[Subscription],
) -> None:
    """Invariant 2, design.md §10: least privilege for each principal."""
    rules = subscriber_rules(found)

    for subscription in found:
        allowed = rules.get(subscription.principal, frozenset())
        assert not {rule.operation for rule in allowed} & _CHANGING
        topics = {rule.name for rule in allowed if rule.resource is TOPIC}
        assert topics == set(subscription.topics())
        prefixes = {rule.name for rule in allowed if rule.prefixed}
        assert prefixes <= {subscription.group_prefix}
        assert {rule.resource for rule in allowed} <= {TOPIC, GROUP}


@given(providers(), subscriptions())
def test_no_rule_of_organisations_and_subscribers_reaches_the_buss_own_topics(
    entries: list[CatalogEntry], found: list[Subscription]
) -> None:
    """design.md §4: the policy and the router's state are the bus's alone."""
    given_out = organisation_rules({entry.provider for entry in entries}, entries)
    given_out |= subscriber_rules(found)

    for allowed in given_out.values():
        for topic in (
            names.POLICY_TOPIC,
            names.ROUTER_STATE_TOPIC,
            names.AUDIT_CHECKPOINT_TOPIC,
        ):
            assert not any(reaches(rule, topic) for rule in allowed)


def test_the_router_may_do_what_routing_takes_and_no_more() -> None:
    assert SERVICE_RULES[ROUTER] == {
        AccessRule(TOPIC, "os.src.", READ, prefixed=True),
        AccessRule(TOPIC, "os.view.", READ, prefixed=True),
        AccessRule(TOPIC, "os.view.", WRITE, prefixed=True),
        AccessRule(TOPIC, "os.dlq.", WRITE, prefixed=True),
        AccessRule(TOPIC, "os.policy", READ),
        AccessRule(TOPIC, "os.state.router", READ),
        AccessRule(TOPIC, "os.state.router", WRITE),
        AccessRule(GROUP, "os.router", READ, prefixed=True),
        AccessRule(Resource.TRANSACTIONAL_ID, "os.router.", WRITE, prefixed=True),
        AccessRule(Resource.TRANSACTIONAL_ID, "os.router.", DESCRIBE, prefixed=True),
    }


def test_control_may_administrate_and_publish_the_policy_and_no_record() -> None:
    cluster = {
        Operation.CREATE,
        Operation.ALTER,
        DESCRIBE,
        Operation.ALTER_CONFIGS,
        Operation.DESCRIBE_CONFIGS,
    }
    topics = {
        Operation.CREATE,
        Operation.DELETE,
        DESCRIBE,
        Operation.ALTER_CONFIGS,
        Operation.DESCRIBE_CONFIGS,
    }

    assert SERVICE_RULES[CONTROL] == {
        *(AccessRule(Resource.CLUSTER, "kafka-cluster", each) for each in cluster),
        *(AccessRule(TOPIC, "os.", each, prefixed=True) for each in topics),
        AccessRule(TOPIC, "os.policy", READ),
        AccessRule(TOPIC, "os.policy", WRITE),
        AccessRule(TOPIC, "os.state.router", READ),
        # Where it ends, which is how a transaction that hangs is noticed.
        AccessRule(TOPIC, "__consumer_offsets", DESCRIBE),
        AccessRule(TOPIC, "os.audit.checkpoints", WRITE),
        AccessRule(GROUP, "os-control", READ, prefixed=True),
        AccessRule(Resource.TRANSACTIONAL_ID, "os.relay", WRITE),
        AccessRule(Resource.TRANSACTIONAL_ID, "os.relay", DESCRIBE),
    }


def test_the_operator_may_look_at_everything_and_change_nothing() -> None:
    """R-005: an operator cannot approve, refuse or widen."""
    assert SERVICE_RULES[OPERATOR] == {
        AccessRule(TOPIC, "os.", READ, prefixed=True),
        AccessRule(GROUP, "os-operator", READ, prefixed=True),
        AccessRule(GROUP, "os.router", DESCRIBE),
        AccessRule(Resource.CLUSTER, "kafka-cluster", DESCRIBE),
    }


def test_no_service_but_the_router_writes_data_and_none_writes_a_source() -> None:
    """Invariants 2 and 5."""
    entry, view = builders.entry(), builders.incarnation()

    writers = {
        topic: {name for name, rules in SERVICE_RULES.items() if may(rules, WRITE, topic)}
        for topic in (entry.source_topic, view.topic, entry.dead_letter_topic)
    }

    assert writers == {
        entry.source_topic: set(),
        view.topic: {ROUTER},
        entry.dead_letter_topic: {ROUTER},
    }
