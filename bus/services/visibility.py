"""Who may know of a case: its parties, and those who oversee its jurisdiction."""

from collections.abc import Collection
from dataclasses import replace

from bus.domain.cases import CaseFilter
from bus.domain.identity import Actor, Role

#: Who sees all of a jurisdiction; the others see what they are a party of.
_OVERSEERS = frozenset(
    {
        Role.AUTHORITY,
        Role.OFFICE,
        Role.STEERING,
        Role.OPERATOR,
        Role.SECURITY,
        Role.AUDITOR,
    }
)


def oversees(actor: Actor, jurisdiction: str) -> bool:
    """Tell whether an actor sees all of a jurisdiction."""
    return actor.jurisdiction == jurisdiction and bool(actor.roles & _OVERSEERS)


def may_see(actor: Actor, jurisdiction: str, parties: Collection[str]) -> bool:
    """Tell whether an actor may know of something between `parties` of a jurisdiction."""
    if actor.organisation in parties and Role.DEPARTMENT in actor.roles:
        return True
    return oversees(actor, jurisdiction)


def seen_as_party(actor: Actor, where: CaseFilter) -> CaseFilter:
    """Narrow a listing to what the actor oversees, or is a party of."""
    return _overseen(actor, where) or replace(where, party=actor.organisation)


def seen_as_provider(actor: Actor, where: CaseFilter) -> CaseFilter:
    """Narrow a listing to what the actor oversees, or has as the provider."""
    return _overseen(actor, where) or replace(where, provider=actor.organisation)


def _overseen(actor: Actor, where: CaseFilter) -> CaseFilter | None:
    if not oversees(actor, actor.jurisdiction):
        return None
    return replace(where, jurisdiction=actor.jurisdiction)
