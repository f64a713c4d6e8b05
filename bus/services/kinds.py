"""The kinds of case that the control plane keeps, and by what each is looked for."""

from bus.domain.agreement import Agreement
from bus.domain.cases import CaseIndex, CaseKind
from bus.domain.contacts import Contacts
from bus.domain.entry_life import EntryCase
from bus.domain.jurisdiction import Jurisdiction
from bus.domain.notice import Notice
from bus.domain.onboarding import Onboarding
from bus.domain.request import ShareRequest

JURISDICTION: CaseKind[Jurisdiction] = CaseKind(
    "jurisdiction",
    Jurisdiction,
    lambda value: CaseIndex(id=value.code, jurisdiction=value.code, state="SET_UP"),
)

ENTRY: CaseKind[EntryCase] = CaseKind(
    "entry",
    EntryCase,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.stage,
        resource=value.resource,
        provider=value.owner,
    ),
)

REQUEST: CaseKind[ShareRequest] = CaseKind(
    "request",
    ShareRequest,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.state,
        resource=value.ask.resource,
        provider=value.provider,
        consumer=value.consumer,
    ),
)

NOTICE: CaseKind[Notice] = CaseKind(
    "notice",
    Notice,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state="READ" if value.read else "UNREAD",
        consumer=value.to,
    ),
)

ONBOARDING: CaseKind[Onboarding] = CaseKind(
    "onboarding",
    Onboarding,
    lambda value: CaseIndex(
        id=value.organisation,
        jurisdiction="",
        state=value.state,
        consumer=value.organisation,
    ),
)

CONTACTS: CaseKind[Contacts] = CaseKind(
    "contacts",
    Contacts,
    lambda value: CaseIndex(id=value.organisation, jurisdiction="", state=""),
)

AGREEMENT: CaseKind[Agreement] = CaseKind(
    "agreement",
    Agreement,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction="",
        state=value.state,
        provider=value.provider,
        consumer=value.consumer,
    ),
)
