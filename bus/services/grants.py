"""
Grants: from a decision to what is delivered, and to its end (requirements.md §6.3).

Every function works inside an act; the data plane follows when the act ends, so that a grant that
ended is cut off before the caller has the answer (design.md §10).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bus.domain.avro_schema import source_schema
from bus.domain.cases import CaseFilter
from bus.domain.catalog import LiveGrant
from bus.domain.class_change import CLASS_TIGHTENED
from bus.domain.deadline import Deadline
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant, GrantState, grant_faults
from bus.domain.identity import Actor, Role
from bus.domain.request import Basis, Decision, ShareRequest
from bus.domain.share import Scope, ShareClass
from bus.domain.view import Treatment
from bus.domain.working_days import end_of_day
from bus.errors import Forbidden, NotFound, Refused, StateConflict
from bus.services.asking import active_organisation, scope_of
from bus.services.desk import SCHEDULER, Act, Desk
from bus.services.ids import new_id
from bus.services.visibility import may_see, seen_as_party
from bus.views.row_filter import FilterCompiler, filter_types
from bus.views.schema_tree import parse_schema

GRANT = "grant"
EXPIRY = "expiry"
REMINDER = "reminder"
_COORDINATED = frozenset({Basis.CONSULTATION, Basis.ESCALATION, Basis.OUTSIDE})
_STANDING = frozenset({GrantState.ACTIVE, GrantState.SUSPENDED})


def grant_of(act: Act, grant: str) -> LiveGrant:
    """Return a grant; raise `NotFound`."""
    held = act.transaction.grant(grant)
    if held is None:
        raise NotFound(f"there is no grant {grant!r}, or it is not yours to see")
    return held


def entry_of(act: Act, resource: str) -> CatalogEntry:
    """Return the entry in force of a resource; raise `NotFound`."""
    held = act.transaction.live([resource]).entries.get(resource)
    if held is None or held.retired:
        raise NotFound(f"there is no resource {resource!r}, or it is not yours to see")
    return held.entry


def check(act: Act, grant: Grant, entry: CatalogEntry, compile_filter: FilterCompiler) -> None:
    """Raise `Refused` for whatever forbids `grant`: class, zone, items, mode, row filter."""
    consumer = act.transaction.organisation(grant.consumer)
    provider = act.transaction.organisation(entry.provider)
    if consumer is None or provider is None:
        raise NotFound("consumer or provider are not registered")
    for fault in grant_faults(grant, entry, consumer=consumer, provider=provider):
        raise Refused(f"{fault.key}: {fault.message}", code=fault.code)
    if grant.row_filter is not None:
        schema = source_schema(entry.jurisdiction, entry.resource, entry.items)
        compile_filter(grant.row_filter, filter_types(parse_schema(schema)))


def of_decision(
    grant_id: str, request: ShareRequest, decision: Decision, entry: CatalogEntry
) -> Grant:
    """Return the grant that contains exactly what was decided (R-090)."""
    return Grant(
        id=grant_id,
        resource=entry.resource,
        consumer=request.consumer,
        scope=request.scope,
        purpose=decision.purpose,
        duty=request.ask.duty,
        row_filter=decision.row_filter,
        treatments=_kept(decision),
        mode=decision.mode,
        valid_from=decision.valid_from,
        valid_until=decision.valid_until,
        # A direct grant was decided by nobody: the class gave it, and a tightened class takes it.
        decided_by=None if decision.basis is Basis.DIRECT else decision.by,
        coordinated=decision.basis in _COORDINATED,
        request=request.id,
    )


def _kept(decision: Decision) -> dict[str, Treatment]:
    return {name: how for name, how in decision.treatments.items() if how is not Treatment.OMIT}


def activate(act: Act, grant: Grant) -> None:
    """Put a new grant in force: its view, its accesses and its end follow with the act."""
    save(act, grant, 1, GrantState.ACTIVE, "grant.activated")
    _ring(act, grant)


def amend(
    act: Act,
    held: LiveGrant,
    decision: Decision,
    compile_filter: FilterCompiler,
    *,
    coordinated: bool = True,
) -> LiveGrant:
    """
    Put what was decided in the place of what a grant contains.

    `coordinated`: the change rests on a coordination, else on the provider's own decision. Raise
    `StateConflict` unless the grant is active, `Refused` if the entry forbids the decision.
    """
    _require(held, GrantState.ACTIVE)
    entry = entry_of(act, held.grant.resource)
    if held.grant.dispatched:
        _check_shared(decision, entry, held.grant.scope)
    changed = replace(
        held.grant,
        purpose=decision.purpose,
        row_filter=decision.row_filter,
        treatments=_kept(decision),
        mode=decision.mode,
        valid_from=decision.valid_from,
        valid_until=decision.valid_until,
        decided_by=held.grant.decided_by if coordinated else decision.by,
        coordinated=coordinated or held.grant.coordinated,
    )
    check(act, changed, entry, compile_filter)
    save(act, changed, held.version + 1, GrantState.ACTIVE, "grant.amended")
    _ring(act, changed)
    return LiveGrant(grant=changed, version=held.version + 1, state=GrantState.ACTIVE)


def _ring(act: Act, grant: Grant) -> None:
    """Let the clock remind of the end of a grant, and end it."""
    ends = end_of_day(grant.valid_until)
    act.transaction.set_deadline(
        Deadline(subject_kind=GRANT, subject=grant.id, kind=EXPIRY, due_at=ends)
    )
    rules = act.rules or act.profile(act.jurisdiction)
    remind = ends - dt.timedelta(days=rules.grant_reminder_days)
    if remind > act.now:
        act.transaction.set_deadline(
            Deadline(subject_kind=GRANT, subject=grant.id, kind=REMINDER, due_at=remind)
        )


def save(act: Act, grant: Grant, version: int, state: GrantState, action: str) -> None:
    """Save a grant, and write down what stands from now on."""
    act.transaction.save_grant(grant, version=version, state=state)
    act.touched.add(grant.resource)
    act.note(
        action,
        GRANT,
        grant.id,
        grant=grant.id,
        version=str(version),
        resource=grant.resource,
        consumer=grant.consumer,
        purpose=str(grant.purpose),
        items=",".join(sorted(grant.treatments)),
        valid_until=grant.valid_until.isoformat(),
        state=str(state),
    )


def end(act: Act, held: LiveGrant, state: GrantState, action: str) -> None:
    """End a grant for good; the consumer is told of its duty to delete (§2.4)."""
    save(act, held.grant, held.version, state, action)
    act.transaction.clear_deadlines(GRANT, held.grant.id)
    act.tell(
        held.grant.consumer,
        "DELETE_WHAT_YOU_HOLD",
        GRANT,
        held.grant.id,
        f"grant {held.grant.id} is {state}: delete what was received under it, and confirm",
    )


def suspend(act: Act, held: LiveGrant, because: str) -> None:
    """Suspend a grant; `because` begins with what resumes it."""
    changed = replace(held.grant, suspended_because=because)
    save(act, changed, held.version + 1, GrantState.SUSPENDED, "grant.suspended")


def resume(act: Act, held: LiveGrant, compile_filter: FilterCompiler) -> None:
    """
    Resume a grant whose reason to be suspended is gone.

    If the entry forbids by now what it contains, it stays suspended, as after a tightened class.
    """
    try:
        _resume(act, held, compile_filter)
    except Refused:
        suspend(act, held, CLASS_TIGHTENED)


def _resume(act: Act, held: LiveGrant, compile_filter: FilterCompiler) -> None:
    changed = replace(held.grant, suspended_because="")
    check(act, changed, entry_of(act, changed.resource), compile_filter)
    save(act, changed, held.version + 1, GrantState.ACTIVE, "grant.resumed")


class Grants:
    """What may be done to grants by themselves."""

    def __init__(self, desk: Desk, *, compile_filter: FilterCompiler) -> None:
        self._desk = desk
        self._compile_filter = compile_filter

    def suspend(self, actor: Actor, grant: str, *, reason: str) -> LiveGrant:
        """Suspend: incident, rectification; as provider, authority or security."""
        with self._desk.act(actor, "grant.suspend", GRANT, grant) as act:
            held = self._mine(act, grant, Role.AUTHORITY, Role.SECURITY)
            _require(held, GrantState.ACTIVE)
            _reason(reason)
            act.details["reason"] = reason
            suspend(act, held, f"{act.role}: {reason}")
        return self.get(actor, grant)

    def resume(self, actor: Actor, grant: str) -> LiveGrant:
        """Resume what the same part has suspended; a tightened class needs a new request."""
        with self._desk.act(actor, "grant.resume", GRANT, grant) as act:
            held = self._mine(act, grant, Role.AUTHORITY, Role.SECURITY)
            _require(held, GrantState.SUSPENDED)
            if held.grant.suspended_because.startswith(CLASS_TIGHTENED):
                raise Refused(
                    "a class was tightened: only the approval of a new request goes on",
                    code=CLASS_TIGHTENED,
                )
            if not held.grant.suspended_because.startswith(f"{act.role}:"):
                raise Forbidden(f"it was suspended by another part: {held.grant.suspended_because}")
            _resume(act, held, self._compile_filter)
        return self.get(actor, grant)

    def revoke(self, actor: Actor, grant: str, *, reason: str) -> LiveGrant:
        """Revoke for good, as provider or authority: when this returns, nothing more is read."""
        with self._desk.act(actor, "grant.revoke", GRANT, grant) as act:
            held = self._mine(act, grant, Role.AUTHORITY)
            _require(held, GrantState.AUTHORISED, GrantState.ACTIVE, GrantState.SUSPENDED)
            _reason(reason)
            act.details["reason"] = reason
            end(act, held, GrantState.REVOKED, "grant.revoked")
        return self.get(actor, grant)

    def confirm_deletion(self, actor: Actor, grant: str) -> LiveGrant:
        """Let the consumer confirm that it deleted what it held (§2.4)."""
        with self._desk.act(actor, "grant.confirm_deletion", GRANT, grant) as act:
            held, _ = self._seen(act, grant)
            act.for_organisation(held.grant.consumer, part="consumer")
            _require(held, GrantState.EXPIRED, GrantState.REVOKED)
            save(act, held.grant, held.version, GrantState.CLOSED, "grant.deletion_confirmed")
        return self.get(actor, grant)

    def widen(self, actor: Actor, grant: str, items: tuple[str, ...]) -> LiveGrant:
        """
        Add items that are unconditional for the consumer.

        Raise `Refused` REQUIRES_REQUEST naming an item that somebody has to decide about; the
        grant goes on as it is.
        """
        with self._desk.act(actor, "grant.widen", GRANT, grant) as act:
            held, _ = self._seen(act, grant)
            act.for_organisation(held.grant.consumer, part="consumer")
            _require(held, GrantState.ACTIVE)
            entry = entry_of(act, held.grant.resource)
            wider: Mapping[str, Treatment] = {
                **held.grant.treatments,
                **dict.fromkeys(items, Treatment.KEEP),
            }
            changed = replace(held.grant, treatments=wider)
            for name in items:
                item = entry.item_by_name.get(name)
                if item is None:
                    raise Refused(f"there is no item {name!r}", code="ITEM_UNKNOWN")
                rule = entry.rule(item, changed.scope)
                if rule is None or rule.share_class is not ShareClass.UNCONDITIONAL:
                    raise Refused(
                        f"item {name!r} is not unconditional: request it", code="REQUIRES_REQUEST"
                    )
            check(act, changed, entry, self._compile_filter)
            save(act, changed, held.version + 1, GrantState.ACTIVE, "grant.amended")
        return self.get(actor, grant)

    def amend(self, actor: Actor, grant: str, decision: Decision) -> LiveGrant:
        """
        Decide anew, as the provider, what a grant contains: rows, items, purpose, period.

        A narrower view is in place when this returns; a wider one once it has been filled (R-036).
        """
        with self._desk.act(actor, "grant.amend", GRANT, grant) as act:
            held = self._mine(act, grant)
            decided = replace(decision, by=actor.organisation, at=act.now, basis=Basis.PROVIDER)
            act.profile(act.jurisdiction)
            amend(act, held, decided, self._compile_filter, coordinated=False)
        return self.get(actor, grant)

    def dispatch(
        self, actor: Actor, resource: str, decision: Decision, *, consumer: str, duty: str
    ) -> tuple[LiveGrant, dict[str, str]]:
        """
        Give a grant as the authority, in the public owner's name; `decision.note` says why (R-012).

        Return it with the password of its Kafka account. Raise `Refused` DISPATCH_NOT_ALLOWED
        where the profile knows no dispatch, and for what is not shared; JUSTIFICATION_REQUIRED.
        """
        with self._desk.act(actor, "grant.dispatch", "resource", resource) as act:
            entry = entry_of(act, resource)
            act.as_role(Role.AUTHORITY, jurisdiction=entry.jurisdiction)
            profile = act.profile(entry.jurisdiction)
            if not profile.authority_dispatch:
                raise Refused(
                    f"profile {profile.name} knows no dispatch", code="DISPATCH_NOT_ALLOWED"
                )
            if not decision.note.strip():
                raise Refused("dispatch needs a justification", code="JUSTIFICATION_REQUIRED")
            scope = scope_of(active_organisation(act, consumer), entry, profile)
            _check_shared(decision, entry, scope)
            grant = Grant(
                id=new_id("g", act.now),
                resource=resource,
                consumer=consumer,
                scope=scope,
                purpose=decision.purpose,
                duty=duty,
                row_filter=decision.row_filter,
                treatments=_kept(decision),
                mode=decision.mode,
                valid_from=decision.valid_from,
                valid_until=decision.valid_until,
                decided_by=actor.organisation,
                dispatched=True,
                justification=decision.note,
            )
            check(act, grant, entry, self._compile_filter)
            activate(act, grant)
            act.details |= {"justification": decision.note, "grant": grant.id}
            text = f"the authority gave {consumer} a grant on {resource}: {decision.note}"
            for party in (entry.provider, consumer):
                act.tell(party, "DISPATCHED", GRANT, grant.id, text)
        return self.get(actor, grant.id), act.passwords

    def expire(self, grant: str) -> None:
        """End a grant whose last day is over; called by the clock."""
        with self._desk.act(SCHEDULER, "grant.expire", GRANT, grant) as act:
            held = self._standing(act, grant)
            if held is not None:
                end(act, held, GrantState.EXPIRED, "grant.expired")

    def remind(self, grant: str) -> None:
        """Tell the consumer that a grant will end; called by the clock."""
        with self._desk.act(SCHEDULER, "grant.remind", GRANT, grant) as act:
            held = self._standing(act, grant)
            if held is not None:
                text = f"grant {grant} ends on {held.grant.valid_until}"
                act.tell(held.grant.consumer, "GRANT_ENDS_SOON", GRANT, grant, text)

    @staticmethod
    def _standing(act: Act, grant: str) -> LiveGrant | None:
        """Return a grant that the clock can still do something to."""
        held = act.transaction.grant(grant)
        if held is None or held.state not in _STANDING:
            return None
        act.jurisdiction = entry_of(act, held.grant.resource).jurisdiction
        return held

    def get(self, actor: Actor, grant: str) -> LiveGrant:
        """Return a grant; raise `NotFound` if there is none, or if it is not the actor's to see."""
        with self._desk.look(actor) as act:
            held, _ = self._seen(act, grant)
            return held

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> Sequence[LiveGrant]:
        """Return grants that the actor may know of, in the order of their ids."""
        with self._desk.look(actor) as act:
            return act.transaction.grants(seen_as_party(actor, where), after=after, limit=limit)

    def _seen(self, act: Act, grant: str) -> tuple[LiveGrant, CatalogEntry]:
        """Return a grant that the actor may know of, with its entry, in force or retired."""
        held = grant_of(act, grant)
        entry = act.transaction.live([held.grant.resource]).entries[held.grant.resource].entry
        act.jurisdiction = entry.jurisdiction
        if not may_see(act.actor, entry.jurisdiction, {held.grant.consumer, entry.provider}):
            raise NotFound(f"there is no grant {grant!r}, or it is not yours to see")
        return held, entry

    def _mine(self, act: Act, grant: str, *roles: Role) -> LiveGrant:
        """Return a grant that the actor decides about: as its provider, or in one of `roles`."""
        held, entry = self._seen(act, grant)
        if set(roles) & act.actor.roles and act.actor.jurisdiction == act.jurisdiction:
            act.as_role(*roles, jurisdiction=act.jurisdiction)
        else:
            act.for_organisation(entry.provider, part="provider")
        return held


def _require(held: LiveGrant, *states: GrantState) -> None:
    if held.state not in states:
        raise StateConflict(
            f"grant {held.grant.id} is {held.state}; this needs "
            f"{' or '.join(str(state) for state in states)}"
        )


def _check_shared(decision: Decision, entry: CatalogEntry, scope: Scope) -> None:
    """Raise `Refused` if the authority may not dispatch what `decision` contains (R-012)."""
    for name in _kept(decision):
        item = entry.item_by_name.get(name)
        if item is None:
            raise Refused(f"{entry.resource} has no item {name!r}", code="ITEM_UNKNOWN")
        rule = entry.rule(item, scope)
        if rule is None or rule.share_class is ShareClass.NOT_SHARED:
            raise Refused(
                f"{name!r} is not shared: the authority cannot dispatch it",
                code="DISPATCH_NOT_ALLOWED",
            )


def _reason(text: str) -> None:
    if not text.strip():
        raise Refused("say why", code="REASON_REQUIRED")
