"""Unit tests of `bus.domain.entry_life`."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain import entry_life
from bus.domain.entry import SpecialRegime
from bus.domain.entry_life import (
    ENTRY_LIFE,
    ApplicationDecision,
    EntryCase,
    EntryFlag,
    EntryState,
    RetireCause,
)
from bus.domain.identity import Role
from bus.domain.submission import EntryRules, UpdateCause
from bus.domain.working_days import DueDate
from bus.errors import Forbidden, Refused, StateConflict
from tests import builders
from tests.life_cycle_cases import (
    ALL_STEPS,
    AT,
    AUTHORITY,
    CONSUMER,
    ENTRY,
    ENTRY_TRIGGERS,
    LATER,
    OFFICE,
    OPERATOR,
    OWNER,
    SECURITY,
    STEERING,
    actor,
    entry_case,
    task,
)

#: Nobody approves, nothing is filed: profile 001.
CITY = EntryRules(update_triggers=frozenset({UpdateCause.LAW_CHANGE}), update_deadline_wd=15)
SHARED = builders.entry()
METADATA_ONLY = builders.entry(groups=[builders.item_group(internal=builders.not_shared())])
LAW_ONLY = replace(CITY, basis_types=frozenset({"law"}))


def new_case() -> EntryCase:
    return entry_life.open_case("e-1", SHARED, owner=builders.PROVIDER, by=OWNER)


def approved(case: EntryCase, rules: EntryRules = CITY) -> EntryCase:
    return entry_life.approve_unasked(entry_life.submit(case, rules, by=OWNER, at=AT), rules)


def bound(case: EntryCase, rules: EntryRules = CITY) -> EntryCase:
    return entry_life.bind(
        approved(case, rules), schema_registered=True, connection_tested=True, by=OWNER, at=AT
    )


def live(rules: EntryRules = CITY) -> EntryCase:
    return entry_life.first_data(bound(new_case(), rules), rules, at=AT)


def revised(case: EntryCase) -> EntryCase:
    return approved(entry_life.edit(case, replace(SHARED, format="changed"), by=OWNER))


# --- to the first publication --------------------------------------------------------------------


def test_without_an_approver_an_entry_goes_from_draft_to_published_by_its_first_data() -> None:
    """R-024, R-031: bound, then at least one valid event or snapshot."""
    case = bound(new_case())
    assert (case.state, case.version) == (EntryState.BOUND, 0)
    assert EntryFlag.NO_DATA in case.flags

    published = entry_life.first_data(case, CITY, at=LATER)

    assert (published.state, published.version, published.draft) == (EntryState.PUBLISHED, 1, None)
    assert published.flags == frozenset()
    assert published.published_at == LATER
    assert published.served


def test_a_refused_submission_names_every_fault_and_begins_with_the_first() -> None:
    """R-020, §6.1: named errors, the entry stays a draft."""
    draft = replace(SHARED, classification="", special_regime=SpecialRegime("video", "Rule"))
    case = entry_life.edit(new_case(), draft, by=OWNER)

    with pytest.raises(Refused, match=r"METADATA_MISSING.*SPECIAL_REGIME") as refused:
        entry_life.submit(case, CITY, by=OWNER, at=AT)
    assert refused.value.code == "METADATA_MISSING"


def test_a_submission_remembers_the_guide_that_it_was_checked_against() -> None:
    """R-034: an entry records the guide version it was validated against."""
    case = entry_life.submit(new_case(), replace(CITY, guide="v2"), by=OWNER, at=AT)

    assert (case.guide, case.submitted_at) == ("v2", AT)


@pytest.mark.parametrize(
    "by",
    [
        CONSUMER,
        actor(builders.PROVIDER, Role.ADMINISTRATOR),
        actor(builders.PROVIDER, Role.OPERATOR),
    ],
)
@pytest.mark.parametrize(
    "act",
    [
        lambda by: entry_life.open_case("e-2", SHARED, owner=builders.PROVIDER, by=by),
        lambda by: entry_life.edit(new_case(), SHARED, by=by),
        lambda by: entry_life.submit(new_case(), CITY, by=by, at=AT),
        lambda by: entry_life.apply_not_shared(new_case(), document="p", by=by, at=AT),
        lambda by: entry_life.bind(
            approved(new_case()), schema_registered=True, connection_tested=True, by=by, at=AT
        ),
        lambda by: entry_life.retire(live(), RetireCause.FUNCTION_ENDED, by=by),
    ],
)
def test_only_a_department_of_the_owner_works_on_an_entry(
    by: Any, act: Callable[[Any], Any]
) -> None:
    """R-005, R-009, R-021: any other edit is refused, the operator's above all."""
    with pytest.raises(Forbidden):
        act(by)


def test_an_entry_keeps_its_resource() -> None:
    with pytest.raises(Refused, match="keeps its resource"):
        entry_life.edit(new_case(), builders.entry("other"), by=OWNER)


def test_where_the_profile_names_an_approver_nothing_takes_effect_without_it() -> None:
    """R-031: profile 003: the leading group approves."""
    academy = replace(CITY, approver=Role.STEERING)
    case = approved(new_case(), academy)

    assert case.state is EntryState.SUBMITTED
    with pytest.raises(Forbidden):
        entry_life.approve(case, academy, by=OPERATOR)
    assert entry_life.approve(case, academy, by=STEERING).state is EntryState.APPROVED


def test_where_nobody_approves_nobody_may() -> None:
    """R-031: approval is automatic if the profile names no approver."""
    case = entry_life.submit(new_case(), CITY, by=OWNER, at=AT)

    with pytest.raises(Forbidden, match="need no approval"):
        entry_life.approve(case, CITY, by=STEERING)


def test_a_returned_draft_says_why_and_a_resubmission_clears_it() -> None:
    academy = replace(CITY, approver=Role.STEERING)
    case = approved(new_case(), academy)

    with pytest.raises(Refused) as refused:
        entry_life.return_to_draft(case, academy, reason=" ", by=STEERING)
    assert refused.value.code == "REASON_REQUIRED"
    with pytest.raises(Forbidden):
        entry_life.return_to_draft(case, academy, reason="unclear", by=OWNER)
    returned = entry_life.return_to_draft(case, academy, reason="unclear", by=STEERING)
    assert (returned.state, returned.returned) == (EntryState.DRAFT, "unclear")
    assert entry_life.submit(returned, academy, by=OWNER, at=AT).returned == ""


@pytest.mark.parametrize(
    ("schema", "connection", "code"),
    [(False, True, "SCHEMA_NOT_REGISTERED"), (True, False, "CONNECTION_NOT_TESTED")],
)
def test_a_data_source_is_bound_with_schema_and_tested_connection(
    code: str, *, schema: bool, connection: bool
) -> None:
    """R-024, §6.1."""
    with pytest.raises(Refused) as refused:
        entry_life.bind(
            approved(new_case()),
            schema_registered=schema,
            connection_tested=connection,
            by=OWNER,
            at=AT,
        )
    assert refused.value.code == code


def test_a_shareable_entry_is_not_published_without_data() -> None:
    """R-024: no entry of a shareable class counts as published without data."""
    with pytest.raises(Refused) as refused:
        entry_life.publish(approved(new_case()), CITY, at=AT)
    assert refused.value.code == "DATA_SOURCE_REQUIRED"


def test_a_not_shared_entry_is_published_as_metadata() -> None:
    """R-029, S-04.1: published, metadata visible."""
    case = approved(entry_life.edit(new_case(), METADATA_ONLY, by=OWNER), LAW_ONLY)

    assert entry_life.publish(case, LAW_ONLY, at=AT).state is EntryState.PUBLISHED


@pytest.mark.parametrize(("days", "listed"), [(30, False), (31, True)])
def test_an_entry_bound_without_data_is_listed_after_the_grace(days: int, *, listed: bool) -> None:
    """R-024, S-09.5: in "catalog without data" after 30 days."""
    case = bound(new_case())
    at = AT + dt.timedelta(days=days)

    assert entry_life.without_data(case, grace=dt.timedelta(days=30), at=at) is listed
    assert not entry_life.without_data(live(), grace=dt.timedelta(days=30), at=at)


# --- the written application ---------------------------------------------------------------------

MINISTRY = replace(LAW_ONLY, written_application=True)


def applied() -> EntryCase:
    case = entry_life.edit(new_case(), METADATA_ONLY, by=OWNER)
    return entry_life.apply_not_shared(case, document="paper-1", by=OWNER, at=AT)


def decided(case: EntryCase, decision: ApplicationDecision) -> EntryCase:
    return entry_life.decide_application(
        case, MINISTRY, decision, reason="not needed", by=OFFICE, at=LATER
    )


def test_a_not_shared_class_waits_for_the_decision_of_its_application() -> None:
    """R-054, §6.1: waits while not decided; takes effect after the decision."""
    waiting = approved(applied(), MINISTRY)
    assert waiting.state is EntryState.SUBMITTED

    granted = decided(waiting, ApplicationDecision.GRANTED)

    assert entry_life.approve_unasked(granted, MINISTRY).state is EntryState.APPROVED
    assert granted.application is not None
    assert granted.application.decided_by == "office"


def test_an_approver_waits_for_the_application_too() -> None:
    """R-054: the body that approves entries is not the one that decides applications."""
    both = replace(MINISTRY, approver=Role.STEERING)
    case = approved(applied(), both)

    with pytest.raises(Refused) as refused:
        entry_life.approve(case, both, by=STEERING)
    assert refused.value.code == "APPLICATION_UNDECIDED"


def test_who_rejects_an_application_may_return_the_draft_where_another_approves() -> None:
    """R-031, R-054: the two bodies differ."""
    both = replace(MINISTRY, approver=Role.STEERING)
    rejected = decided(approved(applied(), both), ApplicationDecision.REJECTED)

    for by in (OFFICE, STEERING):
        returned = entry_life.return_to_draft(rejected, both, reason="share it", by=by)
        assert returned.state is EntryState.DRAFT


def test_a_rejected_application_returns_the_draft_and_a_new_one_is_needed() -> None:
    """R-054: stored with its decision."""
    rejected = decided(approved(applied(), MINISTRY), ApplicationDecision.REJECTED)

    assert entry_life.approve_unasked(rejected, MINISTRY) == rejected
    draft = entry_life.return_to_draft(rejected, MINISTRY, reason="share it", by=OFFICE)
    with pytest.raises(Refused) as refused:
        entry_life.submit(draft, MINISTRY, by=OWNER, at=AT)
    assert refused.value.code == "APPLICATION_REQUIRED"


def test_an_application_covers_what_it_asked_for_and_no_more() -> None:
    """R-054: a draft that shares less than was applied for needs a new application."""
    wider = builders.entry(
        groups=[builders.item_group(internal=builders.not_shared(), external=builders.not_shared())]
    )
    case = entry_life.edit(applied(), wider, by=OWNER)

    with pytest.raises(Refused) as refused:
        entry_life.submit(case, MINISTRY, by=OWNER, at=AT)
    assert refused.value.code == "APPLICATION_REQUIRED"


@pytest.mark.parametrize(
    ("case", "code"),
    [
        (
            approved(entry_life.edit(new_case(), SHARED, by=OWNER), ALL_STEPS),
            "APPLICATION_REQUIRED",
        ),
        (
            decided(approved(applied(), MINISTRY), ApplicationDecision.GRANTED),
            "APPLICATION_DECIDED",
        ),
    ],
)
def test_an_application_is_decided_once(case: EntryCase, code: str) -> None:
    with pytest.raises(Refused) as refused:
        decided(case, ApplicationDecision.GRANTED)
    assert refused.value.code == code


def test_a_rejection_needs_its_reason_and_the_right_body() -> None:
    """R-054, D9: the special working group decides by default."""
    case = approved(applied(), MINISTRY)
    rejected = ApplicationDecision.REJECTED

    with pytest.raises(Refused) as refused:
        entry_life.decide_application(case, MINISTRY, rejected, by=OFFICE, at=AT)
    assert refused.value.code == "REASON_REQUIRED"
    with pytest.raises(Forbidden):
        entry_life.decide_application(case, MINISTRY, rejected, by=OWNER, at=AT)
    with pytest.raises(Refused, match="attach"):
        entry_life.apply_not_shared(new_case(), document=" ", by=OWNER, at=AT)


# --- new versions --------------------------------------------------------------------------------


def test_an_edit_of_a_live_entry_is_a_draft_beside_the_version_that_goes_on() -> None:
    """R-028, §6.1: on publication v+1 replaces v."""
    case = entry_life.edit(live(), replace(SHARED, format="changed"), by=OWNER)
    assert (case.state, case.draft_state, case.version) == (
        EntryState.PUBLISHED,
        EntryState.DRAFT,
        1,
    )
    assert case.served

    ready = approved(case)
    assert (ready.state, ready.draft_state) == (EntryState.PUBLISHED, EntryState.APPROVED)
    published = entry_life.publish(ready, CITY, at=LATER)

    assert (published.state, published.draft_state, published.draft, published.version) == (
        EntryState.PUBLISHED,
        None,
        None,
        2,
    )


def test_a_new_generation_needs_its_own_data() -> None:
    """R-024: what a record is written with changed, so the provider publishes anew."""
    next_one = replace(SHARED, generation=2)
    ready = approved(entry_life.edit(live(), next_one, by=OWNER))

    with pytest.raises(Refused) as refused:
        entry_life.publish(ready, CITY, at=AT)
    assert refused.value.code == "DATA_SOURCE_REQUIRED"
    with_source = entry_life.bind(
        ready, schema_registered=True, connection_tested=True, by=OWNER, at=AT
    )
    assert (with_source.state, with_source.draft_state) == (EntryState.PUBLISHED, EntryState.BOUND)
    assert entry_life.first_data(with_source, CITY, at=LATER).version == 2


def test_a_suspended_entry_gets_no_new_version_before_it_resumes() -> None:
    """§6.1: publication is not listed while SUSPENDED."""
    case = entry_life.suspend(revised(live()), reason="leak", by=SECURITY)

    with pytest.raises(StateConflict, match="SUSPENDED"):
        entry_life.publish(case, CITY, at=AT)
    assert entry_life.publish(entry_life.resume(case, by=SECURITY), CITY, at=AT).version == 2


# --- update tasks --------------------------------------------------------------------------------


def test_a_law_change_opens_a_task_that_a_new_version_closes() -> None:
    """R-025, S-11.1: closed by a new version in time."""
    due = entry_life.trigger(live(), task(), CITY)
    assert due.state is EntryState.UPDATE_DUE
    assert [each.id for each in due.open_tasks] == ["t-1"]

    updated = entry_life.publish(revised(due), CITY, at=AT)

    assert updated.state is EntryState.PUBLISHED
    assert updated.open_tasks == ()
    assert (updated.tasks[0].closed_at, updated.tasks[0].closed_by_version) == (AT, 2)


def test_a_missed_due_date_is_recorded_once_and_data_is_still_served() -> None:
    """R-025, S-11.4: B01; data still served."""
    due = entry_life.trigger(live(), task(), CITY)
    with pytest.raises(Refused) as refused:
        entry_life.overdue(due, at=LATER - dt.timedelta(microseconds=1))
    assert refused.value.code == "NOT_DUE"
    assert list(entry_life.late_tasks([live(), due], LATER)) == [due]

    late, missed = entry_life.overdue(due, at=LATER)

    assert (late.state, late.served) == (EntryState.UPDATE_OVERDUE, True)
    assert [(each.id, each.overdue_at) for each in missed] == [("t-1", LATER)]
    with pytest.raises(Refused):
        entry_life.overdue(late, at=LATER)
    assert list(entry_life.late_tasks([late], LATER)) == []
    assert entry_life.publish(revised(late), CITY, at=LATER).state is EntryState.PUBLISHED


def test_every_change_has_a_task_of_its_own() -> None:
    """R-025: a second law while an update is due, or late, is not lost."""
    due = entry_life.trigger(entry_life.trigger(live(), task("a"), CITY), task("b"), CITY)

    assert [each.id for each in due.open_tasks] == ["a", "b"]
    with pytest.raises(Refused) as refused:
        entry_life.trigger(due, task("b"), CITY)
    assert refused.value.code == "TASK_EXISTS"


def test_a_cause_outside_the_profile_opens_no_task() -> None:
    """R-026, S-11.5: a holdings change alone counts under 000 only; none counts under 002."""
    holdings = task(cause=UpdateCause.HOLDINGS_CHANGE)

    for rules in (CITY, replace(ALL_STEPS, update_deadline_wd=None)):
        with pytest.raises(Refused) as refused:
            entry_life.trigger(live(), holdings, rules)
        assert refused.value.code == "TRIGGER_NOT_IN_PROFILE"


def test_what_happens_while_an_entry_is_suspended_is_not_forgotten() -> None:
    """R-025, §6.1: it resumes to the state it came from, with the task opened meanwhile."""
    suspended = entry_life.suspend(live(), reason="leak", by=SECURITY)
    due = entry_life.trigger(suspended, task(), CITY)
    late, _ = entry_life.overdue(due, at=LATER)

    assert entry_life.resume(suspended, by=SECURITY).state is EntryState.PUBLISHED
    assert entry_life.resume(due, by=SECURITY).state is EntryState.UPDATE_DUE
    assert entry_life.resume(late, by=SECURITY).state is EntryState.UPDATE_OVERDUE
    assert not suspended.served


# --- suspension, end, flags ----------------------------------------------------------------------


def test_who_suspended_resumes() -> None:
    """§6.1: authority, or security in an incident."""
    suspended = entry_life.suspend(live(), reason="leak", by=SECURITY)

    with pytest.raises(Forbidden):
        entry_life.resume(suspended, by=AUTHORITY)
    with pytest.raises(Forbidden):
        entry_life.suspend(live(), reason="leak", by=OWNER)
    with pytest.raises(Refused) as refused:
        entry_life.suspend(live(), reason="", by=AUTHORITY)
    assert refused.value.code == "REASON_REQUIRED"
    assert entry_life.resume(suspended, by=SECURITY) == live()


def test_a_retired_entry_leaves_no_draft_behind() -> None:
    """§6.1: function ended, or source moved."""
    retired = entry_life.retire(
        entry_life.edit(live(), SHARED, by=OWNER), RetireCause.SOURCE_MOVED, by=AUTHORITY
    )

    assert (retired.state, retired.draft, retired.draft_state) == (EntryState.RETIRED, None, None)
    assert retired.version == 1


def test_publication_waits_for_its_filing_where_the_profile_asks_for_it() -> None:
    """R-027, S-11.5: "not filed" until acknowledged; each version anew."""
    county = replace(CITY, filing_required=True)
    pending = live(county)
    assert EntryFlag.FILING_PENDING in pending.flags

    acknowledged = entry_life.filed(pending)

    assert acknowledged.flags == {EntryFlag.FILED}
    with pytest.raises(Refused) as refused:
        entry_life.filed(acknowledged)
    assert refused.value.code == "FILING_NOT_PENDING"
    again = entry_life.publish(revised(acknowledged), county, at=AT)
    assert again.flags == {EntryFlag.FILING_PENDING}


def test_a_new_guide_flags_the_entries_that_no_longer_conform() -> None:
    """R-034: a new guide version lists them."""
    stricter = replace(CITY, guide="v2", update_floor_days=7)

    flagged = entry_life.check_against_guide(live(), SHARED, stricter)

    assert flagged.flags == {EntryFlag.GUIDE_OUTDATED}
    assert entry_life.check_against_guide(flagged, SHARED, CITY).flags == frozenset()


def test_flags_say_something_beside_the_state_and_change_none() -> None:
    stale = entry_life.mark(live(), EntryFlag.STALE, present=True)

    assert (stale.state, stale.flags) == (EntryState.PUBLISHED, frozenset({EntryFlag.STALE}))
    assert entry_life.mark(stale, EntryFlag.STALE, present=False) == live()
    with pytest.raises(LookupError):
        entry_life.mark(stale, EntryFlag.FILED, present=True)


# --- invariants ----------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(sorted(ENTRY_TRIGGERS)), max_size=40))
def test_whatever_happens_versions_grow_and_a_case_is_whole(triggers: list[str]) -> None:
    """R-028: versions are numbered. §6.1: a draft lives beside a live version, never instead."""
    case = entry_case()
    for trigger in triggers:
        try:
            after = ENTRY_TRIGGERS[trigger](case)
        except Refused:
            continue
        assert after.version - case.version in {0, 1}
        assert (after.version > case.version) == (trigger in {"first_data", "publish"})
        case = after
        before_publication = {
            EntryState.DRAFT,
            EntryState.SUBMITTED,
            EntryState.APPROVED,
            EntryState.BOUND,
        }
        if case.state is not EntryState.RETIRED:
            assert (case.state in before_publication) == (case.version == 0)
        assert case.draft_state is None or case.draft_state in before_publication
        assert (case.draft is not None) == (case.stage in before_publication)
        assert (case.suspended_from is not None) == (case.state is EntryState.SUSPENDED)
        if case.state is EntryState.PUBLISHED:
            assert case.open_tasks == ()
        assert not {EntryFlag.FILED, EntryFlag.FILING_PENDING} <= case.flags


def test_the_table_lists_the_life_of_requirements_6_1() -> None:
    """Requirements.md §6.1, word for word where it names a step."""
    listed = {(step.state, step.next) for step in ENTRY_LIFE.steps}
    words = {
        "DRAFT SUBMITTED",
        "SUBMITTED DRAFT",
        "SUBMITTED APPROVED",
        "APPROVED BOUND",
        "APPROVED PUBLISHED",
        "BOUND PUBLISHED",
        "PUBLISHED UPDATE_DUE",
        "UPDATE_DUE PUBLISHED",
        "UPDATE_DUE UPDATE_OVERDUE",
        "UPDATE_OVERDUE PUBLISHED",
        *(
            f"{state} {ended}"
            for state in ("PUBLISHED", "UPDATE_DUE", "UPDATE_OVERDUE")
            for ended in ("SUSPENDED", "RETIRED")
        ),
        *(f"SUSPENDED {state}" for state in ("PUBLISHED", "UPDATE_DUE", "UPDATE_OVERDUE")),
        "SUSPENDED RETIRED",
        "BOUND RETIRED",
    }

    assert {f"{before} {after}" for before, after in listed if before is not after} == words


def test_the_draft_that_is_published_is_the_one_that_was_submitted() -> None:
    assert entry_case().draft == ENTRY


def test_an_amended_calendar_moves_what_is_open_and_keeps_both_dates() -> None:
    """R-083: only tasks that are named; the same day changes nothing."""
    case = entry_case(tasks=(task("t-1"), task("t-2")))
    later = task().due + dt.timedelta(days=1)
    moved = DueDate(day=later, provisional=False, ends_at=LATER + dt.timedelta(days=1))
    same = DueDate(day=task().due, provisional=False, ends_at=LATER)

    first, second = entry_life.recount(case, {"t-1": moved, "t-2": same}).tasks

    assert (first.due, first.due_before) == (later, (task().due,))
    assert not first.late(LATER)
    assert second == task("t-2")
