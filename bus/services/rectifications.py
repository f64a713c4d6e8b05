"""Notices of rectification: issued and checked by a body, answered, missed, sanctioned (§6.5)."""

from dataclasses import dataclass, replace

from bus.domain import rectification as steps
from bus.domain.breach import STANDS_FOR, Breach
from bus.domain.cases import CaseFilter, Held
from bus.domain.deadline import Deadline
from bus.domain.identity import Actor, Role
from bus.domain.rectification import (
    PROJECT_SUSPENDED,
    ProjectFlag,
    ProjectFlagState,
    Rectification,
    RectificationRules,
    RectificationState,
)
from bus.domain.rectification_rules import rectification_rules
from bus.domain.working_days import DueDate, due_date
from bus.errors import Forbidden, NotFound, Refused
from bus.services.desk import SCHEDULER, Act, Desk
from bus.services.ids import new_id
from bus.services.kinds import BREACH, PROJECT_FLAG, RECTIFICATION
from bus.services.visibility import may_see, oversees

SUBJECT = "rectification"
DUE = "rectification_due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformity:
    """What the project gate asks of an organisation (R-227)."""

    organisation: str
    flags: tuple[ProjectFlag, ...]
    """The suspensions that stand."""
    breaches: tuple[Breach, ...]
    """The breach register, oldest first."""

    @property
    def conforming(self) -> bool:
        """Whether projects may be approved."""
        return not self.flags


class Rectifications:
    """What issuers, addressees and the bodies above them do with notices."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # --- by the issuer ----------------------------------------------------------------------------

    def draft(
        self,
        actor: Actor,
        organisation: str,
        *,
        grounds: tuple[str, ...],
        evidence: str,
        breaches: tuple[str, ...] = (),
    ) -> Held[Rectification]:
        """Draft a notice; the breaches that it names are the organisation's own."""
        with self._desk.act(actor, "rectification.drafted", "organisation", organisation) as act:
            addressee = act.transaction.organisation(organisation)
            if addressee is None:
                raise NotFound(f"there is no organisation {organisation!r}")
            rules = self._rules(act, addressee.jurisdiction)
            self._as_issuer(act, rules)
            notice = Rectification(
                id=new_id("k", act.now),
                jurisdiction=addressee.jurisdiction,
                organisation=organisation,
                grounds=grounds,
                evidence=evidence,
                breaches=breaches,
                drafted_by=actor.organisation,
                drafted_at=act.now,
            )
            notice = steps.draft(notice, rules, by=actor)
            for each in breaches:
                _check_breach(act.get(BREACH, each).value, notice)
            act.details["notice"] = notice.id
            return act.transaction.add_case(RECTIFICATION, notice)

    def issue(self, actor: Actor, notice: str, *, deadline_wd: int) -> Held[Rectification]:
        """Send a notice out, with a deadline in working days."""
        with self._desk.act(actor, "rectification.issued", SUBJECT, notice) as act:
            held, rules = self._before_issuer(act, notice)
            due = self._due(act, deadline_wd)
            issued = steps.issue(held.value, rules, due=due, by=actor, at=act.now)
            held = self._save(act, held, issued)
            self._ring(act, issued)
            act.tell(
                issued.organisation,
                "RECTIFICATION_ISSUED",
                SUBJECT,
                notice,
                f"rectify {', '.join(issued.grounds)} by {due.day}",
            )
        return held

    def check(
        self, actor: Actor, notice: str, *, accepted: bool, reason: str = ""
    ) -> Held[Rectification]:
        """Accept the work, or send it back; the deadline stays."""
        action = "rectification.closed" if accepted else "rectification.sent_back"
        with self._desk.act(actor, action, SUBJECT, notice) as act:
            held, rules = self._before_issuer(act, notice)
            if accepted:
                changed = steps.accept(held.value, rules, by=actor, at=act.now)
                act.transaction.clear_deadlines(SUBJECT, notice)
            else:
                changed = steps.send_back(held.value, rules, reason=reason, by=actor)
            return self._save(act, held, changed)

    def extend(self, actor: Actor, notice: str, *, deadline_wd: int) -> Held[Rectification]:
        """Set a new deadline after a miss that does not escalate yet."""
        with self._desk.act(actor, "rectification.extended", SUBJECT, notice) as act:
            held, rules = self._before_issuer(act, notice)
            due = self._due(act, deadline_wd)
            misses = self._misses(act, held.value)
            changed = steps.extend(held.value, rules, misses=misses, due=due, by=actor, at=act.now)
            held = self._save(act, held, changed)
            self._ring(act, changed)
            text = f"new deadline {due.day}, after {misses} missed"
            act.tell(changed.organisation, "RECTIFICATION_EXTENDED", SUBJECT, notice, text)
        return held

    def verify(self, actor: Actor, notice: str, *, finding: str) -> Held[Rectification]:
        """Close a sanctioned case because the work is done; a project flag is lifted apart."""
        with self._desk.act(actor, "rectification.closed", SUBJECT, notice) as act:
            held, rules = self._before_issuer(act, notice)
            changed = steps.verify(held.value, rules, finding=finding, by=actor, at=act.now)
            return self._save(act, held, changed)

    def lift(self, actor: Actor, notice: str, *, document: str) -> Held[ProjectFlag]:
        """Lift the project suspension of a closed notice, by a record of its own (R-224)."""
        with self._desk.act(actor, "sanction.lifted", SUBJECT, notice) as act:
            held, rules = self._before_issuer(act, notice)
            flag = act.get(PROJECT_FLAG, _flag_of(notice))
            lifted = steps.lift(
                flag.value, held.value, rules, document=document, by=actor, at=act.now
            )
            act.details |= {"document": document, "organisation": lifted.organisation}
            act.tell(lifted.organisation, "PROJECT_FLAG_LIFTED", SUBJECT, notice, document)
            return act.replace(PROJECT_FLAG, flag, lifted)

    # --- by the addressee -------------------------------------------------------------------------

    def acknowledge(self, actor: Actor, notice: str, *, answer: str = "") -> Held[Rectification]:
        """Acknowledge a notice and answer it."""
        with self._desk.act(actor, "rectification.acknowledged", SUBJECT, notice) as act:
            held = self._seen(act, notice)
            act.role = "addressee"
            return self._save(act, held, steps.acknowledge(held.value, answer=answer, by=actor))

    def report(self, actor: Actor, notice: str, *, text: str) -> Held[Rectification]:
        """Say what was done."""
        with self._desk.act(actor, "rectification.reported", SUBJECT, notice) as act:
            held = self._seen(act, notice)
            act.role = "addressee"
            held = self._save(act, held, steps.report(held.value, text=text, by=actor))
            issuer = self._rules(act, held.value.jurisdiction).issuer
            act.tell(str(issuer), "RECTIFICATION_REPORTED", SUBJECT, notice, text)
        return held

    # --- by the body above ------------------------------------------------------------------------

    def sanction(
        self, actor: Actor, notice: str, *, kind: str, document: str
    ) -> Held[Rectification]:
        """Record a sanction; a suspension of project approvals raises its flag."""
        with self._desk.act(actor, "sanction.applied", SUBJECT, notice) as act:
            held = self._seen(act, notice)
            rules = self._rules(act, held.value.jurisdiction)
            if rules.sanctioner is not None:
                act.as_role(rules.sanctioner, jurisdiction=held.value.jurisdiction)
            changed = steps.sanction(
                held.value, rules, kind=kind, document=document, by=actor, at=act.now
            )
            act.details |= {
                "sanction": kind,
                "document": document,
                "organisation": changed.organisation,
            }
            if kind == PROJECT_SUSPENDED:
                flag = ProjectFlag(
                    id=_flag_of(notice),
                    jurisdiction=changed.jurisdiction,
                    organisation=changed.organisation,
                    notice=notice,
                    imposed_at=act.now,
                    imposed_by=actor.organisation,
                    document=document,
                )
                act.transaction.add_case(PROJECT_FLAG, flag)
            act.tell(changed.organisation, "SANCTION_APPLIED", SUBJECT, notice, kind)
            return self._save(act, held, changed)

    # --- by the clock -----------------------------------------------------------------------------

    def mark_missed(self, notice: str) -> None:
        """Count a missed deadline; at the profile's count the case goes up (R-223)."""
        with self._desk.act(SCHEDULER, "rectification.missed", SUBJECT, notice) as act:
            held = act.get(RECTIFICATION, notice)
            if not steps.RECTIFICATION_LIFE.follow(held.value.state, "miss"):
                return
            rules = self._rules(act, held.value.jurisdiction)
            missed = steps.miss(held.value, at=act.now)
            held = act.replace(RECTIFICATION, held, missed)
            misses = self._misses(act, missed)
            act.details |= {"organisation": missed.organisation, "misses": str(misses)}
            text = f"{missed.organisation} missed the deadline of notice {notice}: {misses}"
            act.tell(str(rules.issuer), "RECTIFICATION_MISSED", SUBJECT, notice, text)
            act.tell(missed.organisation, "RECTIFICATION_MISSED", SUBJECT, notice, text)
            if misses >= rules.strikes:
                changed = steps.escalate(missed, rules, misses=misses)
                self._save(act, held, changed)
                act.note("rectification.escalated", SUBJECT, notice, to=rules.escalate_to)
                act.tell(rules.escalate_to, "RECTIFICATION_ESCALATED", SUBJECT, notice, text)

    # --- looking ----------------------------------------------------------------------------------

    def get(self, actor: Actor, notice: str) -> Held[Rectification]:
        """Return a notice; raise `NotFound` if it is not the actor's to see."""
        with self._desk.look(actor) as act:
            return self._seen(act, notice)

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[Rectification]]:
        """Return notices that the actor may see, in order of time; of drafts only its issuer's."""
        states = where.states
        if oversees(actor, actor.jurisdiction):
            where = replace(where, jurisdiction=actor.jurisdiction)
        else:
            sent = frozenset(RectificationState) - {RectificationState.DRAFT}
            shown = sent if states is None else states & sent
            where = replace(where, provider=actor.organisation, states=shown)
        with self._desk.look(actor) as act:
            return list(act.transaction.cases(RECTIFICATION, where, after=after, limit=limit))

    def conformity(self, actor: Actor, organisation: str) -> Conformity:
        """Return whether projects of an organisation may be approved, for its jurisdiction."""
        with self._desk.look(actor) as act:
            found = act.transaction.organisation(organisation)
            if found is None:
                raise NotFound(f"there is no organisation {organisation!r}")
            if actor.jurisdiction != found.jurisdiction and Role.ADMINISTRATOR not in actor.roles:
                raise Forbidden(f"the project gate of {found.jurisdiction} asks this")
            standing = CaseFilter(
                provider=organisation, states=frozenset({ProjectFlagState.SUSPENDED})
            )
            return Conformity(
                organisation=organisation,
                flags=tuple(each.value for each in act.all(PROJECT_FLAG, standing)),
                breaches=tuple(
                    each.value for each in act.all(BREACH, CaseFilter(provider=organisation))
                ),
            )

    # --- steps ------------------------------------------------------------------------------------

    @staticmethod
    def _rules(act: Act, jurisdiction: str) -> RectificationRules:
        return rectification_rules(act.profile(jurisdiction))

    @staticmethod
    def _as_issuer(act: Act, rules: RectificationRules) -> None:
        if rules.issuer is None:
            raise Refused("the profile knows no rectification", code="RECTIFICATION_NOT_IN_PROFILE")
        act.as_role(rules.issuer, jurisdiction=act.jurisdiction)

    def _before_issuer(
        self, act: Act, notice: str
    ) -> tuple[Held[Rectification], RectificationRules]:
        held = self._seen(act, notice)
        rules = self._rules(act, held.value.jurisdiction)
        self._as_issuer(act, rules)
        return held, rules

    @staticmethod
    def _due(act: Act, working_days: int) -> DueDate:
        return due_date(act.now, working_days, act.calendar())

    @staticmethod
    def _ring(act: Act, notice: Rectification) -> None:
        if notice.due is not None:
            act.transaction.set_deadline(
                Deadline(
                    subject_kind=SUBJECT, subject=notice.id, kind=DUE, due_at=notice.due.ends_at
                )
            )

    @staticmethod
    def _misses(act: Act, notice: Rectification) -> int:
        """Return the organisation's misses of the last twelve months, this notice's as it is."""
        own = CaseFilter(jurisdiction=notice.jurisdiction, provider=notice.organisation)
        others = (each.value for each in act.all(RECTIFICATION, own) if each.value.id != notice.id)
        return steps.count_misses([notice, *others], notice.organisation, at=act.now)

    @staticmethod
    def _save(act: Act, held: Held[Rectification], changed: Rectification) -> Held[Rectification]:
        act.details |= {"organisation": changed.organisation, "state": str(changed.state)}
        return act.replace(RECTIFICATION, held, changed)

    @staticmethod
    def _seen(act: Act, notice: str) -> Held[Rectification]:
        held = act.get(RECTIFICATION, notice)
        act.jurisdiction = held.value.jurisdiction
        is_draft = held.value.state is RectificationState.DRAFT
        parties = set() if is_draft else {held.value.organisation}
        if not may_see(act.actor, held.value.jurisdiction, parties):
            raise NotFound(f"there is no rectification {notice!r}, or it is not yours to see")
        return held


def _flag_of(notice: str) -> str:
    """Return the id of the flag that a notice may raise: one at most."""
    return f"{notice}-projects"


def _check_breach(breach: Breach, notice: Rectification) -> None:
    stood_for = {ground for word in notice.grounds for ground in STANDS_FOR.get(word, ())}
    if breach.organisation != notice.organisation or breach.ground not in stood_for:
        raise Refused(
            f"breach {breach.id} is {breach.ground} of {breach.organisation}: not what the notice "
            "is about",
            code="BREACH_MISMATCH",
        )
