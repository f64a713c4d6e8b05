"""
What stands between a draft entry and its submission, as the jurisdiction's profile asks (§6.1).

`submission_faults` names every reason at once, each with its code. One is special: of an entry with
a secrecy marking the caller stores nothing, so `CLASSIFIED_REFUSED` comes alone and quotes nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bus.domain.entry import CatalogEntry, Secrecy
from bus.domain.grant import Fault
from bus.domain.identity import Role
from bus.domain.profile_terms import UpdateTrigger
from bus.domain.share import ItemGroup, ItemKind, LegalBasis, Scope, ShareClass, ShareRule
from bus.errors import ConfigError

#: The base resources that are gathered on the national platform (000 ¶25), and where they are.
UPPER_BASE: Mapping[str, str] = {
    "population": "人口基础信息资源",
    "legal_entity": "法人单位基础信息资源",
    "natural_resources_geospatial": "自然资源和空间地理基础信息资源",
    "e_licence": "电子证照基础信息资源",
    "social_credit": "社会信用基础信息资源",
}
#: What `catalog.required_metadata` may name, and the key of an entry that holds it.
METADATA: Mapping[str, str] = {
    "classification": "classification",
    "responsible_org": "provider",
    "format": "format",
    "attributes": "items",
    "update_limit": "update_limit_days",
    "share_class": "groups",
    "share_mode": "delivery_modes",
    "usage_requirement": "usage_requirement",
}
#: `usage.required_for` names classes, or this: the field is asked of every entry.
EVERY_ENTRY = "entry"
#: How a marking is written on papers: 机密★10年.
_MARKING = re.compile(r"(秘密|机密|绝密)\s*[★☆]")
#: What starts the clock of a catalog update (R-025, R-026): a word of the profile.
UpdateCause = UpdateTrigger
#: Keys that would put a price on sharing.
_PRICE_KEYS = frozenset(
    "price prices fee fees charge charges cost tariff paid_quota 价格 收费 费用".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRules:
    """What a profile says of entries; the defaults are those of requirements.md §2.2."""

    required_metadata: frozenset[str] = frozenset(METADATA)
    guide: str = "v1"
    """The version of the compiling guide (编制指南)."""
    classes: frozenset[ShareClass] = frozenset(ShareClass)
    basis_types: frozenset[str] = frozenset()
    written_application: bool = False
    application_decider: Role = Role.OFFICE
    """Who decides the written application of a not-shared class (D9)."""
    reason_required: bool = False
    usage_required_for: frozenset[str] = frozenset()
    """Values of `usage.required_for`: classes in lower case, or `EVERY_ENTRY`."""
    base_libraries: frozenset[str] = frozenset()
    forced_class: Mapping[Scope, ShareClass] = field(default_factory=dict)
    forced_for_base_items_only: bool = False
    exclude_upper_base: bool = False
    special_regimes: frozenset[str] = frozenset()
    update_floor_days: int | None = None
    free_of_charge: bool = True
    approver: Role | None = None
    """Who approves entries; None: they need no approval."""
    filing_required: bool = False
    update_triggers: frozenset[UpdateCause] = frozenset()
    update_deadline_wd: int | None = None
    """Working days for an update; 0: the same day; None: no clock runs."""

    def __post_init__(self) -> None:
        unknown = self.required_metadata - METADATA.keys()
        if unknown:
            raise ConfigError(f"catalog.required_metadata names unknown {sorted(unknown)}")

    def opens_update_task(self, cause: UpdateCause) -> bool:
        """Whether `cause` makes the affected organisations update their entries (R-025, R-026)."""
        return self.update_deadline_wd is not None and cause in self.update_triggers


def submission_faults(
    entry: CatalogEntry, rules: EntryRules, *, applied: bool = False
) -> Iterator[Fault]:
    """
    Yield everything that forbids the submission of `entry`.

    `applied` tells whether the owner filed the written application for a not-shared class. What
    needs other entries to see (`ONE_SOURCE_CONFLICT`) is checked by `bus.domain.one_source`.
    """
    if is_classified(entry):
        yield Fault("CLASSIFIED_REFUSED", "", "content with a secrecy marking is refused here")
        return
    named = [
        *_metadata_faults(entry, rules),
        *_place_faults(entry, rules),
        *_share_faults(entry, rules),
        *_forced_class_faults(entry, rules),
    ]
    if rules.written_application and has_not_shared(entry) and not applied:
        named.append(
            Fault(
                "APPLICATION_REQUIRED",
                "groups",
                "a not-shared class needs a written application by the owning organisation",
            )
        )
    yield from named
    keys = {fault.key for fault in named}
    for path, message in entry.faults():
        key = ".".join(path)
        share_rule = path[0] == "groups" and path[2:3] == ("share",)
        if key not in keys and not share_rule:
            yield Fault("DEFINITION_INVALID", key, message)


def is_classified(entry: CatalogEntry) -> bool:
    """Tell whether `entry` is marked secret, or a marking stands in one of its texts (R-064)."""
    if entry.secrecy is not Secrecy.NONE:
        return True
    texts = [entry.title_zh, entry.title_en, entry.classification, entry.format]
    texts.append(entry.usage_requirement)
    texts += [title for item in entry.items for title in (item.title_zh, item.title_en)]
    for group in entry.groups:
        texts += [group.title_zh, group.title_en]
        for rule in group.rules.values():
            texts += [rule.condition or "", rule.audience or ""]
            if rule.legal_basis is not None:
                texts += [rule.legal_basis.citation, rule.legal_basis.reason]
    return any(map(carries_secrecy_marking, texts))


def carries_secrecy_marking(text: str) -> bool:
    """Tell whether `text` carries a marking as papers do: 机密★10年."""
    return _MARKING.search(text) is not None


def price_faults(document: object, *, free_of_charge: bool = True) -> Iterator[Fault]:
    """Yield each key of a submitted document that would put a price on sharing (R-011)."""
    if free_of_charge:
        for path in _keys(document, ()):
            if path[-1].lower() in _PRICE_KEYS:
                yield Fault(
                    "PRICE_NOT_ALLOWED", ".".join(path), "sharing is free of charge: no price"
                )


def subscription_faults(entry: CatalogEntry) -> Iterator[Fault]:
    """Yield why nobody may subscribe to `entry` under the general rules (R-037)."""
    if entry.special_regime is not None:
        yield Fault(
            "SPECIAL_REGIME",
            "special_regime",
            f"{entry.resource} is governed by {entry.special_regime.governing_rule}, not by the "
            "general rules of sharing",
        )


def has_not_shared(entry: CatalogEntry) -> bool:
    """Tell whether any group is not shared with any scope."""
    return any(rule.share_class is ShareClass.NOT_SHARED for _, _, rule in _rules(entry))


def is_metadata_only(entry: CatalogEntry) -> bool:
    """Tell whether nothing of `entry` is shared, so that it is published without data."""
    return all(rule.share_class is ShareClass.NOT_SHARED for _, _, rule in _rules(entry))


def needs_no_decision(entry: CatalogEntry, scope: Scope, items: frozenset[str]) -> bool:
    """
    Tell whether `scope` gets `items` of `entry` without anybody's decision (R-081, R-062).

    After a class was loosened, requests of which this holds are resolved at once (R-063).
    """
    if entry.controlled_parameters or entry.special_regime is not None:
        return False
    known = entry.item_by_name
    rules = [entry.rule(known[name], scope) if name in known else None for name in items]
    return all(rule is not None and rule.share_class is ShareClass.UNCONDITIONAL for rule in rules)


def _rules(entry: CatalogEntry) -> Iterator[tuple[ItemGroup, Scope, ShareRule]]:
    for group in entry.groups:
        for scope, rule in group.rules.items():
            yield group, scope, rule


def _keys(document: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield (*path, str(key))
            yield from _keys(value, (*path, str(key)))
    elif isinstance(document, list | tuple):
        for index, value in enumerate(document):
            yield from _keys(value, (*path, str(index)))


def _metadata_faults(entry: CatalogEntry, rules: EntryRules) -> Iterator[Fault]:
    present = {
        "classification": bool(entry.classification.strip()),
        "responsible_org": bool(entry.provider.strip()),
        "format": bool(entry.format.strip()),
        "attributes": bool(entry.items),
        "update_limit": entry.update_limit_days >= 1,
        "share_class": bool(entry.groups),
        "share_mode": bool(entry.delivery_modes),
        "usage_requirement": bool(entry.usage_requirement.strip()),
    }
    for name in sorted(rules.required_metadata | {"share_class"}):
        if present[name] or (name == "usage_requirement" and _usage_demanded(entry, rules)):
            continue
        yield Fault("METADATA_MISSING", METADATA[name], f"the entry lacks its {name}")
    for group in entry.groups:
        if not group.rules:
            yield Fault(
                "METADATA_MISSING",
                f"groups.{group.name}.share",
                f"group {group.name} lacks its share_class",
            )
    if not present["usage_requirement"] and _usage_demanded(entry, rules):
        yield Fault("USAGE_REQUIRED", "usage_requirement", "say what the data may be used for")


def _usage_demanded(entry: CatalogEntry, rules: EntryRules) -> bool:
    classes = {rule.share_class.lower() for _, _, rule in _rules(entry)}
    return EVERY_ENTRY in rules.usage_required_for or bool(classes & rules.usage_required_for)


def _place_faults(entry: CatalogEntry, rules: EntryRules) -> Iterator[Fault]:
    if rules.update_floor_days is not None and entry.update_limit_days > rules.update_floor_days:
        yield Fault(
            "UPDATE_FLOOR_EXCEEDED",
            "update_limit_days",
            f"may be at most {rules.update_floor_days} days here",
        )
    upper = entry.upper_resource or UPPER_BASE.get(entry.base_library or "")
    if rules.exclude_upper_base and upper is not None:
        yield Fault(
            "UPPER_BASE_EXCLUDED",
            "upper_resource" if entry.upper_resource else "base_library",
            f"this is gathered on the higher-level platform; use {upper} there",
        )
    elif entry.base_library is not None and entry.base_library not in rules.base_libraries:
        yield Fault(
            "LIBRARY_UNKNOWN",
            "base_library",
            f"there is no base library {entry.base_library!r} in this jurisdiction",
        )
    regime = entry.special_regime
    if regime is not None and regime.code not in rules.special_regimes:
        yield Fault(
            "SPECIAL_REGIME",
            "special_regime",
            f"{regime.code!r} is no special regime of this jurisdiction",
        )
    elif regime is not None and not regime.governing_rule.strip():
        yield Fault("SPECIAL_REGIME", "special_regime", "name the rule that governs it")


def _share_faults(entry: CatalogEntry, rules: EntryRules) -> Iterator[Fault]:
    for group, scope, rule in _rules(entry):
        key = f"groups.{group.name}.share.{scope}"
        if rule.share_class not in rules.classes:
            yield Fault(
                "CLASS_NOT_IN_PROFILE",
                key,
                f"{rule.share_class} is no share class of this jurisdiction",
            )
            continue
        match rule.share_class:
            case ShareClass.UNCONDITIONAL:
                if rule.share_class.lower() in rules.usage_required_for and not rule.purposes:
                    yield Fault("USAGE_REQUIRED", f"{key}.purposes", "name the allowed uses")
            case ShareClass.CONDITIONAL:
                yield from _condition_faults(rule, key)
            case ShareClass.NOT_SHARED:
                yield from _basis_faults(rule.legal_basis, key, rules)


def _condition_faults(rule: ShareRule, key: str) -> Iterator[Fault]:
    if not (rule.condition or "").strip():
        yield Fault("CONDITION_REQUIRED", f"{key}.condition", "state the condition")
    if not (rule.audience or "").strip():
        yield Fault("AUDIENCE_REQUIRED", f"{key}.audience", "state the audience")
    if not rule.purposes:
        yield Fault("USES_REQUIRED", f"{key}.purposes", "state the allowed uses")


def _basis_faults(basis: LegalBasis | None, key: str, rules: EntryRules) -> Iterator[Fault]:
    key = f"{key}.legal_basis"
    if basis is None or not (basis.type.strip() and basis.citation.strip()):
        yield Fault("BASIS_REQUIRED", key, "a not-shared class needs its basis: type and citation")
        return
    if not basis.article.strip():
        yield Fault("BASIS_REQUIRED", key, "name the article of the basis")
    if basis.type.lower() not in rules.basis_types:
        yield Fault(
            "BASIS_TYPE_NOT_ALLOWED",
            f"{key}.type",
            f"{basis.type!r} is no basis here; allowed are {', '.join(sorted(rules.basis_types))}",
        )
    if rules.reason_required and not basis.reason.strip():
        yield Fault("REASON_REQUIRED", f"{key}.reason", "say in plain words why it is not shared")


def _forced_class_faults(entry: CatalogEntry, rules: EntryRules) -> Iterator[Fault]:
    if entry.base_library not in rules.base_libraries:
        return
    for group in entry.groups:
        if rules.forced_for_base_items_only and group.kind is not ItemKind.BASE:
            continue
        key = f"groups.{group.name}.share"
        if rules.forced_class and not group.rules.keys() & rules.forced_class.keys():
            yield Fault("FORCED_CLASS_VIOLATION", key, "must be offered to the scopes it serves")
        for scope, forced in rules.forced_class.items():
            rule = group.rules.get(scope)
            if rule is not None and rule.share_class is not forced:
                yield Fault(
                    "FORCED_CLASS_VIOLATION",
                    f"{key}.{scope}",
                    f"items of {entry.base_library} are {forced} for the {scope} scope",
                )
