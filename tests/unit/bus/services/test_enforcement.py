"""Unit tests of `bus.services.enforcement`: one decision, and only what it concerns."""

import pytest

from bus.domain.grant import GrantState
from bus.ports import TopicSpec
from bus.services.enforcement import Enforcement, Settled
from tests import builders
from tests.stream_builders import ControlPlane

SUBSCRIBER = f"sub-{builders.GRANT}"


@pytest.fixture
def control() -> ControlPlane:
    """Return a control plane with one grant in force."""
    made = ControlPlane()
    made.apply(builders.catalog())
    return made


@pytest.fixture
def enforcement(control: ControlPlane) -> Enforcement:
    """Return the enforcement of one replica."""
    return Enforcement(
        topics=control.topics, access=control.access, codec=control.codec, clock=control.clock
    )


def decide(control: ControlPlane, enforcement: Enforcement, state: GrantState) -> Settled:
    """Let the grant be in a state; what may be read now is not given yet."""
    grant = builders.grant()
    with control.store.transaction() as transaction:
        held = transaction.grant(grant.id)
        assert held is not None
        transaction.save_grant(held.grant, version=held.version, state=state)
        return enforcement.settle(transaction, [grant.resource])


def finish(control: ControlPlane, enforcement: Enforcement, settled: Settled) -> None:
    """Give what may be read now."""
    with control.store.transaction() as transaction:
        enforcement.finish(transaction, settled)


def test_what_is_taken_is_taken_before_the_commit_and_what_is_given_after_it(
    control: ControlPlane, enforcement: Enforcement
) -> None:
    """Invariant 6; requirements 6.3: a suspended grant is resumed as it was."""
    right = control.admin.rules()

    suspended = decide(control, enforcement, GrantState.SUSPENDED)
    left, throttled = control.admin.rules([SUBSCRIBER]), control.admin.throttled()
    resumed = decide(control, enforcement, GrantState.ACTIVE)
    not_yet = control.admin.rules([SUBSCRIBER])
    finish(control, enforcement, resumed)

    assert (suspended.gives, resumed.gives) == (False, True)
    assert left == {}
    assert throttled == {SUBSCRIBER}
    assert not_yet == {}
    assert control.admin.rules() == right
    assert control.admin.throttled() == set()


def test_what_was_revoked_meanwhile_is_not_given_back(
    control: ControlPlane, enforcement: Enforcement
) -> None:
    """Two acts in one breath: the first gives after the second has taken."""
    decide(control, enforcement, GrantState.SUSPENDED)
    resumed = decide(control, enforcement, GrantState.ACTIVE)
    decide(control, enforcement, GrantState.REVOKED)

    finish(control, enforcement, resumed)

    assert control.admin.rules([SUBSCRIBER]) == {}
    assert control.admin.throttled() == {SUBSCRIBER}


def test_only_topics_that_are_new_are_asked_for(
    control: ControlPlane, enforcement: Enforcement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation waits for no topic."""
    asked: list[list[str]] = []
    ensure = control.topics.ensure

    def noted(specs: list[TopicSpec]) -> None:
        asked.append([spec.name for spec in specs])
        ensure(specs)

    monkeypatch.setattr(control.topics, "ensure", noted)
    decide(control, enforcement, GrantState.SUSPENDED)
    decide(control, enforcement, GrantState.ACTIVE)
    decide(control, enforcement, GrantState.REVOKED)

    first, second, third = asked
    assert control.subscription().topic in first
    assert second == third == []
