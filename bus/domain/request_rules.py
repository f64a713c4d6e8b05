"""What a jurisdiction's profile says about requests (requirements.md §2.2), as typed rules."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from bus.domain.profile import Profile
from bus.domain.profile_terms import (
    ClockStart,
    DeadlineCovers,
    Hop,
    InboundAccess,
    NotSharedRequest,
    OnboardingMode,
    Period,
    RefusalGrounds,
    RefusalReason,
)
from bus.domain.share import Scope, ShareClass

#: How an escalation chain names a first step that is talk, not a decision.
TALKS = frozenset({Hop.CONSULTATION, Hop.THREE_WAY_CONSULTATION, Hop.THREE_PARTY_MEETING})
#: Bodies that decide outside the system: their decisions have a document number (R-100).
OUTSIDE_BODIES = frozenset({Hop.INTERMINISTERIAL_CONFERENCE})
_ANYBODY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRules:
    """The rules for requests of one scope under one profile version."""

    form_fields: frozenset[str]
    reply_deadline_wd: int | None
    clock_start: ClockStart
    covers_supply: bool
    """Whether the clock stops only at activation (R-084)."""
    reason_level: RefusalReason
    opinion_to: str | None
    """The role to which a written opinion is addressed; None: the profile names nobody."""
    consent_by: str | None
    statutory_only: bool
    talks: Hop | None
    """How the parties talk before anybody decides; None: the chain begins with a body."""
    escalate_after_wd: int | None
    """Working days of talks after which they need not have failed (§2.4)."""
    chain: tuple[Hop, ...]
    """The bodies that decide one after the other once talks have failed."""
    unheard: frozenset[ShareClass]
    """Classes whose refused requests go nowhere."""
    consumer_raises: bool
    """Whether only the consumer may put a case before the chain, not the provider."""
    steering_approves_agreed: str | None
    """The role that has to approve what was agreed about a not-shared resource (R-099)."""
    appeal: str
    """Where a refused request goes: `consultation`, `disagreement` or `complaint`."""
    not_shared_goes_to: NotSharedRequest
    """`consultation`, or `disagreement` where the profile has that procedure (D12)."""
    agreement: bool
    """Whether either side may ask for a sharing agreement (R-097)."""
    onboarding: bool
    pre_review: Mapping[ShareClass, str]
    """The role that reviews a request for an outside resource of a class (R-095)."""
    unconditional_inbound: InboundAccess | None
    controlled_params_approval: bool
    executor: str
    special_regimes: frozenset[str]
    grant_period: Period
    """How long a grant lasts if nobody says otherwise (§2.4)."""

    def grant_ends(self, valid_from: dt.date) -> dt.date:
        """Return the last day of a grant of which nobody says when it ends (§2.4)."""
        return self.grant_period.after(valid_from)


def request_rules(
    profile: Profile, scope: Scope, *, higher_level: bool = False, inbound: bool = False
) -> RequestRules:
    """
    Return the rules for requests of `scope`.

    `higher_level`: a higher-level organisation is involved, so the external chain holds (R-093).
    `inbound`: our organisation asks for an outside resource, which may need a form of its own.
    """
    outward = scope is Scope.EXTERNAL or higher_level
    heard_as = Scope.EXTERNAL if outward else scope
    chain = profile.escalation(heard_as)
    gateway = profile.gateway
    return RequestRules(
        form_fields=frozenset(profile.form_fields(scope, inbound=inbound)),
        reply_deadline_wd=profile.get("application.reply_deadline_wd", str(scope)),
        clock_start=ClockStart(
            profile.get("application.clock_start", str(scope)) or ClockStart.SUBMITTED
        ),
        covers_supply=profile.get("application.deadline_covers") == DeadlineCovers.SUPPLY,
        reason_level=RefusalReason(profile.get("refusal.reason") or RefusalReason.NONE_STATED),
        opinion_to=profile.refusal_addressee(scope),
        consent_by=profile.get("refusal.consent_by"),
        statutory_only=profile.get("refusal.grounds") == RefusalGrounds.STATUTORY_ONLY,
        talks=next((hop for hop in chain if hop in TALKS), None),
        escalate_after_wd=profile.get("consultation.escalate_after_wd"),
        chain=tuple(hop for hop in chain if hop not in TALKS),
        unheard=frozenset(each for each in ShareClass if not profile.escalation(heard_as, each)),
        consumer_raises=(profile.get("escalation.raised_by") or _ANYBODY) != _ANYBODY,
        steering_approves_agreed=profile.external_not_shared_approval if outward else None,
        appeal=_appeal(profile),
        not_shared_goes_to=NotSharedRequest(
            profile.get("application.not_shared_request") or NotSharedRequest.CONSULTATION
        ),
        agreement=profile.agreement_if_asked,
        onboarding=profile.onboarding.mode is OnboardingMode.APPLICATION_AND_PLEDGE,
        pre_review={} if gateway is None else gateway.pre_review,
        unconditional_inbound=None if gateway is None else gateway.unconditional_inbound,
        controlled_params_approval=profile.controlled_params_approval,
        executor=profile.get("provisioning.executor") or "operator",
        special_regimes=profile.special_regimes,
        grant_period=profile.grant_period,
    )


def _appeal(profile: Profile) -> str:
    if profile.get("disagreement.enabled"):
        return "disagreement"
    return "complaint" if profile.get("complaint.enabled") else "consultation"
