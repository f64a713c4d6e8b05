"""
Disagreements: opened by either side, also after an approval, and ended by an outcome (R-101).

What they are about stays in force until then. An outcome about a grant is carried out with it, as
the grant's next version; of an entry or a request the provider is told what it has to change.
"""

import datetime as dt
from dataclasses import replace

from bus.domain import disagreement as steps
from bus.domain.cases import CaseFilter, Held
from bus.domain.deadline import Deadline
from bus.domain.disagreement import (
    AmendedKind,
    Disagreement,
    DisagreementRules,
    DisagreementState,
    Outcome,
    Party,
    Subject,
)
from bus.domain.identity import Actor, Role
from bus.domain.request import Decision
from bus.domain.working_days import due_date
from bus.errors import NotFound, Refused, StateConflict
from bus.services import grants as grant_steps
from bus.services import request_acts
from bus.services.asking import active_organisation
from bus.services.desk import SCHEDULER, Act, Desk
from bus.services.ids import new_id
from bus.services.kinds import DISAGREEMENT, REQUEST
from bus.services.visibility import may_see, seen_as_party
from bus.views.row_filter import FilterCompiler

SUBJECT = "disagreement"
MEETING_DUE = "meeting_due"


class Disagreements:
    """What both sides, the convener and the government do."""

    def __init__(self, desk: Desk, *, compile_filter: FilterCompiler) -> None:
        self._desk = desk
        self._compile_filter = compile_filter

    def open(
        self, actor: Actor, subject: Subject, about: str, *, reasons: str, consumer: str = ""
    ) -> Held[Disagreement]:
        """
        Open a disagreement about an entry, a request or a grant, as one of its sides.

        `consumer`: with whom, if a provider opens it about a sharing condition. Raise `Refused`
        DECISION_FINAL where the government has decided, `StateConflict` while one is open.
        """
        with self._desk.act(actor, "disagreement.opened", SUBJECT, about) as act:
            resource, side = self._concerned(act, subject, about, consumer)
            entry = act.transaction.live([resource]).entries[resource].entry
            rules = self._rules(act, entry.jurisdiction)
            opened = steps.open_disagreement(
                Disagreement(
                    id=new_id("x", act.now),
                    jurisdiction=entry.jurisdiction,
                    subject=subject,
                    about=about,
                    resource=resource,
                    provider=entry.provider,
                    consumer=side,
                    opened_by=actor.organisation,
                    opened_at=act.now,
                    reasons=reasons,
                ),
                rules,
                by=actor,
            )
            act.role = "provider" if actor.organisation == entry.provider else "consumer"
            _require_undecided(act, opened)
            act.subject = opened.id
            act.details |= {"about": about, "subject": str(subject)}
            held = act.transaction.add_case(DISAGREEMENT, opened)
            self._expect_meeting(act, opened)
            text = f"{actor.organisation} disagrees about {about}: {reasons}"
            for party in {entry.provider, side} - {actor.organisation} | {str(rules.convener)}:
                act.tell(party, "DISAGREEMENT_OPEN", SUBJECT, opened.id, text)
        return held

    def convene(
        self, actor: Actor, disagreement: str, *, meeting_at: dt.datetime
    ) -> Held[Disagreement]:
        """Call provider, consumer and operator together, as the profile's convener."""
        with self._desk.act(actor, "disagreement.convened", SUBJECT, disagreement) as act:
            held, rules = self._convened(act, disagreement)
            changed = steps.convene(held.value, rules, meeting_at=meeting_at, by=actor)
            act.details["parties"] = ",".join(sorted(changed.invited))
            act.transaction.clear_deadlines(SUBJECT, changed.id)
            text = f"meeting about {changed.about} at {meeting_at.isoformat()}"
            for party in sorted(changed.invited):
                act.tell(
                    _address(changed, party), "DISAGREEMENT_MEETING", SUBJECT, changed.id, text
                )
            return act.replace(DISAGREEMENT, held, changed)

    def settle(
        self,
        actor: Actor,
        disagreement: str,
        *,
        text: str,
        amends: AmendedKind | None,
        decision: Decision | None,
    ) -> Held[Disagreement]:
        """Record what the parties agreed on; `decision`: all that the grant contains from now."""
        with self._desk.act(actor, "disagreement.settled", SUBJECT, disagreement) as act:
            held, rules = self._convened(act, disagreement)
            outcome = self._outcome(act, held.value, text, amends, decision)
            changed = steps.settle(held.value, rules, outcome, by=actor)
            return self._close(act, held, changed, decision)

    def refer(self, actor: Actor, disagreement: str, *, reason: str) -> Held[Disagreement]:
        """Hand over to the government what the parties did not agree on."""
        with self._desk.act(actor, "disagreement.referred", SUBJECT, disagreement) as act:
            held, rules = self._convened(act, disagreement)
            changed = steps.refer(held.value, rules, reason=reason, by=actor)
            act.details |= {"to": changed.referred_to, "reason": reason}
            text = f"no agreement: {changed.referred_to} decides; {reason}"
            for party in (changed.provider, changed.consumer, Role.STEERING):
                act.tell(party, "DISAGREEMENT_REFERRED", SUBJECT, changed.id, text)
            return act.replace(DISAGREEMENT, held, changed)

    def decide(
        self,
        actor: Actor,
        disagreement: str,
        *,
        text: str,
        document: str,
        amends: AmendedKind | None,
        decision: Decision | None,
    ) -> Held[Disagreement]:
        """Record the government's decision, which is final."""
        with self._desk.act(actor, "disagreement.decided", SUBJECT, disagreement) as act:
            held = self._seen(act, disagreement)
            act.as_role(Role.STEERING, Role.AUTHORITY, jurisdiction=held.value.jurisdiction)
            self._rules(act, held.value.jurisdiction)
            outcome = self._outcome(act, held.value, text, amends, decision)
            changed = steps.decide(held.value, replace(outcome, document=document), by=actor)
            act.details["document"] = document
            return self._close(act, held, changed, decision)

    def remind(self, disagreement: str) -> None:
        """Tell the convener that nobody was called together yet; called by the clock."""
        with self._desk.act(SCHEDULER, "disagreement.reminded", SUBJECT, disagreement) as act:
            held = act.get(DISAGREEMENT, disagreement)
            if held.value.state is not DisagreementState.OPEN:
                return
            rules = self._rules(act, held.value.jurisdiction)
            text = f"the parties of {disagreement} about {held.value.about} still wait to meet"
            act.tell(rules.convener, "DISAGREEMENT_WAITS", SUBJECT, disagreement, text)

    # --- looking ----------------------------------------------------------------------------------

    def get(self, actor: Actor, disagreement: str) -> Held[Disagreement]:
        """Return a disagreement that the actor may see."""
        with self._desk.look(actor) as act:
            return self._seen(act, disagreement)

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[Disagreement]]:
        """Return disagreements that the actor may see, in order of time."""
        seen = seen_as_party(actor, where)
        with self._desk.look(actor) as act:
            return list(act.transaction.cases(DISAGREEMENT, seen, after=after, limit=limit))

    # --- steps ------------------------------------------------------------------------------------

    @staticmethod
    def _expect_meeting(act: Act, opened: Disagreement) -> None:
        """Let the clock ring when the convener had the time that the profile wishes for."""
        target = act.profile(opened.jurisdiction).disagreement.convene_target_wd
        if target is not None:
            due = due_date(act.now, target, act.calendar())
            act.transaction.set_deadline(
                Deadline(
                    subject_kind=SUBJECT, subject=opened.id, kind=MEETING_DUE, due_at=due.ends_at
                )
            )

    @staticmethod
    def _concerned(act: Act, subject: Subject, about: str, consumer: str) -> tuple[str, str]:
        """Return the resource that a disagreement concerns, and its consumer's side."""
        if subject is Subject.SHARING_CONDITION:
            entry = grant_steps.entry_of(act, about)
            other = consumer if act.actor.organisation == entry.provider else ""
            return about, active_organisation(act, other or act.actor.organisation).code
        if subject is Subject.APPLICATION_REASON or act.transaction.grant(about) is None:
            request = request_acts.seen(act, about).value
            return request.ask.resource, request.consumer
        grant = grant_steps.grant_of(act, about).grant
        entry = act.transaction.live([grant.resource]).entries[grant.resource].entry
        if not may_see(act.actor, entry.jurisdiction, {grant.consumer, entry.provider}):
            raise NotFound(f"there is no grant {about!r}, or it is not yours to see")
        return grant.resource, grant.consumer

    def _outcome(
        self,
        act: Act,
        disagreement: Disagreement,
        text: str,
        amends: AmendedKind | None,
        decision: Decision | None,
    ) -> Outcome:
        if (amends is AmendedKind.GRANT) != (decision is not None):
            raise Refused(
                "say what the grant contains from now on, and that it is the grant that is amended",
                code="OUTCOME_INCOMPLETE",
            )
        return Outcome(
            text=text,
            amends=amends,
            amended=None if amends is None else _amended(act, disagreement, amends),
            decided_by=act.actor.organisation,
            decided_at=act.now,
        )

    def _close(
        self,
        act: Act,
        held: Held[Disagreement],
        changed: Disagreement,
        decision: Decision | None,
    ) -> Held[Disagreement]:
        """Carry an outcome out, and tell both sides of it."""
        outcome = changed.outcome
        if outcome is None:
            raise LookupError(f"disagreement {changed.id} has no outcome")
        act.details |= {"state": str(changed.state), "outcome": outcome.text}
        if outcome.amended is not None:
            act.details |= {"amends": str(outcome.amends), "amended": outcome.amended}
        if decision is not None and outcome.amended is not None:
            grant = grant_steps.grant_of(act, outcome.amended)
            grant_steps.amend(act, grant, decision, self._compile_filter)
        for party in (changed.provider, changed.consumer):
            act.tell(party, f"DISAGREEMENT_{changed.state}", SUBJECT, changed.id, outcome.text)
        if outcome.amends in {AmendedKind.ENTRY, AmendedKind.REQUEST}:
            text = f"change {outcome.amends} {outcome.amended}: {outcome.text}"
            act.tell(changed.provider, "OUTCOME_TO_CARRY_OUT", SUBJECT, changed.id, text)
        return act.replace(DISAGREEMENT, held, changed)

    def _convened(
        self, act: Act, disagreement: str
    ) -> tuple[Held[Disagreement], DisagreementRules]:
        """Return a disagreement for whoever convenes here."""
        held = self._seen(act, disagreement)
        rules = self._rules(act, held.value.jurisdiction)
        act.as_role(rules.convener, jurisdiction=held.value.jurisdiction)
        return held, rules

    @staticmethod
    def _rules(act: Act, jurisdiction: str) -> DisagreementRules:
        rule = act.profile(jurisdiction).disagreement
        return DisagreementRules(
            enabled=rule.enabled,
            subjects=frozenset(Subject(each) for each in rule.subjects),
            convener=Role(rule.convener or Role.AUTHORITY),
            parties=frozenset(Party(each) for each in rule.parties),
            final=rule.final or "",
        )

    @staticmethod
    def _seen(act: Act, disagreement: str) -> Held[Disagreement]:
        held = act.get(DISAGREEMENT, disagreement)
        act.jurisdiction = held.value.jurisdiction
        parties = {held.value.provider, held.value.consumer}
        if not may_see(act.actor, held.value.jurisdiction, parties):
            raise NotFound(f"there is no disagreement {disagreement!r}, or it is not yours to see")
        return held


def _require_undecided(act: Act, opened: Disagreement) -> None:
    """Refuse a second disagreement about the same, open or decided by the government."""
    where = CaseFilter(resource=opened.resource, consumer=opened.consumer)
    for held in act.all(DISAGREEMENT, where):
        if (held.value.about, held.value.subject) != (opened.about, opened.subject):
            continue
        if held.value.state is DisagreementState.DECIDED:
            raise Refused(f"{held.value.referred_to} has decided that", code="DECISION_FINAL")
        if not held.value.closed:
            raise StateConflict(f"disagreement {held.value.id} about it is {held.value.state}")


def _amended(act: Act, disagreement: Disagreement, amends: AmendedKind) -> str:
    """Return the id of what an outcome amends: what it is about, or what came of that."""
    if amends is AmendedKind.ENTRY:
        return disagreement.resource
    request = act.transaction.case(REQUEST, disagreement.about)
    grant = act.transaction.grant(disagreement.about)
    if amends is AmendedKind.REQUEST:
        found = None if request is None else request.value.id
    elif grant is not None:
        found = grant.grant.id
    else:
        found = None if request is None else request.value.grant
    if found is None:
        raise Refused(f"there is no {amends} to amend", code="OUTCOME_INCOMPLETE")
    return found


def _address(disagreement: Disagreement, party: Party) -> str:
    """Return whom a notice for a party goes to."""
    match party:
        case Party.PROVIDER:
            return disagreement.provider
        case Party.CONSUMER:
            return disagreement.consumer
        case Party.OPERATOR:
            return Role.OPERATOR
