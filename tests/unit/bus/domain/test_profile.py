"""Unit tests of `bus.domain.profile`: what life cycles are told, in the domain's own types."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest

from bus.adapters.definitions.profiles import load_profiles
from bus.domain.profile import Profile
from bus.domain.profile_keys import KEYS
from bus.domain.profile_layers import DEFAULTS, OriginKind, read_layer
from bus.domain.profile_rules import (
    DisagreementRule,
    GatewayRule,
    NotSharedRule,
    OnboardingRule,
    RefusalRule,
    VerificationRule,
)
from bus.domain.profile_terms import (
    ClockStart,
    DeadlineCovers,
    Hop,
    InboundAccess,
    NotSharedRequest,
    OnboardingMode,
    Period,
    Redistribution,
    RefusalGrounds,
    RefusalReason,
    Registrar,
    UnconditionalAccess,
    UpdateTrigger,
    VerificationRoute,
)
from bus.domain.share import Purpose, Scope, ShareClass
from bus.errors import ProfileKeyUnknown, ProfileSilent

PROFILES = load_profiles()
MOA = PROFILES["moa-2017"]
CHANGZHOU = PROFILES["changzhou-2018"]
HAINAN = PROFILES["hainan-2014"]
ACADEMY = PROFILES["academy-2019"]
YANJIN = PROFILES["yanjin-2019"]
FIVE = (MOA, CHANGZHOU, HAINAN, ACADEMY, YANJIN)
LAW = frozenset({"law", "administrative_regulation", "central_policy"})
INTERNAL, EXTERNAL = Scope.INTERNAL, Scope.EXTERNAL


def saying(content: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Profile:
    """Return a profile that says this and nothing else."""
    own, faults = read_layer("own", content, {})
    below, more = read_layer(DEFAULTS, defaults or {}, {})
    assert not faults
    assert not more
    return Profile.of("own", 1, None, [own, below])


def five(question: str, *arguments: object) -> list[Any]:
    """Return what each of the five answers."""
    answers = (getattr(profile, question) for profile in FIVE)
    return [answer(*arguments) if callable(answer) else answer for answer in answers]


# --- Any key --------------------------------------------------------------------------------------


def test_a_key_that_profiles_do_not_have_is_refused() -> None:
    for ask in (YANJIN.get, YANJIN.origin, YANJIN.whole):
        with pytest.raises(ProfileKeyUnknown, match=r"no key 'application\.deadline'"):
            ask("application.deadline")


def test_a_section_is_no_key() -> None:
    with pytest.raises(ProfileKeyUnknown):
        YANJIN.get("application")


def test_a_scope_that_profiles_do_not_have_is_refused() -> None:
    with pytest.raises(ProfileKeyUnknown, match="knows no 'outside'"):
        YANJIN.get("application.reply_deadline_wd", "outside")


def test_where_scopes_differ_one_is_asked_for() -> None:
    assert MOA.get("application.reply_deadline_wd") == 10
    assert YANJIN.get("application.reply_deadline_wd") == 5
    with pytest.raises(ProfileKeyUnknown, match="ask for one of external, internal"):
        ACADEMY.get("application.clock_start")
    # Nothing is said about the external scope.
    with pytest.raises(ProfileKeyUnknown, match="ask for one of internal"):
        MOA.get("base_libraries.forced_class")


def test_where_libraries_differ_one_is_asked_for() -> None:
    with pytest.raises(ProfileKeyUnknown, match="population"):
        YANJIN.get("base_libraries.builder")


def test_a_scope_changes_nothing_where_values_do_not_differ_by_it() -> None:
    assert YANJIN.get("catalog.update_deadline_wd", EXTERNAL) == 0


def test_silence_is_none_and_has_an_origin() -> None:
    assert HAINAN.get("catalog.update_deadline_wd") is None
    assert HAINAN.origin("catalog.update_deadline_wd").kind is OriginKind.SILENT
    assert str(HAINAN.origin("catalog.update_deadline_wd")) == "silent"


def test_zero_is_not_silence() -> None:
    assert YANJIN.catalog_update_deadline_wd == 0
    assert str(YANJIN.origin("catalog.update_deadline_wd")) == "004 ¶21"


def test_a_default_is_not_law() -> None:
    assert str(HAINAN.origin("verification.route")) == "default, not law"
    assert str(CHANGZHOU.origin("verification.route")) == "001 §19"


def test_entries_cover_every_key_in_order() -> None:
    keys = list(dict.fromkeys(entry.key for entry in ACADEMY.entries()))
    assert keys == list(KEYS)
    names = [entry.name for entry in ACADEMY.entries()]
    assert "application.clock_start.external" in names
    assert "application.clock_start" not in names
    assert "refusal.reason" in names
    assert "application.clock_start" in [entry.name for entry in YANJIN.entries()]


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        YANJIN.version = 2  # type: ignore[misc]


def test_the_digest_tells_a_change() -> None:
    """R-014: a value that changes under the same version shows."""
    before = saying({"application": {"reply_deadline_wd": 5}})
    after = saying({"application": {"reply_deadline_wd": 6}})
    assert before.digest != after.digest
    assert before.digest == saying({"application": {"reply_deadline_wd": {"all": 5}}}).digest


def test_a_rule_that_needs_a_value_says_that_there_is_none() -> None:
    mute = saying({})
    for ask in (
        lambda: mute.reply_deadline_wd(INTERNAL),
        lambda: mute.clock_start(INTERNAL),
        lambda: mute.enabled_classes,
        lambda: mute.scopes,
        lambda: mute.deadline_covers,
        lambda: mute.refusal,
        lambda: mute.grant_period,
        lambda: mute.provisioning_executor,
    ):
        with pytest.raises(ProfileSilent, match="profile own is silent on "):
            ask()


# --- The regulation and its bodies ----------------------------------------------------------------


def test_bodies_fill_the_roles() -> None:
    """R-008: who may act is configuration."""
    assert five("body", "steering") == [
        *("信息化领导小组", "大数据发展领导小组", "省信息化建设领导小组"),
        *("机关工作领导小组", "县政府"),
    ]
    assert HAINAN.body("office") is None
    with pytest.raises(ProfileKeyUnknown):
        HAINAN.body("emperor")


def test_from_when_a_profile_holds() -> None:
    """R-014."""
    assert five("effective_from") == [
        *(None, None, dt.date(2014, 12, 19), dt.date(2019, 8, 1), None),
    ]


def test_sharing_is_free_and_kinds_are_listed() -> None:
    """R-002, R-011."""
    assert five("free_of_charge") == [True] * 5
    assert "township" in YANJIN.organisation_kinds
    assert "township" not in CHANGZHOU.organisation_kinds


# --- Share classes --------------------------------------------------------------------------------


def test_the_classes_there_are() -> None:
    """R-050: two in one province, three elsewhere."""
    three = frozenset(ShareClass)
    two = three - {ShareClass.NOT_SHARED}
    assert five("enabled_classes") == [three, three, two, three, three]


def test_the_scopes_there_are() -> None:
    """R-051."""
    one, two = (INTERNAL,), (INTERNAL, EXTERNAL)
    assert five("scopes") == [two, one, one, two, one]


def test_what_makes_a_resource_not_shared() -> None:
    """R-053, R-054, R-055."""
    plain = NotSharedRule(
        basis_types=LAW, written_application=False, application_to=None, reason=False
    )
    assert five("not_shared") == [
        dataclasses.replace(plain, written_application=True, application_to="office"),
        plain,
        None,
        dataclasses.replace(plain, basis_types=LAW | {"institution_rule"}),
        dataclasses.replace(plain, reason=True),
    ]


def test_the_uses() -> None:
    """R-057: where nobody says, every coded use."""
    assert five("usage_codes") == [frozenset(Purpose)] * 5
    assert saying({"usage": {"codes": ["work_reference"]}}).usage_codes == {Purpose.WORK_REFERENCE}


def test_which_entries_state_their_uses() -> None:
    """R-056."""
    assert five("usage_required", ShareClass.UNCONDITIONAL) == [True, False, False, True, False]
    assert five("usage_required", ShareClass.CONDITIONAL) == [True, True, False, True, True]
    assert five("usage_required", ShareClass.NOT_SHARED) == [False, False, False, True, False]


def test_base_libraries_force_a_class() -> None:
    """R-009, R-059."""
    yes, no = ShareClass.UNCONDITIONAL, None
    assert five("forced_class", INTERNAL) == [yes, yes, no, no, yes]
    assert five("forced_class", EXTERNAL) == [no, yes, no, no, yes]
    assert len(YANJIN.base_libraries) == 5
    assert HAINAN.base_libraries == ()
    assert YANJIN.base_library_builder("population") == "authority"
    assert YANJIN.base_library_builder("social_credit") == "lead_department"
    assert CHANGZHOU.base_library_builder("social_credit") == "lead_department"


def test_grace_when_a_class_tightens() -> None:
    """R-063."""
    assert five("class_change_grace_wd", ShareClass.CONDITIONAL) == [10] * 5
    assert five("class_change_grace_wd", ShareClass.NOT_SHARED) == [0] * 5
    assert five("class_change_grace_wd", ShareClass.UNCONDITIONAL) == [0] * 5


def test_special_regimes() -> None:
    """R-037."""
    assert HAINAN.special_regimes == {"geographic_information", "public_security_video"}
    assert YANJIN.special_regimes == frozenset()


# --- Catalog --------------------------------------------------------------------------------------


def test_the_catalog() -> None:
    """R-020, R-022, R-025, R-026, R-027, R-030, R-031."""
    trigger = UpdateTrigger
    usual = {trigger.LAW_CHANGE, trigger.FUNCTION_CHANGE}
    assert five("catalog_update_deadline_wd") == [15, 15, None, 15, 0]
    assert five("catalog_update_triggers") == [
        *(usual | {trigger.HOLDINGS_CHANGE}, usual, {trigger.BUSINESS_DEMAND_CHANGE}),
        *(usual, usual),
    ]
    assert five("catalog_trigger_registrars") == [set(Registrar)] * 5
    assert five("catalog_filing_required") == [False, False, False, False, True]
    assert five("catalog_approver") == [None, None, None, "steering", None]
    assert five("catalog_composer") == ["office", "authority", "authority", "office", "authority"]
    assert five("catalog_excludes_upper_base") == [True, False, False, False, False]
    assert {len(each) for each in five("required_metadata")} == {8}


def test_updates_and_delivery() -> None:
    """R-111, R-131."""
    assert five("update_floor") == [None, None, "monthly", None, None]
    assert HAINAN.delivery_modes == {"platform", "exchange_channel"}


# --- Requests -------------------------------------------------------------------------------------


def test_onboarding() -> None:
    """R-004."""
    none = OnboardingRule(mode=OnboardingMode.NONE, approved_by=None, first_use_only=False)
    pledge = OnboardingRule(
        mode=OnboardingMode.APPLICATION_AND_PLEDGE, approved_by="authority", first_use_only=True
    )
    assert five("onboarding") == [none, none, pledge, none, none]


def test_unconditional_access() -> None:
    """R-062, R-081."""
    direct, opened = UnconditionalAccess.DIRECT, UnconditionalAccess.PERMISSION_OPENED
    assert five("unconditional_access") == [direct, direct, direct, opened, direct]
    assert five("controlled_params_approval") == [False, False, False, False, True]


def test_the_clock_of_a_reply() -> None:
    """R-082, R-084, R-094."""
    submitted, received = ClockStart.SUBMITTED, ClockStart.RECEIVED
    assert five("reply_deadline_wd", INTERNAL) == [10, 10, 10, 10, 5]
    assert five("reply_deadline_wd", EXTERNAL) == [10, 10, 10, 10, 5]
    assert five("clock_start", INTERNAL) == [submitted, submitted, received, received, received]
    assert five("clock_start", EXTERNAL) == [
        *(submitted, submitted, received, ClockStart.GATEWAY_NOTICE_RECEIVED, received),
    ]
    reply, complete = DeadlineCovers.REPLY, DeadlineCovers.APPROVAL_COMPLETE
    assert five("deadline_covers") == [reply, reply, reply, reply, complete]


def test_what_a_request_contains() -> None:
    """R-080, R-097."""
    usual = ("need", "purpose")
    assert five("form_fields", INTERNAL) == [
        *(usual, usual, ("purpose", "knowledge_scope", "security_measures")),
        *(("annex_2_written",), usual),
    ]
    assert ACADEMY.form_fields(EXTERNAL) == ()
    assert ACADEMY.form_fields(INTERNAL, inbound=True) == ("annex_1",)
    assert MOA.form_fields(INTERNAL, inbound=True) == usual
    assert five("agreement_if_asked") == [False, False, True, False, False]


def test_what_a_refusal_needs() -> None:
    """R-085, R-086, R-087."""
    reason, grounds = RefusalReason, RefusalGrounds
    usual = RefusalRule(
        reason=reason.NONE_STATED, grounds=grounds.ANY, consent_by=None, consent_target_wd=5
    )
    assert five("refusal") == [
        usual,
        dataclasses.replace(usual, reason=reason.STATED),
        dataclasses.replace(
            usual,
            reason=reason.WRITTEN,
            grounds=grounds.STATUTORY_ONLY,
            consent_by="authority",
        ),
        dataclasses.replace(usual, reason=reason.WRITTEN_OPINION),
        dataclasses.replace(usual, reason=reason.SPECIFIC),
    ]
    assert five("refusal_addressee", INTERNAL) == [None, None, None, "consumer", None]
    assert five("refusal_addressee", EXTERNAL) == [None, None, None, "office", None]


def test_escalation() -> None:
    """R-091, R-092, R-093, R-099."""
    consult = Hop.CONSULTATION
    county = (Hop.THREE_PARTY_MEETING, Hop.GOVERNMENT)
    province = (Hop.AUTHORITY, Hop.STEERING)
    conference = Hop.INTERMINISTERIAL_CONFERENCE
    assert five("escalation", INTERNAL) == [
        *((consult, Hop.STEERING), (consult, Hop.AUTHORITY), province),
        *((consult, Hop.STEERING), county),
    ]
    assert five("escalation", EXTERNAL) == [
        *((consult, conference), (consult, Hop.STEERING), province),
        *((Hop.THREE_WAY_CONSULTATION, conference), county),
    ]
    assert five("external_not_shared_approval") == [None, None, None, "steering", None]
    assert five("consultation_escalate_after_wd") == [10] * 5
    consultation, disagreement = NotSharedRequest.CONSULTATION, NotSharedRequest.DISAGREEMENT
    assert five("not_shared_request") == [*[consultation] * 4, disagreement]


def test_a_chain_stated_for_one_class_stands_in_for_the_others_by_default() -> None:
    """D8: of a refused conditional request the academy says nothing; the default is the same."""
    assert ACADEMY.escalation(INTERNAL, ShareClass.CONDITIONAL) == ACADEMY.escalation(INTERNAL)
    assert str(ACADEMY.origin("escalation.refused_conditional")) == "default, not law"
    strict = saying(
        {
            "escalation": {
                "internal": ["consultation"],
                "internal_applies_to": ["not_shared"],
                "refused_conditional": "none",
            }
        }
    )
    assert strict.escalation(INTERNAL, ShareClass.CONDITIONAL) == ()
    assert strict.escalation(INTERNAL, ShareClass.NOT_SHARED) == (Hop.CONSULTATION,)


def test_disagreement() -> None:
    """R-101."""
    assert [rule.enabled for rule in five("disagreement")] == [False, False, False, False, True]
    assert YANJIN.disagreement == DisagreementRule(
        enabled=True,
        subjects=frozenset({"sharing_condition", "application_reason", "authorisation_result"}),
        convener="authority",
        convene_target_wd=5,
        parties=("provider", "consumer", "operator"),
        final="县政府",
    )


def test_the_gateway() -> None:
    """R-094, R-095, R-096, R-121, R-264."""
    review = {ShareClass.CONDITIONAL: "steering", ShareClass.NOT_SHARED: "steering"}
    assert five("gateway") == [
        GatewayRule(
            body="office",
            technical=None,
            pre_review=review,
            unconditional_inbound=InboundAccess.DIRECT,
            format_conversion=False,
        ),
        GatewayRule(
            body="authority",
            technical=None,
            pre_review={},
            unconditional_inbound=None,
            format_conversion=False,
        ),
        None,
        GatewayRule(
            body="office",
            technical="operator",
            pre_review=review,
            unconditional_inbound=InboundAccess.PROXY,
            format_conversion=True,
        ),
        None,
    ]


# --- Grants and data ------------------------------------------------------------------------------


def test_grants() -> None:
    """R-005, R-012, R-197, and the defaults of §2.4."""
    operator, office = "operator", "office"
    assert five("provisioning_executor") == [operator, operator, operator, office, operator]
    assert five("authority_dispatch") == [False, False, False, False, True]
    assert five("grant_period") == [Period(1, "y")] * 5
    assert five("grant_reminder_days") == [30] * 5
    assert five("redistribution") == [
        Redistribution.PROHIBITED,
        Redistribution.PROHIBITED,
        Redistribution.WITH_AUTHORISATION,
        Redistribution.WITH_PROVIDER_CONSENT,
        Redistribution.PROHIBITED,
    ]
    with pytest.raises(ProfileSilent, match="no end to grants"):
        _ = saying({"grant": {"period": "forever"}}).grant_period


def test_doubts() -> None:
    """R-170 to R-175."""
    route = VerificationRoute
    default = VerificationRule(
        enabled=True,
        route=route.DIRECT_AND_NOTIFY_AUTHORITY,
        external_route=None,
        continue_service=None,
        target_wd=5,
    )
    assert five("verification") == [
        dataclasses.replace(default, route=route.VIA_STEERING, external_route=route.VIA_STEERING),
        dataclasses.replace(default, route=route.DIRECT, continue_service=True),
        default,
        default,
        dataclasses.replace(default, continue_service=True),
    ]


def test_one_source() -> None:
    """R-150: the academy does not say it, so it is a default there."""
    assert five("one_source_enforced") == [True] * 5
    assert str(ACADEMY.origin("one_source.enforce")) == "default, not law"


# --- Periods --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("1y", dt.date(2019, 9, 25), dt.date(2020, 9, 25)),
        ("1y", dt.date(2020, 2, 29), dt.date(2021, 2, 28)),
        ("3mo", dt.date(2019, 11, 30), dt.date(2020, 2, 29)),
        ("30d", dt.date(2019, 12, 15), dt.date(2020, 1, 14)),
    ],
)
def test_a_period_after_a_day(text: str, start: dt.date, end: dt.date) -> None:
    period = Period.parse(text)
    assert period is not None
    assert str(period) == text
    assert period.after(start) == end


def test_periods_have_a_length_or_an_end_but_not_always_both() -> None:
    assert Period(5, "s").duration() == dt.timedelta(seconds=5)
    assert Period(2, "h").duration() == dt.timedelta(hours=2)
    assert Period(30, "d").duration() == dt.timedelta(days=30)
    with pytest.raises(ValueError, match="no fixed length"):
        Period(1, "y").duration()
    with pytest.raises(ValueError, match="no number of days"):
        Period(5, "s").after(dt.date(2020, 1, 1))


@pytest.mark.parametrize("text", ["", "0d", "d", "1.5y", "1w", "-1d", "forever", "9999999d"])
def test_what_is_no_period(text: str) -> None:
    assert Period.parse(text) is None
