"""
The catalog as a whole: organisations, entries and grants, and the rules between them.

`catalog_faults` is what stands between a declared catalog and its publication.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant, GrantState, grant_faults
from bus.domain.names import is_code
from bus.domain.one_source import source_conflicts
from bus.domain.organisation import Organisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What is declared: the state that somebody wants."""

    organisations: Mapping[str, Organisation]
    entries: Mapping[str, CatalogEntry]
    grants: Mapping[str, Grant]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEntry:
    """A catalog entry as it stands, with its version."""

    entry: CatalogEntry
    version: int
    retired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGrant:
    """A grant as it stands."""

    grant: Grant
    version: int
    state: GrantState


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCatalog:
    """What is in force."""

    organisations: Mapping[str, Organisation]
    entries: Mapping[str, LiveEntry]
    grants: Mapping[str, LiveGrant]

    def without(self, jurisdictions: Collection[str]) -> "LiveCatalog":
        """Return the catalog without what belongs to these jurisdictions."""
        entries = {
            code: each
            for code, each in self.entries.items()
            if each.entry.jurisdiction not in jurisdictions
        }
        return LiveCatalog(
            organisations={
                code: each
                for code, each in self.organisations.items()
                if each.jurisdiction not in jurisdictions
            },
            entries=entries,
            grants={
                code: each for code, each in self.grants.items() if each.grant.resource in entries
            },
        )

    def standing_grants(self) -> Iterator[tuple[LiveGrant, CatalogEntry]]:
        """Yield each grant that has a view, in force or suspended, with its entry."""
        for _, live in sorted(self.grants.items()):
            if live.state in {GrantState.ACTIVE, GrantState.SUSPENDED}:
                yield live, self.entries[live.grant.resource].entry

    def active_grants(self) -> Iterator[tuple[Grant, CatalogEntry]]:
        """Yield each grant in force with the entry it is about, in a fixed order."""
        for _, live in sorted(self.grants.items()):
            if live.state is GrantState.ACTIVE:
                yield live.grant, self.entries[live.grant.resource].entry


@dataclass(frozen=True, slots=True)
class CatalogFault:
    """Something that forbids publication: what it is about, where, why."""

    kind: str
    """`organisation`, `entry` or `grant`."""
    id: str
    path: tuple[str, ...]
    """The key inside the definition."""
    code: str
    message: str


def governed_faults(catalog: Catalog, governed: Collection[str]) -> Iterator[CatalogFault]:
    """Yield what files declare in jurisdictions that are governed through the API."""
    for code, organisation in catalog.organisations.items():
        if organisation.jurisdiction in governed:
            yield CatalogFault(
                "organisation",
                code,
                ("code",),
                "JURISDICTION_GOVERNED",
                f"{organisation.jurisdiction} is governed through the API, not by files",
            )


def catalog_faults(catalog: Catalog) -> Iterator[CatalogFault]:
    """Yield everything that forbids `catalog`, except what needs a filter compiler to see."""
    for code in catalog.organisations:
        if not is_code(code):
            yield CatalogFault(
                "organisation", code, ("code",), "DEFINITION_INVALID", f"{code!r} is not a code"
            )
    for entry in catalog.entries.values():
        for path, message in entry.faults():
            yield CatalogFault("entry", entry.resource, path, "DEFINITION_INVALID", message)
        provider = catalog.organisations.get(entry.provider)
        if provider is None or not provider.active:
            yield CatalogFault(
                "entry",
                entry.resource,
                ("provider",),
                "ORGANISATION_UNKNOWN",
                f"{entry.provider!r} is not a registered, active organisation",
            )
    for conflict in source_conflicts(catalog.entries.values()):
        yield CatalogFault(
            "entry",
            conflict.second,
            ("items", conflict.second_item, "element"),
            "ONE_SOURCE_CONFLICT",
            f"{conflict.first} is the one source of element {conflict.element!r}; mark the item "
            "`reference: true` if it only points to it",
        )
    for grant in catalog.grants.values():
        yield from _grant_faults(grant, catalog)


def _grant_faults(grant: Grant, catalog: Catalog) -> Iterator[CatalogFault]:
    entry = catalog.entries.get(grant.resource)
    consumer = catalog.organisations.get(grant.consumer)
    if entry is None:
        yield CatalogFault(
            "grant",
            grant.id,
            ("resource",),
            "RESOURCE_UNKNOWN",
            f"there is no resource {grant.resource!r}",
        )
    if consumer is None:
        yield CatalogFault(
            "grant",
            grant.id,
            ("consumer",),
            "ORGANISATION_UNKNOWN",
            f"{grant.consumer!r} is not a registered organisation",
        )
    if entry is None or consumer is None or entry.provider not in catalog.organisations:
        return
    provider = catalog.organisations[entry.provider]
    for fault in grant_faults(grant, entry, consumer=consumer, provider=provider):
        path = tuple(fault.key.split("."))
        yield CatalogFault("grant", grant.id, path, fault.code, fault.message)
