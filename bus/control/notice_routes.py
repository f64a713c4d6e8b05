"""What an organisation, or a body in whose role the caller acts, has to be told."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from bus.control.case_pages import case_answer, case_page
from bus.control.control_services import Services
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter

router = APIRouter(
    prefix="/v1/notices",
    tags=["notices"],
    dependencies=[needs(ApiScope.REQUESTS)],
    route_class=EdgeRoute,
)
NoticeId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]


@router.get("")
def list_notices(
    services: Services,
    by: ActingActor,
    page: Paged,
    unread: Annotated[
        bool | None, Query(description="only those that were read, or that were not")
    ] = None,
) -> dict[str, Any]:
    """Return the notices for the caller's organisation and roles, in order of time."""
    states = None if unread is None else frozenset({"UNREAD" if unread else "READ"})
    return case_page(page, services.notices.page, by, CaseFilter(states=states))


@router.post("/{notice}/read", response_model=dict[str, Any])
def read_notice(notice: NoticeId, services: Services, by: ActingActor) -> Response:
    """Note that a notice was read."""
    held = services.notices.read(by, notice)
    return case_answer(held)
