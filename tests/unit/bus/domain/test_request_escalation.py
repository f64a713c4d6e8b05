"""Unit tests of `bus.domain.request_steps`: talks, appeals and the bodies that decide."""

from dataclasses import replace
from typing import Any

import pytest

from bus.domain import request_steps as steps
from bus.domain.request import Basis, Hop
from bus.domain.request_rules import RequestRules
from bus.domain.share import Scope, ShareClass
from bus.errors import Forbidden, Refused
from tests.request_cases import (
    AT,
    CONSUMER,
    DAY,
    PROVIDER,
    S,
    decision,
    request,
    rules,
    talk,
)

MOA, CITY, HAINAN, YANJIN = map(rules, ("moa-2017", "changzhou-2018", "hainan-2014", "yanjin-2019"))
ACADEMY, OUTWARD = rules("academy-2019"), rules("academy-2019", Scope.EXTERNAL)
NOT_SHARED = ShareClass.NOT_SHARED


# --- talks and escalation -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "state"),
    [
        (MOA, S.CONSULTING),
        (CITY, S.CONSULTING),
        (ACADEMY, S.CONSULTING),
        (HAINAN, S.COMPLAINT),
        (YANJIN, S.DISAGREEMENT),
    ],
)
def test_where_a_refused_request_goes(how: RequestRules, state: S) -> None:
    """§6.2, R-092, D8."""
    after = steps.appeal(request(S.REFUSED), how, at=AT)
    assert (after.state, after.talks_since) == (state, AT)


def test_where_nobody_hears_a_class_there_is_no_appeal() -> None:
    """D8."""
    deaf = replace(ACADEMY, unheard=frozenset({ShareClass.CONDITIONAL}))
    with pytest.raises(Refused) as refused:
        steps.appeal(request(S.REFUSED), deaf, at=AT)
    assert refused.value.code == "NO_ESCALATION"


def test_an_agreement_says_what_was_agreed() -> None:
    """R-091."""
    with pytest.raises(Refused) as refused:
        steps.record_talk(request(S.CONSULTING), talk(), MOA, None)
    assert refused.value.code == "DECISION_REQUIRED"
    after = steps.record_talk(request(S.CONSULTING), talk(), MOA, decision())
    assert after.state is S.AUTHORISED
    assert after.decision is not None
    assert after.decision.basis is Basis.CONSULTATION


@pytest.mark.parametrize(
    ("how", "parties"),
    [(MOA, (CONSUMER,)), (OUTWARD, (CONSUMER, PROVIDER)), (YANJIN, (CONSUMER, PROVIDER))],
)
def test_an_agreement_needs_the_parties(how: RequestRules, parties: tuple[str, ...]) -> None:
    """R-099, R-101: three of them where the profile says so."""
    with pytest.raises(Refused) as refused:
        steps.record_talk(
            request(S.CONSULTING), talk(by=PROVIDER, parties=parties), how, decision()
        )
    assert refused.value.code == "PARTY_MISSING"


def test_what_the_academy_agrees_about_not_shared_outward_waits_for_the_steering_body() -> None:
    """R-099, S-06."""
    held = request(S.CONSULTING, share_class=NOT_SHARED)
    waiting = steps.record_talk(held, talk(), OUTWARD, decision())
    assert (waiting.state, waiting.authorised_at) == (S.AWAITING_STEERING, None)
    with pytest.raises(Refused) as refused:
        steps.activate(waiting, grant="g-1", agreement_signed=True, at=AT)
    assert refused.value.code == "STEERING_APPROVAL_REQUIRED"
    approved = steps.steering_decides(waiting, approved=True, at=AT + DAY)
    assert (approved.state, approved.authorised_at) == (S.AUTHORISED, AT + DAY)
    assert approved.hops[-1].outcome == "authorised"
    denied = steps.steering_decides(waiting, approved=False, at=AT, note="not outward")
    assert (denied.state, denied.decision) == (S.DENIED_FINAL, None)
    assert steps.record_talk(held, talk(), ACADEMY, decision()).state is S.AUTHORISED


@pytest.mark.parametrize("talks", [(), (talk(),)])
@pytest.mark.parametrize("how", [MOA, CITY, ACADEMY, YANJIN])
def test_nothing_is_escalated_without_talks_that_failed(
    how: RequestRules, talks: tuple[Any, ...]
) -> None:
    """R-092, S-04."""
    held = request(S.CONSULTING, talks=talks)
    with pytest.raises(Refused) as refused:
        steps.escalate(held, how, at=AT, by=CONSUMER, reasons="no")
    assert refused.value.code == "CONSULTATION_REQUIRED"


def test_talks_whose_time_is_over_need_not_have_failed() -> None:
    """§2.4: either side may escalate after ten working days."""
    held = request(S.CONSULTING, talks=())
    after = steps.escalate(held, CITY, at=AT, by=PROVIDER, reasons="no answer", time_over=True)
    assert after.state is S.ESCALATED


def test_a_complaint_goes_to_its_body_at_once() -> None:
    """R-092: 002 knows no talks before it; what was opened instead of an answer are talks."""
    how: dict[str, Any] = {"at": AT, "by": CONSUMER, "reasons": "no"}
    after = steps.escalate(request(S.COMPLAINT, talks=()), HAINAN, **how)
    assert after.hops[-1].body == "authority"
    with pytest.raises(Refused):
        steps.escalate(request(S.CONSULTING, talks=()), HAINAN, **how)


@pytest.mark.parametrize("how", [MOA, ACADEMY, HAINAN])
def test_where_the_consumer_raises_cases_the_provider_does_not(how: RequestRules) -> None:
    """R-092, `escalation.raised_by`."""
    with pytest.raises(Forbidden):
        steps.escalate(request(S.CONSULTING), how, at=AT, by=PROVIDER, reasons="no")


def test_a_chain_without_a_body_leads_nowhere() -> None:
    """R-092."""
    with pytest.raises(Refused) as refused:
        steps.escalate(
            request(S.CONSULTING), replace(CITY, chain=()), at=AT, by=CONSUMER, reasons="no"
        )
    assert refused.value.code == "NO_ESCALATION"


def test_each_hop_keeps_body_reasons_papers_decision_and_date() -> None:
    """R-092."""
    held = steps.escalate(
        request(S.COMPLAINT), HAINAN, at=AT, by=CONSUMER, reasons="refused", papers=("sha256:1",)
    )
    held = steps.pass_on(held, HAINAN, at=AT + DAY, reasons="too far", papers=("sha256:2",))
    with pytest.raises(Refused) as refused:
        steps.pass_on(held, HAINAN, at=AT, reasons="too far")
    assert refused.value.code == "LAST_HOP"
    after = steps.decide_escalation(held, None, at=AT + 2 * DAY, note="no duty")
    assert after.state is S.DENIED_FINAL
    assert after.hops == (
        Hop(
            body="authority",
            at=AT,
            by=CONSUMER,
            reasons="refused",
            papers=("sha256:1",),
            decided_at=AT + DAY,
            outcome="passed on",
        ),
        Hop(
            body="steering",
            at=AT + DAY,
            reasons="too far",
            papers=("sha256:2",),
            decided_at=AT + 2 * DAY,
            outcome="denied",
            note="no duty",
        ),
    )


def test_what_a_conference_decides_has_a_document_number() -> None:
    """R-100, S-05."""
    outside = Hop(body="interministerial_conference", at=AT, reasons="no agreement")
    held = request(S.ESCALATED, hops=(outside,))
    for decided in (None, decision(document=" ")):
        with pytest.raises(Refused) as refused:
            steps.decide_escalation(held, decided, at=AT)
        assert refused.value.code == "DOCUMENT_REQUIRED"
    granted = steps.decide_escalation(held, decision(), at=AT)
    assert granted.decision is not None
    assert (granted.decision.basis, granted.hops[-1].document) == (Basis.OUTSIDE, "2019-7")
    denied = steps.decide_escalation(held, None, at=AT, document="2019-8")
    assert (denied.state, denied.hops[-1].document) == (S.DENIED_FINAL, "2019-8")


@pytest.mark.parametrize("basis", Basis)
def test_nobody_chooses_what_a_grant_rests_on(basis: Basis) -> None:
    """R-091, R-099: what rests on talks may hold not-shared items, an approval may not."""
    given = decision(basis=basis)
    approved = steps.approve(request(S.PENDING), given).decision
    escalated = steps.decide_escalation(request(S.ESCALATED), given, at=AT).decision
    assert approved is not None
    assert escalated is not None
    assert (approved.basis, escalated.basis) == (Basis.PROVIDER, Basis.ESCALATION)
