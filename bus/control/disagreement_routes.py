"""Disagreements: opened, convened, settled or decided (R-101)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime

from bus.control.case_pages import TextFilter, case_answer, case_page, only
from bus.control.control_services import Services
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, Name, StrictModel
from bus.control.pages import Paged
from bus.control.request_routes import DecisionBody
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter
from bus.domain.disagreement import AmendedKind, Subject

router = APIRouter(
    prefix="/v1/disagreements",
    tags=["disagreements"],
    dependencies=[needs(ApiScope.REQUESTS)],
    route_class=EdgeRoute,
)
DisagreementId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]


class OpenBody(StrictModel):
    """What somebody disagrees about: an entry's code, or the id of a request or a grant."""

    subject: Subject
    about: Name
    reasons: str = ""
    consumer: str = ""
    """With whom, if a provider opens it about a sharing condition."""


class MeetingBody(StrictModel):
    """When the parties meet."""

    meeting_at: AwareDatetime


class OutcomeBody(StrictModel):
    """What was agreed; `decision`: all that the grant contains from now on, if that changes."""

    text: str = ""
    amends: AmendedKind | None = None
    decision: DecisionBody | None = None


class FinalBody(OutcomeBody):
    """What the government decided, with the number of its document."""

    document: str = ""


class ReferralBody(StrictModel):
    """What the parties did not agree on."""

    reason: str = ""


@router.post("", status_code=201, response_model=dict[str, Any])
def open_disagreement(body: OpenBody, services: Services, by: ActingActor) -> Response:
    """Open a disagreement, as either side; what it is about stays in force meanwhile."""
    held = services.disagreements.open(
        by, body.subject, body.about, reasons=body.reasons, consumer=body.consumer
    )
    return case_answer(held, 201)


@router.get("")
def list_disagreements(
    services: Services,
    by: ActingActor,
    page: Paged,
    state: TextFilter = None,
    resource: TextFilter = None,
) -> dict[str, Any]:
    """Return the disagreements that the caller may know of, in order of time."""
    return case_page(
        page, services.disagreements.page, by, CaseFilter(states=only(state), resource=resource)
    )


@router.get("/{disagreement}", response_model=dict[str, Any])
def get_disagreement(disagreement: DisagreementId, services: Services, by: ActingActor) -> Response:
    """Return a disagreement."""
    return case_answer(services.disagreements.get(by, disagreement))


@router.post("/{disagreement}/convene", response_model=dict[str, Any])
def convene_parties(
    disagreement: DisagreementId, body: MeetingBody, services: Services, by: ActingActor
) -> Response:
    """Call provider, consumer and operator together."""
    return case_answer(services.disagreements.convene(by, disagreement, meeting_at=body.meeting_at))


@router.post("/{disagreement}/settle", response_model=dict[str, Any])
def settle_disagreement(
    disagreement: DisagreementId, body: OutcomeBody, services: Services, by: ActingActor
) -> Response:
    """Record what the parties agreed on; a grant that it amends is amended with it."""
    decision = None if body.decision is None else body.decision.decision()
    held = services.disagreements.settle(
        by, disagreement, text=body.text, amends=body.amends, decision=decision
    )
    return case_answer(held)


@router.post("/{disagreement}/refer", response_model=dict[str, Any])
def refer_disagreement(
    disagreement: DisagreementId, body: ReferralBody, services: Services, by: ActingActor
) -> Response:
    """Hand over to the government what the parties did not agree on."""
    return case_answer(services.disagreements.refer(by, disagreement, reason=body.reason))


@router.post("/{disagreement}/decide", response_model=dict[str, Any])
def decide_disagreement(
    disagreement: DisagreementId, body: FinalBody, services: Services, by: ActingActor
) -> Response:
    """Record the government's decision, which is final."""
    decision = None if body.decision is None else body.decision.decision()
    held = services.disagreements.decide(
        by,
        disagreement,
        text=body.text,
        document=body.document,
        amends=body.amends,
        decision=decision,
    )
    return case_answer(held)
