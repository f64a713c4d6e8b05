"""
Getting onto the platform: which bodies may register (R-002), and the first access of those who do.

Where the profile says `application_and_pledge`, an organisation receives nothing, not even what is
unconditional, before the authority approved its application and its pledge is stored (R-004).
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.domain.identity import Actor, Role, require_role
from bus.domain.life_cycle import LifeCycle, Step
from bus.domain.profile_terms import OnboardingMode
from bus.errors import Forbidden, Refused


class OnboardingState(StrEnum):
    """Where an organisation's access stands."""

    NONE = "NONE"
    APPLIED = "APPLIED"
    REJECTED = "REJECTED"
    PLEDGE_SIGNED = "PLEDGE_SIGNED"
    ACTIVE = "ACTIVE"
    LAPSED = "LAPSED"


_S = OnboardingState

ONBOARDING_LIFE: LifeCycle[OnboardingState] = LifeCycle(
    name="Onboarding",
    states=OnboardingState,
    initial=_S.NONE,
    steps=(
        Step(_S.NONE, "apply", _S.APPLIED, "in writing"),
        Step(_S.REJECTED, "apply", _S.APPLIED, "again, in writing"),
        Step(_S.LAPSED, "apply", _S.APPLIED, "again, in writing"),
        Step(_S.APPLIED, "reject", _S.REJECTED, "by the authority, with a reason"),
        Step(_S.APPLIED, "sign_pledge", _S.PLEDGE_SIGNED, "sharing rules and confidentiality"),
        Step(_S.PLEDGE_SIGNED, "reject", _S.REJECTED, "by the authority, with a reason"),
        Step(_S.PLEDGE_SIGNED, "approve", _S.ACTIVE, "by the authority"),
        Step(_S.ACTIVE, "lapse", _S.LAPSED, "by the authority, with a reason; grants suspended"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pledge:
    """The signed pledge (承诺书), as it is stored."""

    document: str
    """The id of the attachment."""
    sha256: str
    signed_by: str
    signed_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboarding:
    """The access of one organisation to the platform."""

    organisation: str
    state: OnboardingState = OnboardingState.NONE
    application: str = ""
    """The id of the written application."""
    applied_at: dt.datetime | None = None
    pledge: Pledge | None = None
    decided_at: dt.datetime | None = None
    decided_by: str | None = None
    reason: str = ""
    """Why it was rejected, or lapsed."""


def apply(onboarding: Onboarding, *, application: str, by: Actor, at: dt.datetime) -> Onboarding:
    """Apply in writing; what an earlier application brought no longer counts."""
    _require_own(onboarding, by)
    state = ONBOARDING_LIFE.move(onboarding.organisation, onboarding.state, "apply")
    if not application.strip():
        raise Refused("attach the written application", code="APPLICATION_REQUIRED")
    return Onboarding(
        organisation=onboarding.organisation, state=state, application=application, applied_at=at
    )


def sign_pledge(onboarding: Onboarding, pledge: Pledge, *, by: Actor) -> Onboarding:
    """Store the signed pledge."""
    _require_own(onboarding, by)
    state = ONBOARDING_LIFE.move(onboarding.organisation, onboarding.state, "sign_pledge")
    if not (pledge.document.strip() and pledge.sha256.strip() and pledge.signed_by.strip()):
        raise Refused("store the pledge with its signature", code="PLEDGE_REQUIRED")
    return replace(onboarding, state=state, pledge=pledge)


def approve(
    onboarding: Onboarding,
    *,
    by: Actor,
    at: dt.datetime,
    approver: Role = Role.AUTHORITY,
) -> Onboarding:
    """Open the platform to the organisation."""
    require_role(by, frozenset({approver}), "approving an access application")
    state = ONBOARDING_LIFE.move(onboarding.organisation, onboarding.state, "approve")
    return replace(onboarding, state=state, decided_at=at, decided_by=by.organisation, reason="")


def reject(
    onboarding: Onboarding,
    *,
    reason: str,
    by: Actor,
    at: dt.datetime,
    approver: Role = Role.AUTHORITY,
) -> Onboarding:
    """Reject the application; the organisation may apply again."""
    require_role(by, frozenset({approver}), "rejecting an access application")
    state = ONBOARDING_LIFE.move(onboarding.organisation, onboarding.state, "reject")
    return _with_reason(onboarding, state, reason=reason, by=by, at=at)


def lapse(
    onboarding: Onboarding,
    *,
    reason: str,
    by: Actor,
    at: dt.datetime,
    approver: Role = Role.AUTHORITY,
) -> Onboarding:
    """Take the access back; the caller suspends the organisation's grants (§6.3)."""
    require_role(by, frozenset({approver}), "withdrawing access")
    state = ONBOARDING_LIFE.move(onboarding.organisation, onboarding.state, "lapse")
    return _with_reason(onboarding, state, reason=reason, by=by, at=at)


def require_onboarded(mode: OnboardingMode, onboarding: Onboarding | None) -> None:
    """Refuse the use of any resource by an organisation that has no access yet (R-004)."""
    if mode is OnboardingMode.NONE:
        return
    state = OnboardingState.NONE if onboarding is None else onboarding.state
    if state is not OnboardingState.ACTIVE:
        raise Refused(
            f"access application and pledge come first; the onboarding is {state}",
            code="ONBOARDING_REQUIRED",
        )


def require_kind(kind: str, kinds: Iterable[str]) -> None:
    """Refuse to register a kind of body that the profile does not list (R-002)."""
    allowed = sorted(kinds)
    if kind not in allowed:
        raise Refused(
            f"{kind!r} is no kind of body that shares here; those are {', '.join(allowed)}",
            code="ORG_KIND_NOT_ALLOWED",
        )


def _require_own(onboarding: Onboarding, by: Actor) -> None:
    if by.organisation != onboarding.organisation or Role.DEPARTMENT not in by.roles:
        raise Forbidden(f"only {onboarding.organisation} applies and pledges for itself")


def _with_reason(
    onboarding: Onboarding,
    state: OnboardingState,
    *,
    reason: str,
    by: Actor,
    at: dt.datetime,
) -> Onboarding:
    if not reason.strip():
        raise Refused("say why", code="REASON_REQUIRED")
    return replace(
        onboarding, state=state, reason=reason, decided_at=at, decided_by=by.organisation
    )
