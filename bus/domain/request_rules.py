"""What a jurisdiction's profile says about requests (requirements.md §2.2), as typed rules."""

from dataclasses import dataclass
from typing import Any, Protocol

from bus.domain.share import Scope

#: How an escalation chain of a profile names a first step that is talk, not a decision.
TALKS = frozenset({"consultation", "three_way_consultation", "three_party_meeting"})


class ProfileValues(Protocol):
    """What is needed of a profile here."""

    def get(self, key: str, scope: str | None = None) -> Any:  # noqa: ANN401 (any profile value)
        """Return the effective value of a dotted key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRules:
    """The rules for requests of one scope under one profile version."""

    form_fields: frozenset[str]
    reply_deadline_wd: int | None
    clock_start: str
    """`submitted`, `received` or `gateway_notice_received`."""
    covers_supply: bool
    """Whether the clock stops only at activation (R-084)."""
    reason_level: str
    """`none_stated`, `stated`, `specific`, `written` or `written_opinion` (§2.1 note)."""
    opinion_to: str | None
    """The role to which a written opinion is addressed."""
    consent_by: str | None
    statutory_only: bool
    chain: tuple[str, ...]
    """The bodies that decide one after the other once talks have failed."""
    steering_approves_agreed: str | None
    """The role that has to approve what was agreed about a not-shared resource (R-099)."""
    appeal: str
    """Where a refused request goes: `consultation`, `disagreement` or `complaint`."""
    not_shared_goes_to: str
    """`consultation`, or `disagreement` where the profile has that procedure (D12)."""
    agreement: bool
    """Whether either side may ask for a sharing agreement (R-097)."""
    onboarding: bool
    pre_review: bool
    unconditional_inbound: str | None
    controlled_params_approval: bool
    executor: str
    special_regimes: frozenset[str]
    grant_days: int


def request_rules(
    profile: ProfileValues, scope: Scope, *, higher_level: bool = False
) -> RequestRules:
    """
    Return the rules for requests of `scope`.

    `higher_level`: a higher-level organisation is involved, so the external chain holds (R-093).
    """
    internal = profile.get("escalation.internal") or []
    external = profile.get("escalation.external") or internal
    outward = scope is Scope.EXTERNAL or higher_level
    disagreement = bool(profile.get("disagreement.enabled"))
    complaint = bool(profile.get("complaint.enabled"))
    appeal = "disagreement" if disagreement else "complaint" if complaint else "consultation"
    pre_review = profile.get("gateway.pre_review")
    return RequestRules(
        form_fields=_form_fields(profile.get("application.form_fields"), scope),
        reply_deadline_wd=profile.get("application.reply_deadline_wd", str(scope)),
        clock_start=profile.get("application.clock_start", str(scope)) or "submitted",
        covers_supply=profile.get("application.deadline_covers") == "approval_and_supply",
        reason_level=profile.get("refusal.reason") or "none_stated",
        opinion_to=profile.get("refusal.to", str(scope)),
        consent_by=profile.get("refusal.consent_by"),
        statutory_only=profile.get("refusal.grounds") == "statutory_only",
        chain=tuple(body for body in (external if outward else internal) if body not in TALKS),
        steering_approves_agreed=(
            profile.get("escalation.external_not_shared_approval") if outward else None
        ),
        appeal=appeal,
        not_shared_goes_to="disagreement" if disagreement else "consultation",
        agreement=profile.get("application.agreement") is not None,
        onboarding=profile.get("onboarding.mode") == "application_and_pledge",
        pre_review=bool(pre_review),
        unconditional_inbound=profile.get("gateway.unconditional_inbound"),
        controlled_params_approval=bool(profile.get("unconditional.controlled_params_approval")),
        executor=profile.get("provisioning.executor") or "operator",
        special_regimes=frozenset(profile.get("special_regimes") or ()),
        grant_days=365,
    )


def _form_fields(value: Any, scope: Scope) -> frozenset[str]:  # noqa: ANN401 (any profile value)
    """Return the parts that a request must have; a map names a form for each direction."""
    if value is None:
        return frozenset()
    if isinstance(value, str):
        return frozenset({value})
    if isinstance(value, list | tuple):
        return frozenset(value)
    form = value.get(str(scope))
    return frozenset() if form is None else frozenset({form})
