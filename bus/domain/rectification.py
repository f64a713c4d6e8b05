"""
Notices of rectification (限期整改通知, requirements.md §6.5): issued, answered, checked, escalated.

A missed deadline is counted for its organisation, over all its notices of the last twelve months;
at the profile's count the case goes to the body above. A project suspension is a record of its own
(`ProjectFlag`) and is lifted by another, not by the end of the notice.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.domain.identity import Actor, Role, require_role
from bus.domain.life_cycle import LifeCycle, Step
from bus.domain.working_days import DueDate, is_over
from bus.errors import Forbidden, Refused

#: The sanction that raises the flag which the project gate reads (R-224, R-227).
PROJECT_SUSPENDED = "project_approval_suspended"


class RectificationState(StrEnum):
    """Where a notice stands."""

    DRAFT = "DRAFT"
    ISSUED = "ISSUED"
    IN_PROGRESS = "IN_PROGRESS"
    UNDER_CHECK = "UNDER_CHECK"
    """The addressee says that it is done."""
    MISSED = "MISSED"
    ESCALATED = "ESCALATED"
    SANCTIONED = "SANCTIONED"
    CLOSED = "CLOSED"


_S = RectificationState
_RUNNING = (_S.ISSUED, _S.IN_PROGRESS, _S.UNDER_CHECK)

RECTIFICATION_LIFE: LifeCycle[RectificationState] = LifeCycle(
    name="Rectification",
    states=RectificationState,
    initial=_S.DRAFT,
    steps=(
        Step(_S.DRAFT, "issue", _S.ISSUED, "by the profile's issuer: grounds, evidence, deadline"),
        Step(_S.ISSUED, "acknowledge", _S.IN_PROGRESS, "by the addressee"),
        Step(_S.IN_PROGRESS, "report", _S.UNDER_CHECK, "by the addressee: it is done"),
        Step(_S.UNDER_CHECK, "accept", _S.CLOSED, "by the issuer"),
        Step(_S.UNDER_CHECK, "send_back", _S.IN_PROGRESS, "by the issuer; the deadline stays"),
        *(Step(state, "miss", _S.MISSED, "the deadline passed; counted") for state in _RUNNING),
        Step(_S.MISSED, "extend", _S.IN_PROGRESS, "fewer misses than strikes: a new deadline"),
        Step(_S.MISSED, "escalate", _S.ESCALATED, "as many misses as strikes"),
        Step(_S.ESCALATED, "sanction", _S.SANCTIONED, "one that the profile lists"),
        Step(_S.SANCTIONED, "sanction", _S.SANCTIONED, "a further one"),
        Step(_S.SANCTIONED, "verify", _S.CLOSED, "by the issuer: the work is done"),
    ),
)


class ProjectFlagState(StrEnum):
    """Whether project approvals of an organisation are suspended."""

    SUSPENDED = "SUSPENDED"
    LIFTED = "LIFTED"


PROJECT_FLAG_LIFE: LifeCycle[ProjectFlagState] = LifeCycle(
    name="Project flag",
    states=ProjectFlagState,
    initial=ProjectFlagState.SUSPENDED,
    steps=(
        Step(
            ProjectFlagState.SUSPENDED,
            "lift",
            ProjectFlagState.LIFTED,
            "by the issuer, once the notice is closed",
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RectificationRules:
    """What a profile says of rectification."""

    issuer: Role | None = None
    """Who issues notices; None: the profile knows none."""
    strikes: int = 1
    """Missed deadlines at which a case is escalated."""
    escalate_to: str = ""
    """A role, or the name of a body that decides outside the system."""
    sanctions: frozenset[str] = frozenset()
    grounds: frozenset[str] = frozenset()
    grounds_complete: bool = True
    """Whether there are no other grounds (D5)."""

    @property
    def sanctioner(self) -> Role | None:
        """Who records sanctions: the body that it went to; the issuer for one that is outside."""
        return Role(self.escalate_to) if self.escalate_to in {*Role} else self.issuer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanction:
    """A consequence, as it was recorded (R-224)."""

    kind: str
    at: dt.datetime
    by: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectification:
    """One notice to one organisation."""

    id: str
    jurisdiction: str
    organisation: str
    """The addressee."""
    grounds: tuple[str, ...]
    """Words of the profile's `rectification.grounds`."""
    evidence: str
    breaches: tuple[str, ...] = ()
    """Lines of the breach register that it is about."""
    drafted_by: str
    drafted_at: dt.datetime
    state: RectificationState = RectificationState.DRAFT
    issued_by: str = ""
    issued_at: dt.datetime | None = None
    due: DueDate | None = None
    answer: str = ""
    """What the addressee says to it."""
    report: str = ""
    """What the addressee says that it has done."""
    sent_back: str = ""
    """Why the work was not accepted."""
    misses: tuple[dt.datetime, ...] = ()
    escalated_to: str = ""
    sanctions: tuple[Sanction, ...] = ()
    closed_at: dt.datetime | None = None
    closed_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFlag:
    """A suspension of an organisation's project approvals, readable by the project gate."""

    id: str
    jurisdiction: str
    organisation: str
    notice: str
    imposed_at: dt.datetime
    imposed_by: str
    document: str
    state: ProjectFlagState = ProjectFlagState.SUSPENDED
    lifted_at: dt.datetime | None = None
    lifted_by: str = ""
    lifting_document: str = ""


def draft(notice: Rectification, rules: RectificationRules, *, by: Actor) -> Rectification:
    """Return `notice` if `by` may draft it: as the issuer, with grounds of the profile."""
    _require_issuer(rules, by)
    if not notice.grounds:
        raise Refused("name the grounds", code="GROUNDS_REQUIRED")
    for ground in notice.grounds:
        if not ground.strip() or (rules.grounds_complete and ground not in rules.grounds):
            raise Refused(
                f"{ground!r} is no ground here; there are {', '.join(sorted(rules.grounds))}",
                code="GROUND_NOT_IN_PROFILE",
            )
    if not notice.evidence.strip():
        raise Refused("name the evidence", code="EVIDENCE_REQUIRED")
    if notice.state is not RECTIFICATION_LIFE.initial or notice.due is not None:
        raise LookupError(f"notice {notice.id} is not new")
    return notice


def issue(
    notice: Rectification, rules: RectificationRules, *, due: DueDate, by: Actor, at: dt.datetime
) -> Rectification:
    """Send the notice out, with its deadline: there is no length by default (§2.4)."""
    _require_issuer(rules, by)
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "issue")
    return replace(
        notice, state=state, due=_ahead(due, at), issued_by=by.organisation, issued_at=at
    )


def acknowledge(notice: Rectification, *, answer: str = "", by: Actor) -> Rectification:
    """Acknowledge the notice as its addressee, and answer it."""
    _require_addressee(notice, by)
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "acknowledge")
    return replace(notice, state=state, answer=answer)


def report(notice: Rectification, *, text: str, by: Actor) -> Rectification:
    """Say, as the addressee, what was done."""
    _require_addressee(notice, by)
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "report")
    if not text.strip():
        raise Refused("say what was done", code="REPORT_REQUIRED")
    return replace(notice, state=state, report=text)


def accept(
    notice: Rectification, rules: RectificationRules, *, by: Actor, at: dt.datetime
) -> Rectification:
    """Accept the work as the issuer: the notice is closed."""
    _require_issuer(rules, by)
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "accept")
    return replace(notice, state=state, closed_at=at, closed_because="accepted in time")


def send_back(
    notice: Rectification, rules: RectificationRules, *, reason: str, by: Actor
) -> Rectification:
    """Do not accept the work; the deadline is what it was."""
    _require_issuer(rules, by)
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "send_back")
    if not reason.strip():
        raise Refused("say what is missing", code="REASON_REQUIRED")
    return replace(notice, state=state, sent_back=reason)


def miss(notice: Rectification, *, at: dt.datetime) -> Rectification:
    """Note that the deadline passed; ask `count_misses` next whether it has to be escalated."""
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "miss")
    if notice.due is None or not is_over(notice.due, at):
        raise Refused(f"notice {notice.id} is not late", code="NOT_DUE")
    return replace(notice, state=state, misses=(*notice.misses, at))


def count_misses(notices: Iterable[Rectification], organisation: str, *, at: dt.datetime) -> int:
    """Return how many deadlines `organisation` missed in the twelve months up to `at` (R-223)."""
    since = _year_before(at)
    return sum(
        since < missed <= at
        for notice in notices
        if notice.organisation == organisation
        for missed in notice.misses
    )


def extend(
    notice: Rectification,
    rules: RectificationRules,
    *,
    misses: int,
    due: DueDate,
    by: Actor,
    at: dt.datetime,
) -> Rectification:
    """Set a new deadline after a miss that is not yet one too many."""
    _require_issuer(rules, by)
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "extend")
    if misses >= rules.strikes:
        raise Refused(
            f"{notice.organisation} missed {misses} deadlines: the case is escalated",
            code="STRIKES_REACHED",
        )
    return replace(notice, state=state, due=_ahead(due, at))


def escalate(notice: Rectification, rules: RectificationRules, *, misses: int) -> Rectification:
    """Put the case before the body that the profile names, at its count of misses."""
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "escalate")
    if misses < rules.strikes:
        raise Refused(
            f"{misses} of {rules.strikes} misses: set a new deadline", code="STRIKES_NOT_REACHED"
        )
    return replace(notice, state=state, escalated_to=rules.escalate_to)


def sanction(
    notice: Rectification,
    rules: RectificationRules,
    *,
    kind: str,
    document: str,
    by: Actor,
    at: dt.datetime,
) -> Rectification:
    """Record a sanction; what a body outside the system decided needs its document number."""
    if rules.sanctioner is None:
        raise Forbidden("nobody sanctions here")
    require_role(by, frozenset({rules.sanctioner}), "recording a sanction")
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "sanction")
    if kind not in rules.sanctions:
        raise Refused(
            f"{kind!r} is no sanction here; there are {', '.join(sorted(rules.sanctions))}",
            code="SANCTION_NOT_IN_PROFILE",
        )
    if any(known.kind == kind for known in notice.sanctions):
        raise Refused(f"{kind!r} was recorded already", code="ALREADY_EXISTS")
    if not document.strip():
        raise Refused("name the document of the decision", code="DOCUMENT_REQUIRED")
    recorded = Sanction(kind=kind, at=at, by=by.organisation, document=document)
    return replace(notice, state=state, sanctions=(*notice.sanctions, recorded))


def verify(
    notice: Rectification, rules: RectificationRules, *, finding: str, by: Actor, at: dt.datetime
) -> Rectification:
    """Close a sanctioned case as the issuer, because the work is done; flags are lifted apart."""
    _require_issuer(rules, by)
    state = RECTIFICATION_LIFE.move(notice.id, notice.state, "verify")
    if not finding.strip():
        raise Refused("say how the work was verified", code="EVIDENCE_REQUIRED")
    return replace(notice, state=state, closed_at=at, closed_because=finding)


def lift(
    flag: ProjectFlag,
    notice: Rectification,
    rules: RectificationRules,
    *,
    document: str,
    by: Actor,
    at: dt.datetime,
) -> ProjectFlag:
    """Lift a project suspension as the issuer, by a document of its own (R-224)."""
    _require_issuer(rules, by)
    state = PROJECT_FLAG_LIFE.move(flag.id, flag.state, "lift")
    if notice.id != flag.notice or notice.state is not RectificationState.CLOSED:
        raise Refused(f"notice {flag.notice} is not closed", code="NOT_RECTIFIED")
    if not document.strip():
        raise Refused("name the document that lifts it", code="DOCUMENT_REQUIRED")
    return replace(
        flag, state=state, lifted_at=at, lifted_by=by.organisation, lifting_document=document
    )


def _require_issuer(rules: RectificationRules, by: Actor) -> None:
    if rules.issuer is None:
        raise Refused("the profile knows no rectification", code="RECTIFICATION_NOT_IN_PROFILE")
    require_role(by, frozenset({rules.issuer}), "a step of the issuer")


def _require_addressee(notice: Rectification, by: Actor) -> None:
    if by.organisation != notice.organisation or Role.DEPARTMENT not in by.roles:
        raise Forbidden(f"notice {notice.id} is addressed to {notice.organisation}")


def _ahead(due: DueDate, at: dt.datetime) -> DueDate:
    if is_over(due, at):
        raise Refused("a deadline lies ahead", code="DEADLINE_PASSED")
    return due


def _year_before(at: dt.datetime) -> dt.datetime:
    try:
        return at.replace(year=at.year - 1)
    except ValueError:  # 29 February
        return at.replace(year=at.year - 1, day=28)
