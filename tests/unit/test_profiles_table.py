"""What the five regulations say, value by value, written out by hand: §2.2 of the requirements."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from bus.adapters.definitions.profiles import load_profiles
from bus.domain.profile import Profile
from bus.domain.profile_keys import KEYS
from bus.domain.profile_layers import OriginKind

#: The order of the columns below, with the seed that each one's clauses name.
SEEDS = {
    "moa-2017": "000",
    "changzhou-2018": "001",
    "hainan-2014": "002",
    "academy-2019": "003",
    "yanjin-2019": "004",
}
PROFILES = load_profiles()

THREE = ("unconditional", "conditional", "not_shared")
LAW = ("law", "administrative_regulation", "central_policy")
USES = (
    "administrative_basis",
    "work_reference",
    "data_verification",
    "business_collaboration",
)
BASES = (
    "population",
    "legal_entity",
    "natural_resources_geospatial",
    "e_licence",
    "social_credit",
)
METADATA = (
    *("classification", "responsible_org", "format", "attributes"),
    *("update_limit", "share_class", "share_mode", "usage_requirement"),
)
BUILDERS = {
    "population": "authority",
    "legal_entity": "authority",
    "e_licence": "authority",
    "natural_resources_geospatial": "lead_department",
    "social_credit": "lead_department",
}
TITLE = "sharing government information resources"
LAW_OR_FUNCTION = ("law_change", "function_change")
BOTH = {"internal": 10, "external": 10}
CITY_EVALUATORS = ("市政府办公室", "网信办", "编办", "发改委", "经信委", "财政局", "政务办")

#: requirements.md §2.2: 000, 001, 002, 003, 004. None: the regulation is silent.
STATED: dict[str, tuple[Any, Any, Any, Any, Any]] = {
    "meta.seed": ("000", "001", "002", "003", "004"),
    "meta.title": (
        f"Interim measures on {TITLE}, 2017",
        f"Interim measures on {TITLE}, 2018",
        f"Measures on {TITLE}, 2014",
        f"Trial measures on {TITLE}, 2019",
        f"Notice on {TITLE}, 2019",
    ),
    "meta.issuer": (
        "Ministry of Agriculture",
        "Changzhou city",
        "Hainan province",
        "an academy's general office",
        "Yanjin county",
    ),
    "meta.level": ("ministry", "city", "province", "institution", "county"),
    "meta.status": ("trial", "draft_for_review", "in_force", "trial", "notice"),
    "meta.effective_from": (None, "on_issue", "2014-12-19", "2019-08-01", None),
    "meta.replaces": (None, None, "2008-10-07 海南省数据共享平台管理暂行规定", None, None),
    "meta.parents_rules": (None, None, None, None, ("豫政办〔2018〕2号", "新政办〔2019〕24号")),
    "meta.text_complete": (False, True, True, True, True),
    "roles.steering": (
        "信息化领导小组",
        "大数据发展领导小组",
        "省信息化建设领导小组",
        "机关工作领导小组",
        "县政府",
    ),
    "roles.office": (
        "专项工作组",
        "市政府办公室",
        None,
        "办公厅（网信办）",
        "放管服改革协调小组办公室",
    ),
    "roles.authority": (
        "专项工作组",
        "市大数据管理局",
        "省信息化主管部门",
        "办公厅（网信办）",
        "县政务服务和大数据管理局",
    ),
    "roles.local_authority": (None, None, "市县信息化主管部门", None, None),
    "roles.operator": (
        "信息中心",
        "市大数据管理局",
        "专门机构",
        "网络中心",
        "平台建设单位（企业）",
    ),
    "roles.security": ("信息中心", "市网信办", None, None, None),
    "roles.audit": (None, "审计机关", None, None, None),
    "roles.finance": (None, None, None, "条财局", None),
    "roles.project_review": ("信息中心", None, None, None, None),
    "org.kinds": (
        ("bureau", "ministry_unit", "academy", "national_department"),
        ("government_department", "public_function_body", "district_government"),
        (
            *("party", "congress", "administration", "cppcc", "court", "procuratorate"),
            "civil_service_managed_institution",
        ),
        ("headquarters_department", "affiliated_institute", "national_department"),
        ("county_department", "township", "subdistrict", "industrial_cluster"),
    ),
    "classes.enabled": (THREE, THREE, ("unconditional", "conditional"), THREE, THREE),
    "classes.scopes": (
        ("internal", "external"),
        ("all",),
        ("all",),
        ("internal", "external"),
        ("all",),
    ),
    "classes.not_shared.basis_types": (LAW, LAW, None, (*LAW, "institution_rule"), LAW),
    "classes.not_shared.written_application": (True, False, None, False, False),
    # Nobody is named; read as the special working group (D9).
    "classes.not_shared.application_to": ("office", None, None, None, None),
    "classes.not_shared.reason": (False, False, None, False, True),
    "usage.codes": (USES, USES, None, None, USES),
    "usage.required_for": (
        ("unconditional", "conditional"),
        ("conditional",),
        (),
        ("entry",),
        ("conditional",),
    ),
    "application.reply_deadline_wd": (BOTH, 10, 10, BOTH, 5),
    "application.clock_start": (
        "submitted",
        "submitted",
        "received",
        {"internal": "received", "external": "gateway_notice_received"},
        "received",
    ),
    "application.deadline_covers": ("reply", "reply", "reply", "reply", "approval_complete"),
    "application.supply": (
        "in_time",
        None,
        "agreed_way",
        "authorised_office",
        "operator_on_authorisation",
    ),
    "application.form_fields": (
        ("need", "purpose"),
        ("need", "purpose"),
        ("purpose", "knowledge_scope", "security_measures"),
        {"inbound": "annex_1", "internal": "annex_2_written"},
        ("need", "purpose"),
    ),
    "application.agreement": (None, None, "if_either_side_asks", None, None),
    # R-091; of the last one nothing is said, the procedure for disagreement is taken (D12).
    "application.not_shared_request": (
        "consultation",
        "consultation",
        None,
        "consultation",
        "disagreement",
    ),
    "unconditional.access": ("direct", "direct", "direct", "permission_opened", "direct"),
    "unconditional.controlled_params_approval": (False, False, False, False, True),
    "refusal.reason": ("none_stated", "stated", "written", "written_opinion", "specific"),
    "refusal.to": (None, None, None, {"internal": "consumer", "external": "office"}, None),
    "refusal.consent_by": (None, None, "authority", None, None),
    "refusal.grounds": ("any", "any", "statutory_only", "any", "any"),
    "escalation.internal": (
        ("consultation", "steering"),
        ("consultation", "authority"),
        ("authority", "steering"),
        ("consultation", "steering"),
        ("three_party_meeting", "government"),
    ),
    "escalation.external": (
        ("consultation", "interministerial_conference"),
        ("consultation", "steering"),
        None,
        ("three_way_consultation", "interministerial_conference"),
        None,
    ),
    "escalation.external_means": (None, "provincial_department_involved", None, None, None),
    "escalation.internal_applies_to": (None, None, None, ("not_shared",), None),
    "escalation.external_not_shared_approval": (None, None, None, "steering", None),
    "escalation.raised_by": ("consumer", None, "complainant", "consumer", "any"),
    "gateway.body": ("office", "authority", None, "office", None),
    "gateway.technical": (None, None, None, "operator", None),
    "gateway.pre_review.conditional": ("steering", None, None, "steering", None),
    "gateway.pre_review.not_shared": ("steering", None, None, "steering", None),
    "gateway.unconditional_inbound": ("direct", None, None, "proxy", None),
    "gateway.format_conversion": (False, False, None, True, None),
    "onboarding.mode": ("none", "none", "application_and_pledge", "none", "none"),
    "onboarding.approved_by": (None, None, "authority", None, None),
    "onboarding.first_use_only": (None, None, True, None, None),
    "catalog.required_metadata": (None, METADATA, None, METADATA, METADATA),
    "catalog.update_deadline_wd": (15, 15, None, 15, 0),
    "catalog.update_triggers": (
        (*LAW_OR_FUNCTION, "holdings_change"),
        LAW_OR_FUNCTION,
        ("business_demand_change",),
        LAW_OR_FUNCTION,
        LAW_OR_FUNCTION,
    ),
    "catalog.filing_required": (False, False, False, False, True),
    "catalog.composer": ("office", "authority", "authority", "office", "authority"),
    "catalog.approver": (None, None, None, "steering", None),
    "catalog.exclude_upper_base": (True, False, False, False, False),
    "base_libraries.libraries": (
        ("agri_natural_resources", "agri_geospatial"),
        BASES,
        None,
        None,
        BASES,
    ),
    "base_libraries.forced_class": (
        {"internal": "unconditional"},
        "unconditional",
        None,
        None,
        "unconditional",
    ),
    "base_libraries.applies_to": (None, "base_items", None, None, "base_items"),
    "base_libraries.builder": ("lead_department", "lead_department", None, None, BUILDERS),
    "theme.list": (
        (),
        (
            *("health", "social_security", "food_drug_safety", "work_safety", "price", "energy"),
            *("credit", "urban_rural_construction", "community", "environment", "emergency"),
            *("poverty_relief", "government_services"),
        ),
        None,
        None,
        (
            *("health", "social_security", "food_drug_safety", "work_safety", "price", "energy"),
            *("urban_rural_construction", "community", "environment", "emergency"),
        ),
    ),
    "theme.builder": (None, "lead_department", None, None, "authority"),
    "provisioning.executor": ("operator", "operator", "operator", "office", "operator"),
    "update.mode": (
        "in_time",
        "catalog_limit",
        "realtime",
        "catalog_limit",
        "incremental_realtime_push",
    ),
    "update.floor": (None, None, "monthly", None, None),
    "storage.unconditional": (
        "any",
        "report_to_platform",
        "must_land_on_platform",
        "any",
        "any",
    ),
    "storage.conditional": ("any", "any", "land_or_channel", "any", "any"),
    "delivery.modes": (
        ("platform",),
        ("system_docking", "front_end_machine", "online_query", "batch_download"),
        ("platform", "exchange_channel"),
        ("platform", "national_upload"),
        ("subscription_push", "service_interface"),
    ),
    "verification.enabled": (True, True, None, None, True),
    "verification.route": (
        "via_steering",
        "direct",
        None,
        None,
        "direct_and_notify_authority",
    ),
    "verification.external_route": ("via_steering", None, None, None, None),
    "verification.continue_service": (None, True, None, None, True),
    "verification.target_wd": (None, None, None, None, None),
    "disagreement.enabled": (False, False, False, False, True),
    "disagreement.subjects": (
        *(None, None, None, None),
        ("sharing_condition", "application_reason", "authorisation_result"),
    ),
    "disagreement.convener": (None, None, None, None, "authority"),
    "disagreement.parties": (None, None, None, None, ("provider", "consumer", "operator")),
    "disagreement.final": (None, None, None, None, "县政府"),
    "complaint.enabled": (False, False, True, False, False),
    "complaint.form": (None, None, "written", None, None),
    "complaint.handled_by": (None, None, "authority", None, None),
    "complaint.final": (None, None, "steering", None, None),
    "complaint.written_result": (None, None, True, None, None),
    "redistribution": (
        "prohibited",
        "prohibited",
        "with_authorisation",
        "with_provider_consent",
        "prohibited",
    ),
    "public_release": (None, None, "with_authorisation", None, None),
    "rectification.issuer": ("office", "office", "authority", None, None),
    "rectification.strikes": (2, 1, 1, None, None),
    "rectification.escalate_to": ("steering", "市政府", "authority", None, None),
    "rectification.sanctions": (
        ("public_criticism", "accountability"),
        ("report_to_government",),
        ("public_criticism", "project_approval_suspended"),
        None,
        None,
    ),
    "rectification.grounds": (
        (
            "catalog_not_compiled_or_late",
            "concealed_omitted_inflated_or_late_supply",
            "inconsistent_or_unusable",
        ),
        (
            *("catalog_not_compiled_or_late", "late_supply", "intake_refused_without_cause"),
            *("inconsistent_or_unusable", "use_beyond_duty", "duplicate_collection", "other"),
        ),
        (
            *("refusal_without_cause", "delayed_or_not_updated"),
            *("misuse_leak_or_scope_widened", "not_continuously_guaranteed"),
        ),
        None,
        None,
    ),
    "rectification.grounds_complete": (False, True, True, None, None),
    "report.due": ("01-31", "01-31", None, None, "01-05"),
    "report.due_window": (None, None, None, ("06-01", "06-30"), None),
    "report.upgrade_plan_due": (None, None, None, "06-30", None),
    "report.to": ("office", "steering", None, "office", "authority"),
    "report.upward": ("国务院办公厅", None, None, None, None),
    "evaluation.by": (
        ("office",),
        CITY_EVALUATORS,
        ("authority",),
        ("expert_panel",),
        ("authority",),
    ),
    "evaluation.supervised_by": ("steering", None, None, None, None),
    "evaluation.convened_by": (None, None, None, ("办公厅", "条财局"), None),
    "evaluation.publish": (
        "after_steering_review",
        "report_and_advice",
        "circulate_results",
        "to_steering",
        None,
    ),
    "evaluation.effects": (
        ("performance",),
        ("performance", "project", "running_cost"),
        ("project", "acceptance"),
        ("running_cost_next_year",),
        ("project", "running_cost"),
    ),
    "evaluation.dimensions": (
        ("supply", "use", "upkeep"),
        ("supply", "use"),
        ("sharing",),
        ("running_service", "sharing", "network_security"),
        ("supply", "use"),
    ),
    "one_source.enforce": (True, True, True, None, True),
    "one_source.multi_check": (True, True, None, None, True),
    "one_source.assigner": (None, None, "authority", None, None),
    "one_source.duplicate_exception": ("none", "none", "none", "none", "law_citation"),
    "one_source.duplicate_statistics": (None, None, None, "avoid", None),
    "cascade.topology": (
        "own_platform",
        "own_platform",
        "single_provincial_platform",
        "own_platform",
        "tenant_of_parent",
    ),
    "cascade.parents": (("national",), ("province",), None, ("national",), ("city",)),
    "cascade.children": (None, ("district",), None, None, None),
    "cascade.zones": (
        ("internal", "external"),
        ("internal", "external"),
        ("external",),
        None,
        None,
    ),
    "cascade.catalog_up": (None, None, None, ("on_change", "periodic"), None),
    "cascade.catalog_down": (None, None, None, "periodic", None),
    "special_regimes": (
        *(None, None, ("geographic_information", "public_security_video")),
        *(("scientific_data", "information_disclosure"), None),
    ),
    "project_gate.approver": ("steering", "joint_departments", "authority", None, "government"),
    "project_gate.technical_review": ("operator", None, None, None, None),
    "project_gate.needs": (
        *(None, None, ("needs_analysis", "sharing_catalog", "sharing_content")),
        *(None, None),
    ),
    "project_gate.also_at": (None, None, "acceptance", None, None),
    "project_gate.upgrade": (None, None, None, ("expert_review", "steering"), None),
    "project_gate.new_build": (
        *(None, None, None),
        ("expert_review", "president_meeting", "state_council_eoffice_filing"),
        None,
    ),
    "authority_dispatch": (None, None, None, None, True),
    "demand_list.enabled": (None, None, None, None, True),
    "demand_list.compiled_by": (None, None, None, None, "authority"),
    "free_of_charge": (True, True, True, None, True),
    "stats.official": (None, None, None, "platform", None),
    "security.min_grade": (None, None, None, None, None),
    "security.end_user_required": (None, None, None, None, True),
    "security.ca": (None, None, None, None, None),
    "standards.parent": (None, None, None, None, None),
}

#: requirements.md §2.2, `defaults`, and the values of §2.4: no regulation says so.
DEFAULTS: dict[str, Any] = {
    "free_of_charge": True,
    "org.required_contacts": ("head", "lead_unit"),
    "org.supervision_tree": False,
    "calendar.country": "CN",
    "calendar.timezone": "Asia/Shanghai",
    "calendar.count_first_day": False,
    "calendar.day_end": "24:00",
    "calendar.roll_fixed_dates": "next_working_day",
    "calendar.unknown_year": "provisional",
    "calendar.on_amendment": "recompute_open",
    "catalog.required_metadata": METADATA,
    "catalog.guide": "v1",
    "catalog.mount_grace": "30d",
    "catalog.not_shared_visible": True,
    "catalog.trigger_registrars": ("authority", "own_organisation"),
    "class_change.grace.to_conditional_wd": 10,
    "class_change.grace.to_not_shared_wd": 0,
    "application.on_overdue": "escalate_and_record",
    "application.not_shared_request": "consultation",
    "application.after_refusal": "changed_content",
    "consultation.escalate_after_wd": 10,
    "refusal.consent_target_wd": 5,
    "escalation.refused_conditional": "same_chain",
    "grant.period": "1y",
    "grant.reminder_days": 30,
    "grant.provider_may_shorten": True,
    "grant.at_end": "delete_and_confirm",
    "push.latency_objective": "5s",
    "push.alarm": "30s",
    "retention.events": "30d",
    "retention.decisions": "forever",
    "update.heartbeat": "allowed",
    "update.tolerance": "1.5x_update_limit",
    "quality.rules": (),
    "reconcile.period": "daily",
    "standards.sets": (),
    "one_source.enforce": True,
    "one_source.on_violation": "quarantine",
    "verification.enabled": True,
    "verification.route": "direct_and_notify_authority",
    "verification.target_wd": 5,
    "disagreement.convene_target_wd": 5,
    "security.signing": True,
    "security.watermark": False,
    "security.assessment_period": "1y",
    "audit.retention": "3y",
    "incident.suspend_at_once": True,
    "backup.period": "daily",
    "backup.restore_test": "quarterly",
    "inspection.publish": "per_evaluation",
    "stats.official": "platform",
    "system_inventory.enabled": True,
    "demand_list.enabled": True,
    "authority_dispatch": False,
    "special_regimes": (),
}

each_profile = pytest.mark.parametrize("name", SEEDS)
SILENCE = (None,) * len(SEEDS)


def cells() -> Iterator[tuple[str, str, Any]]:
    """Yield profile, key, and what its regulation states."""
    for key in KEYS:
        for name, stated in zip(SEEDS, STATED.get(key, SILENCE), strict=True):
            yield name, key, stated


def origins(profile: Profile, key: str) -> list[OriginKind]:
    """Return where the values of `key` come from: one, or one a label."""
    return [entry.origin.kind for entry in profile.entries() if entry.key == key]


def test_the_table_has_every_key_and_every_profile() -> None:
    """R-008, R-014: nothing may be written in a profile that this table does not pin."""
    assert STATED.keys() | DEFAULTS.keys() == KEYS.keys()
    assert PROFILES.keys() == SEEDS.keys()


@pytest.mark.parametrize(("name", "key", "stated"), [*cells()])
def test_a_value_is_what_its_regulation_says(name: str, key: str, stated: object) -> None:
    """R-008, R-014, R-050, R-083, R-266: §2.2, key by key, each with its origin."""
    profile = PROFILES[name]
    if stated is not None:
        assert profile.whole(key) == stated
        assert set(origins(profile, key)) == {OriginKind.OWN}
    elif key in DEFAULTS:
        assert profile.whole(key) == DEFAULTS[key]
        assert origins(profile, key) == [OriginKind.DEFAULT]
    else:
        assert profile.whole(key) is None
        assert origins(profile, key) == [OriginKind.SILENT]


@each_profile
def test_each_value_of_a_regulation_names_its_clause(name: str) -> None:
    """R-014, R-266: source and status go with every value; what we read into it says so."""
    for entry in PROFILES[name].entries():
        if entry.origin.kind is OriginKind.OWN:
            assert entry.origin.clause is not None, entry.name
            # `001 §17`, `001: no such rule`, `assumed (D11): 001 §5`
            assert re.search(rf"\b{SEEDS[name]}(: | [§¶]|, clause not)", entry.origin.clause)
        if entry.origin.kind is OriginKind.DEFAULT:
            assert str(entry.origin) == "default, not law"


@each_profile
def test_a_profile_has_a_version_and_a_legal_basis(name: str) -> None:
    """R-014."""
    profile = PROFILES[name]
    assert profile.version == 1
    assert profile.parent is None
    assert profile.get("meta.title")
    assert profile.get("meta.issuer")
    assert profile.get("meta.status")


def test_assumptions_are_marked() -> None:
    """D9 to D12 of requirements.md §0.3 are ours, not the regulations'."""
    assumed = {
        (name, entry.key)
        for name, profile in PROFILES.items()
        for entry in profile.entries()
        if str(entry.origin).startswith("assumed")
    }
    assert assumed == {
        ("moa-2017", "classes.not_shared.application_to"),
        ("changzhou-2018", "roles.authority"),
        ("yanjin-2019", "application.not_shared_request"),
        ("yanjin-2019", "cascade.topology"),
        ("yanjin-2019", "cascade.parents"),
        ("yanjin-2019", "security.end_user_required"),
    }
