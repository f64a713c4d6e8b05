"""Who is the one source of a data element: claimed, fixed by the authority, handed over (R-035)."""

import datetime as dt
from dataclasses import replace

from bus.domain import source_assignment as sources
from bus.domain.cases import CaseFilter, Held
from bus.domain.deadline import Deadline
from bus.domain.identity import Actor, Role
from bus.domain.names import is_code
from bus.domain.source_assignment import AssignmentState, ElementSources, sources_id
from bus.errors import Refused
from bus.services.asking import active_organisation
from bus.services.desk import SCHEDULER, Act, Desk
from bus.services.ids import new_id
from bus.services.kinds import SOURCES

SUBJECT = "source"
CHANGE = "source_change"


class SourceAssignments:
    """What departments and the authority do about the sources of data elements."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def claim(self, actor: Actor, element: str) -> Held[ElementSources]:
        """Claim an element for one's organisation: it gives nothing until it is confirmed."""
        subject = sources_id(actor.jurisdiction, element)
        with self._desk.act(actor, "source.claimed", SUBJECT, subject) as act:
            act.profile(actor.jurisdiction)
            act.for_organisation(actor.organisation, part="provider")
            active_organisation(act, actor.organisation)
            if not is_code(element):
                raise Refused(f"{element!r} is not a code", code="CODE_INVALID")
            held = act.transaction.case(SOURCES, subject)
            known = ElementSources(jurisdiction=actor.jurisdiction, element=element)
            before = known if held is None else held.value
            claimed = sources.claim(before, new_id("s", act.now), by=actor, at=act.now)
            text = f"{actor.organisation} claims to be the source of {element}"
            act.tell(Role.AUTHORITY, "SOURCE_CLAIMED", SUBJECT, subject, text)
            if held is None:
                return act.transaction.add_case(SOURCES, claimed)
            return act.replace(SOURCES, held, claimed)

    def confirm(
        self,
        actor: Actor,
        element: str,
        assignment: str,
        *,
        standard: str,
        duty: str,
        valid_from: dt.datetime | None,
    ) -> Held[ElementSources]:
        """Fix collection standard, collecting department and duty, from now or a later instant."""
        subject = sources_id(actor.jurisdiction, element)
        with self._desk.act(actor, "source.confirmed", SUBJECT, subject) as act:
            held, assigner = self._held(act, element)
            confirmed = sources.confirm(
                held.value,
                assignment,
                standard=standard,
                duty=duty,
                valid_from=valid_from or act.now,
                by=actor,
                assigner=assigner,
            )
            return self._save(act, held, confirmed, assignment)

    def reject(
        self, actor: Actor, element: str, assignment: str, *, reason: str
    ) -> Held[ElementSources]:
        """Reject a claim, with a reason."""
        subject = sources_id(actor.jurisdiction, element)
        with self._desk.act(actor, "source.rejected", SUBJECT, subject) as act:
            held, assigner = self._held(act, element)
            rejected = sources.reject(
                held.value, assignment, reason=reason, by=actor, assigner=assigner
            )
            return self._save(act, held, rejected, assignment)

    def transfer(
        self,
        actor: Actor,
        element: str,
        assignment: str,
        *,
        to: str,
        on: dt.datetime,
        reason: str,
    ) -> Held[ElementSources]:
        """Move an element to another organisation at an instant to come (R-155)."""
        subject = sources_id(actor.jurisdiction, element)
        with self._desk.act(actor, "source.transferred", SUBJECT, subject) as act:
            held, assigner = self._held(act, element)
            found = active_organisation(act, to)
            if found.jurisdiction != actor.jurisdiction:
                raise Refused(f"{to} is of {found.jurisdiction}", code="ORGANISATION_UNKNOWN")
            moved = sources.transfer(
                held.value,
                assignment,
                to=to,
                successor=new_id("s", act.now),
                on=on,
                reason=reason,
                by=actor,
                at=act.now,
                assigner=assigner,
            )
            act.details |= {"to": to, "on": on.isoformat()}
            act.tell(to, "SOURCE_TRANSFERRED", SUBJECT, act.subject, f"source from {on} on")
            return self._save(act, held, moved, assignment)

    def end(
        self, actor: Actor, element: str, assignment: str, *, reason: str
    ) -> Held[ElementSources]:
        """End an assignment without a successor: a gap, recorded with its reason."""
        subject = sources_id(actor.jurisdiction, element)
        with self._desk.act(actor, "source.ended", SUBJECT, subject) as act:
            held, assigner = self._held(act, element)
            ended = sources.end(
                held.value, assignment, reason=reason, by=actor, at=act.now, assigner=assigner
            )
            return self._save(act, held, ended, assignment)

    def change(self, subject: str) -> None:
        """Carry out what was decided for this instant; called by the clock."""
        with self._desk.act(SCHEDULER, "source.changed", SUBJECT, subject) as act:
            held = act.get(SOURCES, subject)
            act.jurisdiction = held.value.jurisdiction
            act.profile(held.value.jurisdiction)
            changed = _carry_out(held.value, act.now)
            if changed != held.value:
                act.replace(SOURCES, held, changed)

    # --- looking ----------------------------------------------------------------------------------

    def get(self, actor: Actor, element: str) -> Held[ElementSources]:
        """Return the sources of an element in one's jurisdiction; everybody there may know them."""
        with self._desk.look(actor) as act:
            return act.get(SOURCES, sources_id(actor.jurisdiction, element))

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[ElementSources]]:
        """Return the elements of one's jurisdiction with their sources, by code."""
        where = replace(where, jurisdiction=actor.jurisdiction)
        with self._desk.look(actor) as act:
            return list(act.transaction.cases(SOURCES, where, after=after, limit=limit))

    # --- steps ------------------------------------------------------------------------------------

    @staticmethod
    def _held(act: Act, element: str) -> tuple[Held[ElementSources], Role]:
        """Return an element's sources for whoever fixes them there, and as what."""
        jurisdiction = act.actor.jurisdiction
        held = act.get(SOURCES, sources_id(jurisdiction, element))
        assigner = Role(act.profile(jurisdiction).get("one_source.assigner") or Role.AUTHORITY)
        act.as_role(assigner, jurisdiction=jurisdiction)
        return held, assigner

    @staticmethod
    def _save(
        act: Act, held: Held[ElementSources], changed: ElementSources, assignment: str
    ) -> Held[ElementSources]:
        changed = _carry_out(changed, act.now)
        concerned = changed.get(assignment)
        act.details |= {"assignment": assignment, "organisation": concerned.organisation}
        text = f"{changed.element}: {concerned.state} {concerned.reason}".rstrip()
        act.tell(concerned.organisation, f"SOURCE_{concerned.state}", SUBJECT, act.subject, text)
        for each in changed.assignments:
            if each.state is AssignmentState.CONFIRMED and each.valid_from is not None:
                act.transaction.set_deadline(
                    Deadline(
                        subject_kind=SUBJECT,
                        subject=act.subject,
                        kind=CHANGE,
                        due_at=each.valid_from,
                    )
                )
        return act.replace(SOURCES, held, changed)


def check_source(act: Act, jurisdiction: str, provider: str, elements: list[str]) -> None:
    """Raise `Refused` if another organisation was fixed as the source of one of `elements`."""
    for element in elements:
        held = act.transaction.case(SOURCES, sources_id(jurisdiction, element))
        source = None if held is None else held.value.source_at(act.now)
        if source is not None and source.organisation != provider:
            raise Refused(
                f"{source.organisation} was fixed as the one source of element {element!r}; mark "
                "the item `reference: true` if it only points to it",
                code="ONE_SOURCE_CONFLICT",
            )


def _carry_out(changed: ElementSources, now: dt.datetime) -> ElementSources:
    """Return the sources with everything done whose instant is reached."""
    for each in changed.assignments:
        due = each.valid_from is not None and each.valid_from <= now
        if each.state is AssignmentState.CONFIRMED and due:
            changed = sources.activate(changed, each.id, at=now)
    return changed
