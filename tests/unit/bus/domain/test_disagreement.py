"""Unit tests of `bus.domain.disagreement`."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bus.domain import disagreement
from bus.domain.disagreement import (
    AmendedKind,
    Disagreement,
    DisagreementRules,
    DisagreementState,
    Party,
    Subject,
)
from bus.domain.identity import Actor
from bus.errors import Forbidden, Refused
from tests import builders
from tests.life_cycle_cases import (
    AT,
    AUTHORITY,
    CONSUMER,
    LATER,
    OPERATOR,
    OUTCOME,
    OWNER,
    STEERING,
)
from tests.life_cycle_cases import DISAGREEMENT as NEW
from tests.life_cycle_cases import DISAGREEMENT_RULES as COUNTY


def meeting() -> Disagreement:
    return disagreement.convene(NEW, COUNTY, meeting_at=LATER, by=AUTHORITY)


def referred() -> Disagreement:
    return disagreement.refer(meeting(), COUNTY, reason="no agreement", by=AUTHORITY)


@pytest.mark.parametrize("by", [OWNER, CONSUMER])
@pytest.mark.parametrize("subject", Subject)
def test_either_side_opens_one_about_conditions_reasons_or_results(
    by: Actor, subject: Subject
) -> None:
    """R-101: by either side, also after approval."""
    opened = replace(NEW, subject=subject, opened_by=by.organisation)

    assert disagreement.open_disagreement(opened, COUNTY, by=by) == opened


def test_the_authority_convenes_provider_consumer_and_operator() -> None:
    """R-101, S-15.1."""
    called = meeting()

    assert called.invited == {Party.PROVIDER, Party.CONSUMER, Party.OPERATOR}
    assert (called.state, called.meeting_at, called.convened_by) == (
        DisagreementState.MEETING,
        LATER,
        "bigdata",
    )


@pytest.mark.parametrize("held", [NEW, meeting(), referred()])
def test_the_grant_stays_in_force_until_an_outcome_amends_it(held: Disagreement) -> None:
    """R-101, S-15.1: the partial grant stays in force meanwhile."""
    assert not held.closed
    assert held.outcome is None
    assert held.about == builders.GRANT


def test_an_agreement_amends_the_grant() -> None:
    """S-15.2: agreement widens one item: amended grant version."""
    settled = disagreement.settle(meeting(), COUNTY, OUTCOME, by=AUTHORITY)

    assert settled.closed
    assert settled.outcome is not None
    assert (settled.outcome.amends, settled.outcome.amended) == (
        AmendedKind.GRANT,
        builders.GRANT,
    )


def test_without_agreement_the_government_decides_and_that_is_final() -> None:
    """R-100, R-101, S-15.2: recorded with its number."""
    assert referred().referred_to == "县政府"
    with pytest.raises(Refused) as refused:
        disagreement.decide(referred(), replace(OUTCOME, document=" "), by=STEERING)
    assert refused.value.code == "DOCUMENT_REQUIRED"

    decided = disagreement.decide(referred(), OUTCOME, by=STEERING)

    assert (decided.state, decided.closed) == (DisagreementState.DECIDED, True)


def test_an_outcome_may_leave_everything_as_it_was() -> None:
    """R-101."""
    unchanged = replace(OUTCOME, amends=None, amended=None)

    assert disagreement.settle(meeting(), COUNTY, unchanged, by=AUTHORITY).closed


@pytest.mark.parametrize(
    "act",
    [
        lambda: disagreement.open_disagreement(NEW, COUNTY, by=OPERATOR),
        lambda: disagreement.open_disagreement(NEW, COUNTY, by=AUTHORITY),
        lambda: disagreement.convene(NEW, COUNTY, meeting_at=AT, by=OPERATOR),
        lambda: disagreement.settle(meeting(), COUNTY, OUTCOME, by=CONSUMER),
        lambda: disagreement.refer(meeting(), COUNTY, reason="x", by=OWNER),
        lambda: disagreement.decide(referred(), OUTCOME, by=OWNER),
    ],
)
def test_sides_disagree_and_the_convener_convenes(act: Callable[[], object]) -> None:
    """R-005, R-101."""
    with pytest.raises(Forbidden):
        act()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (
            lambda: disagreement.open_disagreement(NEW, DisagreementRules(), by=CONSUMER),
            "DISAGREEMENT_NOT_OFFERED",
        ),
        (
            lambda: disagreement.open_disagreement(
                NEW,
                replace(COUNTY, subjects=frozenset({Subject.SHARING_CONDITION})),
                by=CONSUMER,
            ),
            "SUBJECT_NOT_ALLOWED",
        ),
        (
            lambda: disagreement.open_disagreement(replace(NEW, reasons=" "), COUNTY, by=CONSUMER),
            "REASON_REQUIRED",
        ),
        (
            lambda: disagreement.refer(meeting(), COUNTY, reason="", by=AUTHORITY),
            "REASON_REQUIRED",
        ),
        (
            lambda: disagreement.settle(meeting(), COUNTY, replace(OUTCOME, text=""), by=AUTHORITY),
            "REASON_REQUIRED",
        ),
        (
            lambda: disagreement.settle(
                meeting(), COUNTY, replace(OUTCOME, amended=None), by=AUTHORITY
            ),
            "OUTCOME_INCOMPLETE",
        ),
    ],
)
def test_what_is_not_offered_or_incomplete_is_refused(act: Callable[[], object], code: str) -> None:
    """R-101: where the profile knows the procedure, on its subjects."""
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.code == code


def test_only_a_new_one_is_opened() -> None:
    with pytest.raises(LookupError):
        disagreement.open_disagreement(meeting(), COUNTY, by=CONSUMER)
