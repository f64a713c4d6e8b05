"""
Every life cycle with a play: a value at its beginning, and each trigger as a function of a value.

The functions act with the right role and complete papers, so that only the state can refuse them.
"""

import datetime as dt
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bus.domain import (
    agreement,
    demand,
    disagreement,
    entry_life,
    filing,
    onboarding,
    rectification,
    source_assignment,
)
from bus.domain.identity import Actor, Role
from bus.domain.life_cycle import LifeCycle
from bus.domain.share import Purpose
from bus.domain.submission import EntryRules, UpdateCause
from bus.domain.working_days import DueDate
from tests import builders

AT = builders.NOW
LATER = AT + dt.timedelta(days=30)
LAW_CHANGE = UpdateCause.LAW_CHANGE


def actor(organisation: str, *roles: Role) -> Actor:
    """Return somebody who acts for `organisation`."""
    return Actor(
        account=f"{organisation}-clerk",
        organisation=organisation,
        jurisdiction=builders.JURISDICTION,
        roles=frozenset(roles),
    )


OWNER = actor(builders.PROVIDER, Role.DEPARTMENT)
CONSUMER = actor(builders.CONSUMER, Role.DEPARTMENT)
AUTHORITY = actor("bigdata", Role.AUTHORITY)
OFFICE = actor("office", Role.OFFICE)
STEERING = actor("leading-group", Role.STEERING)
SECURITY = actor("cyberspace", Role.SECURITY)
OPERATOR = actor("platform", Role.OPERATOR)

#: Rules under which every step of an entry's life is possible.
ALL_STEPS = EntryRules(
    basis_types=frozenset({"law"}),
    written_application=True,
    approver=Role.STEERING,
    filing_required=True,
    update_triggers=frozenset({LAW_CHANGE}),
    update_deadline_wd=15,
)
#: Not shared with the outside, so that a written application is pending.
ENTRY = builders.entry(
    groups=[builders.item_group(internal=builders.unconditional(), external=builders.not_shared())]
)
DISAGREEMENT_RULES = disagreement.DisagreementRules(
    enabled=True,
    subjects=frozenset(disagreement.Subject),
    parties=frozenset(disagreement.Party),
    final="县政府",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """A life cycle, and how to live it."""

    cycle: LifeCycle[Any]
    begin: Any
    triggers: Mapping[str, Callable[[Any], Any]]
    state_of: Callable[[Any], Any] = lambda value: value.state

    def reached(self) -> dict[Any, Any]:
        """Return a value in each state that its triggers lead to."""
        found = {self.state_of(self.begin): self.begin}
        todo = deque([self.begin])
        while todo:
            value = todo.popleft()
            for trigger, play in self.triggers.items():
                if not self.cycle.follow(self.state_of(value), trigger):
                    continue
                after = play(value)
                if self.state_of(after) not in found:
                    found[self.state_of(after)] = after
                    todo.append(after)
        return found


# --- entries -------------------------------------------------------------------------------------


def entry_case(**overrides: Any) -> entry_life.EntryCase:
    """Return a new entry with its application for the not-shared class."""
    case = entry_life.open_case("e-1", ENTRY, owner=builders.PROVIDER, by=OWNER)
    applied = entry_life.apply_not_shared(case, document="paper-1", by=OWNER, at=AT)
    return replace(applied, **overrides)


def task(name: str = "t-1", cause: UpdateCause = LAW_CHANGE) -> entry_life.UpdateTask:
    """Return an update task that is late from `LATER` on."""
    return entry_life.UpdateTask(
        id=name,
        cause=cause,
        reference="Statistics Law, amended",
        effective=AT.date(),
        due=(LATER - dt.timedelta(days=1)).date(),
        overdue_from=LATER,
        opened_at=AT,
    )


def _trigger(case: entry_life.EntryCase) -> entry_life.EntryCase:
    return entry_life.trigger(case, task(f"t-{len(case.tasks)}"), ALL_STEPS)


def _overdue(case: entry_life.EntryCase) -> entry_life.EntryCase:
    listed = entry_life.ENTRY_LIFE.follow(case.state, "overdue")
    if listed and not any(each.late(LATER) for each in case.tasks):
        case = _trigger(case)
    return entry_life.overdue(case, at=LATER)[0]


def _decide_application(case: entry_life.EntryCase) -> entry_life.EntryCase:
    if case.application is not None:
        case = replace(case, application=replace(case.application, decision=None))
    granted = entry_life.ApplicationDecision.GRANTED
    return entry_life.decide_application(case, ALL_STEPS, granted, by=OFFICE, at=AT)


def _approve(case: entry_life.EntryCase) -> entry_life.EntryCase:
    if case.stage is entry_life.EntryState.SUBMITTED:
        case = _decide_application(case)
    return entry_life.approve(case, ALL_STEPS, by=STEERING)


def _publish(case: entry_life.EntryCase) -> entry_life.EntryCase:
    if case.draft is not None and case.version == 0:
        groups = (builders.item_group(internal=builders.not_shared()),)
        case = replace(case, draft=replace(case.draft, groups=groups))
    if case.draft is not None:
        case = replace(case, bound_generation=case.draft.generation)
    return entry_life.publish(case, ALL_STEPS, at=AT)


def _resume(case: entry_life.EntryCase) -> entry_life.EntryCase:
    by = SECURITY if case.suspended_by is Role.SECURITY else AUTHORITY
    return entry_life.resume(case, by=by)


ENTRY_TRIGGERS: Mapping[str, Callable[[Any], Any]] = {
    "edit": lambda case: entry_life.edit(case, ENTRY, by=OWNER),
    "submit": lambda case: entry_life.submit(case, ALL_STEPS, by=OWNER, at=AT),
    "return": lambda case: entry_life.return_to_draft(
        case, ALL_STEPS, reason="items unclear", by=STEERING
    ),
    "decide_application": _decide_application,
    "approve": _approve,
    "bind": lambda case: entry_life.bind(
        case, schema_registered=True, connection_tested=True, by=OWNER, at=AT
    ),
    "publish": _publish,
    "first_data": lambda case: entry_life.first_data(case, ALL_STEPS, at=AT),
    "trigger": _trigger,
    "overdue": _overdue,
    "suspend": lambda case: entry_life.suspend(case, reason="leak", by=SECURITY),
    "resume": _resume,
    "retire": lambda case: entry_life.retire(case, entry_life.RetireCause.SOURCE_MOVED, by=OWNER),
}

# --- source assignments --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    """The sources of an element, seen from one assignment."""

    sources: source_assignment.ElementSources

    @property
    def state(self) -> source_assignment.AssignmentState:
        """Of the assignment in question."""
        return self.sources.get("a-1").state


def _transfer(claimed: Claimed) -> Claimed:
    sources = claimed.sources
    number = len(sources.assignments)
    if number > 1:  # one transfer at a time: play it on an assignment without any
        held = sources.get("a-1")
        if held.state is source_assignment.AssignmentState.ACTIVE:
            held = replace(held, valid_until=None)
        sources = replace(sources, assignments=(held,))
    return Claimed(
        source_assignment.transfer(
            sources,
            "a-1",
            to="tax",
            successor="a-2",
            on=LATER,
            reason="functions moved",
            by=AUTHORITY,
            at=AT,
        )
    )


def _hand_over(claimed: Claimed) -> Claimed:
    if claimed.state is source_assignment.AssignmentState.ACTIVE:
        claimed = _transfer(claimed)
    return Claimed(source_assignment.hand_over(claimed.sources, "a-1", at=LATER))


ELEMENT = source_assignment.ElementSources(
    jurisdiction=builders.JURISDICTION, element="entity-name"
)
CLAIMED = Claimed(source_assignment.claim(ELEMENT, "a-1", by=OWNER, at=AT))
SOURCE_TRIGGERS: Mapping[str, Callable[[Any], Any]] = {
    "confirm": lambda held: Claimed(
        source_assignment.confirm(
            held.sources,
            "a-1",
            standard="GB 11714",
            duty="registers entities",
            valid_from=AT,
            by=AUTHORITY,
        )
    ),
    "reject": lambda held: Claimed(
        source_assignment.reject(held.sources, "a-1", reason="not its duty", by=AUTHORITY)
    ),
    "activate": lambda held: Claimed(source_assignment.activate(held.sources, "a-1", at=AT)),
    "transfer": _transfer,
    "hand_over": _hand_over,
    "end": lambda held: Claimed(
        source_assignment.end(
            held.sources, "a-1", reason="no longer collected", by=AUTHORITY, at=LATER
        )
    ),
}

# --- the others ----------------------------------------------------------------------------------

PLEDGE = onboarding.Pledge(document="paper-2", sha256="ab" * 32, signed_by="the head", signed_at=AT)
ONBOARDING_TRIGGERS: Mapping[str, Callable[[Any], Any]] = {
    "apply": lambda held: onboarding.apply(held, application="paper-1", by=CONSUMER, at=AT),
    "reject": lambda held: onboarding.reject(held, reason="no duty", by=AUTHORITY, at=AT),
    "sign_pledge": lambda held: onboarding.sign_pledge(held, PLEDGE, by=CONSUMER),
    "approve": lambda held: onboarding.approve(held, by=AUTHORITY, at=AT),
    "lapse": lambda held: onboarding.lapse(held, reason="abolished", by=AUTHORITY, at=AT),
}

AGREEMENT = agreement.ask(
    "g-1",
    request="r-1",
    provider=builders.PROVIDER,
    consumer=builders.CONSUMER,
    document="paper-3",
    document_sha256="cd" * 32,
    by=CONSUMER,
    at=AT,
)


def _sign(held: agreement.Agreement) -> agreement.Agreement:
    by = CONSUMER if not held.signatures else OWNER
    return agreement.sign(held, document_sha256="cd" * 32, by=by, at=AT)


FILING = filing.Filing(
    id="f-1",
    jurisdiction=builders.JURISDICTION,
    entry="e-1",
    version=1,
    owner=builders.PROVIDER,
    opened_at=AT,
)

DEMAND = demand.Demand(
    id="d-1",
    jurisdiction=builders.JURISDICTION,
    consumer=builders.CONSUMER,
    subject="licences",
    purpose=Purpose.DATA_VERIFICATION,
    duty="grants permits",
    stated_at=AT,
)


def _merge(held: demand.Demand | demand.DemandItem) -> demand.DemandItem:
    if isinstance(held, demand.DemandItem):  # a demand that was merged stands as its item does
        held = replace(DEMAND, state=held.state, item=held.id)
    item, _ = demand.merge([held], item="i-1", subject="licences", by=AUTHORITY, at=AT)
    return item


def _as_item(held: demand.Demand | demand.DemandItem) -> demand.DemandItem:
    if isinstance(held, demand.DemandItem):
        return held
    return demand.DemandItem(
        id="i-1",
        jurisdiction=held.jurisdiction,
        subject=held.subject,
        demands=(held.id,),
        state=held.state,
        merged_at=AT,
    )


DEMAND_TRIGGERS: Mapping[str, Callable[[Any], Any]] = {
    "merge": _merge,
    "assign": lambda held: demand.assign(
        _as_item(held), provider=builders.PROVIDER, by=AUTHORITY, at=AT
    ),
    "meet": lambda held: demand.meet(_as_item(held), resource="licences", by=OWNER, at=AT),
    "give_up": lambda held: demand.give_up(
        _as_item(held), reason="nobody has it", by=AUTHORITY, at=AT
    ),
}

DISAGREEMENT = disagreement.Disagreement(
    id="x-1",
    jurisdiction=builders.JURISDICTION,
    subject=disagreement.Subject.AUTHORISATION_RESULT,
    about=builders.GRANT,
    resource=builders.RESOURCE,
    provider=builders.PROVIDER,
    consumer=builders.CONSUMER,
    opened_by=builders.CONSUMER,
    opened_at=AT,
    reasons="an item is missing that our duty needs",
)
OUTCOME = disagreement.Outcome(
    text="one item more",
    amends=disagreement.AmendedKind.GRANT,
    amended=builders.GRANT,
    decided_by="bigdata",
    decided_at=LATER,
    document="2019-7",
)
DISAGREEMENT_TRIGGERS: Mapping[str, Callable[[Any], Any]] = {
    "convene": lambda held: disagreement.convene(
        held, DISAGREEMENT_RULES, meeting_at=LATER, by=AUTHORITY
    ),
    "settle": lambda held: disagreement.settle(held, DISAGREEMENT_RULES, OUTCOME, by=AUTHORITY),
    "refer": lambda held: disagreement.refer(
        held, DISAGREEMENT_RULES, reason="no agreement", by=AUTHORITY
    ),
    "decide": lambda held: disagreement.decide(held, OUTCOME, by=STEERING),
}

RECTIFICATION_RULES = rectification.RectificationRules(
    issuer=Role.OFFICE,
    strikes=2,
    escalate_to="steering",
    sanctions=frozenset({"public_criticism", rectification.PROJECT_SUSPENDED}),
    grounds=frozenset({"late_supply"}),
)
RECTIFICATION = rectification.Rectification(
    id="k-1",
    jurisdiction=builders.JURISDICTION,
    organisation=builders.PROVIDER,
    grounds=("late_supply",),
    evidence="nothing since January",
    drafted_by="office",
    drafted_at=AT,
)


def due(at: dt.datetime) -> DueDate:
    """Return a due date that is over ten days after `at`."""
    ends = at + dt.timedelta(days=10)
    return DueDate(day=ends.date(), provisional=False, ends_at=ends)


def _sanction(held: rectification.Rectification) -> rectification.Rectification:
    kind = rectification.PROJECT_SUSPENDED if held.sanctions else "public_criticism"
    if len(held.sanctions) > 1:
        held = replace(held, sanctions=held.sanctions[:1])
    return rectification.sanction(
        held, RECTIFICATION_RULES, kind=kind, document="2019-8", by=STEERING, at=LATER
    )


RECTIFICATION_TRIGGERS: Mapping[str, Callable[[Any], Any]] = {
    "issue": lambda held: rectification.issue(
        held, RECTIFICATION_RULES, due=due(AT), by=OFFICE, at=AT
    ),
    "acknowledge": lambda held: rectification.acknowledge(held, by=OWNER),
    "report": lambda held: rectification.report(held, text="done", by=OWNER),
    "accept": lambda held: rectification.accept(held, RECTIFICATION_RULES, by=OFFICE, at=AT),
    "send_back": lambda held: rectification.send_back(
        held, RECTIFICATION_RULES, reason="items are missing", by=OFFICE
    ),
    "miss": lambda held: rectification.miss(replace(held, due=due(AT)), at=LATER),
    "extend": lambda held: rectification.extend(
        held, RECTIFICATION_RULES, misses=1, due=due(LATER), by=OFFICE, at=LATER
    ),
    "escalate": lambda held: rectification.escalate(held, RECTIFICATION_RULES, misses=2),
    "sanction": _sanction,
    "verify": lambda held: rectification.verify(
        held, RECTIFICATION_RULES, finding="checked", by=OFFICE, at=LATER
    ),
}

PROJECT_FLAG = rectification.ProjectFlag(
    id="k-1-projects",
    jurisdiction=builders.JURISDICTION,
    organisation=builders.PROVIDER,
    notice="k-1",
    imposed_at=AT,
    imposed_by="leading-group",
    document="2019-8",
)
RECTIFIED = replace(RECTIFICATION, state=rectification.RectificationState.CLOSED)

PLAYS: tuple[Play, ...] = (
    Play(cycle=entry_life.ENTRY_LIFE, begin=entry_case(), triggers=ENTRY_TRIGGERS),
    Play(cycle=source_assignment.SOURCE_LIFE, begin=CLAIMED, triggers=SOURCE_TRIGGERS),
    Play(
        cycle=onboarding.ONBOARDING_LIFE,
        begin=onboarding.Onboarding(organisation=builders.CONSUMER),
        triggers=ONBOARDING_TRIGGERS,
    ),
    Play(cycle=agreement.AGREEMENT_LIFE, begin=AGREEMENT, triggers={"sign": _sign}),
    Play(
        cycle=filing.FILING_LIFE,
        begin=FILING,
        triggers={"acknowledge": lambda held: filing.acknowledge(held, by=AUTHORITY, at=AT)},
    ),
    Play(cycle=demand.DEMAND_LIFE, begin=DEMAND, triggers=DEMAND_TRIGGERS),
    Play(
        cycle=disagreement.DISAGREEMENT_LIFE,
        begin=DISAGREEMENT,
        triggers=DISAGREEMENT_TRIGGERS,
    ),
    Play(
        cycle=rectification.RECTIFICATION_LIFE,
        begin=RECTIFICATION,
        triggers=RECTIFICATION_TRIGGERS,
    ),
    Play(
        cycle=rectification.PROJECT_FLAG_LIFE,
        begin=PROJECT_FLAG,
        triggers={
            "lift": lambda held: rectification.lift(
                held, RECTIFIED, RECTIFICATION_RULES, document="2019-9", by=OFFICE, at=LATER
            )
        },
    ),
)
