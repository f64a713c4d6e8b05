"""Sharing agreements (共享使用协议): where a side asks for one, both sign first (R-097)."""

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.domain.identity import Actor, Role
from bus.domain.life_cycle import LifeCycle, Step
from bus.errors import Forbidden, Refused


class AgreementState(StrEnum):
    """How many signatures the agreement has."""

    ASKED = "ASKED"
    SIGNED_BY_ONE = "SIGNED_BY_ONE"
    SIGNED = "SIGNED"


_S = AgreementState

AGREEMENT_LIFE: LifeCycle[AgreementState] = LifeCycle(
    name="Agreement",
    states=AgreementState,
    initial=_S.ASKED,
    steps=(
        Step(_S.ASKED, "sign", _S.SIGNED_BY_ONE, "by provider or consumer"),
        Step(_S.SIGNED_BY_ONE, "sign", _S.SIGNED, "by the other side"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """That one side signed."""

    organisation: str
    account: str
    signed_at: dt.datetime
    document_sha256: str
    """Of the text that was signed: both sides sign the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The agreement to one request."""

    id: str
    request: str
    provider: str
    consumer: str
    asked_by: str
    """The side that asked for it."""
    asked_at: dt.datetime
    document: str
    """The id of the attachment that holds the text."""
    document_sha256: str
    state: AgreementState = AgreementState.ASKED
    signatures: tuple[Signature, ...] = ()


def ask(
    agreement: str,
    *,
    request: str,
    provider: str,
    consumer: str,
    document: str,
    document_sha256: str,
    by: Actor,
    at: dt.datetime,
) -> Agreement:
    """Ask for an agreement to a request, as either side of it."""
    side = _side(by, provider, consumer)
    if not (document.strip() and document_sha256.strip()):
        raise Refused("attach the text of the agreement", code="DOCUMENT_REQUIRED")
    return Agreement(
        id=agreement,
        request=request,
        provider=provider,
        consumer=consumer,
        asked_by=side,
        asked_at=at,
        document=document,
        document_sha256=document_sha256,
    )


def sign(agreement: Agreement, *, document_sha256: str, by: Actor, at: dt.datetime) -> Agreement:
    """Sign for one side; each side signs once, and the same text."""
    side = _side(by, agreement.provider, agreement.consumer)
    state = AGREEMENT_LIFE.move(agreement.id, agreement.state, "sign")
    if any(signature.organisation == side for signature in agreement.signatures):
        raise Refused(f"{side} has signed; the other side has not", code="ALREADY_SIGNED")
    if document_sha256 != agreement.document_sha256:
        raise Refused("that is not the text of this agreement", code="DOCUMENT_DIFFERS")
    signature = Signature(
        organisation=side, account=by.account, signed_at=at, document_sha256=document_sha256
    )
    return replace(agreement, state=state, signatures=(*agreement.signatures, signature))


def require_signed(agreement: Agreement | None) -> None:
    """Refuse the activation of a grant while an agreement that a side asked for is not signed."""
    if agreement is not None and agreement.state is not AgreementState.SIGNED:
        raise Refused(
            f"{agreement.asked_by} asked for agreement {agreement.id}, which is {agreement.state}: "
            "both sides sign first",
            code="AGREEMENT_REQUIRED",
        )


def _side(by: Actor, provider: str, consumer: str) -> str:
    if by.organisation not in {provider, consumer} or Role.DEPARTMENT not in by.roles:
        raise Forbidden("an agreement is the matter of provider and consumer")
    return by.organisation
