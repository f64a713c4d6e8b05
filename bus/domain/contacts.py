"""Who answers for an organisation: contacts with dates (R-003)."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.errors import Refused


class ContactKind(StrEnum):
    """Values of `org.required_contacts`."""

    HEAD = "head"
    """第一责任人: the head of the organisation."""
    LEAD_UNIT = "lead_unit"
    """The unit inside the organisation that leads the work."""
    DEPUTY = "deputy"
    """The responsible deputy."""
    LIAISON = "liaison"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person or unit that answered from `since`, until the day before `until`."""

    kind: ContactKind
    name: str
    reached_by: str = ""
    """A telephone number or address in the government's own network."""
    since: dt.date
    until: dt.date | None = None

    def answers(self, on: dt.date) -> bool:
        """Whether the contact answers on that day."""
        return self.since <= on and (self.until is None or on < self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """All contacts of an organisation, those of the past included."""

    organisation: str
    terms: tuple[Contact, ...] = ()

    def of(self, kind: ContactKind, on: dt.date) -> Contact | None:
        """Return who answers as `kind` on that day."""
        for contact in self.terms:
            if contact.kind is kind and contact.answers(on):
                return contact
        return None

    def missing(self, required: Iterable[ContactKind], on: dt.date) -> tuple[ContactKind, ...]:
        """Return the kinds among `required` for which nobody answers on that day."""
        wanted = frozenset(required)
        return tuple(kind for kind in ContactKind if kind in wanted and not self.of(kind, on))


def appoint(contacts: Contacts, contact: Contact) -> Contacts:
    """Put `contact` in the place of who answered before, whose term ends on that day."""
    if not contact.name.strip():
        raise Refused(f"name the {contact.kind}", code="CONTACT_REQUIRED")
    if contact.until is not None:
        raise Refused("a term ends when the next one begins", code="CONTACT_INVALID")
    terms = []
    for each in contacts.terms:
        if each.kind is contact.kind and each.until is None:
            if contact.since <= each.since:
                raise Refused(
                    f"{each.name} is {each.kind} since {each.since}; the next one comes after",
                    code="CONTACT_INVALID",
                )
            terms.append(replace(each, until=contact.since))
        else:
            terms.append(each)
    return replace(contacts, terms=(*terms, contact))


def require_contacts(contacts: Contacts, required: Iterable[ContactKind], on: dt.date) -> None:
    """Refuse to activate an organisation for which somebody required does not answer (R-003)."""
    missing = contacts.missing(required, on)
    if missing:
        raise Refused(
            f"{contacts.organisation} has no {', '.join(missing)}", code="CONTACT_REQUIRED"
        )
