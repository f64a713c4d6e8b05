"""
Consent, talks and the bodies that hear a request: what follows where provider and consumer differ.

Who may escalate when, and to whom, is the profile's matter (R-091 to R-093, R-099 to R-101).
"""

from dataclasses import replace

from bus.domain import request_steps as steps
from bus.domain.cases import Held
from bus.domain.identity import Actor, Role
from bus.domain.request import Basis, Decision, RequestState, ShareRequest, Talk
from bus.domain.request_rules import RequestRules
from bus.domain.working_days import due_date, is_over, working_days_late
from bus.errors import StateConflict
from bus.services import request_acts as acts
from bus.services.desk import Act, Desk
from bus.views.row_filter import FilterCompiler

#: Which role decides for a body that an escalation chain names.
_DECIDERS = {
    "authority": Role.AUTHORITY,
    "steering": Role.STEERING,
    "government": Role.STEERING,
    "office": Role.OFFICE,
    # Decides outside the system; the office records its decision with the document's number.
    "interministerial_conference": Role.OFFICE,
}


class Escalations:
    """What parties and bodies do about a request that is not simply answered."""

    def __init__(self, desk: Desk, *, compile_filter: FilterCompiler) -> None:
        self._desk = desk
        self._compile_filter = compile_filter

    def consent(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Consent to a proposed refusal (R-086)."""
        with self._desk.act(actor, "request.consent_given", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.as_role(*self._consenters(act, held.value), jurisdiction=held.value.jurisdiction)
            acts.save(act, held, steps.consent(held.value))
        return acts.look(self._desk, actor, request)

    def deny_consent(self, actor: Actor, request: str, *, reason: str) -> Held[ShareRequest]:
        """Deny consent: the request is the provider's again, with its original due date."""
        with self._desk.act(actor, "request.consent_denied", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.as_role(*self._consenters(act, held.value), jurisdiction=held.value.jurisdiction)
            due = held.value.due
            late = 0 if due is None else working_days_late(due, act.now, act.calendar())
            act.details["reason"] = reason
            acts.save(act, held, steps.deny_consent(held.value, late_days=late))
            if due is not None:
                # It was stopped when the refusal was proposed; the original date stands.
                acts.ring(act, request, due)
        return acts.look(self._desk, actor, request)

    def open_consultation(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Talk to the consumer, as a provider whose refusal got no consent (R-086)."""
        with self._desk.act(actor, "consultation.opened", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.for_organisation(held.value.provider, part="provider")
            acts.save(act, held, steps.open_consultation(held.value, at=act.now))
        return acts.look(self._desk, actor, request)

    def record_talk(
        self,
        actor: Actor,
        request: str,
        *,
        agreed: bool,
        note: str,
        decision: Decision | None,
        others: tuple[str, ...] = (),
    ) -> Held[ShareRequest]:
        """Record the outcome of a consultation, by either party or the authority that convened."""
        with self._desk.act(actor, "consultation.closed", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            parties = tuple(dict.fromkeys((held.value.consumer, held.value.provider, *others)))
            if actor.organisation in parties and Role.DEPARTMENT in actor.roles:
                act.role = "party"
            else:
                act.as_role(Role.AUTHORITY, Role.OFFICE, jurisdiction=held.value.jurisdiction)
            decided = None
            if decision is not None:
                decided = replace(
                    decision, by=held.value.provider, at=act.now, basis=Basis.CONSULTATION
                )
            talk = Talk(
                at=act.now, by=actor.organisation, agreed=agreed, note=note, parties=parties
            )
            changed = steps.record_talk(held.value, talk, acts.rules_of(act, held.value), decided)
            acts.check_decision(act, changed, self._compile_filter)
            acts.save(act, held, changed)
        return acts.look(self._desk, actor, request)

    def escalate(self, actor: Actor, request: str, *, reasons: str) -> Held[ShareRequest]:
        """Put a request before the first body of the chain, once talks have failed (R-092)."""
        with self._desk.act(actor, "escalation.opened", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            if actor.organisation == held.value.provider:
                act.for_organisation(held.value.provider, part="provider")
            else:
                act.for_organisation(held.value.consumer, part="consumer")
            rules = acts.rules_of(act, held.value)
            over = self._talks_over(act, held.value, rules)
            changed = steps.escalate(
                held.value,
                rules,
                at=act.now,
                by=actor.organisation,
                reasons=reasons,
                time_over=over,
            )
            acts.save(act, held, changed)
            act.details["body"] = changed.hops[-1].body
            _tell_body(act, changed)
        return acts.look(self._desk, actor, request)

    def pass_on(self, actor: Actor, request: str, *, reasons: str) -> Held[ShareRequest]:
        """Pass an escalation on to the next body."""
        with self._desk.act(actor, "escalation.passed_on", acts.SUBJECT, request) as act:
            held = self._before_body(act, request)
            rules = acts.rules_of(act, held.value)
            changed = steps.pass_on(held.value, rules, at=act.now, reasons=reasons)
            acts.save(act, held, changed)
            act.details["body"] = changed.hops[-1].body
            _tell_body(act, changed)
        return acts.look(self._desk, actor, request)

    def decide_escalation(
        self, actor: Actor, request: str, decision: Decision | None, *, document: str
    ) -> Held[ShareRequest]:
        """
        Decide as the body that the request is before; None denies it for good.

        What a body outside the system decided is recorded with its document number (R-100).
        """
        with self._desk.act(actor, "escalation.decided", acts.SUBJECT, request) as act:
            held = self._before_body(act, request)
            body = held.value.hops[-1].body
            decided = None
            if decision is not None:
                decided = replace(
                    decision,
                    by=actor.organisation,
                    at=act.now,
                    basis=Basis.ESCALATION,
                    document=document,
                )
            changed = steps.decide_escalation(held.value, decided, at=act.now, document=document)
            acts.check_decision(act, changed, self._compile_filter)
            acts.save(act, held, changed)
            act.details |= {"body": body, "document": document}
        return acts.look(self._desk, actor, request)

    def steering_decides(self, actor: Actor, request: str, *, approved: bool) -> Held[ShareRequest]:
        """Approve or reject, as the steering body, what the parties agreed (R-099)."""
        with self._desk.act(actor, "escalation.decided", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.as_role(Role.STEERING, jurisdiction=held.value.jurisdiction)
            acts.save(act, held, steps.steering_decides(held.value, approved=approved, at=act.now))
        return acts.look(self._desk, actor, request)

    def _talks_over(self, act: Act, request: ShareRequest, rules: RequestRules) -> bool:
        """Tell whether the parties have talked for so long that they need not have failed."""
        if request.talks_since is None or rules.escalate_after_wd is None:
            return False
        until = due_date(request.talks_since, rules.escalate_after_wd, act.calendar())
        return is_over(until, act.now)

    def _consenters(self, act: Act, request: ShareRequest) -> tuple[Role, ...]:
        by = acts.rules_of(act, request).consent_by
        return (Role(by),) if by else (Role.AUTHORITY,)

    def _before_body(self, act: Act, request: str) -> Held[ShareRequest]:
        """Return a request that is before a body, for which the actor decides."""
        held = acts.seen(act, request)
        if held.value.state is not RequestState.ESCALATED:
            raise StateConflict(f"request {request} is {held.value.state}, before no body")
        role = _DECIDERS.get(held.value.hops[-1].body, Role.AUTHORITY)
        act.as_role(role, jurisdiction=held.value.jurisdiction)
        return held


def _tell_body(act: Act, request: ShareRequest) -> None:
    """Tell whoever decides for the body that a request is before."""
    hop = request.hops[-1]
    role = _DECIDERS.get(hop.body, Role.AUTHORITY)
    act.tell(role, "ESCALATED", acts.SUBJECT, request.id, f"before {hop.body}: {hop.reasons}")
