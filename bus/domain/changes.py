"""
The difference between the catalog that is declared and the one in force.

`difference` decides what has to happen, and refuses what may not: a grant that ended never comes
back, and what decides where a record lies changes only with a new generation.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from bus.domain.catalog import Catalog, CatalogFault, LiveCatalog, LiveEntry, LiveGrant
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant, GrantState
from bus.domain.organisation import Organisation
from bus.domain.pseudonyms import FIRST_VERSION
from bus.domain.view import View, widens


@dataclass(frozen=True, slots=True)
class SaveOrganisation:
    """Register an organisation, or change what is known of it."""

    organisation: Organisation
    new: bool


@dataclass(frozen=True, slots=True)
class PublishEntry:
    """Publish an entry, or a new version of it."""

    entry: CatalogEntry
    version: int
    new_generation: bool


@dataclass(frozen=True, slots=True)
class RetireEntry:
    """Take an entry out of the catalog; its grants end first."""

    resource: str


@dataclass(frozen=True, slots=True)
class GiveGrant:
    """Activate a new grant."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class AmendGrant:
    """Put a new version of a grant in the place of the old one."""

    grant: Grant
    version: int
    same_view: bool
    widens: bool


@dataclass(frozen=True, slots=True)
class EndGrant:
    """End a grant for good."""

    grant: Grant
    state: GrantState


Change: TypeAlias = (
    SaveOrganisation | PublishEntry | RetireEntry | GiveGrant | AmendGrant | EndGrant
)


def describe(change: Change) -> str:
    """Return one line that says what `change` does, marked `+`, `~` or `-`."""
    match change:
        case SaveOrganisation(organisation, new):
            return f"{'+' if new else '~'} organisation {organisation.code}"
        case PublishEntry(entry, version, new_generation):
            what = f"resource {entry.resource}, version {version}"
            if version == 1:
                return f"+ {what}"
            return f"~ {what}" + (f", new generation {entry.generation}" if new_generation else "")
        case RetireEntry(resource):
            return f"- resource {resource} (retired)"
        case GiveGrant(grant):
            return f"+ grant {grant.id}: {grant.resource} to {grant.consumer}"
        case AmendGrant(grant, version, same_view, wider):
            effect = "same view" if same_view else "wider view" if wider else "narrower view"
            return f"~ grant {grant.id}, version {version} ({effect})"
        case EndGrant(grant, state):
            return f"- grant {grant.id} ({state.lower()}): {grant.resource} to {grant.consumer}"


def difference(
    live: LiveCatalog, declared: Catalog, today: dt.date
) -> Iterator[Change | CatalogFault]:
    """
    Yield what must happen to make `live` equal to `declared`, in the order in which it may happen.

    Grants end before anything else; entries come before the grants on them. A declared grant counts
    on the days of its period only; an organisation that is no longer declared becomes inactive.
    """
    for code, held in sorted(live.grants.items()):
        wanted = declared.grants.get(code)
        if held.state is GrantState.ACTIVE and (wanted is None or not wanted.in_force(today)):
            state = GrantState.REVOKED if wanted is None else GrantState.EXPIRED
            yield EndGrant(held.grant, state)
    yield from _organisation_changes(live, declared)
    for resource, existing in sorted(live.entries.items()):
        if not existing.retired and resource not in declared.entries:
            yield RetireEntry(resource)
    for resource, entry in sorted(declared.entries.items()):
        yield from _entry_changes(live.entries.get(resource), entry)
    for code, grant in sorted(declared.grants.items()):
        if grant.in_force(today):
            yield from _grant_changes(live, live.grants.get(code), grant, declared)


def _organisation_changes(
    live: LiveCatalog, declared: Catalog
) -> Iterator[SaveOrganisation | CatalogFault]:
    for code, organisation in sorted(declared.organisations.items()):
        known = live.organisations.get(code)
        if known is not None and organisation.pseudonym_key < known.pseudonym_key:
            yield CatalogFault(
                "organisation",
                code,
                ("pseudonym_key",),
                "PSEUDONYM_KEY_OVER",
                f"{code} has key version {known.pseudonym_key}; a former one is not taken again",
            )
        elif known != organisation:
            yield SaveOrganisation(organisation, new=known is None)
    for code, known in sorted(live.organisations.items()):
        if known.active and code not in declared.organisations:
            yield SaveOrganisation(replace(known, active=False), new=False)


def _entry_changes(
    live: LiveEntry | None, entry: CatalogEntry
) -> Iterator[PublishEntry | CatalogFault]:
    if live is None:
        yield PublishEntry(entry, 1, new_generation=True)
        return
    if live.retired:
        yield CatalogFault(
            "entry",
            entry.resource,
            ("resource",),
            "RESOURCE_RETIRED",
            f"{entry.resource} was retired; a code is not used again",
        )
        return
    if live.entry == entry:
        return
    fault = _generation_fault(live.entry, entry)
    if fault is not None:
        yield fault
        return
    yield PublishEntry(entry, live.version + 1, entry.generation != live.entry.generation)


def _generation_fault(old: CatalogEntry, new: CatalogEntry) -> CatalogFault | None:
    if new.jurisdiction != old.jurisdiction or new.generation not in (
        old.generation,
        old.generation + 1,
    ):
        return CatalogFault(
            "entry",
            new.resource,
            ("generation",),
            "GENERATION_INVALID",
            f"the generation may stay {old.generation} or become {old.generation + 1}",
        )
    if new.generation > old.generation:
        return None
    fixed = {
        "provider": (old.provider, new.provider),
        "partitions": (old.partitions, new.partitions),
        "items": (
            [(item.name, item.type) for item in old.key_items],
            [(item.name, item.type) for item in new.key_items],
        ),
    }
    for key, (before, after) in fixed.items():
        if before != after:
            return CatalogFault(
                "entry",
                new.resource,
                (key,),
                "GENERATION_REQUIRED",
                f"provider, partitions and key items change only with `generation: "
                f"{old.generation + 1}`, which the provider publishes anew",
            )
    return None


def _grant_changes(
    live: LiveCatalog, held: LiveGrant | None, grant: Grant, declared: Catalog
) -> Iterator[Change | CatalogFault]:
    if held is None:
        yield GiveGrant(grant)
        return
    if held.state.ended:
        yield CatalogFault(
            "grant",
            grant.id,
            ("grant",),
            "GRANT_ENDED",
            f"{grant.id} is {held.state.lower()} and stays so; give a new grant",
        )
        return
    if held.grant.resource != grant.resource or held.grant.consumer != grant.consumer:
        yield CatalogFault(
            "grant",
            grant.id,
            ("grant",),
            "GRANT_INVALID",
            "resource and consumer of a grant do not change; give a new grant",
        )
        return
    entry = declared.entries.get(grant.resource)
    if entry is None:
        return
    old_view = _view(held.grant, live.entries[grant.resource].entry, live.organisations)
    new_view = _view(grant, entry, declared.organisations)
    if held.grant != grant or old_view != new_view:
        yield AmendGrant(
            grant,
            held.version + 1,
            same_view=old_view == new_view,
            widens=widens(old_view, new_view),
        )


def _view(grant: Grant, entry: CatalogEntry, organisations: Mapping[str, Organisation]) -> View:
    consumer = organisations.get(grant.consumer)
    # A consumer that nobody knows is a fault, which is told elsewhere.
    version = FIRST_VERSION if consumer is None else consumer.pseudonym_key
    return grant.view(entry, pseudonym_key=version)
