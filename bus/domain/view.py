"""
A view: the rows and items of one resource generation that a grant allows (design.md §5).

A view is immutable and known by a short hash of its canonical form, so that grants which allow the
same share one view, and the bus writes once per distinct view.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bus.domain.items import ItemType, Nullable, Scalar
from bus.domain.pseudonyms import PseudonymKey

_VIEW_ID_LENGTH = 12


class Treatment(StrEnum):
    """What a view does to one item. An item that a view does not name is omitted."""

    KEEP = "keep"
    OMIT = "omit"
    NULL = "null"
    """The item is there, and always null."""
    PARTIAL = "partial"
    """脱敏: a text of which the first and last letters are kept (`bus.domain.masking`)."""
    HMAC = "hmac"
    """A text as its pseudonym: for joining without reading (`bus.domain.pseudonyms`)."""
    FIXED = "fixed"
    """A text that is always `***`, also where there is none."""


#: Those that are for texts alone.
_OF_TEXT = frozenset({Treatment.PARTIAL, Treatment.HMAC, Treatment.FIXED})


def may_treat(treatment: Treatment, item_type: ItemType) -> bool:
    """Tell whether items of a type can be treated so."""
    inner = item_type.inner if isinstance(item_type, Nullable) else item_type
    return treatment not in _OF_TEXT or inner is Scalar.STRING


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Rows (`row_filter`, CEL, None for all) and items (`treatments`) of a resource generation."""

    jurisdiction: str
    resource: str
    generation: int
    row_filter: str | None
    treatments: Mapping[str, Treatment]
    """By item name; items that are omitted are not named."""
    pseudonyms_for: PseudonymKey | None = None
    """
    Whose pseudonyms it shows, and of which key; None for a view that shows none.

    A view with pseudonyms is of one organisation, and two organisations never share it.
    """

    def __post_init__(self) -> None:
        if (Treatment.HMAC in self.treatments.values()) is (self.pseudonyms_for is None):
            raise ValueError("a view has the treatment hmac if and only if it says for whom")

    @property
    def id(self) -> str:
        """A short hash of the canonical form; the same in every process and release."""
        digest = hashlib.sha256(self.canonical_form().encode()).digest()
        return base64.b32encode(digest).decode().lower()[:_VIEW_ID_LENGTH]

    def canonical_form(self) -> str:
        """
        Return the text that `id` is computed from.

        Pseudonyms are named only where there are any, so other ids are as they were without them.
        """
        parts: dict[str, object] = {
            "generation": self.generation,
            "jurisdiction": self.jurisdiction,
            "resource": self.resource,
            "row_filter": self.row_filter,
            "treatments": {item: str(self.treatments[item]) for item in sorted(self.treatments)},
        }
        if self.pseudonyms_for is not None:
            parts["pseudonyms_for"] = str(self.pseudonyms_for)
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    def kept(self) -> frozenset[str]:
        """Return the names of the items that a record of this view has."""
        return frozenset(self.treatments)

    def nulled(self) -> frozenset[str]:
        """Return the names of those that are always null."""
        return frozenset(name for name, how in self.treatments.items() if how is Treatment.NULL)


def make_view(
    *,
    jurisdiction: str,
    resource: str,
    generation: int,
    row_filter: str | None,
    treatments: Mapping[str, Treatment],
    pseudonyms_for: PseudonymKey | None = None,
) -> View:
    """
    Return the view in canonical form: no omitted items, no white space around the filter.

    `pseudonyms_for` is who will receive it; it is part of the view only if an item is a pseudonym.
    """
    return View(
        jurisdiction=jurisdiction,
        resource=resource,
        generation=generation,
        row_filter=(row_filter or "").strip() or None,
        treatments={
            item: treatment
            for item, treatment in sorted(treatments.items())
            if treatment is not Treatment.OMIT
        },
        pseudonyms_for=pseudonyms_for if Treatment.HMAC in treatments.values() else None,
    )


def widens(old: View, new: View) -> bool:
    """
    Tell whether `new` certainly shows at least what `old` shows, of the same generation.

    Row filters are compared as text: filters that differ count as narrowing, because nobody can
    tell in general which of two CEL expressions allows more.
    """
    return (
        (old.jurisdiction, old.resource, old.generation)
        == (new.jurisdiction, new.resource, new.generation)
        and (new.row_filter is None or new.row_filter == old.row_filter)
        and old.pseudonyms_for in {None, new.pseudonyms_for}
        and all(new.treatments.get(item) == how for item, how in old.treatments.items())
    )
