"""One data item, one source (一数一源, R-150, R-157)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bus.domain.entry import CatalogEntry


@dataclass(frozen=True, slots=True)
class SourceConflict:
    """Two entries that claim to be the source of one data element."""

    element: str
    first: str
    second: str
    second_item: str


def source_conflicts(entries: Iterable[CatalogEntry]) -> Iterator[SourceConflict]:
    """
    Yield every second claim of a data element within a jurisdiction.

    An element is known by its code, not by a column's name. An item marked `reference` points to
    an element of which another entry is the source, and claims nothing.
    """
    claimed: dict[tuple[str, str], str] = {}
    for entry in entries:
        for item in entry.items:
            if item.element is None or item.reference:
                continue
            first = claimed.setdefault((entry.jurisdiction, item.element), entry.resource)
            if first != entry.resource:
                yield SourceConflict(item.element, first, entry.resource, item.name)
