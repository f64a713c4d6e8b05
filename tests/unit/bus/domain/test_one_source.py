"""Unit tests of `bus.domain.one_source`."""

from bus.domain.entry import CatalogEntry
from bus.domain.one_source import SourceConflict, source_conflicts
from tests import builders


def claiming(
    resource: str, element: str | None, *, name: str = "name", reference: bool = False
) -> CatalogEntry:
    claimed = builders.item(name, element=element, reference=reference)
    return builders.entry(resource, items=[builders.key_item(), claimed])


def test_a_second_claim_of_an_element_is_a_conflict_that_names_the_first() -> None:
    """R-150, R-157: by element code, whatever the column is called. Invariant 5."""
    entries = [claiming("first", "place-name"), claiming("second", "place-name", name="label")]

    conflicts = list(source_conflicts(entries))

    assert conflicts == [SourceConflict("place-name", "first", "second", "label")]


def test_every_further_claim_is_a_conflict_with_the_first() -> None:
    """R-150."""
    entries = [claiming(code, "place-name") for code in ("a", "b", "c")]

    assert [(each.first, each.second) for each in source_conflicts(entries)] == [
        ("a", "b"),
        ("a", "c"),
    ]


def test_an_item_that_points_to_an_element_claims_nothing() -> None:
    """R-158: lineage is declared; a reference is no second source."""
    first = claiming("first", "place-name")
    pointing = claiming("second", "place-name", reference=True)

    assert list(source_conflicts([first, pointing])) == []
    assert list(source_conflicts([pointing, first])) == []


def test_items_without_an_element_never_conflict() -> None:
    entries = [claiming("first", None), claiming("second", None)]

    assert list(source_conflicts(entries)) == []


def test_one_entry_may_have_two_items_of_one_element() -> None:
    twice = builders.entry(
        items=[
            builders.key_item(),
            builders.item("name", element="place-name"),
            builders.item("former_name", element="place-name"),
        ]
    )

    assert list(source_conflicts([twice])) == []


def test_each_jurisdiction_has_a_source_of_its_own() -> None:
    """R-150: exactly one source in a jurisdiction."""
    entries = [
        builders.entry(
            "divisions",
            jurisdiction=jurisdiction,
            items=[builders.key_item(), builders.item(element="place-name")],
        )
        for jurisdiction in ("cn", "nz")
    ]

    assert list(source_conflicts(entries)) == []
