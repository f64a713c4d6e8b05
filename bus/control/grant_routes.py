"""Grants and what may be done to them by themselves."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from bus.control.case_pages import TextFilter, begin_after, only
from bus.control.control_services import Services, as_json
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, Name, StrictModel
from bus.control.pages import Paged
from bus.control.request_routes import DecisionBody, Items
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter
from bus.domain.catalog import LiveGrant
from bus.domain.grant import GrantState

router = APIRouter(
    prefix="/v1/grants",
    tags=["grants"],
    dependencies=[needs(ApiScope.GRANTS)],
    route_class=EdgeRoute,
)
GrantId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]


class ReasonBody(StrictModel):
    """Why."""

    reason: str = ""


class WidenBody(StrictModel):
    """Items to add."""

    items: Items


class DispatchBody(StrictModel):
    """A grant that the authority gives in the public owner's name (R-012)."""

    resource: Name
    consumer: Name
    duty: Name
    justification: str = ""
    decision: DecisionBody


def _answer(held: LiveGrant) -> dict[str, Any]:
    content: dict[str, Any] = as_json(held.grant)
    return {**content, "version": held.version, "state": str(held.state)}


@router.post("/dispatch", status_code=201, response_model=dict[str, Any])
def dispatch_grant(body: DispatchBody, services: Services, by: ActingActor) -> Response:
    """
    Give a grant as the authority, in the public owner's name; the provider is told at once.

    The answer holds the subscription's Kafka account, whose password is shown this once.
    """
    held, passwords = services.grants.dispatch(
        by,
        body.resource,
        replace(body.decision.decision(), note=body.justification),
        consumer=body.consumer,
        duty=body.duty,
    )
    credentials = [
        {"username": username, "password": password} for username, password in passwords.items()
    ]
    return JSONResponse(
        {**_answer(held), "credentials": credentials},
        status_code=201,
        headers={"Cache-Control": "no-store"},
    )


@router.get("")
def list_grants(  # noqa: PLR0917 (query parameters)
    services: Services,
    by: ActingActor,
    page: Paged,
    state: GrantState | None = None,
    resource: TextFilter = None,
    consumer: TextFilter = None,
) -> dict[str, Any]:
    """Return the grants that the caller may know of, ended ones too, by id."""
    found = services.grants.page(
        by,
        CaseFilter(states=only(state), resource=resource, consumer=consumer),
        after=begin_after(page),
        limit=page.fetch,
    )
    return page.page(found, key=lambda held: (held.grant.id,), item=_answer).model_dump()


@router.get("/{grant}")
def get_grant(grant: GrantId, services: Services, by: ActingActor) -> dict[str, Any]:
    """Return a grant."""
    return _answer(services.grants.get(by, grant))


@router.post("/{grant}/suspend")
def suspend_grant(
    grant: GrantId, body: ReasonBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Suspend a grant: when the answer is there, nothing more is read under it."""
    return _answer(services.grants.suspend(by, grant, reason=body.reason))


@router.post("/{grant}/resume")
def resume_grant(grant: GrantId, services: Services, by: ActingActor) -> dict[str, Any]:
    """Resume a suspended grant."""
    return _answer(services.grants.resume(by, grant))


@router.post("/{grant}/revoke")
def revoke_grant(
    grant: GrantId, body: ReasonBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Revoke a grant for good: when the answer is there, nothing more is read under it."""
    return _answer(services.grants.revoke(by, grant, reason=body.reason))


@router.post("/{grant}/amend")
def amend_grant(
    grant: GrantId, body: DecisionBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Decide anew, as the provider, what a grant contains; what is less is cut at once."""
    return _answer(services.grants.amend(by, grant, body.decision()))


@router.post("/{grant}/widen")
def widen_grant(
    grant: GrantId, body: WidenBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Add items that need nobody's decision."""
    return _answer(services.grants.widen(by, grant, tuple(body.items)))


@router.post("/{grant}/confirm-deletion")
def confirm_deletion(grant: GrantId, services: Services, by: ActingActor) -> dict[str, Any]:
    """Confirm that what was received under an ended grant is deleted."""
    return _answer(services.grants.confirm_deletion(by, grant))


@router.post("/{grant}/credentials", response_model=dict[str, Any])
def renew_credentials(grant: GrantId, services: Services, by: ActingActor) -> Response:
    """Give the consumer a new password for its Kafka account, shown this once; the old one ends."""
    passwords = services.credentials.renew(by, grant)
    content = [
        {"username": username, "password": password} for username, password in passwords.items()
    ]
    return JSONResponse({"credentials": content}, headers={"Cache-Control": "no-store"})
