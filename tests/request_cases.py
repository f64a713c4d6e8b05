"""Share requests in every state, and every step with whatever its guards ask for."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from bus.adapters.definitions.profiles import load_profiles
from bus.domain import request_steps as steps
from bus.domain.entry import DeliveryMode
from bus.domain.profile import Profile
from bus.domain.request import (
    Ask,
    Basis,
    Decision,
    Hop,
    Refusal,
    RequestState,
    ShareRequest,
    Talk,
)
from bus.domain.request_rules import RequestRules, request_rules
from bus.domain.share import Purpose, Scope, ShareClass
from bus.domain.view import Treatment
from bus.domain.working_days import DueDate

S = RequestState
DAY = dt.timedelta(days=1)
AT = dt.datetime(2019, 9, 25, 8, 40, tzinfo=dt.UTC)
DUE = DueDate(
    day=dt.date(2019, 10, 8),
    provisional=False,
    ends_at=dt.datetime(2019, 10, 8, 16, tzinfo=dt.UTC),
)
MOVED = replace(DUE, day=DUE.day + DAY, ends_at=DUE.ends_at + DAY)
CONSUMER, PROVIDER, CONVENER = "housing", "civil-affairs", "bigdata"
PROFILES = ("moa-2017", "changzhou-2018", "hainan-2014", "academy-2019", "yanjin-2019")
ASK = Ask(
    resource="marriages",
    items=("party_id", "kind"),
    keys=("reg_no",),
    purpose=Purpose.DATA_VERIFICATION,
    duty="registers real estate",
    mode=DeliveryMode.KAFKA,
    form={
        "knowledge_scope": "the registry",
        "security_measures": "grade 3",
        "annex_1": "sha256:1",
        "annex_2_written": "sha256:2",
    },
)


@cache
def profiles() -> dict[str, Profile]:
    """Return the profiles that come with the bus."""
    return load_profiles()


def rules(name: str, scope: Scope = Scope.INTERNAL, **how: bool) -> RequestRules:
    """Return the rules of a profile."""
    return request_rules(profiles()[name], scope, **how)


def every_rules() -> list[RequestRules]:
    """Return the rules of each profile in each scope, with and without the higher level."""
    return [
        rules(name, scope, higher_level=higher)
        for name in PROFILES
        for scope in Scope
        for higher in (False, True)
    ]


def request(state: RequestState = S.DRAFT, **overrides: Any) -> ShareRequest:
    """Return a request as it stands when it has come to `state`."""
    values: dict[str, Any] = {
        "id": "r-1",
        "jurisdiction": "yanjin",
        "provider": PROVIDER,
        "consumer": CONSUMER,
        "scope": Scope.INTERNAL,
        "ask": ASK,
        "share_class": ShareClass.CONDITIONAL,
        "state": state,
        "created_at": AT,
    }
    if state is not S.DRAFT:
        values |= {"submitted_at": AT, "received_at": AT}
    if state in {S.PENDING, S.OVERDUE, S.REFUSAL_PROPOSED, S.AUTHORISED}:
        values |= {"clock_at": AT, "due": DUE}
    if state in {S.REFUSAL_PROPOSED, S.REFUSED}:
        values["refusals"] = (refusal(),)
    if state in {S.CONSULTING, S.DISAGREEMENT, S.COMPLAINT}:
        values |= {"talks": (talk(agreed=False),), "talks_since": AT}
    if state is S.ESCALATED:
        values["hops"] = (Hop(body="authority", at=AT, reasons="no agreement"),)
    if state is S.AWAITING_STEERING:
        values |= {"talks": (talk(),), "decision": decision()}
    if state in {S.AUTHORISED, S.FULFILLED}:
        values |= {"decision": decision(), "authorised_at": AT}
    return ShareRequest(**(values | overrides))


def decision(**overrides: Any) -> Decision:
    """Return a decision for part of what is asked; it claims a basis that it does not have."""
    values: dict[str, Any] = {
        "treatments": {
            "reg_no": Treatment.KEEP,
            "kind": Treatment.KEEP,
            "party_id": Treatment.OMIT,
        },
        "row_filter": None,
        "valid_from": AT.date(),
        "valid_until": AT.date() + 365 * DAY,
        "mode": DeliveryMode.KAFKA,
        "purpose": Purpose.DATA_VERIFICATION,
        "basis": Basis.DISPATCH,
        "by": PROVIDER,
        "at": AT,
        "document": "2019-7",
    }
    return Decision(**(values | overrides))


def refusal(**overrides: Any) -> Refusal:
    """Return a refusal that every profile accepts inside."""
    values: dict[str, Any] = {
        "text": "party_id is not needed for the duty",
        "ground": "beyond_duty",
        "citation": "Marriage Registration Regulation, article 17",
        "document": "sha256:9",
        "addressed_to": "consumer",
        "by": PROVIDER,
        "at": AT,
    }
    return Refusal(**(values | overrides))


def talk(*, agreed: bool = True, **overrides: Any) -> Talk:
    """Return the outcome of talks of three parties."""
    values: dict[str, Any] = {
        "at": AT,
        "by": CONVENER,
        "agreed": agreed,
        "note": "met",
        "parties": (CONSUMER, PROVIDER, CONVENER),
    }
    return Talk(**(values | overrides))


def _submit(held: ShareRequest, how: RequestRules, **around: Any) -> ShareRequest:
    return steps.submit(held, how, steps.Circumstances(**around), at=AT)


def _arrive(held: ShareRequest, how: RequestRules, **around: Any) -> ShareRequest:
    return steps.arrive(held, how, steps.Circumstances(outside=True, **around), at=AT)


def _refuse(held: ShareRequest, how: RequestRules) -> ShareRequest:
    given = refusal(addressed_to=how.opinion_to or "")
    return steps.refuse(held, given, how, conditions=())


#: Each step in each of its ways, by the name of its trigger.
STEPS: Mapping[str, tuple[Callable[[ShareRequest, RequestRules], ShareRequest], ...]] = {
    "complete": (lambda held, _: steps.complete(held, ASK, held.share_class),),
    "submit": (
        _submit,
        lambda held, how: _submit(held, how, controlled_params=True),
        lambda held, how: _submit(held, how, outside=True),
    ),
    "start_clock": (lambda held, _: steps.start_clock(held, at=AT),),
    "set_due": (
        lambda held, _: steps.set_due(held, DUE),
        lambda held, _: steps.set_due(held, MOVED),
    ),
    "return_incomplete": (lambda held, _: steps.return_incomplete(held, "annex_1"),),
    "mark_overdue": (lambda held, _: steps.mark_overdue(held, now=MOVED.ends_at),),
    "approve": (lambda held, _: steps.approve(held, decision()),),
    "refuse": (_refuse,),
    "open_consultation": (lambda held, _: steps.open_consultation(held, at=AT),),
    "consent": (lambda held, _: steps.consent(held),),
    "deny_consent": (
        lambda held, _: steps.deny_consent(held, late_days=0),
        lambda held, _: steps.deny_consent(held, late_days=3),
    ),
    "appeal": (lambda held, how: steps.appeal(held, how, at=AT),),
    "record_talk": (
        lambda held, how: steps.record_talk(held, talk(), how, decision()),
        lambda held, how: steps.record_talk(held, talk(agreed=False), how, None),
    ),
    "escalate": (
        lambda held, how: steps.escalate(held, how, at=AT, by=CONSUMER, reasons="no agreement"),
    ),
    "pass_on": (lambda held, how: steps.pass_on(held, how, at=AT, reasons="beyond our powers"),),
    "decide_escalation": (
        lambda held, _: steps.decide_escalation(held, decision(), at=AT),
        lambda held, _: steps.decide_escalation(held, None, at=AT, document="2019-8"),
    ),
    "steering_decides": (
        lambda held, _: steps.steering_decides(held, approved=True, at=AT),
        lambda held, _: steps.steering_decides(held, approved=False, at=AT),
    ),
    "pre_review": (
        lambda held, _: steps.pre_review(held, passed=True),
        lambda held, _: steps.pre_review(held, passed=False, reason="no duty needs it"),
    ),
    "arrive": (_arrive, lambda held, how: _arrive(held, how, controlled_params=True)),
    "record_outside_decision": (
        lambda held, _: steps.record_outside_decision(held, decision(), None),
        lambda held, _: steps.record_outside_decision(held, None, refusal()),
    ),
    "hand_over": (lambda held, _: steps.hand_over(held, decision(), grant="g-1", at=AT),),
    "class_loosened": (lambda held, _: steps.class_loosened(held),),
    "grant_directly": (lambda held, _: steps.grant_directly(held, decision(), grant="g-1", at=AT),),
    "demand_agreement": (lambda held, how: steps.demand_agreement(held, how, agreement="a-1"),),
    "activate": (lambda held, _: steps.activate(held, grant="g-1", agreement_signed=True, at=AT),),
    "withdraw": (lambda held, _: steps.withdraw(held),),
}
