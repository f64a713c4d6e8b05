"""
The life of a catalog entry (requirements.md §6.1): from draft to published, updated, retired.

Once a version is live its successor is drafted beside it: `state` is then that of the live version
and `draft_state` that of the draft. Before the first publication there is one state, `state`.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.domain.entry import CatalogEntry
from bus.domain.identity import Actor, Role, require_role
from bus.domain.life_cycle import LifeCycle, Step
from bus.domain.share import Scope, ShareClass
from bus.domain.submission import (
    EntryRules,
    UpdateCause,
    has_not_shared,
    is_metadata_only,
    submission_faults,
)
from bus.domain.working_days import DueDate
from bus.errors import Forbidden, Refused


class EntryState(StrEnum):
    """Where an entry, or the draft of its next version, stands."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    BOUND = "BOUND"
    """挂接: a data source is connected; nothing was delivered yet."""
    PUBLISHED = "PUBLISHED"
    UPDATE_DUE = "UPDATE_DUE"
    UPDATE_OVERDUE = "UPDATE_OVERDUE"
    SUSPENDED = "SUSPENDED"
    RETIRED = "RETIRED"


class EntryFlag(StrEnum):
    """What is true of an entry beside its state."""

    FILING_PENDING = "FILING_PENDING"
    FILED = "FILED"
    STALE = "STALE"
    """The update limit is exceeded."""
    NO_DATA = "NO_DATA"
    """Bound, but nothing was delivered."""
    GUIDE_OUTDATED = "GUIDE_OUTDATED"
    """Does not conform to today's compiling guide (R-034)."""
    UNDER_RECONCILIATION = "UNDER_RECONCILIATION"


class RetireCause(StrEnum):
    """Why an entry leaves the catalog."""

    FUNCTION_ENDED = "function_ended"
    SOURCE_MOVED = "source_moved"


class ApplicationDecision(StrEnum):
    """What became of the written application for a not-shared class."""

    GRANTED = "GRANTED"
    REJECTED = "REJECTED"


_S = EntryState
_LIVE = (_S.PUBLISHED, _S.UPDATE_DUE, _S.UPDATE_OVERDUE)

ENTRY_LIFE: LifeCycle[EntryState] = LifeCycle(
    name="Catalog entry",
    states=EntryState,
    initial=_S.DRAFT,
    steps=(
        Step(_S.DRAFT, "edit", _S.DRAFT, "by the owner"),
        Step(_S.DRAFT, "submit", _S.SUBMITTED, "nothing forbids it under the profile"),
        Step(_S.SUBMITTED, "return", _S.DRAFT, "with a reason"),
        Step(_S.SUBMITTED, "decide_application", _S.SUBMITTED, "a written application is pending"),
        Step(_S.SUBMITTED, "approve", _S.APPROVED, "by the profile's approver, if it names one"),
        Step(_S.APPROVED, "bind", _S.BOUND, "schema registered, connection tested"),
        Step(_S.APPROVED, "publish", _S.PUBLISHED, "metadata only, or the live version is bound"),
        Step(_S.BOUND, "first_data", _S.PUBLISHED, "a valid event or snapshot"),
        *(Step(state, "edit", state, "a draft beside the live version") for state in _LIVE),
        *(Step(state, "replace", _S.PUBLISHED, "the draft is published") for state in _LIVE),
        Step(_S.PUBLISHED, "trigger", _S.UPDATE_DUE, "the profile lists the cause"),
        Step(_S.UPDATE_DUE, "trigger", _S.UPDATE_DUE, "a further cause, a task of its own"),
        Step(_S.UPDATE_OVERDUE, "trigger", _S.UPDATE_OVERDUE, "a further cause"),
        Step(_S.SUSPENDED, "trigger", _S.SUSPENDED, "it resumes as UPDATE_DUE"),
        Step(_S.UPDATE_DUE, "overdue", _S.UPDATE_OVERDUE, "the due date passed"),
        Step(_S.UPDATE_OVERDUE, "overdue", _S.UPDATE_OVERDUE, "that of a further task passed"),
        Step(_S.SUSPENDED, "overdue", _S.SUSPENDED, "it resumes as UPDATE_OVERDUE"),
        *(Step(state, "suspend", _S.SUSPENDED, "by authority or security") for state in _LIVE),
        *(Step(_S.SUSPENDED, "resume", state, "the state it came from") for state in _LIVE),
        *(
            Step(state, "retire", _S.RETIRED, "its grants end first")
            for state in (_S.BOUND, *_LIVE, _S.SUSPENDED)
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenApplication:
    """The owner's application for a not-shared class, with its decision (R-054)."""

    document: str
    """Where the paper is stored: the id of an attachment."""
    filed_at: dt.datetime
    filed_by: str
    covers: frozenset[str]
    """What it asks not to share, each as `scope/item`; more than that needs a new application."""
    decision: ApplicationDecision | None = None
    decided_at: dt.datetime | None = None
    decided_by: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTask:
    """A duty to update an entry, opened by a change of law, functions or holdings (R-025)."""

    id: str
    cause: UpdateCause
    reference: str
    """What changed: a document number, a title."""
    effective: dt.date
    due: dt.date
    """The last day in time."""
    overdue_from: dt.datetime
    """The first instant that is too late."""
    due_before: tuple[dt.date, ...] = ()
    """What it was before the calendar was amended, the first date first (R-083)."""
    opened_at: dt.datetime
    overdue_at: dt.datetime | None = None
    """When the miss was recorded (breach B01)."""
    closed_at: dt.datetime | None = None
    closed_by_version: int | None = None

    @property
    def open(self) -> bool:
        """Whether no new version was published since."""
        return self.closed_at is None

    def late(self, at: dt.datetime) -> bool:
        """Whether the task is open after its due date, and no miss was recorded yet."""
        return self.open and self.overdue_at is None and at >= self.overdue_from


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCase:
    """A catalog entry on its way, with what is decided about it."""

    id: str
    resource: str
    jurisdiction: str
    owner: str
    """The organisation that alone may edit it: its provider, or the lead department (R-021)."""
    state: EntryState = EntryState.DRAFT
    version: int = 0
    """The number of the live version; 0: none was published yet."""
    draft: CatalogEntry | None = None
    draft_state: EntryState | None = None
    """Of the draft beside a live version; None where there is none."""
    returned: str = ""
    """Why the draft was returned."""
    suspended_from: EntryState | None = None
    suspended_by: Role | None = None
    suspended_because: str = ""
    retired_because: RetireCause | None = None
    flags: frozenset[EntryFlag] = frozenset()
    guide: str = ""
    """The version of the guide that the last submission was checked against."""
    application: WrittenApplication | None = None
    tasks: tuple[UpdateTask, ...] = ()
    bound_generation: int | None = None
    """The generation whose data source is connected."""
    bound_at: dt.datetime | None = None
    submitted_at: dt.datetime | None = None
    published_at: dt.datetime | None = None

    @property
    def stage(self) -> EntryState:
        """The state of the draft where there is one, else that of the entry."""
        return self.draft_state or self.state

    @property
    def open_tasks(self) -> tuple[UpdateTask, ...]:
        """The update tasks that a new version would close."""
        return tuple(task for task in self.tasks if task.open)

    @property
    def served(self) -> bool:
        """Whether data flows: also while an update is due or overdue."""
        return self.state in _LIVE


def open_case(case_id: str, draft: CatalogEntry, *, owner: str, by: Actor) -> EntryCase:
    """Return a new entry in DRAFT."""
    case = EntryCase(
        id=case_id,
        resource=draft.resource,
        jurisdiction=draft.jurisdiction,
        owner=owner,
        draft=draft,
    )
    _require_owner(case, by)
    return case


def edit(case: EntryCase, draft: CatalogEntry, *, by: Actor) -> EntryCase:
    """Change the draft, or open one beside the live version (R-021, R-036)."""
    _require_owner(case, by)
    stage = ENTRY_LIFE.move(case.id, case.stage, "edit")
    if (draft.resource, draft.jurisdiction) != (case.resource, case.jurisdiction):
        raise Refused("an entry keeps its resource and jurisdiction", code="DEFINITION_INVALID")
    if stage is EntryState.DRAFT:
        return replace(case, draft=draft)
    return replace(case, draft=draft, draft_state=EntryState.DRAFT, returned="")


def apply_not_shared(case: EntryCase, *, document: str, by: Actor, at: dt.datetime) -> EntryCase:
    """File the written application for a not-shared class, with the draft (R-054)."""
    _require_owner(case, by)
    ENTRY_LIFE.require(case.id, case.stage, "submit")
    if not document.strip():
        raise Refused("attach the written application", code="APPLICATION_REQUIRED")
    application = WrittenApplication(
        document=document,
        filed_at=at,
        filed_by=by.organisation,
        covers=_not_shared_items(_draft(case)),
    )
    return replace(case, application=application)


def submit(case: EntryCase, rules: EntryRules, *, by: Actor, at: dt.datetime) -> EntryCase:
    """
    Submit the draft; refused with the code of the first fault, the message names all of them.

    Callers that report each fault by itself ask `submission_faults` first, and store nothing of a
    draft that is CLASSIFIED_REFUSED. Where nobody has to approve, call `approve_unasked` next.
    """
    _require_owner(case, by)
    stage = ENTRY_LIFE.move(case.id, case.stage, "submit")
    faults = tuple(submission_faults(_draft(case), rules, applied=_applied(case, _draft(case))))
    if faults:
        listed = "; ".join(f"{fault.code} {fault.key}: {fault.message}" for fault in faults)
        raise Refused(listed, code=faults[0].code)
    return replace(_with_stage(case, stage), guide=rules.guide, returned="", submitted_at=at)


def return_to_draft(case: EntryCase, rules: EntryRules, *, reason: str, by: Actor) -> EntryCase:
    """Return a submitted draft to its owner, who is told why."""
    reviewers = {rules.approver or rules.application_decider}
    if rules.written_application:
        reviewers.add(rules.application_decider)
    require_role(by, frozenset(reviewers), "returning an entry")
    stage = ENTRY_LIFE.move(case.id, case.stage, "return")
    if not reason.strip():
        raise Refused("say what has to be changed", code="REASON_REQUIRED")
    return replace(_with_stage(case, stage), returned=reason)


def decide_application(
    case: EntryCase,
    rules: EntryRules,
    decision: ApplicationDecision,
    *,
    reason: str = "",
    by: Actor,
    at: dt.datetime,
) -> EntryCase:
    """Decide the written application for a not-shared class; a rejection needs its reason."""
    require_role(by, frozenset({rules.application_decider}), "deciding an application")
    ENTRY_LIFE.move(case.id, case.stage, "decide_application")
    application = case.application
    if application is None:
        raise Refused("no written application was filed", code="APPLICATION_REQUIRED")
    if application.decision is not None:
        raise Refused(f"already {application.decision}", code="APPLICATION_DECIDED")
    if decision is ApplicationDecision.REJECTED and not reason.strip():
        raise Refused("say why the application is rejected", code="REASON_REQUIRED")
    decided = replace(
        application, decision=decision, decided_at=at, decided_by=by.organisation, reason=reason
    )
    return replace(case, application=decided)


def approve(case: EntryCase, rules: EntryRules, *, by: Actor) -> EntryCase:
    """Approve a submitted draft as the body that the profile names (R-031)."""
    if rules.approver is None:
        raise Forbidden("nobody approves entries here: they need no approval")
    require_role(by, frozenset({rules.approver}), "approving an entry")
    return _approved(case, rules)


def approve_unasked(case: EntryCase, rules: EntryRules) -> EntryCase:
    """
    Approve a submitted draft by itself where nothing has to be waited for; else return it as it is.

    Called after `submit` and after `decide_application`.
    """
    if rules.approver is not None or _application_missing(case, rules):
        return case
    return _approved(case, rules)


def bind(
    case: EntryCase,
    *,
    schema_registered: bool,
    connection_tested: bool,
    by: Actor,
    at: dt.datetime,
) -> EntryCase:
    """Connect a data source to an approved draft (挂接, R-024)."""
    _require_owner(case, by)
    stage = ENTRY_LIFE.move(case.id, case.stage, "bind")
    if not schema_registered:
        raise Refused("the schema is not registered", code="SCHEMA_NOT_REGISTERED")
    if not connection_tested:
        raise Refused("the connection was not tested with success", code="CONNECTION_NOT_TESTED")
    return replace(
        _with_stage(case, stage),
        bound_generation=_draft(case).generation,
        bound_at=at,
        flags=case.flags | {EntryFlag.NO_DATA},
    )


def first_data(case: EntryCase, rules: EntryRules, *, at: dt.datetime) -> EntryCase:
    """Publish a bound draft because its first valid event or snapshot arrived (R-024)."""
    ENTRY_LIFE.move(case.id, case.stage, "first_data")
    published = _published(case, rules, at)
    return replace(published, flags=published.flags - {EntryFlag.NO_DATA})


def publish(case: EntryCase, rules: EntryRules, *, at: dt.datetime) -> EntryCase:
    """Publish an approved draft that needs no first data: metadata only, or already flowing."""
    ENTRY_LIFE.move(case.id, case.stage, "publish")
    draft = _draft(case)
    flowing = case.version > 0 and case.bound_generation == draft.generation
    if not flowing and not is_metadata_only(draft):
        raise Refused(
            "a shareable entry is published by its first data: bind a data source",
            code="DATA_SOURCE_REQUIRED",
        )
    return _published(case, rules, at)


def trigger(case: EntryCase, task: UpdateTask, rules: EntryRules) -> EntryCase:
    """Open an update task; a cause that the profile does not list opens none (R-025, R-026)."""
    ENTRY_LIFE.require(case.id, case.state, "trigger")
    if not rules.opens_update_task(task.cause):
        raise Refused(f"{task.cause} starts no update here", code="TRIGGER_NOT_IN_PROFILE")
    if any(known.id == task.id for known in case.tasks):
        raise Refused(f"there is a task {task.id} already", code="TASK_EXISTS")
    state = ENTRY_LIFE.move(case.id, case.state, "trigger")
    came_from = case.suspended_from
    if came_from is EntryState.PUBLISHED:
        came_from = EntryState.UPDATE_DUE
    return replace(case, state=state, suspended_from=came_from, tasks=(*case.tasks, task))


def recount(case: EntryCase, dues: Mapping[str, DueDate]) -> EntryCase:
    """Give tasks, by their ids, the due dates of an amended calendar; both dates are kept."""
    tasks = tuple(
        replace(
            task, due=due.day, overdue_from=due.ends_at, due_before=(*task.due_before, task.due)
        )
        if (due := dues.get(task.id)) is not None and due.day != task.due
        else task
        for task in case.tasks
    )
    return replace(case, tasks=tasks)


def overdue(case: EntryCase, *, at: dt.datetime) -> tuple[EntryCase, tuple[UpdateTask, ...]]:
    """
    Record that due dates passed; return the missed tasks, each a breach B01 of the owner.

    Data is still served.
    """
    state = ENTRY_LIFE.move(case.id, case.state, "overdue")
    missed = tuple(replace(task, overdue_at=at) for task in case.tasks if task.late(at))
    if not missed:
        raise Refused(f"no update of {case.id} is late", code="NOT_DUE")
    by_id = {task.id: task for task in missed}
    came_from = None if case.suspended_from is None else EntryState.UPDATE_OVERDUE
    tasks = tuple(by_id.get(task.id, task) for task in case.tasks)
    return replace(case, state=state, suspended_from=came_from, tasks=tasks), missed


def suspend(case: EntryCase, *, reason: str, by: Actor) -> EntryCase:
    """Suspend a live entry as the authority, or as security in an incident."""
    role = require_role(by, frozenset({Role.AUTHORITY, Role.SECURITY}), "suspending an entry")
    state = ENTRY_LIFE.move(case.id, case.state, "suspend")
    if not reason.strip():
        raise Refused("say why the entry is suspended", code="REASON_REQUIRED")
    return replace(
        case,
        state=state,
        suspended_from=case.state,
        suspended_by=role,
        suspended_because=reason,
    )


def resume(case: EntryCase, *, by: Actor) -> EntryCase:
    """Bring a suspended entry back to where it was, in the role that suspended it."""
    ENTRY_LIFE.require(case.id, case.state, "resume")
    suspended_by = case.suspended_by or Role.AUTHORITY
    require_role(by, frozenset({suspended_by}), "resuming this entry")
    state = ENTRY_LIFE.move(case.id, case.state, "resume", to=case.suspended_from)
    return replace(case, state=state, suspended_from=None, suspended_by=None, suspended_because="")


def retire(case: EntryCase, cause: RetireCause, *, by: Actor) -> EntryCase:
    """Take an entry out of the catalog for good; the caller ends its grants first."""
    if Role.AUTHORITY not in by.roles:
        _require_owner(case, by)
    state = ENTRY_LIFE.move(case.id, case.state, "retire")
    return replace(
        case,
        state=state,
        retired_because=cause,
        draft=None,
        draft_state=None,
        suspended_from=None,
        suspended_by=None,
        suspended_because="",
        flags=case.flags & {EntryFlag.FILING_PENDING, EntryFlag.FILED},
    )


def filed(case: EntryCase) -> EntryCase:
    """Show that the authority acknowledged the filing of the live version (R-027)."""
    if EntryFlag.FILING_PENDING not in case.flags:
        raise Refused(f"no filing of {case.id} is pending", code="FILING_NOT_PENDING")
    return replace(case, flags=case.flags - {EntryFlag.FILING_PENDING} | {EntryFlag.FILED})


def mark(case: EntryCase, flag: EntryFlag, *, present: bool) -> EntryCase:
    """Set or clear STALE, NO_DATA, GUIDE_OUTDATED or UNDER_RECONCILIATION; no state changes."""
    if flag in {EntryFlag.FILING_PENDING, EntryFlag.FILED}:
        raise LookupError(f"{flag} follows from publishing and filing")
    return replace(case, flags=case.flags | {flag} if present else case.flags - {flag})


def check_against_guide(case: EntryCase, live: CatalogEntry, rules: EntryRules) -> EntryCase:
    """Flag a live version that does not conform to a new version of the guide (R-034)."""
    outdated = any(submission_faults(live, rules, applied=_applied(case, live)))
    return mark(case, EntryFlag.GUIDE_OUTDATED, present=outdated)


def without_data(case: EntryCase, *, grace: dt.timedelta, at: dt.datetime) -> bool:
    """Tell whether the entry belongs on the list "catalog without data" (R-024)."""
    return (
        EntryFlag.NO_DATA in case.flags and case.bound_at is not None and at - case.bound_at > grace
    )


def late_tasks(cases: Iterable[EntryCase], at: dt.datetime) -> Iterator[EntryCase]:
    """Yield the entries whose `overdue` has to be recorded."""
    for case in cases:
        listed = bool(ENTRY_LIFE.follow(case.state, "overdue"))
        if listed and any(task.late(at) for task in case.tasks):
            yield case


def _require_owner(case: EntryCase, by: Actor) -> None:
    if by.organisation != case.owner or Role.DEPARTMENT not in by.roles:
        raise Forbidden(f"only {case.owner}, which owns entry {case.id}, may do this")


def _draft(case: EntryCase) -> CatalogEntry:
    if case.draft is None:
        raise LookupError(f"{case.id} is {case.stage} without a draft")
    return case.draft


def _with_stage(case: EntryCase, stage: EntryState) -> EntryCase:
    if case.draft_state is None:
        return replace(case, state=stage)
    return replace(case, draft_state=stage)


def _application_missing(case: EntryCase, rules: EntryRules) -> bool:
    draft = _draft(case)
    if not (rules.written_application and has_not_shared(draft)):
        return False
    application = case.application
    granted = application is not None and application.decision is ApplicationDecision.GRANTED
    return not (granted and _applied(case, draft))


def _applied(case: EntryCase, entry: CatalogEntry) -> bool:
    """Tell whether an application that was not rejected covers all that `entry` does not share."""
    application = case.application
    if application is None or application.decision is ApplicationDecision.REJECTED:
        return False
    return _not_shared_items(entry) <= application.covers


def _not_shared_items(entry: CatalogEntry) -> frozenset[str]:
    return frozenset(
        f"{scope}/{item.name}"
        for scope in Scope
        for item in entry.items
        for rule in [entry.rule(item, scope)]
        if rule is not None and rule.share_class is ShareClass.NOT_SHARED
    )


def _approved(case: EntryCase, rules: EntryRules) -> EntryCase:
    stage = ENTRY_LIFE.move(case.id, case.stage, "approve")
    if _application_missing(case, rules):
        raise Refused(
            "the written application for the not-shared class is not granted",
            code="APPLICATION_UNDECIDED",
        )
    return _with_stage(case, stage)


def _published(case: EntryCase, rules: EntryRules, at: dt.datetime) -> EntryCase:
    """Return the case with its draft as the live version."""
    if case.version > 0:
        ENTRY_LIFE.move(case.id, case.state, "replace")
    version = case.version + 1
    flags = case.flags - {
        EntryFlag.GUIDE_OUTDATED,
        EntryFlag.FILING_PENDING,
        EntryFlag.FILED,
    }
    if rules.filing_required:
        flags |= {EntryFlag.FILING_PENDING}
    return replace(
        case,
        state=EntryState.PUBLISHED,
        version=version,
        draft=None,
        draft_state=None,
        flags=flags,
        published_at=at,
        tasks=tuple(
            replace(task, closed_at=at, closed_by_version=version) if task.open else task
            for task in case.tasks
        ),
    )
