"""
Share requests (共享申请): what is asked for, and everything that was decided about it.

The states are those of requirements.md §6.2; `bus.domain.request_steps` leads from one to another.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bus.domain.entry import DeliveryMode
from bus.domain.share import Purpose, Scope, ShareClass
from bus.domain.view import Treatment
from bus.domain.working_days import DueDate


class RequestState(StrEnum):
    """Where a request stands."""

    DRAFT = "DRAFT"
    """Not submitted, or returned because a named part is missing."""
    PENDING = "PENDING"
    """The provider has to decide."""
    OVERDUE = "OVERDUE"
    """The due time is over: recorded and escalated, still to be decided."""
    REFUSAL_PROPOSED = "REFUSAL_PROPOSED"
    """The refusal takes effect only with the authority's consent."""
    REFUSED = "REFUSED"
    CONSULTING = "CONSULTING"
    """协商: consumer and provider talk; the outcome is recorded."""
    AWAITING_STEERING = "AWAITING_STEERING"
    """Agreed, but the steering body has to approve."""
    ESCALATED = "ESCALATED"
    """A body of the escalation chain has to decide."""
    DISAGREEMENT = "DISAGREEMENT"
    """意见分歧: the authority convenes the parties."""
    COMPLAINT = "COMPLAINT"
    PRE_REVIEW = "PRE_REVIEW"
    """The steering body looks at it before it leaves the jurisdiction."""
    REJECTED_PRE_REVIEW = "REJECTED_PRE_REVIEW"
    FORWARDED = "FORWARDED"
    """With the outside; its decision is recorded here."""
    PROXY_FETCH = "PROXY_FETCH"
    """The gateway body obtains the data."""
    HANDED_OVER = "HANDED_OVER"
    GRANTED_DIRECT = "GRANTED_DIRECT"
    AUTHORISED = "AUTHORISED"
    """Decided; the operator has to activate the grant."""
    FULFILLED = "FULFILLED"
    DENIED_FINAL = "DENIED_FINAL"
    WITHDRAWN = "WITHDRAWN"

    @property
    def closed(self) -> bool:
        """Whether it stays in this state for ever; a disagreement about it is another case."""
        return self in _CLOSED


_CLOSED = frozenset(
    {
        RequestState.REJECTED_PRE_REVIEW,
        RequestState.HANDED_OVER,
        RequestState.GRANTED_DIRECT,
        RequestState.FULFILLED,
        RequestState.DENIED_FINAL,
        RequestState.WITHDRAWN,
    }
)


class Basis(StrEnum):
    """What a grant rests on."""

    DIRECT = "direct"
    """The class is unconditional: no decision was needed (R-081)."""
    PROVIDER = "provider"
    """The provider approved (R-082)."""
    CONSULTATION = "consultation"
    """Consumer and provider agreed (R-091)."""
    ESCALATION = "escalation"
    """A body of the escalation chain decided (R-092)."""
    DISPATCH = "dispatch"
    """The authority gave it in the public owner's name (R-012)."""
    OUTSIDE = "outside"
    """A body outside the system decided; its document number is recorded (R-100)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a consumer asks for (R-080)."""

    resource: str
    items: tuple[str, ...]
    row_filter: str | None = None
    purpose: Purpose
    duty: str
    """The duty of the consumer that the data serves."""
    mode: DeliveryMode
    keys: tuple[str, ...] = ()
    """The resource's key items: they belong to every view, asked for or not."""
    valid_until: dt.date | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    """The further parts that the profile asks for: knowledge scope, security measures, a form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was approved; the grant contains exactly this (R-090)."""

    treatments: Mapping[str, Treatment]
    row_filter: str | None
    valid_from: dt.date
    valid_until: dt.date
    mode: DeliveryMode
    purpose: Purpose
    basis: Basis
    by: str
    """The organisation that decided."""
    at: dt.datetime
    document: str = ""
    """The number of a decision taken outside the system (R-100)."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request was refused."""

    text: str = ""
    ground: str = ""
    """A coded ground; at the level `specific` the text names the item or condition concerned."""
    citation: str = ""
    """Instrument and article, where only statutory causes count (R-087)."""
    document: str = ""
    """The digest of a signed document."""
    addressed_to: str = ""
    """Whom a written opinion addresses: `consumer`, or a role."""
    by: str = ""
    at: dt.datetime | None = None
    consented: bool | None = None
    """What the authority said to it; None: nothing yet, or it is not asked (R-086)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A recorded outcome of a consultation."""

    at: dt.datetime
    by: str
    agreed: bool
    note: str
    parties: tuple[str, ...]
    """The organisations that took part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One body of the escalation chain (R-092)."""

    body: str
    """The role that decides: `authority`, `steering`, `interministerial_conference`, …"""
    at: dt.datetime
    reasons: str
    papers: tuple[str, ...] = ()
    """Digests of what was put before it."""
    by: str = ""
    """The organisation that put the case before it."""
    decided_at: dt.datetime | None = None
    outcome: str = ""
    """`passed on`, `authorised` or `denied`; empty while it is undecided."""
    note: str = ""
    document: str = ""
    """The number of a decision taken outside the system (R-100)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRequest:
    """One request with everything that was decided about it."""

    id: str
    jurisdiction: str
    """The provider's: its deadlines and refusal rules govern the decision (R-265)."""
    home: str = ""
    """The consumer's jurisdiction, where the resource is another's: its overseers see it too."""
    kept_back: bool = False
    """It has not left the consumer's jurisdiction: the provider knows nothing of it (R-095)."""
    provider: str
    consumer: str
    scope: Scope
    higher_level: bool = False
    """Whether a higher-level organisation is involved (R-093)."""
    ask: Ask
    share_class: ShareClass
    """The strictest class of the items that are asked for, at submission."""
    state: RequestState
    profile: str = ""
    profile_version: str = ""
    created_at: dt.datetime
    submitted_at: dt.datetime | None = None
    """When the consumer applied; on paper, that is earlier than its registration here."""
    received_at: dt.datetime | None = None
    clock_at: dt.datetime | None = None
    """When the clock of the reply began to run."""
    due: DueDate | None = None
    due_before: tuple[DueDate, ...] = ()
    """What was due before the calendar was amended, oldest first (R-083)."""
    missing: str = ""
    """The part that it was returned for (R-089)."""
    refusals: tuple[Refusal, ...] = ()
    talks_since: dt.datetime | None = None
    """When the parties began to talk: after some time they may escalate all the same (§2.4)."""
    talks: tuple[Talk, ...] = ()
    hops: tuple[Hop, ...] = ()
    decision: Decision | None = None
    """What was approved, or agreed and not yet approved by the steering body."""
    agreement: str | None = None
    """The sharing agreement that both sides have to sign before activation (R-097)."""
    grant: str | None = None
    authorised_at: dt.datetime | None = None
    activated_at: dt.datetime | None = None
    late_days: int = 0
    """Working days by which the provider was late when consent was last denied."""
    linked_to: str | None = None
    """An earlier request with the same content that was refused (§2.4)."""
