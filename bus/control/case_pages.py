"""Pages of cases: in the order of their ids, which is that of time."""

from collections.abc import Sequence
from typing import Any

from bus.control.control_services import as_json
from bus.control.pages import PageQuery
from bus.domain.cases import Held


def begin_after(page: PageQuery) -> str:
    """Return the id after which the page begins; empty on the first page."""
    after = page.after(str)
    return "" if after is None else str(after[0])


def only(state: str | None) -> frozenset[str] | None:
    """Return the states to list: one, or any."""
    return None if state is None else frozenset({state})


def case_page(page: PageQuery, found: Sequence[Held[Any]]) -> dict[str, Any]:
    """Return the page of the cases that were found."""
    return page.page(
        found,
        key=lambda held: (str(held.value.id),),
        item=lambda held: as_json(held.value),
    ).model_dump()
