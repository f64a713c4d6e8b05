"""Unit tests of `bus.domain.rectification` and its rules."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.definitions.profiles import load_profiles
from bus.domain import rectification
from bus.domain.breach import STANDS_FOR, BreachGround
from bus.domain.identity import Actor, Role
from bus.domain.rectification import (
    PROJECT_SUSPENDED,
    ProjectFlagState,
    Rectification,
    RectificationRules,
    RectificationState,
)
from bus.domain.rectification_rules import rectification_rules
from bus.errors import Forbidden, Refused
from tests import builders
from tests.life_cycle_cases import (
    AT,
    AUTHORITY,
    CONSUMER,
    LATER,
    OFFICE,
    OWNER,
    PROJECT_FLAG,
    RECTIFICATION,
    RECTIFIED,
    STEERING,
    actor,
    due,
)
from tests.life_cycle_cases import RECTIFICATION_RULES as RULES

PROFILES = load_profiles()
IN_PROGRESS = replace(RECTIFICATION, state=RectificationState.IN_PROGRESS, due=due(AT))
MISSED = rectification.miss(IN_PROGRESS, at=LATER)
ESCALATED = rectification.escalate(MISSED, RULES, misses=2)
YEAR = dt.timedelta(days=366)


@pytest.mark.parametrize(
    ("profile", "issuer", "strikes", "escalate_to", "sanctioner"),
    [
        ("moa-2017", Role.OFFICE, 2, "steering", Role.STEERING),
        ("changzhou-2018", Role.OFFICE, 1, "市政府", Role.OFFICE),
        ("hainan-2014", Role.AUTHORITY, 1, "authority", Role.AUTHORITY),
        ("academy-2019", None, 1, "", None),
        ("yanjin-2019", None, 1, "", None),
    ],
)
def test_profiles_say_who_issues_and_when_it_goes_up(
    profile: str, issuer: Role | None, strikes: int, escalate_to: str, sanctioner: Role | None
) -> None:
    """R-222, R-223: 000 at the second miss, 001 and 002 at the first; 003 and 004 are silent."""
    rules = rectification_rules(PROFILES[profile])

    assert (rules.issuer, rules.strikes, rules.escalate_to) == (issuer, strikes, escalate_to)
    assert rules.sanctioner is sanctioner


@pytest.mark.parametrize("name", ["moa-2017", "changzhou-2018", "hainan-2014"])
def test_every_ground_of_a_profile_stands_for_coded_ones(name: str) -> None:
    """R-220, requirements.md §2.3."""
    grounds = rectification_rules(PROFILES[name]).grounds

    assert grounds
    assert grounds <= STANDS_FOR.keys()


def test_every_coded_ground_is_in_some_regulation() -> None:
    """R-220: B11 is 002's, B12 is 001's."""
    assert {ground for grounds in STANDS_FOR.values() for ground in grounds} == set(BreachGround)


@given(
    ages=st.lists(st.timedeltas(dt.timedelta(0), 3 * YEAR), max_size=8),
    others=st.lists(st.timedeltas(dt.timedelta(0), YEAR), max_size=3),
)
def test_misses_count_for_twelve_months_over_all_notices_of_an_organisation(
    ages: list[dt.timedelta], others: list[dt.timedelta]
) -> None:
    """R-223: a rolling year, however the misses are spread over notices; nobody else's."""
    year_ago = LATER.replace(year=LATER.year - 1)
    notices = [replace(MISSED, id=f"k-{n}", misses=(LATER - age,)) for n, age in enumerate(ages)]
    one = replace(MISSED, misses=tuple(LATER - age for age in ages))
    elsewhere = replace(MISSED, organisation="tourism", misses=tuple(LATER - age for age in others))

    counted = rectification.count_misses([*notices, elsewhere], MISSED.organisation, at=LATER)

    assert counted == sum(LATER - age > year_ago for age in ages)
    assert counted == rectification.count_misses([one, elsewhere], one.organisation, at=LATER)


def test_the_year_before_a_leap_day_begins_on_the_28th() -> None:
    leap_day = dt.datetime(2020, 2, 29, 12, tzinfo=dt.UTC)
    at_the_edge = dt.datetime(2019, 2, 28, 12, tzinfo=dt.UTC)
    notice = replace(MISSED, misses=(at_the_edge, at_the_edge + dt.timedelta(seconds=1)))

    assert rectification.count_misses([notice], notice.organisation, at=leap_day) == 1


def test_a_miss_is_none_before_the_deadline_is_over() -> None:
    """R-223: the last instant of the due day is in time."""
    ends = due(AT).ends_at
    with pytest.raises(Refused) as refused:
        rectification.miss(IN_PROGRESS, at=ends - dt.timedelta(microseconds=1))
    assert refused.value.code == "NOT_DUE"

    assert rectification.miss(IN_PROGRESS, at=ends).misses == (ends,)


@pytest.mark.parametrize("strikes", [1, 2, 3])
@pytest.mark.parametrize("misses", [1, 2, 3])
def test_below_the_count_there_is_a_new_deadline_and_from_it_on_none(
    strikes: int, misses: int
) -> None:
    """R-223, requirements.md §6.5: exactly one of the two is possible."""
    rules = replace(RULES, strikes=strikes)

    def extend() -> Rectification:
        return rectification.extend(
            MISSED, rules, misses=misses, due=due(LATER), by=OFFICE, at=LATER
        )

    def escalate() -> Rectification:
        return rectification.escalate(MISSED, rules, misses=misses)

    possible, refused = (escalate, extend) if misses >= strikes else (extend, escalate)
    assert possible().state in {RectificationState.ESCALATED, RectificationState.IN_PROGRESS}
    with pytest.raises(Refused):
        refused()


def test_work_that_is_sent_back_keeps_its_deadline() -> None:
    """R-222, requirements.md §6.5."""
    checked = rectification.report(IN_PROGRESS, text="done", by=OWNER)

    back = rectification.send_back(checked, RULES, reason="items are missing", by=OFFICE)

    assert (back.state, back.due) == (RectificationState.IN_PROGRESS, IN_PROGRESS.due)
    assert back.sent_back == "items are missing"


def test_a_project_flag_outlives_its_notice() -> None:
    """R-224: lifted by a record of its own, once the work is verified, and not before."""
    with pytest.raises(Refused) as refused:
        rectification.lift(PROJECT_FLAG, ESCALATED, RULES, document="x", by=OFFICE, at=LATER)
    assert refused.value.code == "NOT_RECTIFIED"

    lifted = rectification.lift(
        PROJECT_FLAG, RECTIFIED, RULES, document="2019-9", by=OFFICE, at=LATER
    )

    assert lifted.state is ProjectFlagState.LIFTED
    assert (lifted.document, lifted.lifting_document) == ("2019-8", "2019-9")


def draft(rules: RectificationRules = RULES, by: Actor = OFFICE, **changes: object) -> object:
    """Draft a notice with something else in it."""
    return rectification.draft(replace(RECTIFICATION, **changes), rules, by=by)  # type: ignore[arg-type]


def sanction(kind: str, document: str = "2019-8", by: Actor = STEERING) -> Rectification:
    """Record a sanction."""
    return rectification.sanction(ESCALATED, RULES, kind=kind, document=document, by=by, at=LATER)


def test_where_the_list_is_not_complete_other_grounds_are_possible() -> None:
    """R-220, defect D5 of the regulation's text: the grounds are data."""
    assert draft(replace(RULES, grounds_complete=False), grounds=("something new",))


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda: draft(grounds=()), "GROUNDS_REQUIRED"),
        (lambda: draft(grounds=("other",)), "GROUND_NOT_IN_PROFILE"),
        (
            lambda: draft(replace(RULES, grounds_complete=False), grounds=(" ",)),
            "GROUND_NOT_IN_PROFILE",
        ),
        (lambda: draft(evidence=" "), "EVIDENCE_REQUIRED"),
        (lambda: draft(RectificationRules()), "RECTIFICATION_NOT_IN_PROFILE"),
        (
            lambda: rectification.issue(RECTIFICATION, RULES, due=due(AT), by=OFFICE, at=LATER),
            "DEADLINE_PASSED",
        ),
        (lambda: rectification.report(IN_PROGRESS, text=" ", by=OWNER), "REPORT_REQUIRED"),
        (
            lambda: rectification.send_back(
                replace(IN_PROGRESS, state=RectificationState.UNDER_CHECK),
                RULES,
                reason="",
                by=OFFICE,
            ),
            "REASON_REQUIRED",
        ),
        (lambda: sanction("exile"), "SANCTION_NOT_IN_PROFILE"),
        (lambda: sanction(PROJECT_SUSPENDED, document=" "), "DOCUMENT_REQUIRED"),
        (
            lambda: rectification.sanction(
                sanction(PROJECT_SUSPENDED),
                RULES,
                kind=PROJECT_SUSPENDED,
                document="again",
                by=STEERING,
                at=LATER,
            ),
            "ALREADY_EXISTS",
        ),
        (
            lambda: rectification.verify(
                sanction(PROJECT_SUSPENDED), RULES, finding="", by=OFFICE, at=LATER
            ),
            "EVIDENCE_REQUIRED",
        ),
        (
            lambda: rectification.lift(
                PROJECT_FLAG, RECTIFIED, RULES, document="", by=OFFICE, at=LATER
            ),
            "DOCUMENT_REQUIRED",
        ),
    ],
)
def test_what_is_incomplete_is_refused(act: Callable[[], object], code: str) -> None:
    """R-222, R-224."""
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.code == code


@pytest.mark.parametrize(
    "act",
    [
        lambda: draft(by=AUTHORITY),
        lambda: rectification.issue(RECTIFICATION, RULES, due=due(AT), by=OWNER, at=AT),
        lambda: rectification.acknowledge(
            replace(IN_PROGRESS, state=RectificationState.ISSUED), by=CONSUMER
        ),
        lambda: rectification.report(
            IN_PROGRESS, text="done", by=actor(builders.PROVIDER, Role.AUDITOR)
        ),
        lambda: sanction(PROJECT_SUSPENDED, by=OFFICE),
        lambda: rectification.sanction(
            ESCALATED,
            RectificationRules(),
            kind="public_criticism",
            document="x",
            by=STEERING,
            at=LATER,
        ),
        lambda: rectification.lift(
            PROJECT_FLAG, RECTIFIED, RULES, document="x", by=OWNER, at=LATER
        ),
    ],
)
def test_the_issuer_issues_the_addressee_answers_the_body_above_sanctions(
    act: Callable[[], object],
) -> None:
    """R-222, R-224."""
    with pytest.raises(Forbidden):
        act()


def test_a_notice_that_is_not_new_is_not_drafted() -> None:
    with pytest.raises(LookupError):
        draft(due=due(AT))
