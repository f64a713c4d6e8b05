"""
The life of a share request (requirements.md §6.2) as a table; `request_steps` carries it out.

The name of a trigger is the name of the function that carries it out.
"""

from bus.domain.life_cycle import LifeCycle, Step
from bus.domain.request import RequestState

_S = RequestState
_UNDECIDED = (_S.PENDING, _S.OVERDUE)
#: Where consumer and provider talk.
_TALKING = (_S.CONSULTING, _S.DISAGREEMENT, _S.COMPLAINT)
#: Where a class that was loosened makes every decision superfluous (R-063).
_LOOSENED = (*_UNDECIDED, _S.REFUSAL_PROPOSED, _S.CONSULTING, _S.DISAGREEMENT)
_WITH_CLOCK = (*_UNDECIDED, _S.REFUSAL_PROPOSED, _S.AUTHORISED)
_BEFORE_ACTIVATION = (
    *_UNDECIDED,
    _S.REFUSAL_PROPOSED,
    *_TALKING,
    _S.AWAITING_STEERING,
    _S.ESCALATED,
    _S.FORWARDED,
    _S.AUTHORISED,
)
_OPEN: tuple[RequestState, ...] = tuple(
    state for state in RequestState if state != _S.REFUSED and not state.closed
)

REQUEST_LIFE: LifeCycle[RequestState] = LifeCycle(
    name="Share request",
    states=RequestState,
    initial=_S.DRAFT,
    steps=(
        Step(_S.DRAFT, "complete", _S.DRAFT, "by the consumer"),
        Step(_S.DRAFT, "submit", _S.PENDING, "conditional, or controlled parameters"),
        Step(_S.DRAFT, "submit", _S.GRANTED_DIRECT, "unconditional"),
        Step(_S.DRAFT, "submit", _S.CONSULTING, "not shared"),
        Step(_S.DRAFT, "submit", _S.DISAGREEMENT, "not shared, where the profile says so"),
        Step(_S.DRAFT, "submit", _S.PRE_REVIEW, "outside resource, where the profile reviews"),
        Step(_S.DRAFT, "submit", _S.FORWARDED, "outside resource, where it does not"),
        Step(_S.DRAFT, "submit", _S.PROXY_FETCH, "outside, unconditional, fetched by proxy"),
        Step(_S.PENDING, "start_clock", _S.PENDING, "the gateway's notice was received"),
        *(Step(state, "set_due", state, "the clock runs") for state in _WITH_CLOCK),
        Step(_S.PENDING, "return_incomplete", _S.DRAFT, "names the missing part"),
        Step(_S.PENDING, "mark_overdue", _S.OVERDUE, "the due time is over"),
        *(Step(state, "approve", _S.AUTHORISED, "in full or in part") for state in _UNDECIDED),
        *(Step(state, "refuse", _S.REFUSED, "with what the profile asks") for state in _UNDECIDED),
        *(
            Step(state, "refuse", _S.REFUSAL_PROPOSED, "where the authority has to consent")
            for state in _UNDECIDED
        ),
        *(
            Step(state, "open_consultation", _S.CONSULTING, "consent was denied")
            for state in _UNDECIDED
        ),
        Step(_S.REFUSAL_PROPOSED, "consent", _S.REFUSED, "by the authority"),
        Step(_S.REFUSAL_PROPOSED, "deny_consent", _S.PENDING, "the due date stands"),
        Step(_S.REFUSED, "appeal", _S.CONSULTING, "where the profile knows nothing else"),
        Step(_S.REFUSED, "appeal", _S.DISAGREEMENT, "where the profile has that procedure"),
        Step(_S.REFUSED, "appeal", _S.COMPLAINT, "where the profile has complaints"),
        *(Step(state, "record_talk", state, "not agreed") for state in _TALKING),
        *(Step(state, "record_talk", _S.AUTHORISED, "agreed") for state in _TALKING),
        *(
            Step(state, "record_talk", _S.AWAITING_STEERING, "agreed; not shared, to the outside")
            for state in _TALKING
        ),
        *(
            Step(state, "escalate", _S.ESCALATED, "talks failed, or their time is over")
            for state in _TALKING
        ),
        Step(_S.ESCALATED, "pass_on", _S.ESCALATED, "there is a further body"),
        Step(_S.ESCALATED, "decide_escalation", _S.AUTHORISED, "the body grants"),
        Step(_S.ESCALATED, "decide_escalation", _S.DENIED_FINAL, "the body denies"),
        Step(_S.AWAITING_STEERING, "steering_decides", _S.AUTHORISED, "approved"),
        Step(_S.AWAITING_STEERING, "steering_decides", _S.DENIED_FINAL, "not approved"),
        Step(_S.PRE_REVIEW, "pre_review", _S.FORWARDED, "passed"),
        Step(_S.PRE_REVIEW, "pre_review", _S.REJECTED_PRE_REVIEW, "rejected, with a reason"),
        Step(_S.FORWARDED, "arrive", _S.PENDING, "at a provider on this platform: conditional"),
        Step(_S.FORWARDED, "arrive", _S.GRANTED_DIRECT, "at a provider here: unconditional"),
        Step(_S.FORWARDED, "arrive", _S.CONSULTING, "at a provider here: not shared"),
        Step(_S.FORWARDED, "arrive", _S.DISAGREEMENT, "the same, where its profile says so"),
        Step(_S.FORWARDED, "record_outside_decision", _S.AUTHORISED, "with its document number"),
        Step(_S.FORWARDED, "record_outside_decision", _S.REFUSED, "with its document number"),
        Step(_S.PROXY_FETCH, "hand_over", _S.HANDED_OVER, "a grant for the consumer alone"),
        *(
            Step(state, "class_loosened", _S.GRANTED_DIRECT, "the class became unconditional")
            for state in _LOOSENED
        ),
        Step(_S.GRANTED_DIRECT, "grant_directly", _S.GRANTED_DIRECT, "once"),
        *(
            Step(state, "demand_agreement", state, "by either side, where the profile knows it")
            for state in _BEFORE_ACTIVATION
        ),
        Step(_S.AUTHORISED, "activate", _S.FULFILLED, "both sides signed an agreement, if any"),
        *(Step(state, "withdraw", _S.WITHDRAWN, "by the consumer") for state in _OPEN),
    ),
)
