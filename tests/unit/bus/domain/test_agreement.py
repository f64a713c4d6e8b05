"""Unit tests of `bus.domain.agreement`."""

import pytest

from bus.domain import agreement
from bus.domain.agreement import Agreement, AgreementState
from bus.domain.identity import Actor, Role
from bus.errors import Forbidden, Refused
from tests import builders
from tests.life_cycle_cases import AGREEMENT, AT, CONSUMER, OPERATOR, OWNER, actor

TEXT = AGREEMENT.document_sha256


def signed(held: Agreement, by: Actor) -> Agreement:
    return agreement.sign(held, document_sha256=TEXT, by=by, at=AT)


@pytest.mark.parametrize("by", [OWNER, CONSUMER])
def test_either_side_may_ask_and_both_have_to_sign_before_anything_is_activated(
    by: Actor,
) -> None:
    """R-097, S-03.6: no delivery before both signatures."""
    asked = agreement.ask(
        "g-2",
        request="r-1",
        provider=builders.PROVIDER,
        consumer=builders.CONSUMER,
        document="paper",
        document_sha256=TEXT,
        by=by,
        at=AT,
    )
    half = signed(asked, OWNER)
    for held in (asked, half):
        with pytest.raises(Refused) as refused:
            agreement.require_signed(held)
        assert refused.value.code == "AGREEMENT_REQUIRED"
        assert by.organisation in str(refused.value)

    whole = signed(half, CONSUMER)

    agreement.require_signed(whole)
    assert whole.state is AgreementState.SIGNED
    assert [each.organisation for each in whole.signatures] == ["statistics", "housing"]


def test_where_nobody_asks_for_an_agreement_none_is_needed() -> None:
    """R-097."""
    agreement.require_signed(None)


def test_a_side_signs_once_and_the_same_text() -> None:
    """R-097: two signatures of one side are no agreement."""
    half = signed(AGREEMENT, CONSUMER)

    with pytest.raises(Refused) as refused:
        signed(half, CONSUMER)
    assert refused.value.code == "ALREADY_SIGNED"
    with pytest.raises(Refused) as refused:
        agreement.sign(half, document_sha256="ef" * 32, by=OWNER, at=AT)
    assert refused.value.code == "DOCUMENT_DIFFERS"


@pytest.mark.parametrize(
    "by", [OPERATOR, actor("tax", Role.DEPARTMENT), actor(builders.CONSUMER, Role.AUDITOR)]
)
def test_nobody_else_signs_or_asks(by: Actor) -> None:
    """R-005, R-097."""
    with pytest.raises(Forbidden):
        signed(AGREEMENT, by)


def test_an_agreement_has_a_text() -> None:
    with pytest.raises(Refused) as refused:
        agreement.ask(
            "g-2",
            request="r-1",
            provider=builders.PROVIDER,
            consumer=builders.CONSUMER,
            document=" ",
            document_sha256=TEXT,
            by=OWNER,
            at=AT,
        )
    assert refused.value.code == "DOCUMENT_REQUIRED"
