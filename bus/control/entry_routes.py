"""Catalog entries, from draft to retirement."""

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from bus.control.case_pages import TextFilter, case_answer, case_page, only
from bus.control.control_services import Services, as_json
from bus.control.edge_route import EdgeRoute
from bus.control.entity_tags import ExpectedVersion
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, Name, StrictModel
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter
from bus.domain.entry_life import RetireCause
from bus.domain.submission import UpdateCause, price_faults
from bus.errors import Refused

router = APIRouter(
    prefix="/v1/entries",
    tags=["catalog"],
    dependencies=[needs(ApiScope.CATALOG)],
    route_class=EdgeRoute,
)
Resource = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]
#: The same form as a file of `topics/`.
Document = Annotated[dict[str, Any], Field(max_length=100)]


class EntryBody(StrictModel):
    """An entry, in the form of the definition files."""

    jurisdiction: Name
    entry: Document


class DocumentBody(StrictModel):
    """The id of a stored paper."""

    document: Name


class ReasonBody(StrictModel):
    """Why."""

    reason: str = ""


class ApplicationDecisionBody(StrictModel):
    """The decision about a written application."""

    granted: bool
    reason: str = ""


class BindBody(StrictModel):
    """The result of the connection test (R-124)."""

    connection_tested: bool


class UpdateBody(StrictModel):
    """A change of law, functions or holdings that the entry has to follow."""

    cause: UpdateCause
    reference: Name
    effective: dt.date


class RetireBody(StrictModel):
    """Why an entry leaves the catalog."""

    cause: RetireCause


@router.post("", status_code=201, response_model=dict[str, Any])
def draft_entry(body: EntryBody, services: Services, by: ActingActor) -> Response:
    """Open the draft of a new entry."""
    _check_price(body.entry)
    entry = services.parse_entry(body.entry, body.jurisdiction)
    return case_answer(services.entries.draft(by, entry), 201)


@router.get("")
def list_entries(  # noqa: PLR0917 (query parameters)
    services: Services,
    by: ActingActor,
    page: Paged,
    jurisdiction: TextFilter = None,
    provider: TextFilter = None,
    state: TextFilter = None,
) -> dict[str, Any]:
    """Return the entries that the caller may know of, by code."""
    return case_page(
        page,
        services.entries.page,
        by,
        CaseFilter(
            jurisdiction=jurisdiction,
            provider=provider,
            states=only(state),
        ),
    )


@router.get("/{resource}", response_model=dict[str, Any])
def get_entry(resource: Resource, services: Services, by: ActingActor) -> Response:
    """Return an entry: its state, its draft, and the version in force."""
    held = services.entries.get(by, resource)
    live = services.entries.live(by, resource)
    return case_answer(held, live=None if live is None else as_json(live))


@router.put("/{resource}/draft", response_model=dict[str, Any])
def edit_entry(
    resource: Resource,
    body: EntryBody,
    services: Services,
    by: ActingActor,
    expected: ExpectedVersion,
) -> Response:
    """Change the draft, or open one beside the version in force."""
    _check_price(body.entry)
    entry = services.parse_entry(body.entry, body.jurisdiction)
    return case_answer(services.entries.edit(by, resource, entry, expected))


@router.post("/{resource}/application", response_model=dict[str, Any])
def apply_not_shared(
    resource: Resource, body: DocumentBody, services: Services, by: ActingActor
) -> Response:
    """File the written application for a not-shared class (R-054)."""
    return case_answer(services.entries.apply_not_shared(by, resource, document=body.document))


@router.post("/{resource}/application/decide", response_model=dict[str, Any])
def decide_application(
    resource: Resource, body: ApplicationDecisionBody, services: Services, by: ActingActor
) -> Response:
    """Decide the written application for a not-shared class."""
    return case_answer(
        services.entries.decide_application(by, resource, granted=body.granted, reason=body.reason)
    )


@router.post("/{resource}/submit", response_model=dict[str, Any])
def submit_entry(resource: Resource, services: Services, by: ActingActor) -> Response:
    """Submit the draft."""
    return case_answer(services.entries.submit(by, resource))


@router.post("/{resource}/return", response_model=dict[str, Any])
def return_entry(
    resource: Resource, body: ReasonBody, services: Services, by: ActingActor
) -> Response:
    """Return a submitted draft to its owner."""
    return case_answer(services.entries.give_back(by, resource, reason=body.reason))


@router.post("/{resource}/approve", response_model=dict[str, Any])
def approve_entry(resource: Resource, services: Services, by: ActingActor) -> Response:
    """Approve a submitted draft, as the body that the profile names."""
    return case_answer(services.entries.approve(by, resource))


@router.post("/{resource}/bind", response_model=dict[str, Any])
def bind_entry(resource: Resource, body: BindBody, services: Services, by: ActingActor) -> Response:
    """Connect a data source (挂接); the entry is published by its first record."""
    return case_answer(
        services.entries.bind(by, resource, connection_tested=body.connection_tested)
    )


@router.post("/{resource}/publish", response_model=dict[str, Any])
def publish_entry(resource: Resource, services: Services, by: ActingActor) -> Response:
    """Publish an approved draft that waits for no first data."""
    return case_answer(services.entries.publish(by, resource))


@router.post("/{resource}/updates", status_code=201, response_model=dict[str, Any])
def trigger_update(
    resource: Resource, body: UpdateBody, services: Services, by: ActingActor
) -> Response:
    """Register a change of law, functions or holdings: the entry has to follow in time."""
    held = services.entries.trigger_update(
        by, resource, cause=body.cause, reference=body.reference, effective=body.effective
    )
    return case_answer(held, 201)


@router.post("/{resource}/suspend", response_model=dict[str, Any])
def suspend_entry(
    resource: Resource, body: ReasonBody, services: Services, by: ActingActor
) -> Response:
    """Suspend an entry: nothing of it is delivered."""
    return case_answer(services.entries.suspend(by, resource, reason=body.reason))


@router.post("/{resource}/resume", response_model=dict[str, Any])
def resume_entry(resource: Resource, services: Services, by: ActingActor) -> Response:
    """Resume a suspended entry."""
    return case_answer(services.entries.resume(by, resource))


@router.post("/{resource}/retire", response_model=dict[str, Any])
def retire_entry(
    resource: Resource, body: RetireBody, services: Services, by: ActingActor
) -> Response:
    """Take an entry out of the catalog; its grants end first."""
    return case_answer(services.entries.retire(by, resource, cause=body.cause))


def _check_price(document: dict[str, Any]) -> None:
    for fault in price_faults(document):
        raise Refused(f"{fault.key}: {fault.message}", code=fault.code)
