"""The one source of each data element: claimed by departments, fixed by the authority (R-035)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime

from bus.control.case_pages import case_answer, case_page
from bus.control.control_services import Services
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, Name, StrictModel
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter

router = APIRouter(
    prefix="/v1/sources",
    tags=["sources"],
    dependencies=[needs(ApiScope.CATALOG)],
    route_class=EdgeRoute,
)
Element = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]
AssignmentId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]


class ClaimBody(StrictModel):
    """The code of a data element of one's jurisdiction."""

    element: Name


class ConfirmBody(StrictModel):
    """What the authority fixes, from now or from a later instant on."""

    standard: str = ""
    duty: str = ""
    valid_from: AwareDatetime | None = None


class TransferBody(StrictModel):
    """To whom an element goes, when, and why."""

    to: Name
    at: AwareDatetime
    reason: str = ""


class ReasonBody(StrictModel):
    """Why."""

    reason: str = ""


@router.post("", status_code=201, response_model=dict[str, Any])
def claim_source(body: ClaimBody, services: Services, by: ActingActor) -> Response:
    """Claim an element for one's organisation: pending until the authority confirms."""
    return case_answer(services.sources.claim(by, body.element), 201)


@router.get("")
def list_sources(services: Services, by: ActingActor, page: Paged) -> dict[str, Any]:
    """Return the elements of the caller's jurisdiction with all their sources, by code."""
    return case_page(page, services.sources.page, by, CaseFilter())


@router.get("/{element}", response_model=dict[str, Any])
def get_sources(element: Element, services: Services, by: ActingActor) -> Response:
    """Return all that was ever assigned of an element."""
    return case_answer(services.sources.get(by, element))


@router.post("/{element}/{assignment}/confirm", response_model=dict[str, Any])
def confirm_source(
    element: Element,
    assignment: AssignmentId,
    body: ConfirmBody,
    services: Services,
    by: ActingActor,
) -> Response:
    """Fix collection standard, collecting department and its duty."""
    held = services.sources.confirm(
        by,
        element,
        assignment,
        standard=body.standard,
        duty=body.duty,
        valid_from=body.valid_from,
    )
    return case_answer(held)


@router.post("/{element}/{assignment}/reject", response_model=dict[str, Any])
def reject_source(
    element: Element,
    assignment: AssignmentId,
    body: ReasonBody,
    services: Services,
    by: ActingActor,
) -> Response:
    """Reject a claim."""
    return case_answer(services.sources.reject(by, element, assignment, reason=body.reason))


@router.post("/{element}/{assignment}/transfer", response_model=dict[str, Any])
def transfer_source(
    element: Element,
    assignment: AssignmentId,
    body: TransferBody,
    services: Services,
    by: ActingActor,
) -> Response:
    """Move an element to another organisation at an instant to come."""
    held = services.sources.transfer(
        by, element, assignment, to=body.to, on=body.at, reason=body.reason
    )
    return case_answer(held)


@router.post("/{element}/{assignment}/end", response_model=dict[str, Any])
def end_source(
    element: Element,
    assignment: AssignmentId,
    body: ReasonBody,
    services: Services,
    by: ActingActor,
) -> Response:
    """End an assignment without a successor: a gap, with its reason."""
    return case_answer(services.sources.end(by, element, assignment, reason=body.reason))
