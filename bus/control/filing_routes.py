"""Filings (备案) of published catalog changes (R-027)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse

from bus.control.case_pages import begin_after, case_page, only
from bus.control.control_services import Services, as_json
from bus.control.edge_route import EdgeRoute
from bus.control.entity_tags import etag
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, StrictModel
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter, Held
from bus.domain.filing import Filing

router = APIRouter(
    prefix="/v1/filings",
    tags=["filings"],
    dependencies=[needs(ApiScope.SUPERVISION)],
    route_class=EdgeRoute,
)
FilingId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]
Filter = Annotated[str | None, Query(max_length=MAX_NAME_CHARACTERS)]


class AcknowledgeBody(StrictModel):
    """The authority's own number of a filing, if it gives one."""

    number: str = ""


def _answer(held: Held[Filing]) -> Response:
    return JSONResponse(as_json(held.value), headers={"ETag": etag(held.version)})


@router.get("")
def list_filings(
    services: Services,
    by: ActingActor,
    page: Paged,
    state: Filter = None,
    resource: Filter = None,
) -> dict[str, Any]:
    """Return the filings that the caller may know of, in order of time."""
    found = services.filings.page(
        by,
        CaseFilter(states=only(state), resource=resource),
        after=begin_after(page),
        limit=page.fetch,
    )
    return case_page(page, found)


@router.get("/{filing}", response_model=dict[str, Any])
def get_filing(filing: FilingId, services: Services, by: ActingActor) -> Response:
    """Return a filing."""
    return _answer(services.filings.get(by, filing))


@router.post("/{filing}/acknowledge", response_model=dict[str, Any])
def acknowledge_filing(
    filing: FilingId, body: AcknowledgeBody, services: Services, by: ActingActor
) -> Response:
    """Acknowledge a filing, as the authority."""
    return _answer(services.filings.acknowledge(by, filing, number=body.number))
