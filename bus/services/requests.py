"""
Share requests: submitted by consumers, decided by providers, activated (§6.2).

Approval and provisioning are two acts by two parties (R-084): `approve` authorises, `activate`
puts the grant in force.
"""

import datetime as dt
from dataclasses import replace

from bus.domain import request_steps as steps
from bus.domain.agreement import AgreementState
from bus.domain.breach import BreachGround
from bus.domain.cases import CaseFilter, Held
from bus.domain.deadline import Deadline
from bus.domain.identity import Actor, Role
from bus.domain.request import Ask, Basis, Decision, Refusal, RequestState, ShareRequest
from bus.domain.request_checks import REFUSED_FOR_GOOD, link_to_refused
from bus.domain.working_days import due_date, is_over
from bus.errors import StateConflict
from bus.services import grants as grant_steps
from bus.services import request_acts as acts
from bus.services.asking import active_organisation, class_of, higher_level, scope_of, whole
from bus.services.breaches import record_breach
from bus.services.desk import SCHEDULER, Act, Desk
from bus.services.ids import new_id
from bus.services.kinds import AGREEMENT, REQUEST
from bus.services.visibility import seen_as_party
from bus.views.row_filter import FilterCompiler

DUE = acts.DUE
CONSENT_DUE = "consent_due"


class Requests:
    """What consumers, providers and operators do with requests."""

    def __init__(self, desk: Desk, *, compile_filter: FilterCompiler) -> None:
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
        with self._desk.act(actor, "request.submitted", acts.SUBJECT, ask.resource) as act:
            request = self._open(act, actor, ask)
            request_id = request.id
            entered = acts.enter(act, request, received_at, self._compile_filter)
            act.transaction.add_case(REQUEST, entered)
        return self.get(actor, request_id), act.passwords

    def resubmit(
        self, actor: Actor, request: str, ask: Ask
    ) -> tuple[Held[ShareRequest], dict[str, str]]:
        """Submit a returned draft again, completed; its clock starts anew (R-089)."""
        with self._desk.act(actor, "request.submitted", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.for_organisation(held.value.consumer, part="consumer")
            entry = grant_steps.entry_of(act, held.value.ask.resource)
            asked = whole(ask, entry, held.value.scope)
            draft = steps.complete(held.value, asked, class_of(asked, entry, held.value.scope))
            draft = self._linked(act, draft)
            changed = acts.enter(act, draft, None, self._compile_filter)
            act.replace(REQUEST, held, changed)
        return acts.look(self._desk, actor, request), act.passwords

    def withdraw(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Take an open request back."""
        with self._desk.act(actor, "request.withdrawn", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.for_organisation(held.value.consumer, part="consumer")
            acts.save(act, held, steps.withdraw(held.value))
        return acts.look(self._desk, actor, request)

    def appeal(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Go on after a refusal: consultation, disagreement or complaint, as the profile says."""
        with self._desk.act(actor, "consultation.opened", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.for_organisation(held.value.consumer, part="consumer")
            rules = acts.rules_of(act, held.value)
            acts.save(act, held, steps.appeal(held.value, rules, at=act.now))
        return acts.look(self._desk, actor, request)

    # --- by the provider --------------------------------------------------------------------------

    def approve(self, actor: Actor, request: str, decision: Decision) -> Held[ShareRequest]:
        """Approve in full or in part (R-090)."""
        with self._desk.act(actor, "request.approved", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.for_organisation(held.value.provider, part="provider")
            decided = replace(decision, by=actor.organisation, at=act.now, basis=Basis.PROVIDER)
            changed = steps.approve(held.value, decided)
            acts.check_decision(act, changed, self._compile_filter)
            acts.save(act, held, changed)
            act.details["items"] = ",".join(sorted(decided.treatments))
        return acts.look(self._desk, actor, request)

    def refuse(self, actor: Actor, request: str, refusal: Refusal) -> Held[ShareRequest]:
        """Refuse, with what the profile demands (R-085 to R-087)."""
        with self._desk.act(actor, "request.refused", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.for_organisation(held.value.provider, part="provider")
            entry = grant_steps.entry_of(act, held.value.ask.resource)
            names = [
                *held.value.ask.items,
                *(entry.item_by_name[name].title_zh for name in held.value.ask.items),
                "condition",
                "条件",
            ]
            rules = acts.rules_of(act, held.value)
            changed = steps.refuse(
                held.value,
                replace(refusal, by=actor.organisation, at=act.now),
                rules,
                conditions=names,
            )
            acts.save(act, held, changed)
            self._expect_consent(act, changed)
        return acts.look(self._desk, actor, request)

    def return_incomplete(self, actor: Actor, request: str, *, missing: str) -> Held[ShareRequest]:
        """Return a request because a named part is missing (R-089)."""
        with self._desk.act(actor, "request.returned", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.for_organisation(held.value.provider, part="provider")
            act.details["missing"] = missing
            if held.value.due is not None and is_over(held.value.due, act.now):
                raise StateConflict(f"request {request} is overdue: approve or refuse it")
            acts.save(act, held, steps.return_incomplete(held.value, missing))
        return acts.look(self._desk, actor, request)

    # --- by the operator --------------------------------------------------------------------------

    def activate(self, actor: Actor, request: str) -> tuple[Held[ShareRequest], dict[str, str]]:
        """Put the grant in force, as the profile's executor (R-084); return its password, once."""
        with self._desk.act(actor, "request.fulfilled", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            rules = acts.rules_of(act, held.value)
            act.as_role(Role(rules.executor), jurisdiction=held.value.jurisdiction)
            changed = steps.activate(
                held.value,
                grant=held.value.grant or new_id("g", act.now),
                agreement_signed=self._agreement_signed(act, held.value),
                at=act.now,
            )
            acts.give(act, changed, self._compile_filter)
            acts.save(act, held, changed)
        return acts.look(self._desk, actor, request), act.passwords

    # --- by the clock -----------------------------------------------------------------------------

    def mark_overdue(self, request: str) -> None:
        """Record that a request is overdue: a breach, and the authority is told (R-088)."""
        with self._desk.act(SCHEDULER, "request.overdue", acts.SUBJECT, request) as act:
            held = act.get(REQUEST, request)
            if held.value.state is not RequestState.PENDING:
                return
            act.profile(held.value.jurisdiction)
            act.replace(REQUEST, held, steps.mark_overdue(held.value, now=act.now))
            due = "" if held.value.due is None else held.value.due.day.isoformat()
            act.details["due"] = due
            record_breach(
                act,
                held.value.provider,
                BreachGround.NOT_ACCEPTED,
                subject_kind=acts.SUBJECT,
                subject=request,
                due=due,
            )
            text = f"{held.value.provider} has not answered request {request}, due {due}"
            act.tell("authority", "REQUEST_OVERDUE", acts.SUBJECT, request, text)
            act.tell(held.value.provider, "REQUEST_OVERDUE", acts.SUBJECT, request, text)

    def remind_of_consent(self, request: str) -> None:
        """Remind the body that has not said whether it consents; nothing follows (§2.4)."""
        with self._desk.act(SCHEDULER, "request.consent_reminded", acts.SUBJECT, request) as act:
            held = act.get(REQUEST, request)
            if held.value.state is not RequestState.REFUSAL_PROPOSED:
                return
            rules = acts.rules_of(act, held.value)
            text = f"{held.value.provider} still awaits your consent to refuse request {request}"
            act.tell(
                rules.consent_by or Role.AUTHORITY, "CONSENT_LATE", acts.SUBJECT, request, text
            )

    def recount(self) -> None:
        """Count open due dates anew after the calendar was amended; both dates are kept (R-083)."""
        with self._desk.act(SCHEDULER, "request.recounted", "calendar", "calendar") as act:
            for held in act.all(REQUEST, CaseFilter(states=frozenset(acts.UNDECIDED))):
                rules = acts.rules_of(act, held.value)
                changed = acts.with_due(act, held.value, rules)
                if changed == held.value:
                    continue
                act.replace(REQUEST, held, changed)
                text = f"due {'' if changed.due is None else changed.due.day}: the calendar changed"
                for party in (changed.provider, changed.consumer):
                    act.tell(party, "DUE_DATE_RECOUNTED", acts.SUBJECT, changed.id, text)

    # --- looking ----------------------------------------------------------------------------------

    def get(self, actor: Actor, request: str) -> Held[ShareRequest]:
        """Return a request; raise `NotFound` if there is none, or if it is not the actor's."""
        return acts.look(self._desk, actor, request)

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[ShareRequest]]:
        """Return requests that the actor may see, in order of time."""
        seen = seen_as_party(actor, where)
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
        draft = ShareRequest(
            id=request_id,
            jurisdiction=entry.jurisdiction,
            provider=entry.provider,
            consumer=consumer.code,
            scope=scope,
            higher_level=higher_level(act, entry, provider, consumer),
            ask=asked,
            share_class=class_of(asked, entry, scope),
            state=RequestState.DRAFT,
            created_at=act.now,
        )
        return self._linked(act, draft)

    @staticmethod
    def _expect_consent(act: Act, request: ShareRequest) -> None:
        """Let the clock ring when the body that has to consent had the time it should take."""
        target = act.profile(request.jurisdiction).refusal.consent_target_wd
        if request.state is RequestState.REFUSAL_PROPOSED and target is not None:
            due = due_date(act.now, target, act.calendar())
            act.transaction.set_deadline(
                Deadline(
                    subject_kind=acts.SUBJECT,
                    subject=request.id,
                    kind=CONSENT_DUE,
                    due_at=due.ends_at,
                )
            )

    @staticmethod
    def _linked(act: Act, draft: ShareRequest) -> ShareRequest:
        """Link a draft to the case in which the same content was refused (§2.4)."""
        refused = CaseFilter(
            resource=draft.ask.resource,
            consumer=draft.consumer,
            states=frozenset(map(str, REFUSED_FOR_GOOD)),
        )
        return link_to_refused(draft, [held.value for held in act.all(REQUEST, refused)])

    @staticmethod
    def _agreement_signed(act: Act, request: ShareRequest) -> bool:
        if request.agreement is None:
            return True
        return act.get(AGREEMENT, request.agreement).value.state is AgreementState.SIGNED
