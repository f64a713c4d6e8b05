"""
Catalog entries, from a department's draft to what the data plane serves (requirements.md §6.1).

A source topic and its schema exist from BOUND on, views only from PUBLISHED (design.md §8).
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace

from bus.domain import entry_life
from bus.domain.avro_schema import source_schema
from bus.domain.breach import BreachGround
from bus.domain.cases import CaseFilter, Held
from bus.domain.class_change import CLASS_TIGHTENED, Grace, GrantAction, GrantStep, effect_on_grant
from bus.domain.deadline import Deadline
from bus.domain.entry import CatalogEntry
from bus.domain.entry_difference import difference
from bus.domain.entry_life import (
    ApplicationDecision,
    EntryCase,
    EntryState,
    RetireCause,
    UpdateTask,
)
from bus.domain.entry_rules import entry_rules
from bus.domain.grant import GrantState
from bus.domain.identity import Actor, Role
from bus.domain.names import value_subject
from bus.domain.profile_terms import Registrar
from bus.domain.share import ShareClass
from bus.domain.submission import EntryRules, UpdateCause, is_classified, submission_faults
from bus.domain.working_days import DueDate, due_date, end_of_day, local_day
from bus.errors import Forbidden, NotFound, Refused
from bus.ports import LogReaders, Partition
from bus.services import grants as grant_steps
from bus.services import request_acts
from bus.services.breaches import record_breach
from bus.services.desk import SCHEDULER, Act, Desk
from bus.services.filings import open_filing
from bus.services.ids import new_id
from bus.services.kinds import ENTRY
from bus.services.source_assignments import check_source
from bus.services.visibility import may_see
from bus.views.row_filter import FilterCompiler

SUBJECT = "entry"
UPDATE_DUE = "update_due"
CLASS_GRACE = "class_grace"
#: The notice that a grant goes on only until its grace is over.
CLASS_TIGHTENS = "CLASS_TIGHTENS"
#: (new schema, older schemas) -> why records of the older ones could not be read with the new one.
Incompatibilities = Callable[[str, Iterable[str]], list[str]]


class Entries:
    """What departments and authorities do with catalog entries."""

    def __init__(
        self,
        desk: Desk,
        *,
        incompatibilities: Incompatibilities,
        compile_filter: FilterCompiler,
        readers: LogReaders,
    ) -> None:
        self._desk = desk
        self._compile_filter = compile_filter
        self._incompatibilities = incompatibilities
        self._readers = readers

    # --- drafts -----------------------------------------------------------------------------------

    def draft(self, actor: Actor, entry: CatalogEntry) -> Held[EntryCase]:
        """
        Open a draft; of a classified one nothing is stored but its digest (R-064).

        Raise `Refused` CLASSIFIED_REFUSED, ALREADY_EXISTS; `Forbidden` for another's entry.
        """
        classified = is_classified(entry)
        subject = _digest(entry) if classified else entry.resource
        with self._desk.act(actor, "catalog.draft", SUBJECT, subject) as act:
            act.profile(entry.jurisdiction)
            _refuse(classified=classified)
            act.for_organisation(entry.provider, part="provider")
            self._check_provider(act, entry)
            case = entry_life.open_case(entry.resource, entry, owner=entry.provider, by=actor)
            return act.transaction.add_case(ENTRY, case)

    def edit(
        self, actor: Actor, resource: str, entry: CatalogEntry, version: int | None
    ) -> Held[EntryCase]:
        """Change the draft, or open one beside the live version; `version` is what was read."""
        classified = is_classified(entry)
        subject = _digest(entry) if classified else resource
        with self._desk.act(actor, "catalog.edit", SUBJECT, subject) as act:
            held = self._own(act, resource)
            _refuse(classified=classified)
            if entry.provider != held.value.owner:
                raise Refused("an entry keeps its provider", code="DEFINITION_INVALID")
            read = held if version is None else Held(held.value, version)
            return act.replace(ENTRY, read, entry_life.edit(held.value, entry, by=actor))

    def apply_not_shared(self, actor: Actor, resource: str, *, document: str) -> Held[EntryCase]:
        """File the written application for a not-shared class (R-054)."""
        with self._desk.act(actor, "catalog.apply_not_shared", SUBJECT, resource) as act:
            held = self._own(act, resource)
            case = entry_life.apply_not_shared(held.value, document=document, by=actor, at=act.now)
            return act.replace(ENTRY, held, case)

    def submit(self, actor: Actor, resource: str) -> Held[EntryCase]:
        """Submit the draft; refused with the code of the first fault, naming all of them."""
        with self._desk.act(actor, "catalog.submitted", SUBJECT, resource) as act:
            held = self._own(act, resource)
            rules = entry_rules(act.profile(held.value.jurisdiction))
            draft = held.value.draft
            if draft is not None and not any(submission_faults(draft, rules, applied=True)):
                self._check_one_source(act, draft)
                self._check_compatibility(act, draft)
            case = entry_life.submit(held.value, rules, by=actor, at=act.now)
            return act.replace(ENTRY, held, entry_life.approve_unasked(case, rules))

    def give_back(self, actor: Actor, resource: str, *, reason: str) -> Held[EntryCase]:
        """Return a submitted draft to its owner."""
        with self._desk.act(actor, "catalog.returned", SUBJECT, resource) as act:
            held = self._of_jurisdiction(act, resource)
            rules = entry_rules(act.profile(held.value.jurisdiction))
            case = entry_life.return_to_draft(held.value, rules, reason=reason, by=actor)
            act.details["reason"] = reason
            held = act.replace(ENTRY, held, case)
            act.tell(case.owner, "ENTRY_RETURNED", SUBJECT, resource, reason)
        return held

    def decide_application(
        self, actor: Actor, resource: str, *, granted: bool, reason: str
    ) -> Held[EntryCase]:
        """Decide the written application for a not-shared class."""
        with self._desk.act(actor, "catalog.application_decided", SUBJECT, resource) as act:
            held = self._of_jurisdiction(act, resource)
            rules = entry_rules(act.profile(held.value.jurisdiction))
            decision = ApplicationDecision.GRANTED if granted else ApplicationDecision.REJECTED
            case = entry_life.decide_application(
                held.value, rules, decision, reason=reason, by=actor, at=act.now
            )
            return act.replace(ENTRY, held, entry_life.approve_unasked(case, rules))

    def approve(self, actor: Actor, resource: str) -> Held[EntryCase]:
        """Approve a submitted draft as the body that the profile names (R-031)."""
        with self._desk.act(actor, "catalog.approved", SUBJECT, resource) as act:
            held = self._of_jurisdiction(act, resource)
            rules = entry_rules(act.profile(held.value.jurisdiction))
            return act.replace(ENTRY, held, entry_life.approve(held.value, rules, by=actor))

    # --- publication ------------------------------------------------------------------------------

    def bind(self, actor: Actor, resource: str, *, connection_tested: bool) -> Held[EntryCase]:
        """Connect a data source (挂接): the source topic, its schema and the right to write it."""
        with self._desk.act(actor, "catalog.bound", SUBJECT, resource) as act:
            held = self._own(act, resource)
            case = entry_life.bind(
                held.value,
                schema_registered=True,
                connection_tested=connection_tested,
                by=actor,
                at=act.now,
            )
            held = act.replace(ENTRY, held, case)
            if case.draft is not None:
                self._serve(act, case.draft, case.version + 1)
        return held

    def publish(self, actor: Actor, resource: str) -> Held[EntryCase]:
        """Publish an approved draft that waits for no first data."""
        with self._desk.act(actor, "catalog.published", SUBJECT, resource) as act:
            held = self._own(act, resource)
            rules = entry_rules(act.profile(held.value.jurisdiction))
            draft = held.value.draft
            case = entry_life.publish(held.value, rules, at=act.now)
            if draft is not None:
                old = act.transaction.live([resource]).entries.get(resource)
                self._serve(act, draft, case.version)
                self._published(act, held.value, draft, None if old is None else old.entry)
            return act.replace(ENTRY, held, case)

    def look_for_first_data(self) -> list[str]:
        """Publish the bound entries whose first record has arrived; return which (R-024)."""
        with self._desk.look(SCHEDULER) as act:
            bound = act.all(ENTRY, CaseFilter(states=frozenset({EntryState.BOUND})))
        arrived = [each.value for each in bound if self._has_data(each.value)]
        for case in arrived:
            with self._desk.act(SCHEDULER, "catalog.published", SUBJECT, case.id) as act:
                held = act.get(ENTRY, case.id)
                if held.value.stage is not EntryState.BOUND:
                    continue
                rules = entry_rules(act.profile(held.value.jurisdiction))
                draft = held.value.draft
                published = entry_life.first_data(held.value, rules, at=act.now)
                act.replace(ENTRY, held, published)
                if draft is not None:
                    self._published(act, held.value, draft)
        return [case.resource for case in arrived]

    def _has_data(self, case: EntryCase) -> bool:
        draft = case.draft
        if draft is None:
            return False
        partitions = [Partition(draft.source_topic, number) for number in range(draft.partitions)]
        return any(self._readers.ends(partitions).values())

    def _serve(self, act: Act, entry: CatalogEntry, version: int) -> None:
        """Make a version the one that the provider writes: schema, topic, permissions."""
        schema_id = act.transaction.schema_id(
            source_schema(entry.jurisdiction, entry.resource, entry.items)
        )
        act.transaction.save_entry(entry, version=version, schema_id=schema_id)
        act.transaction.add_to_subject(value_subject(entry.source_topic), schema_id)
        act.transaction.claim_elements(
            entry.jurisdiction,
            entry.resource,
            [item.element for item in entry.items if item.element and not item.reference],
        )
        act.touched.add(entry.resource)
        act.providers.add(entry.provider)

    def _published(
        self, act: Act, before: EntryCase, entry: CatalogEntry, old: CatalogEntry | None = None
    ) -> None:
        """
        Do what a newly published version does to its tasks and to the grants on it.

        `old` is the version that it replaces; a new generation was served from BOUND on.
        """
        act.transaction.index_entry(entry)
        act.transaction.clear_deadlines(SUBJECT, entry.resource)
        open_filing(act, entry, before.version + 1)
        if before.version == 0:
            return
        version = before.version + 1
        changed = "new generation" if old is None else "; ".join(difference(old, entry))
        act.note(
            "catalog.version_changed",
            SUBJECT,
            entry.resource,
            version=str(version),
            difference=changed,
        )
        text = f"entry {entry.resource} has version {version}: {changed or 'no difference'}"
        for held in act.transaction.live([entry.resource]).grants.values():
            act.tell(
                held.grant.consumer,
                "ENTRY_VERSION_CHANGED",
                SUBJECT,
                entry.resource,
                text,
            )
        self._apply_classes(act, entry, self._grace(act, entry))
        request_acts.resolve_loosened(act, entry, self._compile_filter)

    # --- class changes ----------------------------------------------------------------------------

    def _grace(self, act: Act, entry: CatalogEntry) -> Grace:
        profile = act.profile(entry.jurisdiction)

        def until(becomes: ShareClass) -> dt.date | None:
            days = profile.class_change_grace_wd(becomes)
            return due_date(act.now, days, act.calendar()).day if days else None

        return Grace(
            to_conditional=until(ShareClass.CONDITIONAL),
            to_not_shared=until(ShareClass.NOT_SHARED),
        )

    def _apply_classes(self, act: Act, entry: CatalogEntry, grace: Grace | None) -> None:
        """
        Suspend or narrow the grants that no longer qualify, now or when their grace is over.

        Without `grace` only the time has passed.
        """
        today = local_day(act.now)
        ends: set[dt.date] = set()
        for held in act.transaction.live([entry.resource]).grants.values():
            if held.state is not GrantState.ACTIVE or held.grant.coordinated:
                continue
            later: dict[str, dt.date] = {}
            for step in effect_on_grant(held.grant, entry, grace):
                if step.after is None or step.after < today:
                    self._tighten(act, held.grant.id, step)
                else:
                    later |= dict.fromkeys(step.lost, step.after)
            self._let_go_on(act, held.grant.id, later)
            ends |= set(later.values())
        if ends:
            act.transaction.set_deadline(
                Deadline(
                    subject_kind=SUBJECT,
                    subject=entry.resource,
                    kind=CLASS_GRACE,
                    due_at=end_of_day(min(ends)),
                )
            )

    @staticmethod
    def _let_go_on(act: Act, grant: str, graces: dict[str, dt.date]) -> None:
        """Keep until when items of a grant come although their class was tightened; say so."""
        held = grant_steps.grant_of(act, grant)
        if held.state is not GrantState.ACTIVE or dict(held.grant.graces) == graces:
            return
        changed = replace(held.grant, graces=graces)
        grant_steps.save(act, changed, held.version + 1, GrantState.ACTIVE, "grant.amended")
        if graces:
            named = ", ".join(f"{name} until {graces[name]}" for name in sorted(graces))
            act.tell(
                held.grant.consumer,
                CLASS_TIGHTENS,
                grant_steps.GRANT,
                grant,
                f"classes were tightened: {named}, the day included",
            )

    def _tighten(self, act: Act, grant: str, step: GrantStep) -> None:
        held = grant_steps.grant_of(act, grant)
        if step.action is GrantAction.SUSPEND:
            grant_steps.suspend(act, held, CLASS_TIGHTENED)
        else:
            changed = replace(held.grant, treatments=step.treatments)
            grant_steps.save(act, changed, held.version + 1, GrantState.ACTIVE, "grant.amended")
        act.tell(
            held.grant.consumer,
            CLASS_TIGHTENED,
            grant_steps.GRANT,
            grant,
            f"the class of {', '.join(sorted(step.lost))} was tightened",
        )

    def end_grace(self, resource: str) -> None:
        """Apply the classes in force to what has no grace left; called by the clock."""
        with self._desk.act(SCHEDULER, "catalog.grace_ended", SUBJECT, resource) as act:
            held = act.transaction.live([resource]).entries.get(resource)
            if held is not None and not held.retired:
                act.profile(held.entry.jurisdiction)
                self._apply_classes(act, held.entry, None)

    # --- update tasks -----------------------------------------------------------------------------

    def trigger_update(
        self, actor: Actor, resource: str, *, cause: UpdateCause, reference: str, effective: dt.date
    ) -> Held[EntryCase]:
        """Register a change of law, functions or holdings; its clock starts (R-025, R-026)."""
        with self._desk.act(actor, "catalog.update_due", SUBJECT, resource) as act:
            held = act.get(ENTRY, resource)
            profile = act.profile(held.value.jurisdiction)
            own = actor.organisation == held.value.owner and Role.DEPARTMENT in actor.roles
            if own and Registrar.OWN_ORGANISATION in profile.catalog_trigger_registrars:
                act.for_organisation(held.value.owner, part="provider")
            elif Registrar.AUTHORITY in profile.catalog_trigger_registrars:
                act.as_role(Role.AUTHORITY, jurisdiction=held.value.jurisdiction)
            else:
                raise Forbidden(f"profile {profile.name} lets only the organisation register it")
            rules = entry_rules(profile)
            due = _update_due(act, effective, rules)
            task = UpdateTask(
                id=new_id("t", act.now),
                cause=cause,
                reference=reference,
                effective=effective,
                due=due.day,
                overdue_from=due.ends_at,
                opened_at=act.now,
            )
            held = act.replace(ENTRY, held, entry_life.trigger(held.value, task, rules))
            self._ring_update(act, held.value)
            act.details["due"] = due.day.isoformat()
            act.tell(held.value.owner, "CATALOG_UPDATE_DUE", SUBJECT, resource, f"due {due.day}")
        return held

    def recount_updates(self) -> None:
        """Count open due dates anew after the calendar was amended (R-083); called by the clock."""
        waiting = frozenset({EntryState.UPDATE_DUE, EntryState.UPDATE_OVERDUE})
        with self._desk.act(SCHEDULER, "catalog.updates_recounted", "calendar", "calendar") as act:
            for held in act.all(ENTRY, CaseFilter()):
                case = held.value
                if case.state not in waiting:
                    continue
                rules = entry_rules(act.profile(case.jurisdiction))
                dues = {
                    task.id: _update_due(act, task.effective, rules)
                    for task in case.open_tasks
                    if task.overdue_at is None
                }
                changed = entry_life.recount(case, dues)
                if changed == case:
                    continue
                act.replace(ENTRY, held, changed)
                self._ring_update(act, changed)
                days = ", ".join(str(task.due) for task in changed.open_tasks)
                text = f"update of {case.resource} due {days}: the calendar changed"
                act.tell(case.owner, "DUE_DATE_RECOUNTED", SUBJECT, case.resource, text)

    def mark_update_overdue(self, resource: str) -> None:
        """Record that an update is late: breach B01; data is still served."""
        with self._desk.act(SCHEDULER, "catalog.update_overdue", SUBJECT, resource) as act:
            held = act.get(ENTRY, resource)
            act.profile(held.value.jurisdiction)
            case, missed = entry_life.overdue(held.value, at=act.now)
            act.replace(ENTRY, held, case)
            self._ring_update(act, case)
            for task in missed:
                record_breach(
                    act,
                    case.owner,
                    BreachGround.CATALOG_LATE,
                    subject_kind=SUBJECT,
                    subject=resource,
                    task=task.id,
                    due=task.due.isoformat(),
                )
            text = f"{case.owner} has not updated {resource}: {len(missed)} late"
            act.tell("authority", "CATALOG_UPDATE_OVERDUE", SUBJECT, resource, text)
            act.tell(case.owner, "CATALOG_UPDATE_OVERDUE", SUBJECT, resource, text)

    @staticmethod
    def _ring_update(act: Act, case: EntryCase) -> None:
        """Let the earliest due date ring that was not missed yet; each task has one of its own."""
        waiting = [task.overdue_from for task in case.open_tasks if task.overdue_at is None]
        if waiting:
            act.transaction.set_deadline(
                Deadline(
                    subject_kind=SUBJECT,
                    subject=case.resource,
                    kind=UPDATE_DUE,
                    due_at=min(waiting),
                )
            )

    # --- the end ----------------------------------------------------------------------------------

    def suspend(self, actor: Actor, resource: str, *, reason: str) -> Held[EntryCase]:
        """Suspend an entry: its grants deliver nothing until it is resumed."""
        with self._desk.act(actor, "catalog.suspended", SUBJECT, resource) as act:
            held = self._of_jurisdiction(act, resource)
            held = act.replace(ENTRY, held, entry_life.suspend(held.value, reason=reason, by=actor))
            for live in act.transaction.live([resource]).grants.values():
                if live.state is GrantState.ACTIVE:
                    grant_steps.suspend(act, live, f"entry: {reason}")
        return held

    def resume(self, actor: Actor, resource: str) -> Held[EntryCase]:
        """Resume a suspended entry, and the grants that were suspended with it."""
        with self._desk.act(actor, "catalog.resumed", SUBJECT, resource) as act:
            held = self._of_jurisdiction(act, resource)
            held = act.replace(ENTRY, held, entry_life.resume(held.value, by=actor))
            for live in act.transaction.live([resource]).grants.values():
                if live.grant.suspended_because.startswith("entry:"):
                    grant_steps.resume(act, live, self._compile_filter)
        return held

    def retire(self, actor: Actor, resource: str, *, cause: RetireCause) -> Held[EntryCase]:
        """Retire an entry; its grants end first."""
        with self._desk.act(actor, "catalog.retired", SUBJECT, resource) as act:
            held = self._of_jurisdiction(act, resource)
            for live in act.transaction.live([resource]).grants.values():
                grant_steps.end(act, live, GrantState.REVOKED, "grant.revoked")
            held = act.replace(ENTRY, held, entry_life.retire(held.value, cause, by=actor))
            act.transaction.retire_entry(resource)
            act.transaction.claim_elements(held.value.jurisdiction, resource, [])
            act.transaction.unindex_entry(resource)
            act.transaction.clear_deadlines(SUBJECT, resource)
        return held

    # --- looking ----------------------------------------------------------------------------------

    def get(self, actor: Actor, resource: str) -> Held[EntryCase]:
        """
        Return an entry.

        A published one is seen by every department (R-029); a draft by its owner and the overseers.
        """
        with self._desk.look(actor) as act:
            return self._seen(act, resource)

    def live(self, actor: Actor, resource: str) -> CatalogEntry | None:
        """Return the version in force; None if none was published yet."""
        with self._desk.look(actor) as act:
            held = act.transaction.live([resource]).entries.get(resource)
            return None if held is None else held.entry

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[EntryCase]]:
        """Return entries that the actor may see, in the order of their codes."""
        with self._desk.look(actor) as act:
            found: list[Held[EntryCase]] = []
            while len(found) < limit and (
                page := act.transaction.cases(ENTRY, where, after=after, limit=limit)
            ):
                after = page[-1].value.id
                found += [held for held in page if _visible(actor, held.value)]
            return found[:limit]

    # --- checks -----------------------------------------------------------------------------------

    @staticmethod
    def _seen(act: Act, resource: str) -> Held[EntryCase]:
        """Return an entry that the actor may know of; raise `NotFound`."""
        held = act.get(ENTRY, resource)
        act.jurisdiction = held.value.jurisdiction
        if not _visible(act.actor, held.value):
            raise NotFound(f"there is no entry {resource!r}, or it is not yours to see")
        return held

    def _own(self, act: Act, resource: str) -> Held[EntryCase]:
        """Return an entry of the actor's organisation; raise `Forbidden` for another's."""
        held = self._seen(act, resource)
        act.for_organisation(held.value.owner, part="provider")
        return held

    def _of_jurisdiction(self, act: Act, resource: str) -> Held[EntryCase]:
        held = act.get(ENTRY, resource)
        act.jurisdiction = held.value.jurisdiction
        if act.actor.jurisdiction != held.value.jurisdiction:
            raise Forbidden(f"entry {resource} belongs to {held.value.jurisdiction}")
        act.role = ",".join(sorted(act.actor.roles))
        return held

    @staticmethod
    def _check_provider(act: Act, entry: CatalogEntry) -> None:
        provider = act.transaction.organisation(entry.provider)
        if provider is None or not provider.active or provider.jurisdiction != entry.jurisdiction:
            raise Refused(
                f"{entry.provider!r} is no active organisation of {entry.jurisdiction}",
                code="ORGANISATION_UNKNOWN",
            )

    @staticmethod
    def _check_one_source(act: Act, entry: CatalogEntry) -> None:
        """R-150: an element has one source; the conflict names it."""
        claimed = [item.element for item in entry.items if item.element and not item.reference]
        check_source(act, entry.jurisdiction, entry.provider, claimed)
        for element, resource in act.transaction.claims(entry.jurisdiction, claimed).items():
            if resource != entry.resource:
                raise Refused(
                    f"{resource} is the one source of element {element!r}; mark the item "
                    "`reference: true` if it only points to it",
                    code="ONE_SOURCE_CONFLICT",
                )

    def _check_compatibility(self, act: Act, entry: CatalogEntry) -> None:
        new = source_schema(entry.jurisdiction, entry.resource, entry.items)
        older = act.transaction.writer_schemas(entry.resource, entry.generation)
        for reason in self._incompatibilities(new, [schema.text for schema in older]):
            raise Refused(
                f"older records could not be read: {reason}. Make new items nullable, or set "
                f"`generation: {entry.generation + 1}` and publish anew",
                code="SCHEMA_INCOMPATIBLE",
            )


def _update_due(act: Act, effective: dt.date, rules: EntryRules) -> DueDate:
    """Return when an update is due; the day of the change is not counted, whatever its hour."""
    noon = end_of_day(effective) - dt.timedelta(hours=12)
    return due_date(noon, rules.update_deadline_wd or 0, act.calendar())


def _visible(actor: Actor, case: EntryCase) -> bool:
    """Tell whether an actor may know of an entry: every department of one that was published."""
    return case.version > 0 or may_see(actor, case.jurisdiction, {case.owner})


def _refuse(*, classified: bool) -> None:
    if classified:
        raise Refused("content with a secrecy marking is refused here", code="CLASSIFIED_REFUSED")


def _digest(entry: CatalogEntry) -> str:
    return f"sha256:{hashlib.sha256(repr(entry).encode()).hexdigest()}"
