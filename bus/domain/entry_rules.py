"""What a jurisdiction's profile says of catalog entries, as the rules of their life cycle."""

from bus.domain.identity import Role
from bus.domain.profile import Profile
from bus.domain.share import Scope, ShareClass
from bus.domain.submission import EntryRules

#: "At least monthly" in days; real time has no floor of its own (R-131).
_FLOORS = {"monthly": 31}
_BASE_ITEMS = "base_items"


def entry_rules(profile: Profile) -> EntryRules:
    """Return the rules for entries under `profile`."""
    not_shared = profile.not_shared
    approver = profile.catalog_approver
    decider = None if not_shared is None else not_shared.application_to
    return EntryRules(
        required_metadata=profile.required_metadata,
        guide=profile.get("catalog.guide"),
        classes=profile.enabled_classes,
        basis_types=frozenset() if not_shared is None else not_shared.basis_types,
        written_application=not_shared is not None and not_shared.written_application,
        application_decider=Role(decider) if decider else Role.OFFICE,
        reason_required=not_shared is not None and not_shared.reason,
        usage_required_for=frozenset(profile.get("usage.required_for") or ()),
        base_libraries=frozenset(profile.base_libraries),
        forced_class=_forced(profile),
        forced_for_base_items_only=profile.get("base_libraries.applies_to") == _BASE_ITEMS,
        exclude_upper_base=profile.catalog_excludes_upper_base,
        special_regimes=profile.special_regimes,
        update_floor_days=_FLOORS.get(profile.update_floor or ""),
        free_of_charge=profile.free_of_charge,
        approver=Role(approver) if approver else None,
        filing_required=profile.catalog_filing_required,
        update_triggers=profile.catalog_update_triggers,
        update_deadline_wd=profile.catalog_update_deadline_wd,
    )


def _forced(profile: Profile) -> dict[Scope, ShareClass]:
    return {
        scope: forced
        for scope in profile.scopes
        if (forced := profile.forced_class(scope)) is not None
    }
