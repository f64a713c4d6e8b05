"""Unit tests of `bus.domain.source_assignment`."""

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain import source_assignment as source
from bus.domain.identity import Actor, Role
from bus.domain.source_assignment import AssignmentState, ElementSources
from bus.errors import Forbidden, NotFound, Refused
from tests.life_cycle_cases import AT, AUTHORITY, CONSUMER, OPERATOR, OWNER, actor

DAY = dt.timedelta(days=1)
TAX = actor("tax", Role.DEPARTMENT)
NOBODY = ElementSources(jurisdiction="cn", element="entity-name")


def claimed(sources: ElementSources = NOBODY, name: str = "a-1") -> ElementSources:
    return source.claim(sources, name, by=OWNER, at=AT)


def confirmed(sources: ElementSources, name: str = "a-1", at: dt.datetime = AT) -> ElementSources:
    return source.confirm(
        sources,
        name,
        standard="GB 11714",
        duty="registers entities",
        valid_from=at,
        by=AUTHORITY,
    )


def active() -> ElementSources:
    return source.activate(confirmed(claimed()), "a-1", at=AT)


def transferred(on: dt.datetime) -> ElementSources:
    return source.transfer(
        active(), "a-1", to="tax", successor="a-2", on=on, reason="functions", by=AUTHORITY, at=AT
    )


def holder(sources: ElementSources, instant: dt.datetime) -> str | None:
    found = sources.source_at(instant)
    return None if found is None else found.organisation


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.code


def test_a_claim_gives_nothing_until_the_authority_confirms_it() -> None:
    """R-035: a self-declared claim stays pending until confirmed."""
    assert holder(claimed(), AT) is None
    assert holder(confirmed(claimed()), AT) == "statistics"
    with pytest.raises(Forbidden):
        source.confirm(claimed(), "a-1", standard="GB", duty="d", valid_from=AT, by=OWNER)


def test_the_authority_fixes_standard_department_and_duty() -> None:
    """R-035, and not the first comer: of two claims it confirms the one it chooses."""
    two = source.claim(claimed(), "a-2", by=TAX, at=AT)

    chosen = confirmed(two, "a-2")

    assert holder(chosen, AT) == "tax"
    assert chosen.get("a-2").standard == "GB 11714"
    assert chosen.get("a-1").state is AssignmentState.CLAIMED
    assert (
        refused(
            lambda: source.confirm(two, "a-1", standard=" ", duty="d", valid_from=AT, by=AUTHORITY)
        )
        == "STANDARD_REQUIRED"
    )


def test_a_second_source_is_rejected_and_the_first_is_named() -> None:
    """R-150, S-07.1: ONE_SOURCE_CONFLICT naming the first."""
    with pytest.raises(Refused, match="statistics is the one source") as caught:
        source.claim(active(), "a-2", by=TAX, at=AT)
    assert caught.value.code == "ONE_SOURCE_CONFLICT"

    two = confirmed(source.claim(claimed(), "a-2", by=TAX, at=AT))
    assert refused(lambda: confirmed(two, "a-2")) == "ONE_SOURCE_CONFLICT"


@pytest.mark.parametrize("by", [OPERATOR, AUTHORITY])
def test_only_a_department_claims(by: Actor) -> None:
    """R-005, R-035."""
    with pytest.raises(Forbidden):
        source.claim(NOBODY, "a-1", by=by, at=AT)


def test_a_transfer_leaves_no_instant_with_two_and_none_with_none() -> None:
    """R-155, S-07.5: events before belong to the old source, after to the new."""
    moment = AT + 10 * DAY
    sources = transferred(on=moment)
    just_before = moment - dt.timedelta(microseconds=1)

    assert (holder(sources, just_before), holder(sources, moment)) == ("statistics", "tax")
    assert sources.get("a-1").state is AssignmentState.ACTIVE
    assert refused(lambda: source.hand_over(sources, "a-1", at=just_before)) == "NOT_DUE"
    assert refused(lambda: source.activate(sources, "a-2", at=just_before)) == "NOT_DUE"

    done = source.activate(sources, "a-2", at=moment)

    assert done == source.hand_over(sources, "a-1", at=moment)
    assert [each.state for each in done.assignments] == [
        AssignmentState.TRANSFERRED,
        AssignmentState.ACTIVE,
    ]
    assert (holder(done, just_before), holder(done, moment)) == ("statistics", "tax")
    assert done.get("a-2").predecessor == "a-1"


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda: transferred(AT - DAY), "TRANSFER_INVALID"),
        (
            lambda: source.transfer(
                active(),
                "a-1",
                to="statistics",
                successor="a-2",
                on=AT,
                reason="x",
                by=AUTHORITY,
                at=AT,
            ),
            "TRANSFER_INVALID",
        ),
        (
            lambda: source.transfer(
                active(), "a-1", to="tax", successor="a-2", on=AT, reason="", by=AUTHORITY, at=AT
            ),
            "REASON_REQUIRED",
        ),
        (
            lambda: source.transfer(
                active(), "a-1", to="tax", successor="a-1", on=AT, reason="x", by=AUTHORITY, at=AT
            ),
            "ASSIGNMENT_EXISTS",
        ),
        (
            lambda: source.transfer(
                transferred(AT + DAY),
                "a-1",
                to="tax",
                successor="a-3",
                on=AT + DAY,
                reason="x",
                by=AUTHORITY,
                at=AT,
            ),
            "TRANSFER_PENDING",
        ),
        (
            lambda: source.end(transferred(AT + DAY), "a-1", reason="x", by=AUTHORITY, at=AT),
            "TRANSFER_PENDING",
        ),
        (lambda: source.hand_over(active(), "a-1", at=AT), "TRANSFER_NOT_DECIDED"),
        (lambda: source.end(active(), "a-1", reason=" ", by=AUTHORITY, at=AT), "REASON_REQUIRED"),
        (lambda: source.reject(claimed(), "a-1", reason="", by=AUTHORITY), "REASON_REQUIRED"),
        (lambda: claimed(claimed()), "ASSIGNMENT_EXISTS"),
    ],
)
def test_what_would_break_history_is_refused(act: Callable[[], object], code: str) -> None:
    """R-155."""
    assert refused(act) == code


def test_an_end_without_successor_is_a_gap_with_its_reason() -> None:
    """R-155: none only with a recorded gap."""
    ended = source.end(active(), "a-1", reason="no longer collected", by=AUTHORITY, at=AT + DAY)

    assert holder(ended, AT) == "statistics"
    assert holder(ended, AT + DAY) is None
    assert ended.get("a-1").reason == "no longer collected"
    again = source.claim(ended, "a-2", by=CONSUMER, at=AT + DAY)
    assert refused(lambda: confirmed(again, "a-2", AT)) == "ONE_SOURCE_CONFLICT"
    assert holder(confirmed(again, "a-2", AT + 2 * DAY), AT + 2 * DAY) == "housing"


def test_an_unknown_assignment_is_not_found() -> None:
    with pytest.raises(NotFound):
        NOBODY.get("a-9")


STEPS = st.tuples(
    st.sampled_from(["claim", "confirm", "activate", "transfer", "hand_over", "end", "reject"]),
    st.integers(0, 5),
    st.integers(0, 3),
)


@given(st.lists(STEPS, max_size=30))
def test_an_element_never_has_two_sources_nor_none_without_a_recorded_gap(
    steps: list[tuple[str, int, int]],
) -> None:
    """R-150, R-155: at each instant one source, whatever is tried, in whatever order."""
    sources, now = NOBODY, AT
    for number, (trigger, which, days) in enumerate(steps):
        now += days * DAY
        name, new = f"a-{which}", f"b-{number}"
        if sources.assignments:
            name = sources.assignments[which % len(sources.assignments)].id
        try:
            sources = _tried(sources, trigger, name, new, now)
        except Refused:
            continue
    edges = {
        edge
        for each in sources.assignments
        for edge in (each.valid_from, each.valid_until)
        if edge is not None
    }
    began = min((each.valid_from for each in sources.assignments if each.valid_from), default=None)
    for instant in {*edges, *(edge - DAY / 2 for edge in edges), now, now + 99 * DAY}:
        holders = [each for each in sources.assignments if each.holds(instant)]
        assert len(holders) <= 1
        if not holders and began is not None and instant >= began:
            last = max(
                (
                    each
                    for each in sources.assignments
                    if each.valid_until is not None and each.valid_until <= instant
                ),
                key=lambda each: (each.valid_until or AT, each.state is AssignmentState.ENDED),
            )
            assert last.state is AssignmentState.ENDED
            assert last.reason


def _tried(
    sources: ElementSources, trigger: str, name: str, new: str, now: dt.datetime
) -> ElementSources:
    match trigger:
        case "claim":
            return source.claim(sources, new, by=OWNER, at=now)
        case "confirm":
            return confirmed(sources, name, now)
        case "activate":
            return source.activate(sources, name, at=now)
        case "transfer":
            return source.transfer(
                sources,
                name,
                to=f"org-{new}",
                successor=new,
                on=now + 2 * DAY,
                reason="functions",
                by=AUTHORITY,
                at=now,
            )
        case "hand_over":
            return source.hand_over(sources, name, at=now)
        case "end":
            return source.end(sources, name, reason="abolished", by=AUTHORITY, at=now)
        case _:
            return source.reject(sources, name, reason="no duty", by=AUTHORITY)
