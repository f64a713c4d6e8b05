"""Unit tests of `bus.domain.request_steps`: the guards, each with its code."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from bus.domain import request_steps as steps
from bus.domain.profile_terms import ClockStart
from bus.domain.request import Basis, Refusal, ShareRequest
from bus.domain.request_checks import link_to_refused
from bus.domain.request_rules import RequestRules
from bus.domain.request_steps import Circumstances
from bus.domain.share import Scope, ShareClass
from bus.domain.view import Treatment
from bus.errors import Refused, StateConflict
from tests.request_cases import (
    ASK,
    AT,
    DAY,
    DUE,
    MOVED,
    S,
    decision,
    refusal,
    request,
    rules,
)

MOA, CITY, HAINAN, YANJIN = map(rules, ("moa-2017", "changzhou-2018", "hainan-2014", "yanjin-2019"))
ACADEMY, OUTWARD = rules("academy-2019"), rules("academy-2019", Scope.EXTERNAL)
NOT_SHARED = ShareClass.NOT_SHARED
UNCONDITIONAL = ShareClass.UNCONDITIONAL


def submit(
    how: RequestRules, share_class: ShareClass = ShareClass.CONDITIONAL, **around: Any
) -> ShareRequest:
    return steps.submit(request(share_class=share_class), how, Circumstances(**around), at=AT)


def refuse(how: RequestRules, held: ShareRequest | None = None, **given: Any) -> ShareRequest:
    return steps.refuse(held or request(S.PENDING), refusal(**given), how, conditions=["condition"])


# --- submission -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "around", "code"),
    [
        (HAINAN, {"onboarded": False}, "ONBOARDING_REQUIRED"),
        (MOA, {"special_regime": "surveying"}, "SPECIAL_REGIME"),
        (MOA, {"same_zone": False}, "ZONE_MISMATCH"),
        (MOA, {"classified": True}, "CLASSIFIED_REFUSED"),
    ],
)
@pytest.mark.parametrize("share_class", ShareClass)
def test_what_forbids_a_request(
    how: RequestRules, around: dict[str, Any], code: str, share_class: ShareClass
) -> None:
    """R-004, R-037, R-064, S-03: also where the class is unconditional."""
    with pytest.raises(Refused) as refused:
        submit(how, share_class, **around)
    assert refused.value.code == code


def test_onboarding_is_asked_only_where_the_profile_asks() -> None:
    """R-004."""
    assert submit(MOA, onboarded=False).state is S.PENDING


@pytest.mark.parametrize(
    ("how", "change", "part"),
    [
        (HAINAN, {"form": {"security_measures": "grade 3"}}, "knowledge_scope"),
        (HAINAN, {"form": {"security_measures": " ", "knowledge_scope": "x"}}, "security_measures"),
        (ACADEMY, {"form": {}}, "annex_2_written"),
        (rules("academy-2019", Scope.EXTERNAL, inbound=True), {"form": {}}, "annex_1"),
        (MOA, {"duty": " "}, "duty"),
        (MOA, {"items": ()}, "need"),
    ],
)
def test_an_incomplete_form_is_refused_with_the_part_that_it_lacks(
    how: RequestRules, change: dict[str, Any], part: str
) -> None:
    """R-080, S-03."""
    held = request(ask=replace(ASK, **change))
    with pytest.raises(Refused, match=f"`{part}`") as refused:
        steps.submit(held, how, Circumstances(), at=AT)
    assert refused.value.code == "FORM_INCOMPLETE"


def test_every_part_that_is_missing_is_named() -> None:
    """R-080."""
    with pytest.raises(Refused, match="`knowledge_scope`, `security_measures`"):
        steps.submit(request(ask=replace(ASK, form={})), HAINAN, Circumstances(), at=AT)


@pytest.mark.parametrize(
    ("how", "share_class", "around", "state"),
    [
        (MOA, UNCONDITIONAL, {}, S.GRANTED_DIRECT),
        (MOA, UNCONDITIONAL, {"controlled_params": True}, S.GRANTED_DIRECT),
        (YANJIN, UNCONDITIONAL, {"controlled_params": True}, S.PENDING),
        (YANJIN, UNCONDITIONAL, {}, S.GRANTED_DIRECT),
        (MOA, ShareClass.CONDITIONAL, {}, S.PENDING),
        (MOA, NOT_SHARED, {}, S.CONSULTING),
        (CITY, NOT_SHARED, {}, S.CONSULTING),
        (ACADEMY, NOT_SHARED, {}, S.CONSULTING),
        (YANJIN, NOT_SHARED, {}, S.DISAGREEMENT),
        (ACADEMY, UNCONDITIONAL, {"outside": True}, S.PROXY_FETCH),
        (MOA, UNCONDITIONAL, {"outside": True}, S.GRANTED_DIRECT),
        (CITY, UNCONDITIONAL, {"outside": True}, S.FORWARDED),
        (MOA, ShareClass.CONDITIONAL, {"outside": True}, S.PRE_REVIEW),
        (ACADEMY, NOT_SHARED, {"outside": True}, S.PRE_REVIEW),
        (CITY, ShareClass.CONDITIONAL, {"outside": True}, S.FORWARDED),
    ],
)
def test_where_a_request_goes(
    how: RequestRules, share_class: ShareClass, around: dict[str, Any], state: S
) -> None:
    """R-062, R-081, R-082, R-091, R-095, R-096, S-04, S-05, S-06."""
    after = submit(how, share_class, **around)
    assert after.state is state
    assert (after.clock_at is not None) is (state is S.PENDING)
    assert (after.talks_since is not None) is (state in {S.CONSULTING, S.DISAGREEMENT})


# --- the clock ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "clock"),
    [(ClockStart.SUBMITTED, AT - 3 * DAY), (ClockStart.RECEIVED, AT - DAY)],
)
def test_on_paper_both_times_are_kept_and_the_profile_names_the_one_that_counts(
    starts: ClockStart, clock: dt.datetime
) -> None:
    """R-082, §6.2 Clock."""
    after = steps.submit(
        request(),
        replace(MOA, clock_start=starts),
        Circumstances(),
        at=AT,
        made_at=AT - 3 * DAY,
        received_at=AT - DAY,
    )
    assert (after.submitted_at, after.received_at) == (AT - 3 * DAY, AT - DAY)
    assert after.clock_at == clock


def test_on_the_platform_all_times_are_one() -> None:
    after = submit(MOA)
    assert after.submitted_at == after.received_at == after.clock_at == AT


@pytest.mark.parametrize(
    "times", [{"received_at": AT + DAY}, {"made_at": AT, "received_at": AT - DAY}]
)
def test_nothing_is_received_before_it_is_made_or_after_it_is_registered(
    times: dict[str, dt.datetime],
) -> None:
    with pytest.raises(Refused) as refused:
        steps.submit(request(), MOA, Circumstances(), at=AT, **times)
    assert refused.value.code == "TIMES_INVALID"


def test_the_academys_outward_clock_starts_with_the_notice_and_once() -> None:
    """R-094, S-06."""
    waiting = submit(OUTWARD)
    assert waiting.clock_at is None
    with pytest.raises(StateConflict):
        steps.set_due(waiting, DUE)
    with pytest.raises(StateConflict):
        steps.mark_overdue(waiting, now=MOVED.ends_at)
    started = steps.start_clock(waiting, at=AT + DAY)
    assert started.clock_at == started.received_at == AT + DAY
    assert started.submitted_at == AT
    with pytest.raises(StateConflict):
        steps.start_clock(started, at=AT + 2 * DAY)


def test_a_moved_due_date_is_kept_beside_the_new_one() -> None:
    """R-083."""
    moved = steps.set_due(steps.set_due(request(S.PENDING), DUE), MOVED)
    assert (moved.due, moved.due_before) == (MOVED, (DUE,))


def test_what_is_not_over_is_not_overdue() -> None:
    """R-083, R-088: an alarm that was set before the date moved rings in vain."""
    moved = steps.set_due(request(S.PENDING), MOVED)
    with pytest.raises(StateConflict):
        steps.mark_overdue(moved, now=DUE.ends_at)
    assert steps.mark_overdue(moved, now=MOVED.ends_at).state is S.OVERDUE


def test_an_overdue_request_stays_decidable() -> None:
    """R-088, S-02."""
    assert steps.approve(request(S.OVERDUE), decision()).state is S.AUTHORISED
    assert refuse(MOA, request(S.OVERDUE)).state is S.REFUSED


def test_the_clock_ends_with_the_answer_or_with_the_supply_where_that_is_covered() -> None:
    """R-084."""
    covering = replace(MOA, covers_supply=True)
    assert steps.clock_runs(request(S.PENDING), MOA)
    assert steps.clock_runs(request(S.OVERDUE), MOA)
    assert not steps.clock_runs(request(S.PENDING, clock_at=None), MOA)
    assert not steps.clock_runs(request(S.AUTHORISED), MOA)
    assert steps.clock_runs(request(S.AUTHORISED), covering)
    assert not steps.clock_runs(request(S.REFUSED), covering)


def test_a_return_names_a_part_and_resubmission_starts_a_new_clock() -> None:
    """R-089."""
    with pytest.raises(Refused) as refused:
        steps.return_incomplete(request(S.PENDING), " ")
    assert refused.value.code == "MISSING_PART_REQUIRED"
    returned = steps.return_incomplete(request(S.PENDING), "purpose")
    assert (returned.missing, returned.clock_at, returned.due) == ("purpose", None, None)
    again = steps.submit(returned, MOA, Circumstances(), at=AT + DAY)
    assert (again.missing, again.clock_at) == ("", AT + DAY)


# --- decisions ------------------------------------------------------------------------------------

KEEP = Treatment.KEEP


@pytest.mark.parametrize(
    ("ask", "given", "code"),
    [
        ({}, {"treatments": {"kind": KEEP, "salary": KEEP}}, "BEYOND_REQUEST"),
        ({"row_filter": "kind == 'void'"}, {}, "BEYOND_REQUEST"),
        ({"valid_until": AT.date()}, {}, "BEYOND_REQUEST"),
        ({}, {"valid_until": AT.date() - DAY}, "PERIOD_INVALID"),
        ({}, {"treatments": {"kind": Treatment.OMIT}}, "DECISION_EMPTY"),
        ({}, {"treatments": {"reg_no": KEEP}}, "DECISION_EMPTY"),
    ],
)
def test_a_decision_narrows_what_was_asked(
    ask: dict[str, Any], given: dict[str, Any], code: str
) -> None:
    """R-090."""
    held = request(S.PENDING, ask=replace(ASK, **ask))
    with pytest.raises(Refused) as refused:
        steps.approve(held, decision(**given))
    assert refused.value.code == code


def test_key_items_belong_to_every_decision_named_or_not() -> None:
    """R-090, S-04: a body that decides on one flag need not name the key."""
    decided = steps.approve(request(S.PENDING), decision(treatments={"kind": Treatment.KEEP}))
    assert decided.decision is not None
    assert decided.decision.treatments == {"reg_no": Treatment.KEEP, "kind": Treatment.KEEP}


def test_an_approval_may_be_partial_and_holds_the_key_that_nobody_asked_for() -> None:
    """R-090, S-02, S-04."""
    after = steps.approve(request(S.PENDING), decision())
    assert after.state is S.AUTHORISED
    assert after.authorised_at == AT
    assert after.activated_at is None
    assert after.decision is not None
    assert after.decision.treatments == decision().treatments


@pytest.mark.parametrize(
    ("how", "given", "code"),
    [
        (CITY, {"text": " "}, "REASON_REQUIRED"),
        (YANJIN, {"text": ""}, "REASON_REQUIRED"),
        (YANJIN, {"text": "inconvenient", "ground": ""}, "REASON_NOT_SPECIFIC"),
        (YANJIN, {"text": "inconvenient"}, "REASON_NOT_SPECIFIC"),
        (YANJIN, {"text": "mankind has no use for it"}, "REASON_NOT_SPECIFIC"),
        (YANJIN, {"ground": " "}, "REASON_NOT_SPECIFIC"),
        (HAINAN, {"document": ""}, "WRITTEN_REASON_REQUIRED"),
        (HAINAN, {"citation": " "}, "STATUTORY_GROUND_REQUIRED"),
        (ACADEMY, {"document": ""}, "WRITTEN_REASON_REQUIRED"),
        (ACADEMY, {"addressed_to": "office"}, "OPINION_MISADDRESSED"),
        (OUTWARD, {"addressed_to": "consumer"}, "OPINION_MISADDRESSED"),
    ],
)
@pytest.mark.parametrize("state", [S.PENDING, S.OVERDUE])
def test_a_refusal_without_what_the_profile_demands_is_none(
    how: RequestRules, given: dict[str, Any], code: str, state: S
) -> None:
    """R-085, R-087, S-02, S-03, S-06."""
    with pytest.raises(Refused) as refused:
        refuse(how, request(state), **given)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("how", "given"),
    [
        (MOA, {"text": "", "ground": "", "document": "", "citation": ""}),
        (CITY, {"ground": "", "document": "", "citation": ""}),
        (YANJIN, {"text": "所申请的kind没有必要", "document": "", "citation": ""}),
        (YANJIN, {"text": "the condition is not met", "document": "", "citation": ""}),
        (HAINAN, {"text": "", "ground": ""}),
        (ACADEMY, {"text": "", "ground": "", "citation": ""}),
        (OUTWARD, {"text": "", "addressed_to": "office"}),
    ],
)
def test_a_refusal_needs_no_more_than_the_profile_demands(
    how: RequestRules, given: dict[str, Any]
) -> None:
    """R-085, S-06."""
    after = refuse(how, **given)
    assert after.state is (S.REFUSAL_PROPOSED if how is HAINAN else S.REFUSED)
    assert len(after.refusals) == 1


# --- consent --------------------------------------------------------------------------------------


def test_a_refusal_takes_effect_with_the_authoritys_consent() -> None:
    """R-086, S-03."""
    after = steps.consent(refuse(HAINAN))
    assert after.state is S.REFUSED
    assert after.refusals[-1].consented is True


def test_a_denied_consent_keeps_due_date_and_late_days() -> None:
    """R-086, S-03."""
    proposed = refuse(HAINAN, request(S.PENDING, due=MOVED, due_before=(DUE,), late_days=4))
    after = steps.deny_consent(proposed, late_days=2)
    assert after.state is S.PENDING
    assert (after.due, after.due_before, after.clock_at) == (MOVED, (DUE,), AT)
    assert after.late_days == 4
    assert steps.deny_consent(proposed, late_days=5).late_days == 5
    assert after.refusals[-1].consented is False


def test_after_a_denied_consent_the_provider_approves_or_opens_a_consultation() -> None:
    """R-086."""
    denied = steps.deny_consent(refuse(HAINAN), late_days=0)
    for again in (refuse, lambda how, held: steps.return_incomplete(held, "purpose")):
        with pytest.raises(Refused) as refused:
            again(HAINAN, denied)
        assert refused.value.code == "CONSENT_DENIED"
    assert steps.approve(denied, decision()).state is S.AUTHORISED
    talking = steps.open_consultation(denied, at=AT)
    assert (talking.state, talking.talks_since) == (S.CONSULTING, AT)


def test_without_a_denied_consent_no_consultation_takes_the_place_of_an_answer() -> None:
    """§6.2."""
    with pytest.raises(StateConflict, match="PENDING"):
        steps.open_consultation(request(S.PENDING), at=AT)


# --- what nobody decides --------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.GRANTED_DIRECT, S.PROXY_FETCH])
def test_a_grant_without_a_decision_says_who_what_and_when(state: S) -> None:
    """R-081, R-096."""
    step = steps.grant_directly if state is S.GRANTED_DIRECT else steps.hand_over
    after = step(request(state), decision(), grant="g-1", at=AT)
    assert (after.grant, after.activated_at) == ("g-1", AT)
    assert after.decision is not None
    assert after.decision.basis is Basis.DIRECT
    with pytest.raises(StateConflict):
        step(after, decision(), grant="g-2", at=AT)


def test_a_loosened_class_resolves_what_is_pending() -> None:
    """R-063."""
    after = steps.class_loosened(request(S.PENDING))
    assert (after.state, after.share_class) == (S.GRANTED_DIRECT, UNCONDITIONAL)


# --- the outside ----------------------------------------------------------------------------------


def test_a_rejection_before_the_request_leaves_needs_a_reason() -> None:
    """R-095, §6.2."""
    with pytest.raises(Refused) as refused:
        steps.pre_review(request(S.PRE_REVIEW), passed=False)
    assert refused.value.code == "REASON_REQUIRED"
    after = steps.pre_review(request(S.PRE_REVIEW), passed=False, reason="no duty", at=AT)
    assert after.refusals == (Refusal(text="no duty", at=AT),)


@pytest.mark.parametrize(
    ("granted", "refused_with"),
    [(None, None), (decision(document=""), None), (None, refusal(document=" "))],
)
def test_an_outside_decision_has_a_document_number(granted: Any, refused_with: Any) -> None:
    """R-100."""
    with pytest.raises(Refused) as refused:
        steps.record_outside_decision(request(S.FORWARDED), granted, refused_with)
    assert refused.value.code == "DOCUMENT_REQUIRED"


@pytest.mark.parametrize("form", [{}, {"annex_1": " "}])
def test_a_bureau_does_not_connect_to_the_outside_by_itself(form: dict[str, str]) -> None:
    """R-096, R-264, S-06: with the annex the gateway body fetches, without it nobody."""
    inbound = rules("academy-2019", inbound=True)
    held = request(share_class=ShareClass.UNCONDITIONAL, ask=replace(ASK, form=form))
    with pytest.raises(Refused, match="annex_1") as refused:
        steps.submit(held, inbound, Circumstances(outside=True), at=AT)
    assert refused.value.code == "GATEWAY_ONLY"
    asked = replace(held, ask=ASK)
    fetched = steps.submit(asked, inbound, Circumstances(outside=True), at=AT)
    assert fetched.state is S.PROXY_FETCH


def test_a_forwarded_request_is_made_anew_at_its_provider() -> None:
    """R-265: the provider's clock starts when it arrives; from then on it is known there."""
    left = request(S.FORWARDED, kept_back=True)
    after = steps.arrive(left, CITY, Circumstances(outside=True), at=AT + DAY)
    assert (after.state, after.clock_at, after.received_at) == (S.PENDING, AT + DAY, AT + DAY)
    assert after.submitted_at == AT
    assert not after.kept_back
    waiting = steps.arrive(left, OUTWARD, Circumstances(), at=AT + DAY)
    assert (waiting.state, waiting.clock_at) == (S.PENDING, None)


def test_an_outside_decision_drives_the_request() -> None:
    """R-095, R-100."""
    held = request(S.FORWARDED)
    granted = steps.record_outside_decision(held, decision(), None)
    assert granted.decision is not None
    assert (granted.state, granted.decision.basis) == (S.AUTHORISED, Basis.OUTSIDE)
    assert steps.record_outside_decision(held, None, refusal()).state is S.REFUSED


# --- activation -----------------------------------------------------------------------------------


def test_a_demanded_agreement_is_signed_before_activation() -> None:
    """R-097, S-03."""
    held = steps.demand_agreement(request(S.AUTHORISED), HAINAN, agreement="a-1")
    with pytest.raises(Refused) as refused:
        steps.activate(held, grant="g-1", agreement_signed=False, at=AT)
    assert refused.value.code == "AGREEMENT_REQUIRED"
    after = steps.activate(held, grant="g-1", agreement_signed=True, at=AT)
    assert (after.state, after.grant, after.activated_at) == (S.FULFILLED, "g-1", AT)
    with pytest.raises(StateConflict, match="a-1"):
        steps.demand_agreement(held, HAINAN, agreement="a-2")


def test_where_the_profile_knows_no_agreements_none_holds_activation_back() -> None:
    """R-097."""
    with pytest.raises(Refused) as refused:
        steps.demand_agreement(request(S.AUTHORISED), MOA, agreement="a-1")
    assert refused.value.code == "AGREEMENT_NOT_IN_PROFILE"
    after = steps.activate(request(S.AUTHORISED), grant="g-1", agreement_signed=False, at=AT)
    assert after.state is S.FULFILLED


# --- applying again -------------------------------------------------------------------------------


def test_the_same_request_again_is_linked_to_the_newest_that_was_refused() -> None:
    """§2.4: re-application after refusal."""
    old = request(S.REFUSED, id="r-0")
    newer = request(S.DENIED_FINAL, id="r-01", created_at=AT + DAY)
    pending = request(S.PENDING, id="r-02", created_at=AT + 2 * DAY)
    others = request(S.REFUSED, id="r-03", consumer="tax", created_at=AT + 3 * DAY)
    turned = replace(ASK, items=ASK.items[::-1], valid_until=AT.date())
    again = link_to_refused(request(ask=turned), [old, newer, pending, others])
    assert again.linked_to == "r-01"


@pytest.mark.parametrize(
    "change", [{"items": ("kind",)}, {"duty": "audits"}, {"row_filter": "kind == 'void'"}]
)
def test_changed_content_is_a_new_case(change: dict[str, Any]) -> None:
    """§2.4."""
    changed = request(ask=replace(ASK, **change), linked_to="r-0")
    assert link_to_refused(changed, [request(S.REFUSED, id="r-0")]).linked_to is None


def test_require_names_the_state() -> None:
    with pytest.raises(StateConflict, match="PENDING"):
        steps.require(request(S.PENDING), S.ESCALATED)
