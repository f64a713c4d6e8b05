"""Unit tests of `bus.domain.request_rules`: what the five profiles say about requests."""

import datetime as dt
from typing import Any

import pytest

from bus.domain.profile import Profile
from bus.domain.profile_layers import Layer, Place, Stated
from bus.domain.profile_terms import ClockStart, Hop, RefusalReason
from bus.domain.request_rules import request_rules
from bus.domain.share import Scope, ShareClass
from tests.request_cases import PROFILES, rules

OUT = Scope.EXTERNAL


def own(**stated: Any) -> Profile:
    """Return a profile that says `stated` (dots written as __), and else next to nothing."""
    values = {"grant__period": "1y", "escalation__internal": ("consultation", "steering")} | stated
    places: dict[Place, Stated] = {
        (key.replace("__", "."), None): Stated(value) for key, value in values.items()
    }
    return Profile.of("own", 1, None, [Layer("own", places)])


@pytest.mark.parametrize(
    ("name", "deadline", "starts", "covers_supply"),
    [
        ("moa-2017", 10, ClockStart.SUBMITTED, False),
        ("changzhou-2018", 10, ClockStart.SUBMITTED, False),
        ("hainan-2014", 10, ClockStart.RECEIVED, False),
        ("academy-2019", 10, ClockStart.RECEIVED, False),
        ("yanjin-2019", 5, ClockStart.RECEIVED, False),
    ],
)
def test_the_clock_is_the_profiles(
    name: str, deadline: int, starts: ClockStart, *, covers_supply: bool
) -> None:
    """R-082, R-084: to complete the approval (004) is not to supply."""
    found = rules(name)
    assert (found.reply_deadline_wd, found.clock_start) == (deadline, starts)
    assert found.covers_supply is covers_supply


def test_a_deadline_that_covers_supply_is_told_apart() -> None:
    """R-084."""
    assert request_rules(own(application__deadline_covers="supply"), OUT).covers_supply


def test_the_academys_outward_clock_waits_for_the_notice() -> None:
    """R-094, S-06."""
    assert rules("academy-2019", OUT).clock_start is ClockStart.GATEWAY_NOTICE_RECEIVED


@pytest.mark.parametrize(
    ("name", "level", "consent", "statutory"),
    [
        ("moa-2017", RefusalReason.NONE_STATED, None, False),
        ("changzhou-2018", RefusalReason.STATED, None, False),
        ("hainan-2014", RefusalReason.WRITTEN, "authority", True),
        ("academy-2019", RefusalReason.WRITTEN_OPINION, None, False),
        ("yanjin-2019", RefusalReason.SPECIFIC, None, False),
    ],
)
def test_what_a_refusal_needs(
    name: str, level: RefusalReason, consent: str | None, *, statutory: bool
) -> None:
    """R-085, R-086, R-087."""
    found = rules(name)
    assert (found.reason_level, found.consent_by) == (level, consent)
    assert found.statutory_only is statutory


def test_the_academys_opinion_goes_to_the_consumer_inside_and_to_the_office_outside() -> None:
    """R-094, S-06."""
    assert rules("academy-2019").opinion_to == "consumer"
    assert rules("academy-2019", OUT).opinion_to == "office"


@pytest.mark.parametrize(
    ("name", "how", "talks", "chain"),
    [
        ("moa-2017", {}, Hop.CONSULTATION, [Hop.STEERING]),
        ("moa-2017", {"scope": OUT}, Hop.CONSULTATION, [Hop.INTERMINISTERIAL_CONFERENCE]),
        ("changzhou-2018", {}, Hop.CONSULTATION, [Hop.AUTHORITY]),
        ("changzhou-2018", {"higher_level": True}, Hop.CONSULTATION, [Hop.STEERING]),
        ("hainan-2014", {}, None, [Hop.AUTHORITY, Hop.STEERING]),
        ("academy-2019", {}, Hop.CONSULTATION, [Hop.STEERING]),
        (
            "academy-2019",
            {"scope": OUT},
            Hop.THREE_WAY_CONSULTATION,
            [Hop.INTERMINISTERIAL_CONFERENCE],
        ),
        ("yanjin-2019", {}, Hop.THREE_PARTY_MEETING, [Hop.GOVERNMENT]),
    ],
)
def test_the_escalation_chain(
    name: str, how: dict[str, Any], talks: Hop | None, chain: list[Hop]
) -> None:
    """R-092, R-093, S-04: the chains of §6.2."""
    found = rules(name, **how)
    assert (found.talks, list(found.chain)) == (talks, chain)


def test_a_refused_conditional_request_goes_the_academys_way_by_default() -> None:
    """D8, §2.4: the same chain as for not-shared; a profile may say that there is none."""
    assert rules("academy-2019").unheard == frozenset()
    mute = own(escalation__internal_applies_to=("not_shared",))
    assert request_rules(mute, Scope.INTERNAL).unheard == set(ShareClass) - {ShareClass.NOT_SHARED}


@pytest.mark.parametrize(
    ("name", "appeal", "not_shared", "consumer_raises"),
    [
        ("moa-2017", "consultation", "consultation", True),
        ("changzhou-2018", "consultation", "consultation", False),
        ("hainan-2014", "complaint", "consultation", True),
        ("academy-2019", "consultation", "consultation", True),
        ("yanjin-2019", "disagreement", "disagreement", False),
    ],
)
def test_where_a_case_goes_and_who_may_raise_it(
    name: str, appeal: str, not_shared: str, *, consumer_raises: bool
) -> None:
    """§6.2, R-091, R-092, D12."""
    found = rules(name)
    assert (found.appeal, found.not_shared_goes_to) == (appeal, not_shared)
    assert found.consumer_raises is consumer_raises


def test_the_academy_approves_what_goes_out_and_has_a_form_for_each_direction() -> None:
    """R-080, R-095, R-096, R-099, S-06."""
    outward, inward = rules("academy-2019", OUT), rules("academy-2019", OUT, inbound=True)
    assert outward.steering_approves_agreed == "steering"
    assert rules("academy-2019").steering_approves_agreed is None
    assert outward.form_fields == frozenset()
    assert inward.form_fields == {"annex_1"}
    assert rules("academy-2019").form_fields == {"annex_2_written"}
    assert inward.pre_review == {
        ShareClass.CONDITIONAL: "steering",
        ShareClass.NOT_SHARED: "steering",
    }
    assert inward.unconditional_inbound == "proxy"
    assert rules("moa-2017", OUT, inbound=True).unconditional_inbound == "direct"
    assert rules("changzhou-2018").pre_review == {}


def test_only_hainan_asks_for_onboarding_and_knows_agreements() -> None:
    """R-004, R-097."""
    assert [name for name in PROFILES if rules(name).onboarding] == ["hainan-2014"]
    assert [name for name in PROFILES if rules(name).agreement] == ["hainan-2014"]


def test_only_yanjin_reviews_controlled_parameters() -> None:
    """R-062."""
    names = [name for name in PROFILES if rules(name).controlled_params_approval]
    assert names == ["yanjin-2019"]


def test_the_office_provisions_at_the_academy() -> None:
    """R-084."""
    assert {name: rules(name).executor for name in PROFILES} == dict.fromkeys(
        PROFILES, "operator"
    ) | {"academy-2019": "office"}


def test_a_grant_lasts_a_year_and_talks_two_weeks_by_default() -> None:
    """§2.4, a leap year included."""
    found = rules("moa-2017")
    assert found.grant_ends(dt.date(2020, 2, 1)) == dt.date(2021, 2, 1)
    assert found.escalate_after_wd == 10


def test_a_profile_that_says_nothing_asks_for_nothing() -> None:
    """§2: silence asks for nothing, and nothing is granted by it."""
    found = request_rules(own(), Scope.INTERNAL)
    assert found.reply_deadline_wd is None
    assert found.clock_start is ClockStart.SUBMITTED
    assert found.reason_level is RefusalReason.NONE_STATED
    assert (found.form_fields, found.pre_review) == (frozenset(), {})
    assert not found.consumer_raises
    assert found.not_shared_goes_to == "consultation"
