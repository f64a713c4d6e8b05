"""
What a new version of an entry does to the grants on it (R-036, R-063).

A tightened class ends what no longer qualifies, at once or when the profile's grace is over; a
loosened one lets pending requests through (`bus.domain.submission.needs_no_decision`).
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.domain.share import Scope, ShareClass, ShareRule
from bus.domain.view import Treatment

#: The reason that the holder is told, and that withheld records carry.
CLASS_TIGHTENED = "CLASS_TIGHTENED"

_STRICTNESS = {ShareClass.UNCONDITIONAL: 0, ShareClass.CONDITIONAL: 1, ShareClass.NOT_SHARED: 2}
#: Stricter than any class: the item is not offered to the scope.
_NOT_OFFERED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChange:
    """How the class of one item changed for one scope; None: not offered to it."""

    scope: Scope
    item: str
    before: ShareClass | None
    after: ShareClass | None

    @property
    def tightened(self) -> bool:
        """Whether less is allowed than before."""
        return _strictness(self.after) > _strictness(self.before)


class GrantAction(StrEnum):
    """What happens to a grant that no longer qualifies as it stands."""

    NARROW = "NARROW"
    """It goes on without the items that it lost."""
    SUSPEND = "SUSPEND"
    """Nothing is left that it could deliver: a key item is lost, or all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grace:
    """Until when grants go on, the last day included; None: they end at once."""

    to_conditional: dt.date | None = None
    to_not_shared: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantStep:
    """One thing that happens to a grant, and when."""

    action: GrantAction
    after: dt.date | None
    """The last day of the grace; None: at once, in the version step."""
    lost: frozenset[str]
    treatments: Mapping[str, Treatment]
    """What the grant keeps; empty where it is suspended."""


def class_changes(old: CatalogEntry, new: CatalogEntry) -> tuple[ClassChange, ...]:
    """Return how the classes differ, by scope and item; unchanged ones are left out."""
    names = sorted(old.item_by_name.keys() | new.item_by_name.keys())
    changes = (
        ClassChange(
            scope=scope,
            item=name,
            before=_class_of(old, name, scope),
            after=_class_of(new, name, scope),
        )
        for scope in Scope
        for name in names
    )
    return tuple(change for change in changes if change.before is not change.after)


def effect_on_grant(grant: Grant, new: CatalogEntry, grace: Grace | None) -> tuple[GrantStep, ...]:
    """
    Return what the new version does to `grant`, the earliest first; empty: it goes on as it is.

    An item stays where its class is unconditional, or conditional and the provider had decided the
    grant for a purpose that is still allowed. What the entry no longer has, or no longer offers to
    the scope, counts as not shared. A grace that began with an earlier version is not longer for a
    further one. Without `grace` nothing has changed but the time: only those that began go on.
    """
    kept = {name: how for name, how in grant.treatments.items() if how is not Treatment.OMIT}
    rules = {name: _rule(new, name, grant.scope) for name in kept}
    lost = {
        name: _deadline(grant.graces.get(name), rule, grace)
        for name, rule in rules.items()
        if not _qualifies(grant, rule, new.provider)
    }
    keys = {item.name for item in new.key_items}
    steps: list[GrantStep] = []
    for after in sorted(set(lost.values()), key=lambda day: day or dt.date.min):
        gone = frozenset(name for name, end in lost.items() if end == after)
        kept = {name: how for name, how in kept.items() if name not in gone}
        if gone & keys or not kept:
            suspended = GrantStep(action=GrantAction.SUSPEND, after=after, lost=gone, treatments={})
            return (*steps, suspended)
        steps.append(
            GrantStep(action=GrantAction.NARROW, after=after, lost=gone, treatments=dict(kept))
        )
    return tuple(steps)


def _qualifies(grant: Grant, rule: ShareRule | None, provider: str) -> bool:
    if rule is None or rule.share_class is ShareClass.NOT_SHARED:
        return False
    if rule.share_class is ShareClass.CONDITIONAL:
        return grant.decided_by == provider and grant.purpose in rule.purposes
    return True


def _deadline(begun: dt.date | None, rule: ShareRule | None, grace: Grace | None) -> dt.date | None:
    if grace is None:
        return begun
    conditional = rule is not None and rule.share_class is ShareClass.CONDITIONAL
    ends = grace.to_conditional if conditional else grace.to_not_shared
    return ends if begun is None or ends is None else min(begun, ends)


def _rule(entry: CatalogEntry, name: str, scope: Scope) -> ShareRule | None:
    item = entry.item_by_name.get(name)
    return None if item is None else entry.rule(item, scope)


def _class_of(entry: CatalogEntry, name: str, scope: Scope) -> ShareClass | None:
    rule = _rule(entry, name, scope)
    return None if rule is None else rule.share_class


def _strictness(share_class: ShareClass | None) -> int:
    return _NOT_OFFERED if share_class is None else _STRICTNESS[share_class]
