"""Cases as answers: one, or a page of them in the order of their ids, which is that of time."""

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

from fastapi import Query
from fastapi.responses import JSONResponse

from bus.control.control_services import as_json
from bus.control.entity_tags import etag
from bus.control.models import MAX_NAME_CHARACTERS
from bus.control.pages import PageQuery
from bus.domain.cases import CaseFilter, Held
from bus.domain.identity import Actor

#: A query parameter that narrows a list to what has this state, resource, organisation, …
TextFilter = Annotated[str | None, Query(max_length=MAX_NAME_CHARACTERS)]


class FindCases(Protocol):
    """The listing of a service: what the actor may know of, beginning after an id."""

    def __call__(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> Sequence[Held[Any]]:
        """Return up to `limit` cases, by id."""
        ...


def case_answer(held: Held[Any], status: int = 200, **more: object) -> JSONResponse:
    """Answer with a case, with `more` beside it, and its version as the ETag."""
    return JSONResponse(
        {**as_json(held.value), **more},
        status_code=status,
        headers={"ETag": etag(held.version)},
    )


def case_page(page: PageQuery, find: FindCases, by: Actor, where: CaseFilter) -> dict[str, Any]:
    """Answer with the page of the cases that `where` describes and `by` may know of."""
    found = find(by, where, after=begin_after(page), limit=page.fetch)
    return page.page(
        found,
        key=lambda held: (str(held.value.id),),
        item=lambda held: as_json(held.value),
    ).model_dump()


def begin_after(page: PageQuery) -> str:
    """Return the id after which the page begins; empty on the first page."""
    after = page.after(str)
    return "" if after is None else str(after[0])


def only(state: str | None) -> frozenset[str] | None:
    """Return the states to list: one, or any."""
    return None if state is None else frozenset({state})
