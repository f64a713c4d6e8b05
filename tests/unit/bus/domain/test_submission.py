"""Unit tests of `bus.domain.submission`."""

from dataclasses import replace
from typing import Any

import pytest

from bus.domain.entry import CatalogEntry, Secrecy, SpecialRegime
from bus.domain.share import ItemKind, LegalBasis, Scope, ShareClass, ShareRule
from bus.domain.submission import (
    EntryRules,
    UpdateCause,
    carries_secrecy_marking,
    is_metadata_only,
    needs_no_decision,
    price_faults,
    submission_faults,
    subscription_faults,
)
from bus.errors import ConfigError
from tests import builders

LAW = LegalBasis("law", "Real Estate Law", "12")
ACADEMY_RULE = LegalBasis("institution_rule", "Rules of the academy", "3")
RULES = EntryRules(basis_types=frozenset({"law", "administrative_regulation"}))


def not_shared(basis: LegalBasis | None = LAW) -> ShareRule:
    return ShareRule(share_class=ShareClass.NOT_SHARED, legal_basis=basis)


def entry_with(rule: ShareRule, **changes: Any) -> CatalogEntry:
    return replace(builders.entry(groups=[builders.item_group(internal=rule)]), **changes)


def faults_of(
    entry: CatalogEntry, rules: EntryRules = RULES, *, applied: bool = False
) -> list[tuple[str, str]]:
    return [(fault.code, fault.key) for fault in submission_faults(entry, rules, applied=applied)]


def codes_of(entry: CatalogEntry, rules: EntryRules = RULES, *, applied: bool = False) -> set[str]:
    return {code for code, _ in faults_of(entry, rules, applied=applied)}


def test_a_complete_entry_may_be_submitted() -> None:
    assert faults_of(builders.entry()) == []


# --- metadata ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "empty"),
    [
        ("classification", " "),
        ("provider", ""),
        ("format", ""),
        ("items", ()),
        ("update_limit_days", 0),
        ("groups", ()),
        ("delivery_modes", frozenset()),
        ("usage_requirement", ""),
    ],
)
def test_a_missing_field_is_named(key: str, empty: Any) -> None:
    """R-020: a missing field blocks submission and is named in the error."""
    entry = replace(builders.entry(), **{key: empty})

    assert ("METADATA_MISSING", key) in faults_of(entry)


def test_a_field_that_the_profile_does_not_ask_for_may_be_missing() -> None:
    """R-020: what is required is the profile's."""
    rules = replace(RULES, required_metadata=frozenset({"format"}))

    assert faults_of(replace(builders.entry(), classification=""), rules) == []


def test_a_class_is_required_whatever_the_profile_says() -> None:
    """R-052: an entry cannot be published without an explicit class."""
    rules = replace(RULES, required_metadata=frozenset())
    without = replace(builders.item_group(), rules={})

    assert ("METADATA_MISSING", "groups") in faults_of(replace(builders.entry(), groups=()), rules)
    assert faults_of(replace(builders.entry(), groups=(without,)), rules) == [
        ("METADATA_MISSING", "groups.base.share")
    ]


def test_a_profile_that_asks_for_something_unknown_is_not_used() -> None:
    with pytest.raises(ConfigError, match="colour"):
        EntryRules(required_metadata=frozenset({"colour"}))


def test_an_entry_that_cannot_be_carried_out_is_refused_as_well() -> None:
    entry = builders.entry(items=[builders.key_item("code"), builders.item("code")])

    assert faults_of(entry) == [("DEFINITION_INVALID", "items.1.name")]


# --- classes -------------------------------------------------------------------------------------


def test_a_class_outside_the_profile_is_refused() -> None:
    """R-050, S-03.7: profile 002 knows no not-shared class."""
    two = replace(RULES, classes=frozenset({ShareClass.UNCONDITIONAL, ShareClass.CONDITIONAL}))

    assert faults_of(entry_with(not_shared()), two) == [
        ("CLASS_NOT_IN_PROFILE", "groups.base.share.internal")
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"condition": " "}, "CONDITION_REQUIRED"),
        ({"audience": None}, "AUDIENCE_REQUIRED"),
        ({"purposes": frozenset()}, "USES_REQUIRED"),
    ],
)
def test_a_conditional_class_states_condition_audience_and_uses(
    change: dict[str, Any], code: str
) -> None:
    """R-056: without any one of them publication fails."""
    entry = entry_with(replace(builders.conditional(), **change))

    assert codes_of(entry) == {code}


def test_a_usage_requirement_is_asked_of_unconditional_entries_where_the_profile_says_so() -> None:
    """R-057, S-05.1: under 000 an unconditional entry without usage requirement is refused."""
    ministry = replace(RULES, usage_required_for=frozenset({"unconditional", "conditional"}))
    silent = entry_with(builders.unconditional(), usage_requirement="")
    stated = entry_with(replace(builders.unconditional(), purposes=builders.conditional().purposes))

    assert codes_of(silent, ministry) == {"USAGE_REQUIRED"}
    assert codes_of(silent) == {"METADATA_MISSING"}
    assert faults_of(stated, ministry) == []
    assert faults_of(entry_with(builders.unconditional()), ministry) == [
        ("USAGE_REQUIRED", "groups.base.share.internal.purposes")
    ]


@pytest.mark.parametrize(
    "basis",
    [
        None,
        replace(LAW, type=""),
        replace(LAW, citation=" "),
        replace(LAW, article=""),
    ],
)
def test_a_not_shared_class_needs_its_basis(basis: LegalBasis | None) -> None:
    """R-053, S-12.4: type, citation and article."""
    assert codes_of(entry_with(not_shared(basis))) == {"BASIS_REQUIRED"}


def test_a_rule_of_the_institution_is_a_basis_where_the_profile_allows_it_alone() -> None:
    """R-053, S-04.1, S-06.6: refused under 001, accepted under 003."""
    academy = replace(RULES, basis_types=RULES.basis_types | {"institution_rule"})

    assert codes_of(entry_with(not_shared(ACADEMY_RULE))) == {"BASIS_TYPE_NOT_ALLOWED"}
    assert faults_of(entry_with(not_shared(ACADEMY_RULE)), academy) == []


def test_a_written_application_is_required_where_the_profile_says_so() -> None:
    """R-054, S-12.4: basis given, but no written application."""
    ministry = replace(RULES, written_application=True)

    assert faults_of(entry_with(not_shared()), ministry) == [("APPLICATION_REQUIRED", "groups")]
    assert faults_of(entry_with(not_shared()), ministry, applied=True) == []
    assert faults_of(builders.entry(), ministry) == []


def test_a_plain_reason_is_required_where_the_profile_says_so() -> None:
    """R-055: profile 004."""
    county = replace(RULES, reason_required=True)

    assert codes_of(entry_with(not_shared()), county) == {"REASON_REQUIRED"}
    assert faults_of(entry_with(not_shared(replace(LAW, reason="privacy"))), county) == []


# --- base libraries ------------------------------------------------------------------------------

CITY = replace(
    RULES,
    base_libraries=frozenset({"population"}),
    forced_class=dict.fromkeys(Scope, ShareClass.UNCONDITIONAL),
    forced_for_base_items_only=True,
)


def test_base_items_of_a_base_library_keep_the_forced_class() -> None:
    """R-059, S-01.6: base items published as conditional."""
    entry = entry_with(builders.conditional(), base_library="population")

    assert faults_of(entry, CITY) == [("FORCED_CLASS_VIOLATION", "groups.base.share.internal")]
    assert faults_of(entry_with(builders.unconditional(), base_library="population"), CITY) == []
    assert faults_of(entry_with(builders.conditional()), CITY) == []


def test_business_items_of_a_base_library_have_a_class_of_their_own() -> None:
    """R-060, S-01.1: `phone` is a business item, conditional."""
    business = replace(
        builders.item_group("business", internal=builders.conditional()), kind=ItemKind.BUSINESS
    )
    entry = replace(
        builders.entry(groups=[builders.item_group(), business]), base_library="population"
    )

    assert faults_of(entry, CITY) == []
    assert codes_of(entry, replace(CITY, forced_for_base_items_only=False)) == {
        "FORCED_CLASS_VIOLATION"
    }


def test_a_forced_class_is_not_evaded_by_offering_nothing() -> None:
    """R-059: inside the ministry base resources are unconditional."""
    ministry = replace(CITY, forced_class={Scope.INTERNAL: ShareClass.UNCONDITIONAL})
    outside = builders.item_group(external=builders.conditional())
    entry = replace(builders.entry(groups=[outside]), base_library="population")

    assert faults_of(entry, ministry) == [("FORCED_CLASS_VIOLATION", "groups.base.share")]


def test_an_unknown_base_library_is_named() -> None:
    entry = replace(builders.entry(), base_library="recipes")

    assert faults_of(entry, CITY) == [("LIBRARY_UNKNOWN", "base_library")]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"base_library": "population"}, "人口基础信息资源"),
        ({"upper_resource": "national/legal-entities"}, "national/legal-entities"),
    ],
)
def test_what_the_higher_platform_gathers_is_refused_with_a_pointer(
    change: dict[str, Any], pointer: str
) -> None:
    """R-030: refused with a pointer to the higher-level resource."""
    ministry = replace(CITY, exclude_upper_base=True)
    (fault,) = submission_faults(replace(builders.entry(), **change), ministry)

    assert fault.code == "UPPER_BASE_EXCLUDED"
    assert pointer in fault.message


# --- limits, regimes, prices, secrets ------------------------------------------------------------


@pytest.mark.parametrize(("days", "codes"), [(31, set()), (92, {"UPDATE_FLOOR_EXCEEDED"})])
def test_the_update_limit_stays_within_the_floor(days: int, codes: set[str]) -> None:
    """R-131, S-09.1: a quarterly limit under 002."""
    province = replace(RULES, update_floor_days=31)

    assert codes_of(builders.entry(update_limit_days=days), province) == codes


def test_a_special_regime_is_one_of_the_profile_and_names_its_rule() -> None:
    """R-037: the system records the governing rule."""
    province = replace(RULES, special_regimes=frozenset({"geographic_information"}))
    survey = SpecialRegime("geographic_information", "Surveying and Mapping Law")
    under = replace(builders.entry(), special_regime=survey)

    assert faults_of(under, province) == []
    assert codes_of(under) == {"SPECIAL_REGIME"}
    assert codes_of(
        replace(under, special_regime=replace(survey, governing_rule=" ")), province
    ) == {"SPECIAL_REGIME"}


def test_nobody_subscribes_to_an_entry_of_a_special_regime_under_the_general_rules() -> None:
    """R-037: general subscriptions are refused."""
    survey = SpecialRegime("geographic_information", "Surveying and Mapping Law")
    (fault,) = subscription_faults(replace(builders.entry(), special_regime=survey))

    assert fault.code == "SPECIAL_REGIME"
    assert "Surveying and Mapping Law" in fault.message
    assert not list(subscription_faults(builders.entry()))


def test_a_price_is_refused_wherever_it_stands_as_a_key_and_nowhere_else() -> None:
    """R-011: an entry or grant that carries a price field is rejected."""
    document = {"resource": "x", "groups": [{"name": "price", "Fee": 3}], "价格": 1}

    assert [(fault.code, fault.key) for fault in price_faults(document)] == [
        ("PRICE_NOT_ALLOWED", "groups.0.Fee"),
        ("PRICE_NOT_ALLOWED", "价格"),
    ]
    assert not list(price_faults(document, free_of_charge=False))


@pytest.mark.parametrize(
    "change",
    [
        {"secrecy": Secrecy.CONFIDENTIAL},
        {"title_zh": "国防设施 机密★10年"},
        {"usage_requirement": "绝密 ★ 长期"},
        {"groups": (builders.item_group(internal=builders.conditional(condition="秘密★5年")),)},
    ],
)
def test_of_classified_content_nothing_is_said_but_that_it_is_refused(
    change: dict[str, Any],
) -> None:
    """R-064, S-12.1: title and metadata are not stored, so the fault quotes nothing."""
    entry = replace(builders.entry(), format="", **change)
    faults = list(submission_faults(entry, RULES))

    assert [(fault.code, fault.key) for fault in faults] == [("CLASSIFIED_REFUSED", "")]
    assert entry.title_zh not in faults[0].message


@pytest.mark.parametrize(
    ("text", "marked"), [("机密★10年", True), ("秘密", False), ("商业秘密的保护", False)]
)
def test_a_word_is_no_marking(text: str, *, marked: bool) -> None:
    """R-064: law texts about secrets are no secrets."""
    assert carries_secrecy_marking(text) is marked


# --- what follows from classes -------------------------------------------------------------------


def test_only_an_entry_that_shares_nothing_is_published_without_data() -> None:
    """§6.1: NOT_SHARED: metadata only."""
    mixed = builders.entry(
        groups=[
            builders.item_group(internal=builders.not_shared(), external=builders.conditional())
        ]
    )

    assert is_metadata_only(entry_with(not_shared()))
    assert not is_metadata_only(mixed)


def test_unconditional_items_without_controlled_parameters_need_no_decision() -> None:
    """R-062, R-081: controlled parameters need a review although the class is unconditional."""
    entry = builders.entry()
    items = frozenset({"code", "name"})

    assert needs_no_decision(entry, Scope.INTERNAL, items)
    assert not needs_no_decision(entry, Scope.EXTERNAL, items)
    assert not needs_no_decision(entry, Scope.INTERNAL, items | {"unknown"})
    assert not needs_no_decision(
        replace(entry, controlled_parameters=("holder_key",)), Scope.INTERNAL, items
    )
    assert not needs_no_decision(entry_with(builders.conditional()), Scope.INTERNAL, items)


@pytest.mark.parametrize(
    ("deadline", "triggers", "opens"),
    [
        (15, {UpdateCause.LAW_CHANGE, UpdateCause.HOLDINGS_CHANGE}, True),
        (15, {UpdateCause.LAW_CHANGE}, False),
        (0, {UpdateCause.HOLDINGS_CHANGE}, True),
        (None, {UpdateCause.HOLDINGS_CHANGE}, False),
    ],
)
def test_a_change_of_holdings_opens_a_task_where_the_profile_says_so(
    deadline: int | None, triggers: set[UpdateCause], *, opens: bool
) -> None:
    """R-025, R-026, S-11.5: 000 holdings alone; 004 the same day; 002 no task."""
    rules = EntryRules(update_deadline_wd=deadline, update_triggers=frozenset(triggers))

    assert rules.opens_update_task(UpdateCause.HOLDINGS_CHANGE) is opens
