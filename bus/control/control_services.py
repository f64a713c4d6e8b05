"""What the routes of the control plane's own resources work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import TypeAdapter

from bus.domain.entry import CatalogEntry
from bus.ports.control import Profiles
from bus.ports.search import CatalogSearch
from bus.services.agreements import Agreements
from bus.services.audit_queries import AuditQueries
from bus.services.credentials import Credentials
from bus.services.demands import Demands
from bus.services.disagreements import Disagreements
from bus.services.entries import Entries
from bus.services.escalations import Escalations
from bus.services.filings import Filings
from bus.services.grants import Grants
from bus.services.notices import Notices
from bus.services.outside_requests import OutsideRequests
from bus.services.rectifications import Rectifications
from bus.services.registration import Registration
from bus.services.requests import Requests
from bus.services.source_assignments import SourceAssignments

#: (document, jurisdiction) -> the entry that it describes; raises `Refused`.
EntryParser = Callable[[Mapping[str, Any], str], CatalogEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlServices:
    """The use cases behind the routes; put into the application's state."""

    registration: Registration
    entries: Entries
    requests: Requests
    escalations: Escalations
    outside_requests: OutsideRequests
    agreements: Agreements
    grants: Grants
    credentials: Credentials
    rectifications: Rectifications
    audit: AuditQueries
    disagreements: Disagreements
    demands: Demands
    filings: Filings
    sources: SourceAssignments
    notices: Notices
    profiles: Profiles
    search: CatalogSearch
    parse_entry: EntryParser


def _services(request: Request) -> ControlServices:
    found: ControlServices = request.app.state.services
    return found


#: A parameter of this type gives a route the use cases.
Services = Annotated[ControlServices, Depends(_services)]

_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def as_json(value: object) -> Any:  # noqa: ANN401 (JSON)
    """Return a domain value as JSON, with the names of its members."""
    kind = type(value)
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind].dump_python(value, mode="json")
