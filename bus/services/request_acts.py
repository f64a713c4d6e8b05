"""What the acts on share requests have in common: seeing, counting, saving, giving (§6.2)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

from bus.domain import request_steps as steps
from bus.domain.cases import CaseFilter, Held
from bus.domain.class_change import CLASS_TIGHTENED
from bus.domain.deadline import Deadline
from bus.domain.entry import CatalogEntry
from bus.domain.grant import GrantState
from bus.domain.identity import Actor, Role
from bus.domain.organisation import Organisation
from bus.domain.request import Basis, Decision, RequestState, ShareRequest
from bus.domain.request_life import REQUEST_LIFE
from bus.domain.request_rules import RequestRules, request_rules
from bus.domain.submission import needs_no_decision
from bus.domain.view import Treatment
from bus.domain.working_days import DueDate, due_date, local_day
from bus.errors import NotFound, Refused
from bus.services import grants as grant_steps
from bus.services.asking import active_organisation, class_of
from bus.services.desk import Act, Desk
from bus.services.ids import new_id
from bus.services.kinds import REQUEST
from bus.services.visibility import may_see
from bus.views.row_filter import FilterCompiler

SUBJECT = "request"
DUE = "due"
#: Where the provider's answer is due.
UNDECIDED = frozenset({RequestState.PENDING, RequestState.OVERDUE})
#: Where a request is the consumer's jurisdiction's matter.
_AT_HOME = frozenset({RequestState.PRE_REVIEW, RequestState.PROXY_FETCH})
#: Where a loosened class makes every decision superfluous (R-063).
_LOOSENED = frozenset(step.state for step in REQUEST_LIFE.steps if step.trigger == "class_loosened")
#: What a body is told under a name of its own.
_CODES = {RequestState.REFUSAL_PROPOSED: "CONSENT_ASKED"}
#: What the parties are told where the name of the state alone says too little.
_TEXTS = {
    RequestState.REFUSAL_PROPOSED: "the provider proposes to refuse it: awaiting consent (待同意)",
    RequestState.AWAITING_STEERING: "it is agreed: awaiting the steering body's approval",
}


def seen(act: Act, request: str) -> Held[ShareRequest]:
    """Return a request; raise `NotFound` if there is none, or if it is not the actor's to see."""
    held = act.get(REQUEST, request)
    value = held.value
    act.jurisdiction = value.jurisdiction
    # What was not let out of the consumer's jurisdiction does not exist for the provider.
    parties = {value.consumer} if value.kept_back else {value.consumer, value.provider}
    places = {value.jurisdiction, value.home or value.jurisdiction}
    if not any(may_see(act.actor, place, parties) for place in places):
        raise NotFound(f"there is no request {request!r}, or it is not yours to see")
    return held


def look(desk: Desk, actor: Actor, request: str) -> Held[ShareRequest]:
    """Return a request as it is now, for an actor who may see it."""
    with desk.look(actor) as act:
        return seen(act, request)


def rules_of(act: Act, request: ShareRequest) -> RequestRules:
    """Return the rules that govern a request where it is."""
    return request_rules(
        act.profile(request.jurisdiction),
        request.scope,
        higher_level=request.higher_level,
        inbound=request.kept_back,
    )


def save(act: Act, held: Held[ShareRequest], changed: ShareRequest) -> None:
    """Save a request, and tell who did not do it what became of it."""
    act.replace(REQUEST, held, changed)
    act.details["state"] = str(changed.state)
    if changed.state not in UNDECIDED:
        act.transaction.clear_deadlines(SUBJECT, changed.id)
    parties = [changed.consumer] if changed.kept_back else [changed.consumer, changed.provider]
    text = _TEXTS.get(changed.state, f"it is {changed.state} now")
    for party in parties:
        if party != act.actor.organisation:
            act.tell(party, f"REQUEST_{changed.state}", SUBJECT, changed.id, text)
    if changed.state is not held.value.state:
        ask_body(act, changed, rules_of(act, changed))


def ask_body(act: Act, request: ShareRequest, rules: RequestRules) -> None:
    """Tell the body that a request has come before, if it has, that something is asked of it."""
    gateway = act.profile(request.jurisdiction).gateway
    through = str(Role.OFFICE) if gateway is None else gateway.body
    asked: Mapping[RequestState, tuple[str | None, str]] = {
        RequestState.PRE_REVIEW: (
            rules.pre_review.get(request.share_class),
            "it asks for an outside resource: pass it, or reject it with a reason",
        ),
        RequestState.PROXY_FETCH: (through, "fetch the outside data, and hand it over"),
        RequestState.FORWARDED: (through, "put it to the outside, and record its decision"),
        RequestState.AWAITING_STEERING: (
            rules.steering_approves_agreed,
            "the parties agree to share what is not shared: approve, or not",
        ),
        RequestState.REFUSAL_PROPOSED: (rules.consent_by, "a refusal is proposed: consent, or not"),
    }
    body, text = asked.get(request.state, (None, ""))
    if body is not None:
        code = _CODES.get(request.state, f"REQUEST_{request.state}")
        act.tell(body, code, SUBJECT, request.id, text)


def with_due(act: Act, request: ShareRequest, rules: RequestRules) -> ShareRequest:
    """Count the due date from where the clock started, and let it ring."""
    if request.clock_at is None or rules.reply_deadline_wd is None:
        return request
    due = due_date(request.clock_at, rules.reply_deadline_wd, act.calendar())
    ring(act, request.id, due)
    return steps.set_due(request, due)


def ring(act: Act, request: str, due: DueDate) -> None:
    """Let the clock ring when the due time of a request is over."""
    act.transaction.set_deadline(
        Deadline(subject_kind=SUBJECT, subject=request, kind=DUE, due_at=due.ends_at)
    )


def check_decision(act: Act, request: ShareRequest, compile_filter: FilterCompiler) -> None:
    """Refuse a decision that the entry does not allow, before anything is activated."""
    if request.decision is None:
        return
    entry = grant_steps.entry_of(act, request.ask.resource)
    grant = grant_steps.of_decision(request.grant or request.id, request, request.decision, entry)
    grant_steps.check(act, grant, entry, compile_filter)


def give(act: Act, request: ShareRequest, compile_filter: FilterCompiler) -> None:
    """Put the grant of a request in force, in the place of one that a tightened class suspended."""
    if request.decision is None or request.grant is None:
        raise LookupError(f"request {request.id} has no decision")
    if rules_of(act, request).onboarding and not act.onboarded(request.consumer):
        # Its access may have lapsed since it asked.
        raise Refused(
            f"{request.consumer} has no access to the platform", code="ONBOARDING_REQUIRED"
        )
    entry = grant_steps.entry_of(act, request.ask.resource)
    grant = grant_steps.of_decision(request.grant, request, request.decision, entry)
    grant_steps.check(act, grant, entry, compile_filter)
    grant_steps.activate(act, grant)
    for held in act.transaction.live([grant.resource]).grants.values():
        tightened = held.grant.suspended_because.startswith(CLASS_TIGHTENED)
        if held.grant.consumer == grant.consumer and held.grant.id != grant.id and tightened:
            grant_steps.save(act, held.grant, held.version, GrantState.SUPERSEDED, "grant.amended")


def grant_directly(
    act: Act, request: ShareRequest, rules: RequestRules, compile_filter: FilterCompiler
) -> ShareRequest:
    """Give what needs nobody's decision (R-081)."""
    today = local_day(act.now)
    longest = rules.grant_ends(today)
    decision = Decision(
        treatments=dict.fromkeys(request.ask.items, Treatment.KEEP),
        row_filter=request.ask.row_filter,
        valid_from=today,
        valid_until=min(request.ask.valid_until or longest, longest),
        mode=request.ask.mode,
        purpose=request.ask.purpose,
        basis=Basis.DIRECT,
        by=request.provider,
        at=act.now,
    )
    granted = steps.grant_directly(request, decision, grant=new_id("g", act.now), at=act.now)
    give(act, granted, compile_filter)
    return granted


def enter(
    act: Act,
    request: ShareRequest,
    received_at: dt.datetime | None,
    compile_filter: FilterCompiler,
) -> ShareRequest:
    """
    Submit a draft, and do what its new state asks for at once.

    What asks for an outside resource is checked by both sides' rules. Where the consumer's side
    reviews it or fetches it by proxy, it is that side's and stays there (R-095, R-096, R-265).
    """
    entry = grant_steps.entry_of(act, request.ask.resource)
    consumer = active_organisation(act, request.consumer)
    provider = active_organisation(act, request.provider)
    around = _around(act, entry, consumer, provider)
    theirs = replace(request, jurisdiction=entry.jurisdiction, home=_home(entry, consumer))
    if leaves(act, consumer, provider):
        ours = replace(theirs, jurisdiction=consumer.jurisdiction, kept_back=True)
        outward = replace(around, outside=True)
        entered = steps.submit(
            ours, rules_of(act, ours), outward, at=act.now, received_at=received_at
        )
        if provider.jurisdiction != consumer.jurisdiction:
            arrived = steps.submit(
                theirs, rules_of(act, theirs), around, at=act.now, received_at=received_at
            )
            entered = entered if entered.state in _AT_HOME else arrived
        elif entered.state not in _AT_HOME:
            entered = replace(entered, kept_back=False)
    else:
        entered = steps.submit(
            theirs, rules_of(act, theirs), around, at=act.now, received_at=received_at
        )
    act.details |= {"resource": request.ask.resource, "state": str(entered.state)}
    settled = _settled(act, entered, compile_filter)
    if not settled.kept_back:
        text = f"{settled.consumer} asks for {settled.ask.resource}"
        act.tell(settled.provider, f"REQUEST_{settled.state}", SUBJECT, settled.id, text)
    ask_body(act, settled, rules_of(act, settled))
    return settled


def arrive(act: Act, request: ShareRequest, compile_filter: FilterCompiler) -> ShareRequest:
    """
    Put what was let out before its provider, whose jurisdiction it is from now on.

    A provider that only stands for an outside body stays forwarded: its decision is recorded.
    """
    entry = grant_steps.entry_of(act, request.ask.resource)
    consumer = active_organisation(act, request.consumer)
    provider = active_organisation(act, request.provider)
    if provider.jurisdiction == consumer.jurisdiction:
        return replace(request, kept_back=False)
    theirs = replace(
        request,
        jurisdiction=entry.jurisdiction,
        share_class=class_of(request.ask, entry, request.scope),
        kept_back=False,
    )
    around = _around(act, entry, consumer, provider)
    arrived = steps.arrive(theirs, rules_of(act, theirs), around, at=act.now)
    act.note(
        "request.forwarded", SUBJECT, request.id, to=entry.jurisdiction, state=str(arrived.state)
    )
    return _settled(act, arrived, compile_filter)


def leaves(act: Act, consumer: Organisation, provider: Organisation) -> bool:
    """Tell whether a request leaves a jurisdiction that has a gateway (R-264)."""
    outside = provider.outside or provider.jurisdiction != consumer.jurisdiction
    return (
        outside and not consumer.outside and act.profile(consumer.jurisdiction).gateway is not None
    )


def _settled(act: Act, entered: ShareRequest, compile_filter: FilterCompiler) -> ShareRequest:
    """Name the profile, let the clock run, and give what needs nobody's decision."""
    profile = act.profile(entered.jurisdiction)
    entered = replace(entered, profile=profile.name, profile_version=str(profile.version))
    rules = rules_of(act, entered)
    entered = with_due(act, entered, rules)
    if entered.state is RequestState.GRANTED_DIRECT:
        return grant_directly(act, entered, rules, compile_filter)
    return entered


def _home(entry: CatalogEntry, consumer: Organisation) -> str:
    return "" if consumer.jurisdiction == entry.jurisdiction else consumer.jurisdiction


def _around(
    act: Act, entry: CatalogEntry, consumer: Organisation, provider: Organisation
) -> steps.Circumstances:
    return steps.Circumstances(
        onboarded=act.onboarded(consumer.code),
        special_regime=None if entry.special_regime is None else entry.special_regime.code,
        same_zone=consumer.zone is provider.zone,
        controlled_params=bool(entry.controlled_parameters),
    )


def resolve_loosened(act: Act, entry: CatalogEntry, compile_filter: FilterCompiler) -> None:
    """Grant the open requests that a new version of their entry asks nobody to decide (R-063)."""
    where = CaseFilter(resource=entry.resource, states=frozenset(map(str, _LOOSENED)))
    for held in act.all(REQUEST, where):
        request = held.value
        items = frozenset((*request.ask.items, *request.ask.keys))
        if not needs_no_decision(entry, request.scope, items):
            continue
        loosened = steps.class_loosened(request)
        try:
            granted = grant_directly(act, loosened, rules_of(act, request), compile_filter)
        except Refused as fault:
            # Its rows or its mode are no longer possible: it waits for its provider as before.
            act.tell(
                request.provider,
                "REQUEST_STILL_OPEN",
                SUBJECT,
                request.id,
                f"{fault.code}: {fault}",
            )
            continue
        act.note("request.fulfilled", SUBJECT, request.id, grant=granted.grant or "")
        act.replace(REQUEST, held, granted)
        act.transaction.clear_deadlines(SUBJECT, request.id)
        for party in (request.consumer, request.provider):
            text = "its class became unconditional: it is granted, and needs no decision"
            act.tell(party, f"REQUEST_{granted.state}", SUBJECT, request.id, text)
