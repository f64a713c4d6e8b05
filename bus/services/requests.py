"""
Share requests: submitted by consumers, decided by providers, escalated, activated (§6.2).

Approval and provisioning are two acts by two parties (R-084): `approve` authorises, `activate`
puts the grant in force.
"""

import datetime as dt
from dataclasses import replace

from bus.domain import agreement as agreements
from bus.domain import request_steps as steps
from bus.domain.agreement import Agreement, AgreementState
from bus.domain.cases import CaseFilter, Held
from bus.domain.class_change import CLASS_TIGHTENED
from bus.domain.deadline import Deadline
from bus.domain.grant import GrantState
from bus.domain.identity import Actor, Role
from bus.domain.request import Ask, Basis, Decision, Refusal, RequestState, ShareRequest, Talk
from bus.domain.request_rules import RequestRules, request_rules
from bus.domain.view import Treatment
from bus.domain.working_days import (
    DueDate,
    due_date,
    is_over,
    local_day,
    working_days_late,
)
from bus.errors import NotFound, StateConflict
from bus.services import grants as grant_steps
from bus.services.asking import active_organisation, class_of, higher_level, scope_of, whole
from bus.services.desk import SCHEDULER, Act, Desk
from bus.services.ids import new_id
from bus.services.kinds import AGREEMENT, REQUEST
from bus.views.row_filter import FilterCompiler

SUBJECT = "request"
DUE = "due"
#: Which role decides for a body that an escalation chain names.
_DECIDERS = {
    "authority": Role.AUTHORITY,
    "steering": Role.STEERING,
    "government": Role.STEERING,
    "office": Role.OFFICE,
    # Decides outside the system; the office records its decision with the document's number.
    "interministerial_conference": Role.OFFICE,
}


_UNDECIDED = frozenset({RequestState.PENDING, RequestState.OVERDUE})


class Requests:
    """What consumers, providers and bodies do with requests."""

    def __init__(
        self,
        desk: Desk,
        *,
        compile_filter: FilterCompiler,
    ) -> None:
        self._desk = desk
        self._compile_filter = compile_filter

    # --- by the consumer --------------------------------------------------------------------------

    def submit(
        self, actor: Actor, ask: Ask, *, received_at: dt.datetime | None = None
    ) -> tuple[Held[ShareRequest], dict[str, str]]:
        """
        Submit a request; return it, with the Kafka password if a grant came of it at once.

        Without items, everything is asked for that is unconditional for the consumer (R-081).
        """
        request_id = ""
        with self._desk.act(actor, "request.submitted", SUBJECT, ask.resource) as act:
            request = self._open(act, actor, ask)
            request_id = request.id
            rules = self._rules(act, request)
            act.transaction.add_case(REQUEST, self._enter(act, request, rules, received_at))
        return self.get(actor, request_id), act.passwords

    def resubmit(
        self, actor: Actor, request: str, ask: Ask
    ) -> tuple[Held[ShareRequest], dict[str, str]]:
        """Submit a returned draft again, completed; its clock starts anew (R-089)."""
        with self._desk.act(actor, "request.submitted", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.for_organisation(held.value.consumer, part="consumer")
            entry = grant_steps.entry_of(act, held.value.ask.resource)
            asked = whole(ask, entry, held.value.scope)
            draft = steps.complete(held.value, asked, class_of(asked, entry, held.value.scope))
            changed = self._enter(act, draft, self._rules(act, draft), None)
            act.replace(REQUEST, held, changed)
        return self.get(actor, request), act.passwords

    def withdraw(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Take an open request back."""
        with self._desk.act(actor, "request.withdrawn", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.for_organisation(held.value.consumer, part="consumer")
            self._save(act, held, steps.withdraw(held.value))
        return self.get(actor, request)

    def appeal(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Go on after a refusal: consultation, disagreement or complaint, as the profile says."""
        with self._desk.act(actor, "consultation.opened", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.for_organisation(held.value.consumer, part="consumer")
            rules = self._rules(act, held.value)
            self._save(act, held, steps.appeal(held.value, rules, at=act.now))
        return self.get(actor, request)

    # --- by the provider --------------------------------------------------------------------------

    def approve(self, actor: Actor, request: str, decision: Decision) -> Held[ShareRequest]:
        """Approve in full or in part (R-090)."""
        with self._desk.act(actor, "request.approved", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.for_organisation(held.value.provider, part="provider")
            decided = replace(decision, by=actor.organisation, at=act.now, basis=Basis.PROVIDER)
            changed = steps.approve(held.value, decided)
            self._check_decision(act, changed)
            self._save(act, held, changed)
            act.details["items"] = ",".join(sorted(decided.treatments))
        return self.get(actor, request)

    def refuse(self, actor: Actor, request: str, refusal: Refusal) -> Held[ShareRequest]:
        """Refuse, with what the profile demands (R-085 to R-087)."""
        with self._desk.act(actor, "request.refused", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.for_organisation(held.value.provider, part="provider")
            entry = grant_steps.entry_of(act, held.value.ask.resource)
            names = [
                *held.value.ask.items,
                *(entry.item_by_name[name].title_zh for name in held.value.ask.items),
                "condition",
                "条件",
            ]
            changed = steps.refuse(
                held.value,
                replace(refusal, by=actor.organisation, at=act.now),
                self._rules(act, held.value),
                conditions=names,
            )
            self._save(act, held, changed)
        return self.get(actor, request)

    def return_incomplete(self, actor: Actor, request: str, *, missing: str) -> Held[ShareRequest]:
        """Return a request because a named part is missing (R-089)."""
        with self._desk.act(actor, "request.returned", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.for_organisation(held.value.provider, part="provider")
            act.details["missing"] = missing
            if held.value.due is not None and is_over(held.value.due, act.now):
                raise StateConflict(f"request {request} is overdue: approve or refuse it")
            self._save(act, held, steps.return_incomplete(held.value, missing))
        return self.get(actor, request)

    # --- consultation and bodies ------------------------------------------------------------------

    def record_notice(
        self, actor: Actor, request: str, at: dt.datetime | None
    ) -> Held[ShareRequest]:
        """Note that the gateway's notice reached the provider: the clock starts (R-094)."""
        with self._desk.act(actor, "request.notice_received", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.as_role(Role.OFFICE, jurisdiction=held.value.jurisdiction)
            started = steps.start_clock(held.value, at=at or act.now)
            self._save(act, held, self._with_due(act, started, self._rules(act, started)))
        return self.get(actor, request)

    def consent(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Consent to a proposed refusal (R-086)."""
        with self._desk.act(actor, "request.consent_given", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.as_role(*self._consenters(act, held.value), jurisdiction=held.value.jurisdiction)
            self._save(act, held, steps.consent(held.value))
        return self.get(actor, request)

    def deny_consent(self, actor: Actor, request: str, *, reason: str) -> Held[ShareRequest]:
        """Deny consent: the request is the provider's again, with its original due date."""
        with self._desk.act(actor, "request.consent_denied", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.as_role(*self._consenters(act, held.value), jurisdiction=held.value.jurisdiction)
            due = held.value.due
            late = 0 if due is None else working_days_late(due, act.now, act.calendar())
            act.details["reason"] = reason
            self._save(act, held, steps.deny_consent(held.value, late_days=late))
            if due is not None:
                # It was stopped when the refusal was proposed; the original date stands.
                self._ring(act, request, due)
        return self.get(actor, request)

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
        with self._desk.act(actor, "consultation.closed", SUBJECT, request) as act:
            held = self._seen(act, request)
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
            changed = steps.record_talk(held.value, talk, self._rules(act, held.value), decided)
            self._check_decision(act, changed)
            self._save(act, held, changed)
        return self.get(actor, request)

    def open_consultation(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Talk to the consumer, as a provider whose refusal got no consent (R-086)."""
        with self._desk.act(actor, "consultation.opened", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.for_organisation(held.value.provider, part="provider")
            self._save(act, held, steps.open_consultation(held.value, at=act.now))
        return self.get(actor, request)

    def escalate(self, actor: Actor, request: str, *, reasons: str) -> Held[ShareRequest]:
        """Put a request before the first body of the chain, once talks have failed (R-092)."""
        with self._desk.act(actor, "escalation.opened", SUBJECT, request) as act:
            held = self._seen(act, request)
            if actor.organisation == held.value.provider:
                act.for_organisation(held.value.provider, part="provider")
            else:
                act.for_organisation(held.value.consumer, part="consumer")
            rules = self._rules(act, held.value)
            over = self._talks_over(act, held.value, rules)
            changed = steps.escalate(
                held.value,
                rules,
                at=act.now,
                by=actor.organisation,
                reasons=reasons,
                time_over=over,
            )
            self._save(act, held, changed)
            act.details["body"] = changed.hops[-1].body
            act.tell(changed.hops[-1].body, "ESCALATED", SUBJECT, request, reasons)
        return self.get(actor, request)

    def pass_on(self, actor: Actor, request: str, *, reasons: str) -> Held[ShareRequest]:
        """Pass an escalation on to the next body."""
        with self._desk.act(actor, "escalation.passed_on", SUBJECT, request) as act:
            held = self._before_body(act, request)
            rules = self._rules(act, held.value)
            changed = steps.pass_on(held.value, rules, at=act.now, reasons=reasons)
            self._save(act, held, changed)
        return self.get(actor, request)

    def decide_escalation(
        self, actor: Actor, request: str, decision: Decision | None, *, document: str
    ) -> Held[ShareRequest]:
        """
        Decide as the body that the request is before; None denies it for good.

        What a body outside the system decided is recorded with its document number (R-100).
        """
        with self._desk.act(actor, "escalation.decided", SUBJECT, request) as act:
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
            self._check_decision(act, changed)
            self._save(act, held, changed)
            act.details |= {"body": body, "document": document}
        return self.get(actor, request)

    def steering_decides(self, actor: Actor, request: str, *, approved: bool) -> Held[ShareRequest]:
        """Approve or reject, as the steering body, what the parties agreed (R-099)."""
        with self._desk.act(actor, "escalation.decided", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.as_role(Role.STEERING, jurisdiction=held.value.jurisdiction)
            self._save(act, held, steps.steering_decides(held.value, approved=approved, at=act.now))
        return self.get(actor, request)

    def pre_review(
        self, actor: Actor, request: str, *, passed: bool, reason: str = ""
    ) -> Held[ShareRequest]:
        """Pass or reject, as the steering body, what asks for an outside resource (R-095)."""
        with self._desk.act(actor, "request.pre_reviewed", SUBJECT, request) as act:
            held = self._seen(act, request)
            act.as_role(Role.STEERING, jurisdiction=held.value.jurisdiction)
            changed = steps.pre_review(
                held.value, passed=passed, reason=reason, by=actor.organisation, at=act.now
            )
            self._save(act, held, changed)
        return self.get(actor, request)

    # --- activation -------------------------------------------------------------------------------

    def activate(self, actor: Actor, request: str) -> tuple[Held[ShareRequest], dict[str, str]]:
        """Put the grant in force, as the profile's executor (R-084); return its password, once."""
        with self._desk.act(actor, "request.fulfilled", SUBJECT, request) as act:
            held = self._seen(act, request)
            rules = self._rules(act, held.value)
            act.as_role(Role(rules.executor), jurisdiction=held.value.jurisdiction)
            changed = steps.activate(
                held.value,
                grant=held.value.grant or new_id("g", act.now),
                agreement_signed=self._agreement_signed(act, held.value),
                at=act.now,
            )
            self._give(act, changed)
            self._save(act, held, changed)
        return self.get(actor, request), act.passwords

    def demand_agreement(
        self, actor: Actor, request: str, *, document: str, document_sha256: str
    ) -> Held[ShareRequest]:
        """Demand a sharing agreement, as either side may: activation waits for it (R-097)."""
        with self._desk.act(actor, "agreement.demanded", SUBJECT, request) as act:
            held = self._seen(act, request)
            agreement = agreements.ask(
                new_id("a", act.now),
                request=request,
                provider=held.value.provider,
                consumer=held.value.consumer,
                document=document,
                document_sha256=document_sha256,
                by=actor,
                at=act.now,
            )
            act.role = "party"
            act.transaction.add_case(AGREEMENT, agreement)
            rules = self._rules(act, held.value)
            changed = steps.demand_agreement(held.value, rules, agreement=agreement.id)
            act.replace(REQUEST, held, changed)
        return self.get(actor, request)

    def sign_agreement(
        self, actor: Actor, request: str, *, document_sha256: str
    ) -> Held[Agreement]:
        """Sign the agreement of a request for one's own side."""
        with self._desk.act(actor, "agreement.signed", SUBJECT, request) as act:
            held = self._seen(act, request)
            if held.value.agreement is None:
                raise NotFound(f"request {request} has no agreement")
            agreement = act.get(AGREEMENT, held.value.agreement)
            signed = agreements.sign(
                agreement.value, document_sha256=document_sha256, by=actor, at=act.now
            )
            act.role = "party"
            return act.replace(AGREEMENT, agreement, signed)

    # --- by the clock -----------------------------------------------------------------------------

    def mark_overdue(self, request: str) -> None:
        """Record that a request is overdue: a breach, and the authority is told (R-088)."""
        with self._desk.act(SCHEDULER, "request.overdue", SUBJECT, request) as act:
            held = act.get(REQUEST, request)
            if held.value.state is not RequestState.PENDING:
                return
            act.profile(held.value.jurisdiction)
            act.replace(REQUEST, held, steps.mark_overdue(held.value, now=act.now))
            due = "" if held.value.due is None else held.value.due.day.isoformat()
            act.details["due"] = due
            act.note(
                "breach.recorded",
                "organisation",
                held.value.provider,
                ground="B04",
                request=request,
            )
            text = f"{held.value.provider} has not answered request {request}, due {due}"
            act.tell("authority", "REQUEST_OVERDUE", SUBJECT, request, text)
            act.tell(held.value.provider, "REQUEST_OVERDUE", SUBJECT, request, text)

    def recount(self) -> None:
        """Count open due dates anew after the calendar was amended; both dates are kept (R-083)."""
        with self._desk.act(SCHEDULER, "request.recounted", "calendar", "calendar") as act:
            for held in act.all(REQUEST, CaseFilter(states=frozenset(_UNDECIDED))):
                rules = self._rules(act, held.value)
                changed = self._with_due(act, held.value, rules)
                if changed == held.value:
                    continue
                act.replace(REQUEST, held, changed)
                text = f"due {'' if changed.due is None else changed.due.day}: the calendar changed"
                for party in (changed.provider, changed.consumer):
                    act.tell(party, "DUE_DATE_RECOUNTED", SUBJECT, changed.id, text)

    # --- looking ----------------------------------------------------------------------------------

    def get(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Return a request; raise `NotFound` if there is none, or if it is not the actor's."""
        with self._desk.look(actor) as act:
            return self._seen(act, request)

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[ShareRequest]]:
        """Return requests that the actor may see, in order of time."""
        overseer = grant_steps.may_see(actor, actor.jurisdiction, set())
        seen = (
            replace(where, jurisdiction=actor.jurisdiction)
            if overseer
            else replace(where, party=actor.organisation)
        )
        with self._desk.look(actor) as act:
            return list(act.transaction.cases(REQUEST, seen, after=after, limit=limit))

    # --- steps ------------------------------------------------------------------------------------

    def _open(self, act: Act, actor: Actor, ask: Ask) -> ShareRequest:
        """Return the draft of a request."""
        entry = grant_steps.entry_of(act, ask.resource)
        profile = act.profile(entry.jurisdiction)
        act.for_organisation(actor.organisation, part="consumer")
        consumer = active_organisation(act, actor.organisation)
        provider = active_organisation(act, entry.provider)
        scope = scope_of(consumer, entry, profile)
        asked = whole(ask, entry, scope)
        request_id = new_id("r", act.now)
        act.subject = request_id
        return ShareRequest(
            id=request_id,
            jurisdiction=entry.jurisdiction,
            provider=entry.provider,
            consumer=consumer.code,
            scope=scope,
            higher_level=higher_level(act, entry, provider, consumer),
            ask=asked,
            share_class=class_of(asked, entry, scope),
            state=RequestState.DRAFT,
            profile=profile.name,
            profile_version=str(profile.version),
            created_at=act.now,
        )

    def _enter(
        self,
        act: Act,
        request: ShareRequest,
        rules: RequestRules,
        received_at: dt.datetime | None,
    ) -> ShareRequest:
        """Submit a draft, and do what its new state asks for at once."""
        entry = grant_steps.entry_of(act, request.ask.resource)
        consumer = active_organisation(act, request.consumer)
        provider = active_organisation(act, request.provider)
        around = steps.Circumstances(
            onboarded=act.onboarded(request.consumer),
            special_regime=None if entry.special_regime is None else entry.special_regime.code,
            same_zone=consumer.zone is provider.zone,
            controlled_params=bool(entry.controlled_parameters),
        )
        entered = steps.submit(request, rules, around, at=act.now, received_at=received_at)
        entered = self._with_due(act, entered, rules)
        if entered.state is RequestState.GRANTED_DIRECT:
            entered = steps.grant_directly(
                entered,
                self._direct(act, entered, rules),
                grant=new_id("g", act.now),
                at=act.now,
            )
            self._give(act, entered)
        act.details |= {"resource": request.ask.resource, "state": str(entered.state)}
        return entered

    def _with_due(self, act: Act, request: ShareRequest, rules: RequestRules) -> ShareRequest:
        """Count the due date from where the clock started, and let it ring."""
        if request.clock_at is None or rules.reply_deadline_wd is None:
            return request
        due = due_date(request.clock_at, rules.reply_deadline_wd, act.calendar())
        self._ring(act, request.id, due)
        return steps.set_due(request, due)

    @staticmethod
    def _ring(act: Act, request: str, due: DueDate) -> None:
        act.transaction.set_deadline(
            Deadline(subject_kind=SUBJECT, subject=request, kind=DUE, due_at=due.ends_at)
        )

    @staticmethod
    def _direct(act: Act, request: ShareRequest, rules: RequestRules) -> Decision:
        today = local_day(act.now)
        longest = rules.grant_ends(today)
        return Decision(
            treatments=dict.fromkeys(request.ask.items, Treatment.KEEP),
            row_filter=request.ask.row_filter,
            valid_from=today,
            valid_until=min(request.ask.valid_until or longest, longest),
            mode=request.ask.mode,
            purpose=request.ask.purpose,
            basis=Basis.DIRECT,
            by=request.provider,
            at=act.now,
        )

    def _check_decision(self, act: Act, request: ShareRequest) -> None:
        """Refuse a decision that the entry does not allow, before anything is activated."""
        if request.decision is None:
            return
        entry = grant_steps.entry_of(act, request.ask.resource)
        grant = grant_steps.of_decision(
            request.grant or request.id, request, request.decision, entry
        )
        grant_steps.check(act, grant, entry, self._compile_filter)

    def _give(self, act: Act, request: ShareRequest) -> None:
        if request.decision is None or request.grant is None:
            raise LookupError(f"request {request.id} has no decision")
        entry = grant_steps.entry_of(act, request.ask.resource)
        grant = grant_steps.of_decision(request.grant, request, request.decision, entry)
        grant_steps.check(act, grant, entry, self._compile_filter)
        grant_steps.activate(act, grant)
        self._supersede(act, grant.consumer, grant.resource, grant.id)

    @staticmethod
    def _supersede(act: Act, consumer: str, resource: str, grant: str) -> None:
        """Put a new approval in the place of a grant that a tightened class has suspended."""
        for held in act.transaction.live([resource]).grants.values():
            tightened = held.grant.suspended_because.startswith(CLASS_TIGHTENED)
            if held.grant.consumer == consumer and held.grant.id != grant and tightened:
                grant_steps.save(
                    act,
                    held.grant,
                    held.version,
                    GrantState.SUPERSEDED,
                    "grant.amended",
                )

    def _save(self, act: Act, held: Held[ShareRequest], changed: ShareRequest) -> None:
        act.replace(REQUEST, held, changed)
        act.details["state"] = str(changed.state)
        if changed.state not in _UNDECIDED:
            act.transaction.clear_deadlines(SUBJECT, changed.id)
        other = changed.consumer if act.role == "provider" else changed.provider
        act.tell(
            other, f"REQUEST_{changed.state}", SUBJECT, changed.id, f"it is {changed.state} now"
        )

    @staticmethod
    def _agreement_signed(act: Act, request: ShareRequest) -> bool:
        if request.agreement is None:
            return True
        return act.get(AGREEMENT, request.agreement).value.state is AgreementState.SIGNED

    def _talks_over(self, act: Act, request: ShareRequest, rules: RequestRules) -> bool:
        """Tell whether the parties have talked for so long that they need not have failed."""
        if request.talks_since is None or rules.escalate_after_wd is None:
            return False
        until = due_date(request.talks_since, rules.escalate_after_wd, act.calendar())
        return is_over(until, act.now)

    def _rules(self, act: Act, request: ShareRequest) -> RequestRules:
        profile = act.profile(request.jurisdiction)
        return request_rules(profile, request.scope, higher_level=request.higher_level)

    def _consenters(self, act: Act, request: ShareRequest) -> tuple[Role, ...]:
        by = self._rules(act, request).consent_by
        return (Role(by),) if by else (Role.AUTHORITY,)

    def _before_body(self, act: Act, request: str) -> Held[ShareRequest]:
        """Return a request that is before a body, for which the actor decides."""
        held = self._seen(act, request)
        if held.value.state is not RequestState.ESCALATED:
            raise StateConflict(f"request {request} is {held.value.state}, before no body")
        role = _DECIDERS.get(held.value.hops[-1].body, Role.AUTHORITY)
        act.as_role(role, jurisdiction=held.value.jurisdiction)
        return held

    @staticmethod
    def _seen(act: Act, request: str) -> Held[ShareRequest]:
        held = act.get(REQUEST, request)
        act.jurisdiction = held.value.jurisdiction
        parties = {held.value.consumer, held.value.provider}
        if not grant_steps.may_see(act.actor, held.value.jurisdiction, parties):
            raise NotFound(f"there is no request {request!r}, or it is not yours to see")
        return held
