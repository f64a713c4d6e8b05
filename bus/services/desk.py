"""
One act of somebody: checked, carried out, written down, enforced.

State, audit record and outbox row are one transaction (design.md §8). What is refused is written
down too, in a transaction of its own, because its own was rolled back.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from bus.domain.audit_record import DONE, AuditRecord
from bus.domain.cases import CaseFilter, CaseKind, Held, T
from bus.domain.catalog import LiveGrant
from bus.domain.identity import Actor, Role
from bus.domain.jurisdiction import Jurisdiction
from bus.domain.notice import Notice
from bus.domain.onboarding import OnboardingState
from bus.domain.profile import Profile
from bus.domain.working_days import WorkingCalendar
from bus.errors import Forbidden, NotFound, Refused
from bus.ports import Clock
from bus.ports.control import ControlStore, ControlTransaction, Profiles
from bus.services.enforcement import Enforcement, Settled
from bus.services.ids import new_id
from bus.services.kinds import JURISDICTION, NOTICE, ONBOARDING

#: Who acts when the clock does.
SCHEDULER = Actor(
    account="scheduler", organisation="platform", jurisdiction="platform", roles=frozenset()
)
_LONGEST_DETAIL = 500


@dataclass(slots=True)
class Act:
    """An act under way."""

    actor: Actor
    action: str
    subject_kind: str
    subject: str
    transaction: ControlTransaction
    profiles: Profiles
    now: dt.datetime
    role: str = ""
    jurisdiction: str = ""
    rules: Profile | None = None
    details: dict[str, str] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    """Resources whose data plane has to follow."""
    providers: set[str] = field(default_factory=set)
    """Organisations whose permissions as providers grow."""
    passwords: dict[str, str] = field(default_factory=dict)
    """Of Kafka accounts that were created: handed over once."""

    def profile(self, jurisdiction: str) -> Profile:
        """Return the profile that governs `jurisdiction`; the act is recorded under it."""
        self.jurisdiction = jurisdiction
        self.rules = self.profiles.profile(self.settings(jurisdiction).profile)
        return self.rules

    def settings(self, jurisdiction: str) -> Jurisdiction:
        """Return what is set up of `jurisdiction`."""
        held = self.transaction.case(JURISDICTION, jurisdiction)
        if held is None:
            raise NotFound(f"there is no jurisdiction {jurisdiction!r}")
        return held.value

    def onboarded(self, organisation: str) -> bool:
        """Tell whether an organisation's application for access was approved and it pledged."""
        held = self.transaction.case(ONBOARDING, organisation)
        return held is not None and held.value.state is OnboardingState.ACTIVE

    def calendar(self) -> WorkingCalendar:
        """Return the calendar by which the act's jurisdiction counts working days."""
        country = "CN" if self.rules is None else self.rules.get("calendar.country")
        return self.transaction.calendar(country)

    def as_role(self, *roles: Role, jurisdiction: str) -> Role:
        """Return in which of `roles` the actor acts there; raise `Forbidden` if in none."""
        self.jurisdiction = jurisdiction
        mine = [role for role in roles if role in self.actor.roles]
        if not mine or self.actor.jurisdiction != jurisdiction:
            raise Forbidden(
                f"{self.action} takes the role {' or '.join(roles)} in {jurisdiction}; "
                f"{self.actor.account} has {', '.join(sorted(self.actor.roles)) or 'none'}"
            )
        self.role = mine[0]
        return mine[0]

    def for_organisation(self, organisation: str, *, part: str) -> None:
        """Check that the actor decides for `organisation`, as its `part`; R-005, R-006."""
        if Role.DEPARTMENT not in self.actor.roles or self.actor.organisation != organisation:
            raise Forbidden(f"{self.action} is for {part} {organisation} to do")
        self.role = part

    def get(self, kind: CaseKind[T], case: str) -> Held[T]:
        """Return a case; raise `NotFound` if there is none."""
        held = self.transaction.case(kind, case)
        if held is None:
            raise NotFound(f"there is no {kind.name} {case!r}, or it is not yours to see")
        return held

    def all(self, kind: CaseKind[T], where: CaseFilter) -> list[Held[T]]:
        """Return all cases that `where` describes."""
        found: list[Held[T]] = []
        after = ""
        while page := self.transaction.cases(kind, where, after=after):
            found += page
            after = kind.index(page[-1].value).id
        return found

    def grants(self, where: CaseFilter) -> list[LiveGrant]:
        """Return all grants that `where` describes."""
        found: list[LiveGrant] = []
        after = ""
        while page := self.transaction.grants(where, after=after):
            found += page
            after = page[-1].grant.id
        return found

    def replace(self, kind: CaseKind[T], held: Held[T], value: T) -> Held[T]:
        """Put `value` in the place of what was read."""
        return self.transaction.replace_case(kind, value, held.version)

    def note(self, action: str, subject_kind: str, subject: str, **details: str) -> None:
        """Write down a consequence of this act: a grant that it activates, a breach it records."""
        self.transaction.record(
            self._record(action, subject_kind, subject, DONE, {**details, "through": self.action})
        )

    def tell(self, to: str, code: str, subject_kind: str, subject: str, text: str) -> None:
        """Leave a notice for an organisation or for a body of the act's jurisdiction."""
        notice = Notice(
            id=new_id("n", self.now),
            jurisdiction=self.jurisdiction,
            to=to,
            code=code,
            subject_kind=subject_kind,
            subject=subject,
            text=text,
            at=self.now,
        )
        self.transaction.add_case(NOTICE, notice)

    def _record(
        self, action: str, subject_kind: str, subject: str, outcome: str, details: dict[str, str]
    ) -> AuditRecord:
        return AuditRecord(
            at=self.now,
            jurisdiction=self.jurisdiction or self.actor.jurisdiction,
            account=self.actor.account,
            organisation=self.actor.organisation,
            role=self.role or ",".join(sorted(self.actor.roles)),
            action=action,
            subject_kind=subject_kind,
            subject=subject,
            outcome=outcome,
            profile="" if self.rules is None else self.rules.name,
            profile_version="" if self.rules is None else str(self.rules.version),
            trace_id=self.actor.trace_id,
            details={key: value[:_LONGEST_DETAIL] for key, value in details.items()},
        )

    def record(self, outcome: str = DONE) -> AuditRecord:
        """Return what is written down of this act."""
        return self._record(
            self.action, self.subject_kind, self.subject, outcome, dict(self.details)
        )


@dataclass(slots=True)
class _Scheduled:
    """The transaction of a deadline, and what has to be given once it is committed."""

    transaction: ControlTransaction
    settled: list[Settled] = field(default_factory=list)


_SCHEDULED: ContextVar[_Scheduled | None] = ContextVar("scheduled", default=None)


class Desk:
    """Where acts are carried out."""

    def __init__(
        self, *, store: ControlStore, profiles: Profiles, enforcement: Enforcement, clock: Clock
    ) -> None:
        self._store = store
        self._profiles = profiles
        self._enforcement = enforcement
        self._clock = clock

    @contextmanager
    def act(self, actor: Actor, action: str, subject_kind: str, subject: str) -> Iterator[Act]:
        """
        Run one act in one transaction; a refusal changes nothing and is written down.

        `Act.passwords` are complete after the block.
        """
        joined = _SCHEDULED.get()
        if joined is not None:
            act = self._open(joined.transaction, actor, action, subject_kind, subject)
            yield act
            joined.settled.append(self._carry_out(act))
            return
        act_ = None
        try:
            with self._store.transaction() as transaction:
                act_ = self._open(transaction, actor, action, subject_kind, subject)
                yield act_
                settled = self._carry_out(act_)
        except Refused as refusal:
            if act_ is not None:
                self._write_down(act_, refusal)
            raise
        self._finish(settled)

    @contextmanager
    def scheduled(self) -> Iterator[ControlTransaction]:
        """Return the transaction of a deadline; the acts of its handler are part of it."""
        with self._store.transaction() as transaction:
            joined = _Scheduled(transaction)
            token = _SCHEDULED.set(joined)
            try:
                yield transaction
            finally:
                _SCHEDULED.reset(token)
        for settled in joined.settled:
            self._finish(settled)

    def _carry_out(self, act: Act) -> Settled:
        """Do what an act asks of the data plane, and write the act down."""
        settled = Settled()
        if act.touched:
            settled = self._enforcement.settle(act.transaction, sorted(act.touched))
            act.passwords |= settled.passwords
        settled.providers = tuple(sorted(act.providers))
        act.transaction.record(act.record())
        return settled

    def _finish(self, settled: Settled) -> None:
        """Give what may be done now, after the commit."""
        if settled.providers:
            with self._store.snapshot() as transaction:
                self._enforcement.give_providers(transaction, settled.providers)
        if settled.gives:
            with self._store.transaction() as transaction:
                self._enforcement.finish(transaction, settled)

    @contextmanager
    def look(self, actor: Actor) -> Iterator[Act]:
        """Read, without waiting for anybody who acts."""
        with self._store.snapshot() as transaction:
            yield self._open(transaction, actor, "look", "", "")

    def _open(
        self,
        transaction: ControlTransaction,
        actor: Actor,
        action: str,
        subject_kind: str,
        subject: str,
    ) -> Act:
        return Act(
            actor=actor,
            action=action,
            subject_kind=subject_kind,
            subject=subject,
            transaction=transaction,
            profiles=self._profiles,
            now=self._clock.now(),
        )

    def _write_down(self, act: Act, refusal: Refused) -> None:
        with self._store.transaction() as transaction:
            transaction.record(act.record(refusal.code))
