"""
How a share request goes from one state to the next (requirements.md §6.2).

Each function takes the request as it is and returns it as it will be, or raises: `Refused` with a
code if a guard does not hold, `StateConflict` for anything that its state does not allow. Silence
is never consent and never refusal: time alone leads nowhere but to OVERDUE (R-088).
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace

from bus.domain.request import Ask, Basis, Decision, Hop, Refusal, RequestState, ShareRequest, Talk
from bus.domain.request_rules import RequestRules
from bus.domain.share import ShareClass
from bus.domain.view import Treatment
from bus.domain.working_days import DueDate
from bus.errors import Refused, StateConflict

_S = RequestState
#: Where the provider may still decide.
UNDECIDED = frozenset({_S.PENDING, _S.OVERDUE})
_OPEN = frozenset(state for state in RequestState if not state.closed) - {_S.REFUSED}
#: What every request says by itself: the items are the need.
_ALWAYS_THERE = frozenset({"need", "purpose"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What matters at submission besides the request itself."""

    onboarded: bool = True
    special_regime: str | None = None
    same_zone: bool = True
    outside: bool = False
    """Whether the resource is an outside body's (§6.2)."""
    controlled_params: bool = False


def require(request: ShareRequest, *states: RequestState) -> None:
    """Raise `StateConflict` unless the request is in one of `states`."""
    if request.state not in states:
        raise StateConflict(
            f"request {request.id} is {request.state}; this needs "
            f"{' or '.join(sorted(str(state) for state in states))}"
        )


def submit(
    request: ShareRequest,
    rules: RequestRules,
    around: Circumstances,
    *,
    at: dt.datetime,
    received_at: dt.datetime | None = None,
) -> ShareRequest:
    """
    Submit a draft: check its form, and send it where its class sends it.

    A request on paper is registered later than it was received; both times are kept.
    """
    require(request, _S.DRAFT)
    _check_submission(request, rules, around)
    submitted = replace(
        request, submitted_at=at, received_at=received_at or at, missing="", state=_S.PENDING
    )
    if rules.clock_start == "gateway_notice_received":
        started = None
    else:
        started = submitted.received_at if rules.clock_start == "received" else at
    submitted = replace(submitted, clock_at=started)
    unconditional = request.share_class is ShareClass.UNCONDITIONAL
    if around.outside:
        proxy = unconditional and rules.unconditional_inbound == "proxy"
        return replace(submitted, state=_S.PROXY_FETCH if proxy else _S.PRE_REVIEW, clock_at=None)
    if request.share_class is ShareClass.NOT_SHARED:
        disagreement = rules.not_shared_goes_to == "disagreement"
        state = _S.DISAGREEMENT if disagreement else _S.CONSULTING
        return replace(submitted, state=state, clock_at=None)
    controlled = around.controlled_params and rules.controlled_params_approval
    if unconditional and not controlled:
        return replace(submitted, state=_S.GRANTED_DIRECT, clock_at=None)
    return submitted


def _check_submission(request: ShareRequest, rules: RequestRules, around: Circumstances) -> None:
    if rules.onboarding and not around.onboarded:
        raise Refused(
            f"{request.consumer} has to apply for access and sign the pledge first",
            code="ONBOARDING_REQUIRED",
        )
    if around.special_regime is not None:
        raise Refused(
            f"{request.ask.resource} is governed by {around.special_regime}, not by the general "
            "rules of sharing",
            code="SPECIAL_REGIME",
        )
    if not around.same_zone:
        raise Refused(
            f"{request.consumer} is attached to another network zone", code="ZONE_MISMATCH"
        )
    for part in sorted(missing_parts(request.ask, rules.form_fields)):
        raise Refused(f"the request lacks `{part}`", code="FORM_INCOMPLETE")


def missing_parts(ask: Ask, fields: Collection[str]) -> set[str]:
    """Return the parts that the profile asks for and the request does not have (R-080)."""
    missing = {part for part in fields if part not in _ALWAYS_THERE and not ask.form.get(part)}
    if not ask.duty.strip():
        missing.add("duty")
    if not ask.items:
        missing.add("need")
    return missing


def start_clock(request: ShareRequest, *, at: dt.datetime) -> ShareRequest:
    """Note that the gateway's notice has reached the provider: the clock starts now (R-094)."""
    require(request, _S.PENDING)
    if request.clock_at is not None:
        raise StateConflict(f"the clock of request {request.id} has run since {request.clock_at}")
    return replace(request, clock_at=at, received_at=at)


def set_due(request: ShareRequest, due: DueDate) -> ShareRequest:
    """Set what is due; an earlier date is kept beside it (R-083)."""
    if request.due is None or request.due == due:
        return replace(request, due=due)
    return replace(request, due=due, due_before=(*request.due_before, request.due))


def return_incomplete(request: ShareRequest, missing: str) -> ShareRequest:
    """Return a request as incomplete; the clock restarts only on resubmission (R-089)."""
    require(request, *UNDECIDED)
    if not missing.strip():
        raise Refused("name the part that is missing", code="MISSING_PART_REQUIRED")
    return replace(
        request, state=_S.DRAFT, missing=missing, due=None, due_before=(), clock_at=None
    )


def complete(request: ShareRequest, ask: Ask, share_class: ShareClass) -> ShareRequest:
    """Change what a draft asks for."""
    require(request, _S.DRAFT)
    return replace(request, ask=ask, share_class=share_class)


def mark_overdue(request: ShareRequest) -> ShareRequest:
    """Note that the due time is over; the request stays decidable."""
    require(request, _S.PENDING)
    return replace(request, state=_S.OVERDUE)


def approve(request: ShareRequest, decision: Decision) -> ShareRequest:
    """Approve, in full or in part (R-090)."""
    require(request, *UNDECIDED)
    return _authorise(request, decision)


def _authorise(request: ShareRequest, decision: Decision) -> ShareRequest:
    kept = {
        name for name, how in decision.treatments.items() if how is not Treatment.OMIT
    }
    beyond = sorted(kept - set(request.ask.items))
    if beyond:
        raise Refused(
            f"{', '.join(beyond)} was not asked for: a decision narrows a request, never widens it",
            code="BEYOND_REQUEST",
        )
    if decision.valid_until < decision.valid_from:
        raise Refused("the grant would end before it begins", code="PERIOD_INVALID")
    return replace(request, state=_S.AUTHORISED, decision=decision, authorised_at=decision.at)


def refuse(
    request: ShareRequest, refusal: Refusal, rules: RequestRules, *, conditions: Collection[str]
) -> ShareRequest:
    """
    Refuse, with what the profile demands; `conditions` are names that a specific reason may name.

    Under a profile with consent the refusal is only proposed (R-086).
    """
    require(request, *UNDECIDED)
    _check_refusal(refusal, rules, conditions)
    state = _S.REFUSED if rules.consent_by is None else _S.REFUSAL_PROPOSED
    return replace(request, state=state, refusals=(*request.refusals, refusal))


def _check_refusal(refusal: Refusal, rules: RequestRules, conditions: Collection[str]) -> None:
    level = rules.reason_level
    if level != "none_stated" and not refusal.text.strip():
        raise Refused("a refusal needs a reason", code="REASON_REQUIRED")
    if level == "specific" and not (
        refusal.ground and any(name in refusal.text for name in conditions)
    ):
        raise Refused(
            "a refusal needs a coded ground and a text that names the item or condition concerned",
            code="REASON_NOT_SPECIFIC",
        )
    if level in {"written", "written_opinion"} and not refusal.document:
        raise Refused("a refusal needs a signed document", code="WRITTEN_REASON_REQUIRED")
    if level == "written_opinion" and refusal.addressed_to != rules.opinion_to:
        raise Refused(
            f"the written opinion has to be addressed to `{rules.opinion_to}`",
            code="OPINION_MISADDRESSED",
        )
    if rules.statutory_only and not refusal.citation.strip():
        raise Refused(
            "only statutory causes count: cite instrument and article",
            code="STATUTORY_GROUND_REQUIRED",
        )


def consent(request: ShareRequest) -> ShareRequest:
    """Let a proposed refusal take effect."""
    require(request, _S.REFUSAL_PROPOSED)
    return replace(request, state=_S.REFUSED)


def deny_consent(request: ShareRequest, *, late_days: int) -> ShareRequest:
    """Send a proposed refusal back; the original due date stands, late days go on counting."""
    require(request, _S.REFUSAL_PROPOSED)
    return replace(request, state=_S.PENDING, late_days=late_days)


def withdraw(request: ShareRequest) -> ShareRequest:
    """Take an open request back."""
    require(request, *_OPEN)
    return replace(request, state=_S.WITHDRAWN)


# --- talks and escalation -------------------------------------------------------------------------


def appeal(request: ShareRequest, rules: RequestRules) -> ShareRequest:
    """Go on after a refusal, where the profile sends it."""
    require(request, _S.REFUSED)
    states = {"disagreement": _S.DISAGREEMENT, "complaint": _S.COMPLAINT}
    return replace(request, state=states.get(rules.appeal, _S.CONSULTING))


def record_talk(
    request: ShareRequest, talk: Talk, rules: RequestRules, decision: Decision | None
) -> ShareRequest:
    """Record the outcome of a consultation; an agreed one says what was agreed."""
    require(request, _S.CONSULTING, _S.DISAGREEMENT, _S.COMPLAINT)
    talked = replace(request, talks=(*request.talks, talk))
    if not talk.agreed:
        return talked
    if decision is None:
        raise Refused("say what was agreed", code="DECISION_REQUIRED")
    agreed = _authorise(talked, decision)
    if request.share_class is ShareClass.NOT_SHARED and rules.steering_approves_agreed is not None:
        return replace(agreed, state=_S.AWAITING_STEERING, authorised_at=None)
    return agreed


def escalate(
    request: ShareRequest, rules: RequestRules, *, at: dt.datetime, reasons: str
) -> ShareRequest:
    """Put the request before the first body of the chain, once talks have failed (R-092)."""
    require(request, _S.CONSULTING, _S.DISAGREEMENT, _S.COMPLAINT)
    if not any(not talk.agreed for talk in request.talks):
        raise Refused(
            "there is no record of a consultation that failed", code="CONSULTATION_REQUIRED"
        )
    if not rules.chain:
        raise Refused("the profile names no body to escalate to", code="NO_ESCALATION")
    hop = Hop(body=rules.chain[0], at=at, reasons=reasons)
    return replace(request, state=_S.ESCALATED, hops=(*request.hops, hop))


def pass_on(
    request: ShareRequest, rules: RequestRules, *, at: dt.datetime, reasons: str
) -> ShareRequest:
    """Pass an escalation on to the next body of the chain; the last one has to decide."""
    require(request, _S.ESCALATED)
    seen = len(request.hops)
    if seen >= len(rules.chain):
        raise Refused(f"`{request.hops[-1].body}` is the last body: it decides", code="LAST_HOP")
    last = replace(request.hops[-1], decided_at=at, outcome="passed on")
    hop = Hop(body=rules.chain[seen], at=at, reasons=reasons)
    return replace(request, hops=(*request.hops[:-1], last, hop))


def decide_escalation(
    request: ShareRequest, decision: Decision | None, *, at: dt.datetime
) -> ShareRequest:
    """Decide as the body that the request is before; None denies it for good."""
    require(request, _S.ESCALATED)
    last = replace(
        request.hops[-1], decided_at=at, outcome="denied" if decision is None else "authorised"
    )
    decided = replace(request, hops=(*request.hops[:-1], last))
    if decision is None:
        return replace(decided, state=_S.DENIED_FINAL)
    return _authorise(decided, decision)


def steering_decides(request: ShareRequest, *, approved: bool, at: dt.datetime) -> ShareRequest:
    """Let the steering body approve or reject what the parties have agreed (R-099)."""
    require(request, _S.AWAITING_STEERING)
    if not approved:
        return replace(request, state=_S.DENIED_FINAL)
    return replace(request, state=_S.AUTHORISED, authorised_at=at)


# --- the outside ----------------------------------------------------------------------------------


def pre_review(request: ShareRequest, *, passed: bool) -> ShareRequest:
    """Let the steering body pass or reject what asks for an outside resource (R-095)."""
    require(request, _S.PRE_REVIEW)
    return replace(request, state=_S.FORWARDED if passed else _S.REJECTED_PRE_REVIEW)


def record_outside_decision(
    request: ShareRequest, decision: Decision | None, refusal: Refusal | None
) -> ShareRequest:
    """Record what the outside decided; its document number is required (R-100)."""
    require(request, _S.FORWARDED)
    if decision is not None:
        if not decision.document:
            raise Refused("name the document of the decision", code="DOCUMENT_REQUIRED")
        return _authorise(request, replace(decision, basis=Basis.OUTSIDE))
    if refusal is None or not refusal.document:
        raise Refused("name the document of the decision", code="DOCUMENT_REQUIRED")
    return replace(request, state=_S.REFUSED, refusals=(*request.refusals, refusal))


# --- activation -----------------------------------------------------------------------------------


def activate(
    request: ShareRequest, *, grant: str, agreement_signed: bool, at: dt.datetime
) -> ShareRequest:
    """Note that the grant has been activated (R-084)."""
    if request.state is _S.AWAITING_STEERING:
        raise Refused(
            "the steering body has to approve what the parties agreed",
            code="STEERING_APPROVAL_REQUIRED",
        )
    require(request, _S.AUTHORISED)
    if request.agreement is not None and not agreement_signed:
        raise Refused("both sides have to sign the sharing agreement", code="AGREEMENT_REQUIRED")
    return replace(request, state=_S.FULFILLED, grant=grant, activated_at=at)
