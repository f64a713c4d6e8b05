"""What the control plane's decisions need of the store, besides the catalog in force."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from bus.domain.audit_record import AuditRecord
from bus.domain.cases import CaseFilter, CaseKind, Held
from bus.domain.catalog import LiveGrant
from bus.domain.deadline import Deadline
from bus.domain.entry import CatalogEntry
from bus.domain.profile import Profile
from bus.domain.working_days import WorkingCalendar
from bus.ports import CatalogTransaction
from bus.ports.deadlines import DeadlineTransaction

T = TypeVar("T")


class ControlTransaction(CatalogTransaction, DeadlineTransaction, Protocol):
    """One decision: state, audit record and what is to be published, whole or not at all."""

    def case(self, kind: CaseKind[T], case: str) -> Held[T] | None:
        """Return a case; None if there is none."""
        ...

    def cases(
        self, kind: CaseKind[T], where: CaseFilter, *, after: str = "", limit: int = 1000
    ) -> Sequence[Held[T]]:
        """Return up to `limit` cases with ids after `after`, in the order of their ids."""
        ...

    def add_case(self, kind: CaseKind[T], value: T) -> Held[T]:
        """Add a case; raise `Refused` ALREADY_EXISTS if its id is taken."""
        ...

    def replace_case(self, kind: CaseKind[T], value: T, version: int) -> Held[T]:
        """Replace a case that has `version`; raise `EditConflict` if it has another."""
        ...

    def grants(
        self, where: CaseFilter, *, after: str = "", limit: int = 1000
    ) -> Sequence[LiveGrant]:
        """Return up to `limit` grants with ids after `after`, in the order of their ids."""
        ...

    def record(self, record: AuditRecord) -> None:
        """Add to the audit log."""
        ...

    def claims(self, jurisdiction: str, elements: Sequence[str]) -> Mapping[str, str]:
        """Return which of these data elements have a source, and the resource that it is."""
        ...

    def claim_elements(self, jurisdiction: str, resource: str, elements: Sequence[str]) -> None:
        """Make a resource the source of exactly these data elements."""
        ...

    def index_entry(self, entry: CatalogEntry) -> None:
        """Let a published entry be found by the search."""
        ...

    def unindex_entry(self, resource: str) -> None:
        """Let an entry be found no more."""
        ...

    def calendar(self, country: str) -> WorkingCalendar:
        """Return the working-day calendar of a country as it stands, decrees and amendments."""
        ...

    def set_deadline(self, deadline: Deadline) -> None:
        """Set when something is due; it replaces the one of the same kind about the subject."""
        ...

    def clear_deadlines(self, subject_kind: str, subject: str) -> None:
        """Forget what is due about a subject."""
        ...


class ControlStore(Protocol):
    """The control plane's state."""

    def transaction(self) -> AbstractContextManager[ControlTransaction]:
        """Return a transaction that commits if its block ends without an exception."""
        ...

    def snapshot(self) -> AbstractContextManager[ControlTransaction]:
        """Return a transaction that only reads, and waits for no other."""
        ...


class Profiles(Protocol):
    """The jurisdiction profiles that are installed."""

    def profile(self, name: str) -> Profile:
        """Return the effective profile; raise `NotFound` if there is none of this name."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all profiles, in order."""
        ...
