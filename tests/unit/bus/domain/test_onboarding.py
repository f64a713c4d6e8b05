"""Unit tests of `bus.domain.onboarding`."""

from dataclasses import replace

import pytest

from bus.domain import onboarding
from bus.domain.onboarding import Onboarding, OnboardingState
from bus.domain.profile_terms import OnboardingMode
from bus.errors import Forbidden, Refused
from tests import builders
from tests.life_cycle_cases import AT, AUTHORITY, CONSUMER, LATER, OPERATOR, OWNER, PLEDGE

PROVINCE = OnboardingMode.APPLICATION_AND_PLEDGE
NEW = Onboarding(organisation=builders.CONSUMER)


def applied(held: Onboarding = NEW) -> Onboarding:
    return onboarding.apply(held, application="paper-1", by=CONSUMER, at=AT)


def pledged() -> Onboarding:
    return onboarding.sign_pledge(applied(), PLEDGE, by=CONSUMER)


def active() -> Onboarding:
    return onboarding.approve(pledged(), by=AUTHORITY, at=LATER)


@pytest.mark.parametrize("held", [None, NEW, applied(), pledged()])
def test_the_first_use_of_any_resource_waits_for_application_and_pledge(
    held: Onboarding | None,
) -> None:
    """R-004, S-03.1: ONBOARDING_REQUIRED although the class is unconditional."""
    with pytest.raises(Refused) as refused:
        onboarding.require_onboarded(PROVINCE, held)
    assert refused.value.code == "ONBOARDING_REQUIRED"


def test_after_application_pledge_and_approval_the_platform_is_open() -> None:
    """R-004, S-03.2."""
    onboarding.require_onboarded(PROVINCE, active())

    assert (active().decided_by, active().decided_at, active().pledge) == (
        "bigdata",
        LATER,
        PLEDGE,
    )


def test_where_the_profile_asks_for_nothing_nobody_needs_onboarding() -> None:
    """R-004: mode none."""
    onboarding.require_onboarded(OnboardingMode.NONE, None)


def test_a_rejected_or_lapsed_organisation_applies_and_pledges_again() -> None:
    """R-004, requirements §6.6: what an earlier application brought no longer counts."""
    rejected = onboarding.reject(pledged(), reason="no duty", by=AUTHORITY, at=AT)
    lapsed = onboarding.lapse(active(), reason="misuse", by=AUTHORITY, at=AT)

    for held in (rejected, lapsed):
        with pytest.raises(Refused, match=held.state):
            onboarding.require_onboarded(PROVINCE, held)
        assert held.reason
        again = applied(held)
        assert (again.state, again.pledge, again.reason) == (OnboardingState.APPLIED, None, "")


def test_an_organisation_applies_for_itself_and_the_authority_decides() -> None:
    """R-004, R-005: the operator decides nothing."""
    with pytest.raises(Forbidden):
        onboarding.apply(NEW, application="paper-1", by=OWNER, at=AT)
    with pytest.raises(Forbidden):
        onboarding.sign_pledge(applied(), PLEDGE, by=OWNER)
    for by in (CONSUMER, OPERATOR):
        with pytest.raises(Forbidden):
            onboarding.approve(pledged(), by=by, at=AT)
        with pytest.raises(Forbidden):
            onboarding.reject(pledged(), reason="x", by=by, at=AT)
        with pytest.raises(Forbidden):
            onboarding.lapse(active(), reason="x", by=by, at=AT)


def test_application_pledge_and_reasons_are_papers_not_clicks() -> None:
    """R-004: a written application, a signed pledge that is stored."""
    with pytest.raises(Refused) as refused:
        onboarding.apply(NEW, application=" ", by=CONSUMER, at=AT)
    assert refused.value.code == "APPLICATION_REQUIRED"
    for pledge in (replace(PLEDGE, document=""), replace(PLEDGE, signed_by="")):
        with pytest.raises(Refused) as refused:
            onboarding.sign_pledge(applied(), pledge, by=CONSUMER)
        assert refused.value.code == "PLEDGE_REQUIRED"
    with pytest.raises(Refused) as refused:
        onboarding.reject(applied(), reason="", by=AUTHORITY, at=AT)
    assert refused.value.code == "REASON_REQUIRED"


def test_only_kinds_of_body_that_the_profile_lists_are_registered() -> None:
    """R-002: rejected with a reason."""
    onboarding.require_kind("bureau", ["bureau", "academy"])

    with pytest.raises(Refused, match="academy, bureau") as refused:
        onboarding.require_kind("company", ["bureau", "academy"])
    assert refused.value.code == "ORG_KIND_NOT_ALLOWED"
