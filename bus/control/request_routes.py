"""Share requests and their actions."""

import datetime as dt
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, Field

from bus.control.case_pages import TextFilter, case_answer, case_page, only
from bus.control.control_services import Services
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_ITEMS, MAX_NAME_CHARACTERS, Name, StrictModel
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter, Held
from bus.domain.entry import DeliveryMode
from bus.domain.grant import MAX_FILTER_BYTES
from bus.domain.request import Ask, Basis, Decision, Refusal, ShareRequest
from bus.domain.share import Purpose
from bus.domain.view import Treatment

router = APIRouter(
    prefix="/v1/requests",
    tags=["requests"],
    dependencies=[needs(ApiScope.REQUESTS)],
    route_class=EdgeRoute,
)
RequestId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]
RowFilter = Annotated[str | None, Field(max_length=MAX_FILTER_BYTES)]
Items = Annotated[list[Name], Field(max_length=MAX_ITEMS)]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class AskBody(StrictModel):
    """What is asked for (R-080); without items, all that is unconditional for the asker."""

    resource: Name
    items: Items = Field(default=[], max_length=MAX_ITEMS)
    rows: RowFilter = None
    purpose: Purpose
    duty: str
    mode: DeliveryMode = DeliveryMode.KAFKA
    valid_until: dt.date | None = None
    form: dict[str, str] = Field(default={}, max_length=20)
    received_at: AwareDatetime | None = None
    """When it came on paper, if it is registered later."""

    def ask(self) -> Ask:
        """Return the domain value."""
        return Ask(
            resource=self.resource,
            items=tuple(dict.fromkeys(self.items)),
            row_filter=self.rows,
            purpose=self.purpose,
            duty=self.duty,
            mode=self.mode,
            valid_until=self.valid_until,
            form=self.form,
        )


class DecisionBody(StrictModel):
    """What is granted; the grant contains exactly this (R-090)."""

    items: Annotated[dict[str, Treatment], Field(max_length=MAX_ITEMS)] | Items
    rows: RowFilter = None
    purpose: Purpose
    mode: DeliveryMode = DeliveryMode.KAFKA
    valid_from: dt.date
    valid_until: dt.date
    note: str = ""

    def decision(self) -> Decision:
        """Return the domain value; who decided, and when, is filled in where it is decided."""
        items = self.items
        return Decision(
            treatments=items if isinstance(items, dict) else dict.fromkeys(items, Treatment.KEEP),
            row_filter=self.rows,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            mode=self.mode,
            purpose=self.purpose,
            basis=Basis.PROVIDER,
            by="",
            at=_EPOCH,
            note=self.note,
        )


class RefusalBody(StrictModel):
    """Why a request is refused; how much of this is needed is the profile's matter."""

    text: str = ""
    ground: str = ""
    citation: str = ""
    document: str = ""
    addressed_to: str = ""


class MissingBody(StrictModel):
    """The part that is missing."""

    missing: str = ""


class NoticeBody(StrictModel):
    """When the gateway's notice reached the provider; now, if nothing is said."""

    received_at: AwareDatetime | None = None


class ReasonBody(StrictModel):
    """Why."""

    reason: str = ""


class TalkBody(StrictModel):
    """The outcome of a consultation."""

    agreed: bool
    note: str = ""
    decision: DecisionBody | None = None
    others: Items = Field(default=[], max_length=20)
    """Organisations that took part besides consumer and provider."""


class BodyDecisionBody(StrictModel):
    """What a body of the escalation chain decided; without a decision the request is denied."""

    decision: DecisionBody | None = None
    document: str = ""


class OutsideDecisionBody(StrictModel):
    """What the outside decided; without a decision it refused."""

    decision: DecisionBody | None = None
    document: str = ""
    """The number of the document that says so."""
    reason: str = ""


class AgreementBody(StrictModel):
    """The text of an agreement: where it is kept, and its digest."""

    document: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SignatureBody(StrictModel):
    """A signature under an agreement: the digest of the signed document."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ApprovedBody(StrictModel):
    """Whether the steering body approves; why not, if it does not."""

    approved: bool
    reason: str = ""


def _with_credentials(
    held: Held[ShareRequest], passwords: dict[str, str], status: int = 200
) -> Response:
    """Answer with the Kafka account that came of it; its password is shown this once."""
    credentials = [
        {"username": username, "password": password} for username, password in passwords.items()
    ]
    answer = case_answer(held, status, credentials=credentials)
    if credentials:
        answer.headers["Cache-Control"] = "no-store"
    return answer


@router.post("", status_code=201, response_model=dict[str, Any])
def submit_request(body: AskBody, services: Services, by: ActingActor) -> Response:
    """
    Submit a request.

    If it needs nobody's decision, the answer holds the grant and its Kafka account, whose password
    is shown this once.
    """
    held, passwords = services.requests.submit(by, body.ask(), received_at=body.received_at)
    return _with_credentials(held, passwords, 201)


@router.get("")
def list_requests(
    services: Services,
    by: ActingActor,
    page: Paged,
    state: TextFilter = None,
    resource: TextFilter = None,
) -> dict[str, Any]:
    """Return the requests that the caller may know of, in order of time."""
    return case_page(
        page, services.requests.page, by, CaseFilter(states=only(state), resource=resource)
    )


@router.get("/{request_id}", response_model=dict[str, Any])
def get_request(request_id: RequestId, services: Services, by: ActingActor) -> Response:
    """Return a request."""
    return case_answer(services.requests.get(by, request_id))


@router.post("/{request_id}/resubmit", response_model=dict[str, Any])
def resubmit_request(
    request_id: RequestId, body: AskBody, services: Services, by: ActingActor
) -> Response:
    """Submit a returned request again, completed."""
    return _with_credentials(*services.requests.resubmit(by, request_id, body.ask()))


@router.post("/{request_id}/withdraw", response_model=dict[str, Any])
def withdraw_request(request_id: RequestId, services: Services, by: ActingActor) -> Response:
    """Take a request back."""
    return case_answer(services.requests.withdraw(by, request_id))


@router.post("/{request_id}/approve", response_model=dict[str, Any])
def approve_request(
    request_id: RequestId, body: DecisionBody, services: Services, by: ActingActor
) -> Response:
    """Approve, in full or in part."""
    return case_answer(services.requests.approve(by, request_id, body.decision()))


@router.post("/{request_id}/refuse", response_model=dict[str, Any])
def refuse_request(
    request_id: RequestId, body: RefusalBody, services: Services, by: ActingActor
) -> Response:
    """Refuse, with what the profile demands."""
    return case_answer(services.requests.refuse(by, request_id, Refusal(**body.model_dump())))


@router.post("/{request_id}/return", response_model=dict[str, Any])
def return_request(
    request_id: RequestId, body: MissingBody, services: Services, by: ActingActor
) -> Response:
    """Return a request because a named part is missing."""
    return case_answer(services.requests.return_incomplete(by, request_id, missing=body.missing))


@router.post("/{request_id}/notice", response_model=dict[str, Any])
def record_notice(
    request_id: RequestId, body: NoticeBody, services: Services, by: ActingActor
) -> Response:
    """Note that the gateway's notice reached the provider: its clock starts."""
    return case_answer(services.outside_requests.record_notice(by, request_id, body.received_at))


@router.post("/{request_id}/consent", response_model=dict[str, Any])
def consent_to_refusal(request_id: RequestId, services: Services, by: ActingActor) -> Response:
    """Consent to a proposed refusal."""
    return case_answer(services.escalations.consent(by, request_id))


@router.post("/{request_id}/deny-consent", response_model=dict[str, Any])
def deny_consent(
    request_id: RequestId, body: ReasonBody, services: Services, by: ActingActor
) -> Response:
    """Deny consent to a proposed refusal."""
    return case_answer(services.escalations.deny_consent(by, request_id, reason=body.reason))


@router.post("/{request_id}/appeal", response_model=dict[str, Any])
def appeal_refusal(request_id: RequestId, services: Services, by: ActingActor) -> Response:
    """Go on after a refusal."""
    return case_answer(services.requests.appeal(by, request_id))


@router.post("/{request_id}/consult", response_model=dict[str, Any])
def record_consultation(
    request_id: RequestId, body: TalkBody, services: Services, by: ActingActor
) -> Response:
    """Record the outcome of a consultation."""
    decision = None if body.decision is None else body.decision.decision()
    return case_answer(
        services.escalations.record_talk(
            by,
            request_id,
            agreed=body.agreed,
            note=body.note,
            decision=decision,
            others=tuple(body.others),
        )
    )


@router.post("/{request_id}/open-consultation", response_model=dict[str, Any])
def open_consultation(request_id: RequestId, services: Services, by: ActingActor) -> Response:
    """Talk to the consumer, as a provider whose refusal got no consent."""
    return case_answer(services.escalations.open_consultation(by, request_id))


@router.post("/{request_id}/escalate", response_model=dict[str, Any])
def escalate_request(
    request_id: RequestId, body: ReasonBody, services: Services, by: ActingActor
) -> Response:
    """Put a request before the first body of the escalation chain."""
    return case_answer(services.escalations.escalate(by, request_id, reasons=body.reason))


@router.post("/{request_id}/pass-on", response_model=dict[str, Any])
def pass_escalation_on(
    request_id: RequestId, body: ReasonBody, services: Services, by: ActingActor
) -> Response:
    """Pass an escalation on to the next body."""
    return case_answer(services.escalations.pass_on(by, request_id, reasons=body.reason))


@router.post("/{request_id}/decide", response_model=dict[str, Any])
def decide_escalation(
    request_id: RequestId, body: BodyDecisionBody, services: Services, by: ActingActor
) -> Response:
    """Decide as the body that the request is before."""
    decision = None if body.decision is None else body.decision.decision()
    return case_answer(
        services.escalations.decide_escalation(by, request_id, decision, document=body.document)
    )


@router.post("/{request_id}/steering", response_model=dict[str, Any])
def steering_decides(
    request_id: RequestId, body: ApprovedBody, services: Services, by: ActingActor
) -> Response:
    """Approve or reject, as the steering body, what the parties agreed."""
    return case_answer(
        services.escalations.steering_decides(by, request_id, approved=body.approved)
    )


@router.post("/{request_id}/pre-review", response_model=dict[str, Any])
def pre_review(
    request_id: RequestId, body: ApprovedBody, services: Services, by: ActingActor
) -> Response:
    """Pass or reject what asks for an outside resource."""
    return case_answer(
        services.outside_requests.pre_review(
            by, request_id, passed=body.approved, reason=body.reason
        )
    )


@router.post("/{request_id}/outside-decision", response_model=dict[str, Any])
def record_outside_decision(
    request_id: RequestId, body: OutsideDecisionBody, services: Services, by: ActingActor
) -> Response:
    """Record what the outside decided about a forwarded request, as the gateway body (R-100)."""
    decision = None
    if body.decision is not None:
        decision = replace(body.decision.decision(), document=body.document)
    return case_answer(
        services.outside_requests.record_outside_decision(
            by,
            request_id,
            decision=decision,
            refusal=None if decision else Refusal(text=body.reason, document=body.document),
        )
    )


@router.post("/{request_id}/agreement", response_model=dict[str, Any])
def demand_agreement(
    request_id: RequestId, body: AgreementBody, services: Services, by: ActingActor
) -> Response:
    """Demand a sharing agreement: activation waits for both signatures (R-097)."""
    return case_answer(
        services.agreements.demand_agreement(
            by, request_id, document=body.document, document_sha256=body.sha256
        )
    )


@router.post("/{request_id}/agreement/sign", response_model=dict[str, Any])
def sign_agreement(
    request_id: RequestId, body: SignatureBody, services: Services, by: ActingActor
) -> Response:
    """Sign the sharing agreement for one's own side."""
    held = services.agreements.sign_agreement(by, request_id, document_sha256=body.sha256)
    return case_answer(held)


@router.post("/{request_id}/activate", response_model=dict[str, Any])
def activate_request(request_id: RequestId, services: Services, by: ActingActor) -> Response:
    """
    Put the grant in force, as whoever provisions here.

    The answer holds the subscription's Kafka account, whose password is shown this once.
    """
    return _with_credentials(*services.requests.activate(by, request_id))
