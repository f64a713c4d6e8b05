"""The audit log, for auditors and authorities; every look is itself written down (R-228)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from bus.control.control_services import Services, as_json
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.audit_log import AuditFilter, AuditRow
from bus.domain.identity import Actor, Role, require_role

router = APIRouter(
    prefix="/v1/audit",
    tags=["audit"],
    dependencies=[needs(ApiScope.AUDIT, reading=ApiScope.AUDIT)],
    route_class=EdgeRoute,
)
Filter = Annotated[str | None, Query(max_length=MAX_NAME_CHARACTERS)]
Time = Annotated[AwareDatetime | None, Query(description="with a time zone")]
_READERS = frozenset({Role.AUDITOR, Role.AUTHORITY})


def _reading(by: Actor) -> Role:
    return require_role(by, _READERS, "reading the audit log")


def _row(row: AuditRow) -> dict[str, Any]:
    content: dict[str, Any] = as_json(row.record)
    return {"sequence": row.sequence, **content, "hash": row.hash.hex()}


@router.get("")
def list_audit_rows(  # noqa: PLR0917 (query parameters)
    services: Services,
    by: ActingActor,
    page: Paged,
    organisation: Filter = None,
    account: Filter = None,
    subject_kind: Filter = None,
    subject: Filter = None,
    action: Filter = None,
    since: Time = None,
    until: Time = None,
) -> dict[str, Any]:
    """Return the rows of the caller's jurisdiction, newest first."""
    role = _reading(by)
    wanted = AuditFilter(
        jurisdiction=by.jurisdiction,
        organisation=organisation,
        account=account,
        subject_kind=subject_kind,
        subject=subject,
        action=action,
        since=since,
        until=until,
    )
    after = page.after(int)
    found = services.audit.page(
        by,
        role,
        wanted,
        before=None if after is None else int(str(after[0])),
        limit=page.fetch,
    )
    return page.page(found, key=lambda row: (row.sequence,), item=_row).model_dump()
