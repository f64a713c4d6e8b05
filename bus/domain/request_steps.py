"""
How a share request goes from one state to the next (requirements.md §6.2).

Each function takes the request as it is and returns it as it will be, or raises: `Refused` with a
code if a guard does not hold, `StateConflict` for anything that `REQUEST_LIFE` does not list.
Silence is never consent and never refusal: time alone leads nowhere but to OVERDUE (R-088).
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace

from bus.domain.profile_terms import ClockStart, InboundAccess, NotSharedRequest
from bus.domain.profile_terms import Hop as Body
from bus.domain.request import Ask, Basis, Decision, Hop, Refusal, RequestState, ShareRequest, Talk
from bus.domain.request_checks import check_decision, check_refusal, missing_parts
from bus.domain.request_life import REQUEST_LIFE
from bus.domain.request_rules import OUTSIDE_BODIES, RequestRules
from bus.domain.share import ShareClass
from bus.domain.view import Treatment
from bus.domain.working_days import DueDate, is_over
from bus.errors import Forbidden, Refused, StateConflict

_S = RequestState
#: Where the provider may still decide.
UNDECIDED = frozenset({_S.PENDING, _S.OVERDUE})
#: Talks that a third party takes part in: the gateway body, the operator (R-099, R-101).
_THREE_SIDED = frozenset({Body.THREE_WAY_CONSULTATION, Body.THREE_PARTY_MEETING})
_THREE = 3
_PASSED_ON = "passed on"
_AUTHORISED = "authorised"
_DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What matters at submission besides the request itself."""

    onboarded: bool = True
    special_regime: str | None = None
    classified: bool = False
    """Whether the resource, or what the request says, carries a secrecy marking (R-064)."""
    same_zone: bool = True
    outside: bool = False
    """Whether the resource is an outside body's (§6.2)."""
    controlled_params: bool = False


def require(request: ShareRequest, *states: RequestState) -> None:
    """Raise `StateConflict` unless the request is in one of `states`."""
    if request.state not in states:
        raise StateConflict(
            f"share request {request.id} is {request.state}; this needs "
            f"{' or '.join(sorted(str(state) for state in states))}"
        )


def _require(request: ShareRequest, trigger: str) -> None:
    REQUEST_LIFE.require(request.id, request.state, trigger)


def _move(request: ShareRequest, trigger: str, to: RequestState | None = None) -> RequestState:
    return REQUEST_LIFE.move(request.id, request.state, trigger, to=to)


# --- the draft ------------------------------------------------------------------------------------


def complete(request: ShareRequest, ask: Ask, share_class: ShareClass) -> ShareRequest:
    """Change what a draft asks for."""
    return replace(request, state=_move(request, "complete"), ask=ask, share_class=share_class)


def submit(
    request: ShareRequest,
    rules: RequestRules,
    around: Circumstances,
    *,
    at: dt.datetime,
    made_at: dt.datetime | None = None,
    received_at: dt.datetime | None = None,
) -> ShareRequest:
    """
    Submit a draft: check its form, and send it where its class sends it.

    On the platform it is made, received and registered (`at`) in one instant. On paper it is made
    and received earlier: both times are kept, and the clock starts with the one the profile names.
    """
    _require(request, "submit")
    _check_submission(request, rules, around)
    received = received_at or at
    made = made_at or received
    if not made <= received <= at:
        raise Refused(
            "a request is first made, then received, then registered", code="TIMES_INVALID"
        )
    state = _move(request, "submit", _destination(request, rules, around))
    entered = _entered(request, state, rules, made_at=made, received_at=received, at=at)
    return replace(entered, submitted_at=made, missing="")


def _entered(
    request: ShareRequest,
    state: RequestState,
    rules: RequestRules,
    *,
    made_at: dt.datetime,
    received_at: dt.datetime,
    at: dt.datetime,
) -> ShareRequest:
    talking = state in {_S.CONSULTING, _S.DISAGREEMENT}
    starts = {ClockStart.SUBMITTED: made_at, ClockStart.RECEIVED: received_at}
    return replace(
        request,
        state=state,
        received_at=received_at,
        clock_at=starts.get(rules.clock_start) if state is _S.PENDING else None,
        talks_since=at if talking else None,
    )


def _destination(request: ShareRequest, rules: RequestRules, around: Circumstances) -> RequestState:
    unconditional = request.share_class is ShareClass.UNCONDITIONAL
    if around.outside and _fetched_by_proxy(request, rules):
        return _S.PROXY_FETCH
    if around.outside and unconditional and rules.unconditional_inbound is InboundAccess.DIRECT:
        return _S.GRANTED_DIRECT
    if around.outside:
        return _S.PRE_REVIEW if request.share_class in rules.pre_review else _S.FORWARDED
    if request.share_class is ShareClass.NOT_SHARED:
        disagreement = rules.not_shared_goes_to is NotSharedRequest.DISAGREEMENT
        return _S.DISAGREEMENT if disagreement else _S.CONSULTING
    controlled = around.controlled_params and rules.controlled_params_approval
    return _S.GRANTED_DIRECT if unconditional and not controlled else _S.PENDING


def _fetched_by_proxy(request: ShareRequest, rules: RequestRules) -> bool:
    unconditional = request.share_class is ShareClass.UNCONDITIONAL
    return unconditional and rules.unconditional_inbound is InboundAccess.PROXY


def _check_submission(request: ShareRequest, rules: RequestRules, around: Circumstances) -> None:
    if around.classified:
        raise Refused("content with a secrecy marking is refused here", code="CLASSIFIED_REFUSED")
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
    missing = missing_parts(request.ask, rules.form_fields)
    if around.outside and missing & rules.form_fields and _fetched_by_proxy(request, rules):
        raise Refused(
            "only the gateway body may connect to the outside: let it fetch the data, with "
            f"{', '.join(sorted(rules.form_fields))}",
            code="GATEWAY_ONLY",
        )
    if missing:
        named = ", ".join(f"`{part}`" for part in sorted(missing))
        raise Refused(f"the request lacks {named}", code="FORM_INCOMPLETE")


# --- the clock ------------------------------------------------------------------------------------


def start_clock(request: ShareRequest, *, at: dt.datetime) -> ShareRequest:
    """Note that the gateway's notice has reached the provider: the clock starts now (R-094)."""
    state = _move(request, "start_clock")
    if request.clock_at is not None:
        raise StateConflict(
            f"share request {request.id} is {request.state}; its clock has run since "
            f"{request.clock_at}"
        )
    return replace(request, state=state, clock_at=at, received_at=at)


def set_due(request: ShareRequest, due: DueDate) -> ShareRequest:
    """Set what is due; an earlier date is kept beside it (R-083)."""
    _require(request, "set_due")
    if request.clock_at is None:
        raise StateConflict(
            f"share request {request.id} is {request.state}; its clock has not started"
        )
    if request.due is None or request.due == due:
        return replace(request, due=due)
    return replace(request, due=due, due_before=(*request.due_before, request.due))


def clock_runs(request: ShareRequest, rules: RequestRules) -> bool:
    """
    Tell whether the provider can still become later.

    It ends with the answer; where the deadline covers supply, only with activation (R-084).
    """
    if request.clock_at is None:
        return False
    supplying = rules.covers_supply and request.state is _S.AUTHORISED
    return request.state in UNDECIDED or supplying


def mark_overdue(request: ShareRequest, *, now: dt.datetime) -> ShareRequest:
    """
    Note that the due time is over; the request stays decidable.

    A due time that was moved since (R-083) and is not over `now` is refused.
    """
    state = _move(request, "mark_overdue")
    if request.due is None or not is_over(request.due, now):
        raise StateConflict(f"share request {request.id} is {request.state}, and not late")
    return replace(request, state=state)


def return_incomplete(request: ShareRequest, missing: str) -> ShareRequest:
    """Return a request as incomplete; the clock restarts only on resubmission (R-089)."""
    state = _move(request, "return_incomplete")
    _check_consent_not_denied(request)
    if not missing.strip():
        raise Refused("name the part that is missing", code="MISSING_PART_REQUIRED")
    return replace(request, state=state, missing=missing, due=None, due_before=(), clock_at=None)


# --- the provider's decision ----------------------------------------------------------------------


def approve(request: ShareRequest, decision: Decision) -> ShareRequest:
    """Approve as the provider, in full or in part (R-090)."""
    state = _move(request, "approve")
    return _granted(request, decision, Basis.PROVIDER, state)


def _granted(
    request: ShareRequest, decision: Decision, basis: Basis, state: RequestState
) -> ShareRequest:
    # What a grant rests on decides whether it may hold not-shared items: no caller may choose it.
    check_decision(request.ask, decision)
    authorised = decision.at if state is not _S.AWAITING_STEERING else None
    # Key items belong to every view, named or not.
    whole = {**dict.fromkeys(request.ask.keys, Treatment.KEEP), **decision.treatments}
    decided = replace(decision, basis=basis, treatments=whole)
    return replace(request, state=state, decision=decided, authorised_at=authorised)


def refuse(
    request: ShareRequest, refusal: Refusal, rules: RequestRules, *, conditions: Collection[str]
) -> ShareRequest:
    """
    Refuse, with what the profile demands.

    `conditions`: what a specific reason may name besides the items that are asked for. Under a
    profile with consent the refusal is only proposed (R-086).
    """
    _require(request, "refuse")
    _check_consent_not_denied(request)
    check_refusal(refusal, rules, {*request.ask.items, *conditions})
    state = _S.REFUSED if rules.consent_by is None else _S.REFUSAL_PROPOSED
    return replace(
        request,
        state=_move(request, "refuse", state),
        refusals=(*request.refusals, replace(refusal, consented=None)),
    )


def consent(request: ShareRequest) -> ShareRequest:
    """Let a proposed refusal take effect."""
    return replace(_answered(request, consented=True), state=_move(request, "consent"))


def deny_consent(request: ShareRequest, *, late_days: int) -> ShareRequest:
    """
    Send a proposed refusal back; the original due date stands, late days go on counting.

    The provider has to approve or to open a consultation (R-086).
    """
    state = _move(request, "deny_consent")
    late = max(request.late_days, late_days)
    return replace(_answered(request, consented=False), state=state, late_days=late)


def _answered(request: ShareRequest, *, consented: bool) -> ShareRequest:
    _require(request, "consent")
    last = replace(request.refusals[-1], consented=consented)
    return replace(request, refusals=(*request.refusals[:-1], last))


def _consent_denied(request: ShareRequest) -> bool:
    return bool(request.refusals) and request.refusals[-1].consented is False


def _check_consent_not_denied(request: ShareRequest) -> None:
    if _consent_denied(request):
        raise Refused(
            "the authority does not consent to a refusal: approve, or open a consultation",
            code="CONSENT_DENIED",
        )


def withdraw(request: ShareRequest) -> ShareRequest:
    """Take an open request back."""
    return replace(request, state=_move(request, "withdraw"))


# --- what nobody has to decide --------------------------------------------------------------------


def class_loosened(request: ShareRequest) -> ShareRequest:
    """Note that the class became unconditional, so that nobody has to decide any more (R-063)."""
    state = _move(request, "class_loosened")
    return replace(request, state=state, share_class=ShareClass.UNCONDITIONAL)


def grant_directly(
    request: ShareRequest, decision: Decision, *, grant: str, at: dt.datetime
) -> ShareRequest:
    """Record the grant that needed nobody's decision: what, for what, when (R-081)."""
    state = _move(request, "grant_directly")
    if request.grant is not None:
        raise StateConflict(
            f"share request {request.id} is {request.state}, with grant {request.grant}"
        )
    granted = _granted(request, decision, Basis.DIRECT, state)
    return replace(granted, grant=grant, activated_at=at)


def hand_over(
    request: ShareRequest, decision: Decision, *, grant: str, at: dt.datetime
) -> ShareRequest:
    """Record that the gateway body handed over what it fetched, to the consumer alone (R-096)."""
    granted = _granted(request, decision, Basis.DIRECT, _move(request, "hand_over"))
    return replace(granted, grant=grant, activated_at=at)


# --- talks and escalation -------------------------------------------------------------------------


def open_consultation(request: ShareRequest, *, at: dt.datetime) -> ShareRequest:
    """Talk to the consumer, as the provider whose refusal got no consent may (R-086)."""
    state = _move(request, "open_consultation")
    if not _consent_denied(request):
        raise StateConflict(
            f"share request {request.id} is {request.state}; approve or refuse it: no consent "
            "was denied"
        )
    return replace(request, state=state, talks_since=at)


def appeal(request: ShareRequest, rules: RequestRules, *, at: dt.datetime) -> ShareRequest:
    """Go on after a refusal, where the profile sends it; the time for talks begins `at`."""
    _require(request, "appeal")
    if request.share_class in rules.unheard:
        raise Refused("the profile names nobody who hears this case", code="NO_ESCALATION")
    states = {"disagreement": _S.DISAGREEMENT, "complaint": _S.COMPLAINT}
    state = _move(request, "appeal", states.get(rules.appeal, _S.CONSULTING))
    return replace(request, state=state, talks_since=at)


def record_talk(
    request: ShareRequest, talk: Talk, rules: RequestRules, decision: Decision | None
) -> ShareRequest:
    """Record the outcome of a consultation; an agreed one says what was agreed."""
    _require(request, "record_talk")
    talked = replace(request, talks=(*request.talks, talk))
    if not talk.agreed:
        return talked
    if decision is None:
        raise Refused("say what was agreed", code="DECISION_REQUIRED")
    _check_parties(request, talk, rules)
    waits = (
        request.share_class is ShareClass.NOT_SHARED and rules.steering_approves_agreed is not None
    )
    state = _move(request, "record_talk", _S.AWAITING_STEERING if waits else _S.AUTHORISED)
    return _granted(talked, decision, Basis.CONSULTATION, state)


def _check_parties(request: ShareRequest, talk: Talk, rules: RequestRules) -> None:
    absent = {request.consumer, request.provider}.difference(talk.parties)
    if absent:
        raise Refused(
            f"{', '.join(sorted(absent))} did not take part in the talks", code="PARTY_MISSING"
        )
    if rules.talks in _THREE_SIDED and len({*talk.parties, talk.by}) < _THREE:
        raise Refused(f"a `{rules.talks}` needs a third party", code="PARTY_MISSING")


def escalate(
    request: ShareRequest,
    rules: RequestRules,
    *,
    at: dt.datetime,
    by: str,
    reasons: str,
    papers: tuple[str, ...] = (),
    time_over: bool = False,
) -> ShareRequest:
    """
    Put the request before the first body of the chain, once talks have failed (R-092).

    `by`: the organisation that wants it. `time_over`: the talks had the time that the profile
    gives them (`escalate_after_wd` since `talks_since`): silence cannot block (§2.4).
    """
    state = _move(request, "escalate")
    if rules.consumer_raises and by == request.provider:
        raise Forbidden("under this profile the consumer alone may escalate")
    # A complaint goes to its body at once where the profile asks for no talks (002).
    talks = rules.talks is not None or request.state is not _S.COMPLAINT
    if talks and not time_over and all(talk.agreed for talk in request.talks):
        raise Refused(
            "there is no record of a consultation that failed", code="CONSULTATION_REQUIRED"
        )
    if not rules.chain:
        raise Refused("the profile names no body to escalate to", code="NO_ESCALATION")
    hop = Hop(body=rules.chain[0], at=at, by=by, reasons=reasons, papers=papers)
    return replace(request, state=state, hops=(*request.hops, hop))


def pass_on(
    request: ShareRequest,
    rules: RequestRules,
    *,
    at: dt.datetime,
    reasons: str,
    papers: tuple[str, ...] = (),
) -> ShareRequest:
    """Pass an escalation on to the next body of the chain; the last one has to decide."""
    state = _move(request, "pass_on")
    seen = len(request.hops)
    if seen >= len(rules.chain):
        raise Refused(f"`{request.hops[-1].body}` is the last body: it decides", code="LAST_HOP")
    passed = _decided(request, _PASSED_ON, at=at)
    hop = Hop(body=rules.chain[seen], at=at, reasons=reasons, papers=papers)
    return replace(passed, state=state, hops=(*passed.hops, hop))


def decide_escalation(
    request: ShareRequest,
    decision: Decision | None,
    *,
    at: dt.datetime,
    note: str = "",
    document: str = "",
) -> ShareRequest:
    """
    Decide as the body that the request is before; None denies it for good.

    What a body outside the system decides is recorded with its document number (R-100), which is
    `document` or stands in the decision.
    """
    _require(request, "decide_escalation")
    number = document or (decision.document if decision is not None else "")
    outside = request.hops[-1].body in OUTSIDE_BODIES
    if outside and not number.strip():
        raise Refused("name the document of the decision", code="DOCUMENT_REQUIRED")
    outcome = _DENIED if decision is None else _AUTHORISED
    decided = _decided(request, outcome, at=at, note=note, document=number)
    if decision is None:
        state = _move(request, "decide_escalation", _S.DENIED_FINAL)
        return replace(decided, state=state)
    return _granted(
        decided,
        replace(decision, document=number),
        Basis.OUTSIDE if outside else Basis.ESCALATION,
        _move(request, "decide_escalation", _S.AUTHORISED),
    )


def _decided(
    request: ShareRequest, outcome: str, *, at: dt.datetime, note: str = "", document: str = ""
) -> ShareRequest:
    last = replace(request.hops[-1], decided_at=at, outcome=outcome, note=note, document=document)
    return replace(request, hops=(*request.hops[:-1], last))


def steering_decides(
    request: ShareRequest, *, approved: bool, at: dt.datetime, note: str = ""
) -> ShareRequest:
    """Let the steering body approve or reject what the parties have agreed (R-099)."""
    state = _move(request, "steering_decides", _S.AUTHORISED if approved else _S.DENIED_FINAL)
    talk = request.talks[-1]
    hop = Hop(
        body=Body.STEERING,
        at=talk.at,
        by=talk.by,
        reasons=talk.note,
        decided_at=at,
        outcome=_AUTHORISED if approved else _DENIED,
        note=note,
    )
    return replace(
        request,
        state=state,
        hops=(*request.hops, hop),
        decision=request.decision if approved else None,
        authorised_at=at if approved else None,
    )


# --- the outside ----------------------------------------------------------------------------------


def pre_review(
    request: ShareRequest,
    *,
    passed: bool,
    reason: str = "",
    by: str = "",
    at: dt.datetime | None = None,
) -> ShareRequest:
    """Let the steering body pass or reject what asks for an outside resource (R-095)."""
    state = _move(request, "pre_review", _S.FORWARDED if passed else _S.REJECTED_PRE_REVIEW)
    if passed:
        return replace(request, state=state)
    if not reason.strip():
        raise Refused("a rejection needs a reason", code="REASON_REQUIRED")
    rejection = Refusal(text=reason, by=by, at=at)
    return replace(request, state=state, refusals=(*request.refusals, rejection))


def arrive(
    request: ShareRequest, rules: RequestRules, around: Circumstances, *, at: dt.datetime
) -> ShareRequest:
    """
    Put a forwarded request before a provider that is on this platform, under its own `rules`.

    It is the provider's jurisdiction's from now on, and was made there now (R-265).
    """
    state = _move(request, "arrive", _destination(request, rules, replace(around, outside=False)))
    arrived = _entered(request, state, rules, made_at=at, received_at=at, at=at)
    return replace(arrived, kept_back=False)


def record_outside_decision(
    request: ShareRequest, decision: Decision | None, refusal: Refusal | None
) -> ShareRequest:
    """Record what the outside decided; its document number is required (R-100)."""
    _require(request, "record_outside_decision")
    if decision is not None and decision.document.strip():
        state = _move(request, "record_outside_decision", _S.AUTHORISED)
        return _granted(request, decision, Basis.OUTSIDE, state)
    if decision is not None or refusal is None or not refusal.document.strip():
        raise Refused("name the document of the decision", code="DOCUMENT_REQUIRED")
    state = _move(request, "record_outside_decision", _S.REFUSED)
    return replace(request, state=state, refusals=(*request.refusals, refusal))


# --- activation -----------------------------------------------------------------------------------


def demand_agreement(request: ShareRequest, rules: RequestRules, *, agreement: str) -> ShareRequest:
    """Note the sharing agreement that a side demands: activation waits for it (R-097)."""
    state = _move(request, "demand_agreement")
    if not rules.agreement:
        raise Refused("the profile knows no sharing agreements", code="AGREEMENT_NOT_IN_PROFILE")
    if request.agreement is not None:
        raise StateConflict(
            f"share request {request.id} is {request.state}, with agreement {request.agreement}"
        )
    return replace(request, state=state, agreement=agreement)


def activate(
    request: ShareRequest, *, grant: str, agreement_signed: bool, at: dt.datetime
) -> ShareRequest:
    """Note that the operator has activated the grant (R-084)."""
    if request.state is _S.AWAITING_STEERING:
        raise Refused(
            "the steering body has to approve what the parties agreed",
            code="STEERING_APPROVAL_REQUIRED",
        )
    state = _move(request, "activate")
    if request.agreement is not None and not agreement_signed:
        raise Refused("both sides have to sign the sharing agreement", code="AGREEMENT_REQUIRED")
    return replace(request, state=state, grant=grant, activated_at=at)
