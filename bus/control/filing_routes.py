"""Filings (备案) of published catalog changes (R-027)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from bus.control.case_pages import TextFilter, case_answer, case_page, only
from bus.control.control_services import Services
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, StrictModel
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter

router = APIRouter(
    prefix="/v1/filings",
    tags=["filings"],
    dependencies=[needs(ApiScope.SUPERVISION)],
    route_class=EdgeRoute,
)
FilingId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]


class AcknowledgeBody(StrictModel):
    """The authority's own number of a filing, if it gives one."""

    number: str = ""


@router.get("")
def list_filings(
    services: Services,
    by: ActingActor,
    page: Paged,
    state: TextFilter = None,
    resource: TextFilter = None,
) -> dict[str, Any]:
    """Return the filings that the caller may know of, in order of time."""
    return case_page(
        page, services.filings.page, by, CaseFilter(states=only(state), resource=resource)
    )


@router.get("/{filing}", response_model=dict[str, Any])
def get_filing(filing: FilingId, services: Services, by: ActingActor) -> Response:
    """Return a filing."""
    return case_answer(services.filings.get(by, filing))


@router.post("/{filing}/acknowledge", response_model=dict[str, Any])
def acknowledge_filing(
    filing: FilingId, body: AcknowledgeBody, services: Services, by: ActingActor
) -> Response:
    """Acknowledge a filing, as the authority."""
    return case_answer(services.filings.acknowledge(by, filing, number=body.number))
