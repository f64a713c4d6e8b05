"""Demands, and the demand list that the authority makes of them (R-033)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from bus.control.case_pages import TextFilter, begin_after, case_answer, case_page, only
from bus.control.control_services import Services, as_json
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, Name, StrictModel
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter, Held
from bus.domain.demand import Demand, DemandState
from bus.domain.share import Purpose

router = APIRouter(
    prefix="/v1",
    tags=["demands"],
    dependencies=[needs(ApiScope.REQUESTS)],
    route_class=EdgeRoute,
)
CaseId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]


class DemandBody(StrictModel):
    """What an organisation needs, and for which duty."""

    subject: str = ""
    elements: list[Name] = Field(default=[], max_length=100)
    """Codes of the data elements, where they are known."""
    purpose: Purpose
    duty: str = ""


class MergeBody(StrictModel):
    """Demands that mean the same, and what the item of the list is called."""

    demands: list[Name] = Field(min_length=1, max_length=200)
    subject: Name


class JoinBody(StrictModel):
    """One more demand."""

    demand: Name


class AssignBody(StrictModel):
    """Who is to meet an item, and with which resource, if there is one."""

    provider: Name
    resource: Name | None = None


class ResourceBody(StrictModel):
    """The published resource that meets an item."""

    resource: Name


class ReasonBody(StrictModel):
    """Why."""

    reason: str = ""


def _demand(held: Held[Demand], standing: DemandState) -> dict[str, Any]:
    return {**as_json(held.value), "standing": str(standing)}


@router.post("/demands", status_code=201)
def state_demand(body: DemandBody, services: Services, by: ActingActor) -> dict[str, Any]:
    """State what one's organisation needs and nobody offers yet."""
    held = services.demands.state(
        by,
        subject=body.subject,
        elements=frozenset(body.elements),
        purpose=body.purpose,
        duty=body.duty,
    )
    return _demand(held, held.value.state)


@router.get("/demands")
def list_demands(services: Services, by: ActingActor, page: Paged) -> dict[str, Any]:
    """Return the demands that the caller may know of, in order of time, and where they stand."""
    found = services.demands.page(by, after=begin_after(page), limit=page.fetch)
    return page.page(
        found, key=lambda each: (each[0].value.id,), item=lambda each: _demand(*each)
    ).model_dump()


@router.get("/demands/{demand}")
def get_demand(demand: CaseId, services: Services, by: ActingActor) -> dict[str, Any]:
    """Return a demand, and where it stands: with its item, once it was merged."""
    return _demand(*services.demands.get(by, demand))


@router.post("/demand-list", status_code=201, response_model=dict[str, Any])
def merge_demands(body: MergeBody, services: Services, by: ActingActor) -> Response:
    """Merge demands that mean the same into a new item of the list."""
    return case_answer(services.demands.merge(by, tuple(body.demands), subject=body.subject), 201)


@router.get("/demand-list")
def list_demand_items(
    services: Services,
    by: ActingActor,
    page: Paged,
    state: TextFilter = None,
    provider: TextFilter = None,
) -> dict[str, Any]:
    """Return the demand list; a provider sees what is assigned to it."""
    return case_page(
        page, services.demands.items, by, CaseFilter(states=only(state), provider=provider)
    )


@router.get("/demand-list/{item}", response_model=dict[str, Any])
def get_demand_item(item: CaseId, services: Services, by: ActingActor) -> Response:
    """Return an item of the demand list."""
    return case_answer(services.demands.item(by, item))


@router.post("/demand-list/{item}/join", response_model=dict[str, Any])
def join_demand(item: CaseId, body: JoinBody, services: Services, by: ActingActor) -> Response:
    """Merge one more demand into an item."""
    return case_answer(services.demands.join(by, item, body.demand))


@router.post("/demand-list/{item}/assign", response_model=dict[str, Any])
def assign_demand_item(
    item: CaseId, body: AssignBody, services: Services, by: ActingActor
) -> Response:
    """Assign an item to the provider who is to meet it."""
    return case_answer(
        services.demands.assign(by, item, provider=body.provider, resource=body.resource)
    )


@router.post("/demand-list/{item}/meet", response_model=dict[str, Any])
def meet_demand_item(
    item: CaseId, body: ResourceBody, services: Services, by: ActingActor
) -> Response:
    """Say, as the provider, which published resource meets an item."""
    return case_answer(services.demands.meet(by, item, resource=body.resource))


@router.post("/demand-list/{item}/give-up", response_model=dict[str, Any])
def give_demand_item_up(
    item: CaseId, body: ReasonBody, services: Services, by: ActingActor
) -> Response:
    """Close an item that cannot be met, with the reason."""
    return case_answer(services.demands.give_up(by, item, reason=body.reason))
