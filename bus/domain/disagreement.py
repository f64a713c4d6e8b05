"""
Disagreements (§6.4 b, R-101): about sharing conditions, reasons of a request, or what was granted.

The authority convenes provider, consumer and operator; what they cannot agree on goes to the
government of that level. Nothing here touches a grant or a refusal: it stays in force until the
outcome, and then the caller carries out `Outcome.amends`.
"""

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.domain.identity import Actor, Role, require_role
from bus.domain.life_cycle import LifeCycle, Step
from bus.errors import Forbidden, Refused


class DisagreementState(StrEnum):
    """Where a disagreement stands."""

    OPEN = "OPEN"
    MEETING = "MEETING"
    SETTLED = "SETTLED"
    WITH_GOVERNMENT = "WITH_GOVERNMENT"
    DECIDED = "DECIDED"


class Subject(StrEnum):
    """What people may disagree about; values of `disagreement.subjects`."""

    SHARING_CONDITION = "sharing_condition"
    """Of a catalog entry."""
    APPLICATION_REASON = "application_reason"
    """Of a request."""
    AUTHORISATION_RESULT = "authorisation_result"
    """A grant, a partial grant or a refusal."""


class Party(StrEnum):
    """Who sits at the meeting; values of `disagreement.parties`."""

    PROVIDER = "provider"
    CONSUMER = "consumer"
    OPERATOR = "operator"


class AmendedKind(StrEnum):
    """What an outcome may change."""

    ENTRY = "entry"
    REQUEST = "request"
    GRANT = "grant"


_S = DisagreementState

DISAGREEMENT_LIFE: LifeCycle[DisagreementState] = LifeCycle(
    name="Disagreement",
    states=DisagreementState,
    initial=_S.OPEN,
    steps=(
        Step(_S.OPEN, "convene", _S.MEETING, "by the convener; the parties are invited"),
        Step(_S.MEETING, "settle", _S.SETTLED, "the parties agreed"),
        Step(_S.MEETING, "refer", _S.WITH_GOVERNMENT, "they did not agree"),
        Step(_S.WITH_GOVERNMENT, "decide", _S.DECIDED, "final; with the document's number"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisagreementRules:
    """What a profile says of disagreements."""

    enabled: bool = False
    subjects: frozenset[Subject] = frozenset()
    convener: Role = Role.AUTHORITY
    parties: frozenset[Party] = frozenset()
    final: str = ""
    """The body whose decision is final: 县政府."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a disagreement ended."""

    text: str
    amends: AmendedKind | None = None
    """What the caller has to amend; None: everything stays as it was."""
    amended: str | None = None
    """The id of the entry, request or grant."""
    decided_by: str
    decided_at: dt.datetime
    document: str = ""
    """The number of the decision, where it was taken outside the system (R-100)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One disagreement between the provider and the consumer of a resource."""

    id: str
    jurisdiction: str
    subject: Subject
    about: str
    """The id of the entry, request or grant in question; it stays in force meanwhile."""
    resource: str
    provider: str
    consumer: str
    opened_by: str
    opened_at: dt.datetime
    reasons: str
    state: DisagreementState = DisagreementState.OPEN
    invited: frozenset[Party] = frozenset()
    meeting_at: dt.datetime | None = None
    convened_by: str | None = None
    referred_to: str = ""
    referred_because: str = ""
    outcome: Outcome | None = None

    @property
    def closed(self) -> bool:
        """Whether it is settled or decided; only then anything changes."""
        return self.outcome is not None


def open_disagreement(
    disagreement: Disagreement, rules: DisagreementRules, *, by: Actor
) -> Disagreement:
    """Return a new `disagreement` if either side may open it here; also after an approval."""
    if not rules.enabled:
        raise Refused(
            "the profile knows no procedure for disagreements", code="DISAGREEMENT_NOT_OFFERED"
        )
    if disagreement.subject not in rules.subjects:
        raise Refused(
            f"{disagreement.subject} is no subject of a disagreement here",
            code="SUBJECT_NOT_ALLOWED",
        )
    sides = {disagreement.provider, disagreement.consumer}
    if by.organisation not in sides or Role.DEPARTMENT not in by.roles:
        raise Forbidden("provider or consumer opens a disagreement")
    if not disagreement.reasons.strip():
        raise Refused("say what you disagree with", code="REASON_REQUIRED")
    if disagreement.state is not DISAGREEMENT_LIFE.initial or disagreement.opened_by not in sides:
        raise LookupError(f"disagreement {disagreement.id} is not new")
    return disagreement


def convene(
    disagreement: Disagreement,
    rules: DisagreementRules,
    *,
    meeting_at: dt.datetime,
    by: Actor,
) -> Disagreement:
    """Call the parties together."""
    require_role(by, frozenset({rules.convener}), "convening the parties")
    state = DISAGREEMENT_LIFE.move(disagreement.id, disagreement.state, "convene")
    return replace(
        disagreement,
        state=state,
        invited=rules.parties,
        meeting_at=meeting_at,
        convened_by=by.organisation,
    )


def settle(
    disagreement: Disagreement, rules: DisagreementRules, outcome: Outcome, *, by: Actor
) -> Disagreement:
    """Record what the parties agreed on, and what has to be amended for it."""
    require_role(by, frozenset({rules.convener}), "recording the agreement")
    state = DISAGREEMENT_LIFE.move(disagreement.id, disagreement.state, "settle")
    _require_complete(outcome)
    return replace(disagreement, state=state, outcome=outcome)


def refer(
    disagreement: Disagreement, rules: DisagreementRules, *, reason: str, by: Actor
) -> Disagreement:
    """Hand a disagreement over on which the parties did not agree."""
    require_role(by, frozenset({rules.convener}), "referring a disagreement")
    state = DISAGREEMENT_LIFE.move(disagreement.id, disagreement.state, "refer")
    if not reason.strip():
        raise Refused("say what they did not agree on", code="REASON_REQUIRED")
    return replace(disagreement, state=state, referred_to=rules.final, referred_because=reason)


def decide(disagreement: Disagreement, outcome: Outcome, *, by: Actor) -> Disagreement:
    """Record the government's decision, which is final; the authority may record it for it."""
    require_role(by, frozenset({Role.STEERING, Role.AUTHORITY}), "recording the decision")
    state = DISAGREEMENT_LIFE.move(disagreement.id, disagreement.state, "decide")
    _require_complete(outcome)
    if not outcome.document.strip():
        raise Refused("give the number of the decision", code="DOCUMENT_REQUIRED")
    return replace(disagreement, state=state, outcome=outcome)


def _require_complete(outcome: Outcome) -> None:
    if not outcome.text.strip():
        raise Refused("say what was agreed or decided", code="REASON_REQUIRED")
    if (outcome.amends is None) != (outcome.amended is None):
        raise Refused("name what is amended by kind and id", code="OUTCOME_INCOMPLETE")
