"""Unit tests of `bus.services.access`: Kafka's permissions follow the control plane's state."""

from dataclasses import replace

import pytest

from bus.domain.access import ROUTER, SERVICE_RULES, AccessRule, Operation, Resource
from bus.domain.principal import PrincipalKind
from bus.domain.subscription import Subscription
from bus.errors import BrokerUnavailable
from bus.services.access import PARKED_SECONDS
from tests import builders
from tests.stream_builders import ControlPlane

SUBSCRIBER = f"sub-{builders.GRANT}"
PROVIDER = f"org-{builders.PROVIDER}"
STRAY = AccessRule(Resource.TOPIC, "os.", Operation.READ, prefixed=True)


@pytest.fixture
def control() -> ControlPlane:
    """Return a control plane with one grant in force."""
    made = ControlPlane()
    made.apply(builders.catalog())
    return made


def test_each_account_may_do_exactly_what_the_catalog_says(control: ControlPlane) -> None:
    """Least privilege (design.md §10, R-110, R-191)."""
    topic = control.subscription().topic
    source, letters = builders.entry().source_topic, builders.entry().dead_letter_topic

    assert control.admin.rules() == {
        PROVIDER: {
            AccessRule(Resource.GROUP, "os.org-statistics.", Operation.READ, prefixed=True),
            AccessRule(Resource.TOPIC, source, Operation.READ),
            AccessRule(Resource.TOPIC, source, Operation.WRITE),
            AccessRule(Resource.TOPIC, letters, Operation.READ),
        },
        "org-housing": {
            AccessRule(Resource.GROUP, "os.org-housing.", Operation.READ, prefixed=True),
        },
        SUBSCRIBER: {
            AccessRule(Resource.GROUP, f"os.{SUBSCRIBER}.", Operation.READ, prefixed=True),
            AccessRule(Resource.TOPIC, topic, Operation.READ),
        },
    }


def test_what_is_right_is_left_alone(control: ControlPlane) -> None:
    before = control.admin.rules()

    with control.store.transaction() as transaction:
        shut_out = control.access.cut(transaction)
        given = control.access.give(transaction)

    assert (shut_out, given) == ([], {})
    assert control.admin.rules() == before


@pytest.mark.parametrize("principal", [SUBSCRIBER, PROVIDER])
def test_a_permission_that_somebody_added_by_hand_is_taken_away(
    control: ControlPlane, principal: str
) -> None:
    control.admin.allow({principal: frozenset({STRAY})})

    control.changes.reconcile()

    assert STRAY not in control.admin.rules()[principal]
    assert control.admin.throttled() == set()


def test_a_permission_that_somebody_took_away_is_given_back(control: ControlPlane) -> None:
    before = control.admin.rules()
    control.admin.forbid({SUBSCRIBER: before[SUBSCRIBER]})

    control.changes.reconcile()

    assert control.admin.rules() == before


def test_accounts_of_services_and_of_others_are_none_of_its_business(
    control: ControlPlane,
) -> None:
    others = {ROUTER: SERVICE_RULES[ROUTER], "somebody-else": frozenset({STRAY})}
    control.admin.allow(others)
    with control.store.transaction() as transaction:
        transaction.save_principal(builders.principal(ROUTER, PrincipalKind.SERVICE))

    control.changes.reconcile()

    for name, rules in others.items():
        assert control.admin.rules()[name] == rules
    assert control.admin.throttled() == set()


def test_only_a_subscriber_that_may_do_nothing_any_more_is_throttled(
    control: ControlPlane,
) -> None:
    """Invariant 6: its parked fetches must return nothing; a provider has none."""
    nobody = builders.catalog(
        organisations=[builders.organisation(builders.CONSUMER)], entries=[], grants=[]
    )

    control.apply(nobody)

    assert set(control.admin.rules()) == {"org-housing"}
    assert control.admin.throttled() == {SUBSCRIBER}


def test_a_subscriber_is_throttled_before_its_permissions_go(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has no permissions left is not found a second time, after a failure in between."""

    def away(_: object) -> None:
        raise BrokerUnavailable("away")

    with control.store.transaction() as transaction:
        transaction.save_subscription(replace(control.subscription(), ended=True))
    with monkeypatch.context() as failing:
        failing.setattr(control.admin, "throttle", away)
        with pytest.raises(BrokerUnavailable):
            control.changes.reconcile()
    with monkeypatch.context() as failing:
        failing.setattr(control.admin, "forbid", away)
        with pytest.raises(BrokerUnavailable):
            control.changes.reconcile()
    throttled_first = control.admin.throttled() == {SUBSCRIBER}
    control.changes.reconcile()

    assert throttled_first
    assert SUBSCRIBER not in control.admin.rules()


def test_cut_says_who_was_shut_out(control: ControlPlane) -> None:
    with control.store.transaction() as transaction:
        transaction.save_subscription(replace(control.subscription(), ended=True))

        assert control.access.cut(transaction) == [SUBSCRIBER]
        assert control.access.cut(transaction) == []


def test_cut_gives_nothing_and_give_takes_nothing(control: ControlPlane) -> None:
    right = control.admin.rules()
    control.admin.forbid({SUBSCRIBER: right[SUBSCRIBER]})
    control.admin.allow({PROVIDER: frozenset({STRAY})})

    with control.store.transaction() as transaction:
        control.access.cut(transaction)
        cut = control.admin.rules()
        control.admin.allow({PROVIDER: frozenset({STRAY})})
        given = control.access.give(transaction)

    assert SUBSCRIBER not in cut
    assert STRAY not in cut[PROVIDER]
    assert given == {SUBSCRIBER: right[SUBSCRIBER]}
    assert STRAY in control.admin.rules()[PROVIDER]


def test_an_account_is_issued_with_a_password_that_kafka_and_control_share(
    control: ControlPlane,
) -> None:
    with control.store.transaction() as transaction:
        password = control.access.issue(transaction, "sub-new", PrincipalKind.SUBSCRIPTION, "new")
        principal = transaction.principals()["sub-new"]

    assert control.admin.passwords["sub-new"] == password
    assert principal.accepts(password)
    assert (principal.kind, principal.owner) == (PrincipalKind.SUBSCRIPTION, "new")


# --- Decisions about single subscriptions ---------------------------------------------------------


def settle(control: ControlPlane, changed: Subscription) -> None:
    """Let the subscription be as given, as a decision does."""
    with control.store.transaction() as transaction:
        transaction.save_subscription(changed)
        control.access.cut_subscriptions(transaction, [changed])
    control.access.give_subscriptions([changed])


@pytest.mark.parametrize("ended", [True, False])
def test_whoever_is_shut_out_loses_everything_and_is_throttled(
    control: ControlPlane, *, ended: bool
) -> None:
    """Invariant 6; again if an earlier attempt had taken the permissions alone."""
    control.admin.forbid(control.admin.rules([SUBSCRIBER]))

    settle(control, replace(control.subscription(), ended=ended, blocked=not ended))

    assert control.admin.rules([SUBSCRIBER]) == {}
    assert control.admin.throttled() == {SUBSCRIBER}


def test_whoever_is_resumed_reads_at_once(control: ControlPlane) -> None:
    right = control.admin.rules()
    subscription = control.subscription()
    settle(control, replace(subscription, blocked=True))

    settle(control, subscription)

    assert control.admin.rules() == right
    assert control.admin.throttled() == set()


def test_whoever_loses_a_topic_is_throttled_while_a_fetch_of_before_may_live(
    control: ControlPlane,
) -> None:
    """Invariant 6: the broker asks for permissions when a fetch comes in, and not again."""
    settle(control, replace(control.subscription(), topic="os.view.cn.divisions.other.1"))
    at_once = control.admin.throttled()
    control.clock.sleep(PARKED_SECONDS - 1)
    control.changes.release_narrowed()
    meanwhile = control.admin.throttled()
    control.clock.sleep(1)
    control.changes.release_narrowed()

    assert at_once == meanwhile == {SUBSCRIBER}
    assert control.admin.throttled() == set()
    assert control.readable(SUBSCRIBER) == {"os.view.cn.divisions.other.1"}


def test_whoever_is_shut_out_while_throttled_stays_throttled(control: ControlPlane) -> None:
    narrower = replace(control.subscription(), topic="os.view.cn.divisions.other.1")
    settle(control, narrower)
    settle(control, replace(narrower, ended=True))

    control.clock.sleep(PARKED_SECONDS)
    control.changes.release_narrowed()

    assert control.admin.throttled() == {SUBSCRIBER}


def test_a_throttle_that_a_failure_left_behind_goes(control: ControlPlane) -> None:
    """Throttled and cut, then the transaction failed: what stands is given back, by the clock."""
    control.admin.throttle(SUBSCRIBER)
    control.admin.throttle("sub-of-before")

    control.changes.reconcile()
    control.changes.release_narrowed()
    at_first = control.admin.throttled()
    control.changes.reconcile()
    control.changes.release_narrowed()

    assert at_first == {SUBSCRIBER, "sub-of-before"}
    assert control.admin.throttled() == {"sub-of-before"}


def test_only_what_differs_takes_the_lock(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who decides waits for a comparison."""
    begun: list[int] = []
    transaction = control.store.transaction

    def counted() -> object:
        begun.append(1)
        return transaction()

    monkeypatch.setattr(control.store, "transaction", counted)

    control.changes.reconcile()
    nothing = len(begun)
    control.admin.allow({SUBSCRIBER: frozenset({STRAY})})
    control.changes.reconcile()

    assert (nothing, len(begun)) == (0, 1)
    assert STRAY not in control.admin.rules()[SUBSCRIBER]
