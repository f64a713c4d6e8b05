"""The use cases of the control plane's own resources, and what the clock does to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.calendars.amended_calendars import AmendedCalendars
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.definitions.entry_documents import parse_entry
from bus.adapters.definitions.installed_profiles import InstalledProfiles
from bus.adapters.postgres.audit_log import PostgresAuditReader, PostgresAuditWriter
from bus.adapters.postgres.control_store import PostgresControlStore
from bus.adapters.postgres.search import PostgresCatalogSearch
from bus.bootstrap.catalog import CatalogParts
from bus.control.control_services import ControlServices
from bus.domain.calendar_amendment import RECOUNT
from bus.domain.deadline import Deadline
from bus.ports import Clock, LogReaders
from bus.ports.control import ControlTransaction
from bus.services import (
    disagreements,
    entries,
    grants,
    rectifications,
    requests,
    source_assignments,
)
from bus.services.agreements import Agreements
from bus.services.audit_queries import AuditQueries
from bus.services.credentials import Credentials
from bus.services.demands import Demands
from bus.services.desk import Desk
from bus.services.disagreements import Disagreements
from bus.services.enforcement import Enforcement
from bus.services.entries import Entries
from bus.services.escalations import Escalations
from bus.services.filings import Filings
from bus.services.grants import Grants
from bus.services.notices import Notices
from bus.services.outside_requests import OutsideRequests
from bus.services.rectifications import Rectifications
from bus.services.registration import Registration
from bus.services.requests import Requests
from bus.services.scheduler import Scheduler
from bus.services.source_assignments import SourceAssignments

Handler = Callable[[ControlTransaction, Deadline], None]


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The use cases, and the scheduler that calls some of them."""

    services: ControlServices
    scheduler: Scheduler[ControlTransaction]


def control_plane(
    parts: CatalogParts, readers: LogReaders, clock: Clock, profiles: InstalledProfiles
) -> ControlPlane:
    """Return the use cases over a connected catalog."""
    enforcement = Enforcement(
        topics=parts.topics, access=parts.access, codec=AvroEventCodec(), clock=clock
    )
    desk = Desk(
        store=PostgresControlStore(parts.postgres, AmendedCalendars),
        profiles=profiles,
        enforcement=enforcement,
        clock=clock,
    )
    services = ControlServices(
        registration=Registration(desk, enforcement, compile_filter=compile_filter),
        entries=Entries(
            desk,
            incompatibilities=incompatibilities,
            compile_filter=compile_filter,
            readers=readers,
        ),
        requests=Requests(desk, compile_filter=compile_filter),
        escalations=Escalations(desk, compile_filter=compile_filter),
        outside_requests=OutsideRequests(desk, compile_filter=compile_filter),
        agreements=Agreements(desk),
        grants=Grants(desk, compile_filter=compile_filter),
        credentials=Credentials(desk, enforcement),
        rectifications=Rectifications(desk),
        audit=AuditQueries(
            reader=PostgresAuditReader(parts.postgres),
            writer=PostgresAuditWriter(parts.postgres),
            clock=clock,
        ),
        disagreements=Disagreements(desk, compile_filter=compile_filter),
        demands=Demands(desk),
        filings=Filings(desk),
        sources=SourceAssignments(desk),
        notices=Notices(desk),
        profiles=profiles,
        search=PostgresCatalogSearch(parts.postgres),
        parse_entry=parse_entry,
    )
    return ControlPlane(services, Scheduler(desk.scheduled, _handlers(services), clock))


def _handlers(services: ControlServices) -> Mapping[str, Handler]:
    """Return what is done when a deadline of a kind is over."""

    def about(act: Callable[[str], None]) -> Handler:
        return lambda _, deadline: act(deadline.subject)

    def recount(_: ControlTransaction, __: Deadline) -> None:
        services.requests.recount()
        services.entries.recount_updates()

    return {
        requests.DUE: about(services.requests.mark_overdue),
        requests.CONSENT_DUE: about(services.requests.remind_of_consent),
        grants.EXPIRY: about(services.grants.expire),
        grants.REMINDER: about(services.grants.remind),
        RECOUNT: recount,
        entries.UPDATE_DUE: about(services.entries.mark_update_overdue),
        disagreements.MEETING_DUE: about(services.disagreements.remind),
        source_assignments.CHANGE: about(services.sources.change),
        entries.CLASS_GRACE: about(services.entries.end_grace),
        rectifications.DUE: about(services.rectifications.mark_missed),
    }
