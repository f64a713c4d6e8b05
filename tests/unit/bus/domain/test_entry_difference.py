"""Unit tests of `bus.domain.entry_difference`."""

from dataclasses import replace

from hypothesis import given

from bus.domain.entry import CatalogEntry
from bus.domain.entry_difference import difference
from tests import builders
from tests.domain_strategies import entries

ENTRY = builders.entry()


@given(entry=entries())
def test_a_version_that_says_the_same_differs_in_nothing(entry: CatalogEntry) -> None:
    """R-028."""
    assert difference(entry, replace(entry)) == ()


def test_items_classes_and_fields_are_named() -> None:
    """R-028, S-11.2: what holders of grants are told."""
    first, *others = ENTRY.items
    group = builders.item_group(internal=builders.conditional(), external=builders.not_shared())
    new = replace(
        ENTRY,
        items=(first, *others[1:], replace(others[0], name="added")),
        groups=(replace(group, name=ENTRY.groups[0].name),),
        title_en="another title",
        update_limit_days=ENTRY.update_limit_days + 1,
        controlled_parameters=("holder_key",),
    )

    told = difference(ENTRY, new)

    assert "item added is new" in told
    assert f"item {others[0].name} is gone" in told
    assert f"item {first.name}, internal: UNCONDITIONAL becomes CONDITIONAL" in told
    assert "title_en is another title" in told
    assert "controlled_parameters is holder_key" in told
    assert f"update_limit_days is {ENTRY.update_limit_days + 1}" in told


def test_an_item_that_is_described_anew_is_named_without_its_description() -> None:
    first, *others = ENTRY.items
    new = replace(ENTRY, items=(replace(first, title_en="other words"), *others))

    assert difference(ENTRY, new) == (f"item {first.name} is described anew",)
