"""Finding things of the catalog by their texts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from bus.domain.organisation import Zone

#: Where a page ends: matches in titles, title, kind, id.
FoundKey: TypeAlias = tuple[int, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDocument:
    """What something is found by."""

    kind: str
    """`entry`, for one: ids are unique within a kind."""
    id: str
    jurisdiction: str
    zone: Zone
    title: str
    """What it is shown with, and sorted by."""
    titles: tuple[str, ...] = ()
    """More of what counts as title: other languages, codes."""
    texts: tuple[str, ...] = ()
    """Everything else: names of items, keywords, the provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something that was found."""

    kind: str
    id: str
    jurisdiction: str
    title: str
    matches: int
    """How many tokens of the question are in its titles."""

    @property
    def key(self) -> FoundKey:
        """Where it stands among everything that was found."""
        return (self.matches, self.title, self.kind, self.id)


class CatalogSearch(Protocol):
    """Finds what has been indexed; indexing is part of the transaction that writes the thing."""

    def find(
        self,
        question: str,
        *,
        zone: Zone | None = None,
        jurisdictions: Collection[str] | None = None,
        kinds: Collection[str] | None = None,
        after: FoundKey | None = None,
        limit: int,
    ) -> Sequence[Found]:
        """
        Return what has all tokens of the question: most matches in titles first, then by title.

        None for a filter is everything. A question without tokens finds everything there is. Raise
        `StoreUnavailable` if the store does not answer.
        """
        ...
