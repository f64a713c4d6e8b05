"""Search over the catalog: metadata of every class is found, the data stays closed (R-029)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from bus.control.control_services import Services, as_json
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.ports.search import FoundKey

router = APIRouter(
    prefix="/v1/catalog",
    tags=["catalog"],
    dependencies=[needs(ApiScope.CATALOG)],
    route_class=EdgeRoute,
)
Question = Annotated[
    str, Query(max_length=MAX_NAME_CHARACTERS, description="words of titles, items or codes")
]
Jurisdiction = Annotated[str | None, Query(max_length=MAX_NAME_CHARACTERS)]


@router.get("/search")
def search_catalog(
    services: Services,
    by: ActingActor,
    page: Paged,
    q: Question = "",
    jurisdiction: Jurisdiction = None,
) -> dict[str, Any]:
    """
    Return the published entries that have all words of the question, best first.

    What is found is in the network zone of the organisation that asks.
    """
    after = page.after(int, str, str, str)
    key: FoundKey | None = None
    if after is not None:
        key = (int(str(after[0])), str(after[1]), str(after[2]), str(after[3]))
    found = services.search.find(
        q,
        zone=services.registration.zone_of(by),
        jurisdictions=None if jurisdiction is None else [jurisdiction],
        after=key,
        limit=page.fetch,
    )
    return page.page(found, key=lambda each: each.key, item=as_json).model_dump()
