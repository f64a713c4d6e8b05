"""Unit tests of `bus.domain.request_life`: the table is what the steps do, and nothing else is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain import request_steps as steps
from bus.domain.request import Basis, RequestState, ShareRequest
from bus.domain.request_life import REQUEST_LIFE
from bus.domain.request_rules import RequestRules
from bus.domain.share import ShareClass
from bus.domain.view import Treatment
from bus.errors import Refused, StateConflict
from tests.request_cases import ASK, MOVED, STEPS, S, every_rules, refusal, request

RULES = every_rules()
EVERY = [(state, trigger) for state in RequestState for trigger in STEPS]
LISTED = [each for each in EVERY if REQUEST_LIFE.follow(*each)]
#: Activation before the steering body has approved has an error of its own.
NOT_LISTED = sorted({*EVERY} - {*LISTED} - {(S.AWAITING_STEERING, "activate")})


def played(state: RequestState, trigger: str) -> set[RequestState]:
    """Return where `trigger` leads from `state` under any profile, for any class."""
    found = set()
    for rules in RULES:
        for share_class in ShareClass:
            held = _ready(request(state, share_class=share_class), trigger)
            for step in STEPS[trigger]:
                try:
                    found.add(step(held, rules).state)
                except StateConflict:
                    raise
                except Refused:
                    continue
    return found


def _ready(held: ShareRequest, trigger: str) -> ShareRequest:
    """Return `held` with what the trigger needs of its past."""
    if trigger == "start_clock":
        return replace(held, clock_at=None, due=None)
    if trigger == "open_consultation":
        return replace(held, refusals=(refusal(consented=False),))
    return held


def test_every_trigger_of_the_table_is_a_step() -> None:
    assert set(REQUEST_LIFE.triggers) == STEPS.keys()
    assert all(hasattr(steps, trigger) for trigger in STEPS)


@pytest.mark.parametrize(("state", "trigger"), LISTED)
def test_a_step_leads_exactly_where_the_table_says(state: RequestState, trigger: str) -> None:
    """§6.2: under some profile each listed way is gone, and under none another one."""
    assert played(state, trigger) == set(REQUEST_LIFE.follow(state, trigger))


@pytest.mark.parametrize(("state", "trigger"), NOT_LISTED)
def test_what_is_not_listed_is_refused_with_the_state_in_the_message(
    state: RequestState, trigger: str
) -> None:
    """§6.2: anything not listed is refused with the current state in the error."""
    held = _ready(request(state), trigger)
    for rules in RULES:
        for step in STEPS[trigger]:
            with pytest.raises(StateConflict, match=rf"\b{state}\b") as refused:
                step(held, rules)
            assert refused.value.code == "STATE_CONFLICT"


def test_no_step_leads_out_of_a_closed_state() -> None:
    out = {each.state for each in REQUEST_LIFE.steps if each.next is not each.state}
    assert {state for state in RequestState if state.closed} == set(RequestState) - out


@pytest.mark.parametrize("state", RequestState)
def test_time_alone_leads_to_overdue_and_nowhere_else(state: RequestState) -> None:
    """R-088: silence is never consent and never refusal."""
    try:
        later = steps.mark_overdue(request(state), now=MOVED.ends_at).state
    except StateConflict:
        later = state
    assert later is (S.OVERDUE if state is S.PENDING else state)


@given(
    rules=st.sampled_from(RULES),
    share_class=st.sampled_from(ShareClass),
    walk=st.lists(st.tuples(st.booleans(), st.integers(0, 999), st.integers(0, 2)), max_size=30),
)
def test_no_walk_breaks_what_always_holds(
    rules: RequestRules, share_class: ShareClass, walk: list[tuple[bool, int, int]]
) -> None:
    """§6.2, R-086, R-088, R-090, R-099 under every profile, whatever is tried in which order."""
    held = request(share_class=share_class)
    for wild, which, way in walk:
        listed = [name for name in STEPS if REQUEST_LIFE.follow(held.state, name)]
        names = list(STEPS) if wild or not listed else listed
        trigger = names[which % len(names)]
        try:
            after = STEPS[trigger][way % len(STEPS[trigger])](held, rules)
        except Refused:
            continue
        _check(held, trigger, after, rules)
        held = after


def _check(before: ShareRequest, trigger: str, after: ShareRequest, rules: RequestRules) -> None:
    assert after.state in REQUEST_LIFE.follow(before.state, trigger)
    assert not before.state.closed or after.state is before.state
    if after.state in {S.AUTHORISED, S.FULFILLED, S.HANDED_OVER}:
        assert after.decision is not None
    if after.decision is not None:
        kept = {k for k, how in after.decision.treatments.items() if how is not Treatment.OMIT}
        assert kept <= {*ASK.items, *ASK.keys}
        assert after.decision.basis is not Basis.DISPATCH
    if after.state is S.AUTHORISED and after.share_class is ShareClass.NOT_SHARED:
        assert after.decision is not None
        assert after.decision.basis is not Basis.PROVIDER
    for name in ("refusals", "talks", "hops"):
        assert len(getattr(after, name)) >= len(getattr(before, name))
    if trigger == "deny_consent":
        assert (after.due, after.due_before) == (before.due, before.due_before)
        assert after.late_days >= before.late_days
    if after.state is S.REFUSED and rules.consent_by is not None and trigger == "refuse":
        raise AssertionError("refused without consent")
