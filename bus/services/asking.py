"""What a consumer may ask for, and as whom it asks."""

from dataclasses import replace

from bus.domain.entry import CatalogEntry
from bus.domain.organisation import Level, Organisation
from bus.domain.profile import Profile
from bus.domain.request import Ask
from bus.domain.share import Scope, ShareClass
from bus.errors import Refused
from bus.services.desk import Act

_STRICTNESS = [ShareClass.UNCONDITIONAL, ShareClass.CONDITIONAL, ShareClass.NOT_SHARED]
_LEVELS = [
    Level.AFFILIATED,
    Level.TOWNSHIP,
    Level.COUNTY,
    Level.CITY,
    Level.PROVINCIAL,
    Level.NATIONAL,
]


def scope_of(consumer: Organisation, entry: CatalogEntry, profile: Profile) -> Scope:
    """Return in which audience a consumer is; a jurisdiction with one audience has no outside."""
    if len(profile.scopes) == 1:
        return profile.scopes[0]
    inside = consumer.jurisdiction == entry.jurisdiction and not consumer.outside
    return Scope.INTERNAL if inside else Scope.EXTERNAL


def whole(ask: Ask, entry: CatalogEntry, scope: Scope) -> Ask:
    """Return what is asked for: without items, all that are unconditional for the scope."""
    ask = replace(ask, keys=tuple(item.name for item in entry.key_items))
    if ask.items:
        for name in ask.items:
            if name not in entry.item_by_name:
                raise Refused(f"{entry.resource} has no item {name!r}", code="ITEM_UNKNOWN")
        return ask
    open_items = tuple(
        item.name
        for item in entry.items
        if (rule := entry.rule(item, scope)) is not None
        and rule.share_class is ShareClass.UNCONDITIONAL
    )
    if not open_items:
        raise Refused("name the items: none is unconditional for you", code="FORM_INCOMPLETE")
    return replace(ask, items=open_items)


def class_of(ask: Ask, entry: CatalogEntry, scope: Scope) -> ShareClass:
    """Return the strictest class of what is asked for; key items belong to every view."""
    found = ShareClass.UNCONDITIONAL
    for name in dict.fromkeys((*ask.items, *ask.keys)):
        rule = entry.rule(entry.item_by_name[name], scope)
        if rule is None:
            raise Refused(f"{name!r} is not offered to the {scope} scope", code="SCOPE_NOT_OFFERED")
        found = max(found, rule.share_class, key=_STRICTNESS.index)
    return found


def active_organisation(act: Act, code: str) -> Organisation:
    """Return an organisation; raise `Refused` ORGANISATION_INACTIVE unless it is active."""
    found = act.transaction.organisation(code)
    if found is None or not found.active:
        raise Refused(f"{code!r} is no active organisation", code="ORGANISATION_INACTIVE")
    return found


def higher_level(
    act: Act, entry: CatalogEntry, provider: Organisation, consumer: Organisation
) -> bool:
    """Tell whether an organisation of a higher level than the jurisdiction's is involved."""
    level = act.settings(entry.jurisdiction).level
    if level is None:
        return False
    return any(_LEVELS.index(each.level) > _LEVELS.index(level) for each in (provider, consumer))
