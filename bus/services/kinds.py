"""The kinds of case that the control plane keeps, and by what each is looked for."""

from bus.domain.agreement import Agreement
from bus.domain.breach import Breach
from bus.domain.cases import CaseIndex, CaseKind
from bus.domain.contacts import Contacts
from bus.domain.demand import Demand, DemandItem
from bus.domain.disagreement import Disagreement
from bus.domain.entry_life import EntryCase
from bus.domain.filing import Filing
from bus.domain.jurisdiction import Jurisdiction
from bus.domain.notice import Notice
from bus.domain.onboarding import Onboarding
from bus.domain.rectification import ProjectFlag, Rectification
from bus.domain.request import ShareRequest
from bus.domain.source_assignment import ElementSources

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
        # The provider does not even find what was not let out to it.
        provider="" if value.kept_back else value.provider,
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

BREACH: CaseKind[Breach] = CaseKind(
    "breach",
    Breach,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.ground,
        provider=value.organisation,
    ),
)

RECTIFICATION: CaseKind[Rectification] = CaseKind(
    "rectification",
    Rectification,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.state,
        provider=value.organisation,
    ),
)

PROJECT_FLAG: CaseKind[ProjectFlag] = CaseKind(
    "project_flag",
    ProjectFlag,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.state,
        provider=value.organisation,
    ),
)

DISAGREEMENT: CaseKind[Disagreement] = CaseKind(
    "disagreement",
    Disagreement,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.state,
        resource=value.resource,
        provider=value.provider,
        consumer=value.consumer,
    ),
)

DEMAND: CaseKind[Demand] = CaseKind(
    "demand",
    Demand,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.state,
        consumer=value.consumer,
    ),
)

DEMAND_ITEM: CaseKind[DemandItem] = CaseKind(
    "demand_item",
    DemandItem,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.state,
        resource=value.resource or "",
        provider=value.provider or "",
    ),
)

FILING: CaseKind[Filing] = CaseKind(
    "filing",
    Filing,
    lambda value: CaseIndex(
        id=value.id,
        jurisdiction=value.jurisdiction,
        state=value.state,
        resource=value.entry,
        provider=value.owner,
    ),
)

SOURCES: CaseKind[ElementSources] = CaseKind(
    "sources",
    ElementSources,
    lambda value: CaseIndex(id=value.id, jurisdiction=value.jurisdiction, state=""),
)
