"""Unit tests of `bus.domain.catalog`."""

import pytest
from hypothesis import given

from bus.domain.catalog import Catalog, CatalogFault, catalog_faults
from bus.domain.entry import CatalogEntry
from bus.domain.grant import GrantState
from bus.domain.organisation import Organisation
from tests import builders
from tests.domain_strategies import entries


def faults_of(catalog: Catalog) -> list[tuple[str, str, str, str]]:
    return [
        (fault.kind, fault.id, ".".join(fault.path), fault.code)
        for fault in catalog_faults(catalog)
    ]


def test_a_sound_catalog_has_no_fault() -> None:
    assert faults_of(builders.catalog()) == []


@given(entries())
def test_a_sound_entry_of_a_registered_organisation_may_be_published(entry: CatalogEntry) -> None:
    provider = builders.organisation(entry.provider)

    catalog = builders.catalog(organisations=[provider], entries=[entry], grants=[])

    assert faults_of(catalog) == []


def test_an_organisations_code_is_part_of_topic_names() -> None:
    catalog = builders.catalog(
        organisations=[builders.organisation("Stats Bureau")], entries=[], grants=[]
    )

    assert faults_of(catalog) == [("organisation", "Stats Bureau", "code", "DEFINITION_INVALID")]


def test_what_is_wrong_with_an_entry_is_reported_with_its_place() -> None:
    catalog = builders.catalog(entries=[builders.entry(generation=0)])

    assert faults_of(catalog) == [("entry", "divisions", "generation", "DEFINITION_INVALID")]


@pytest.mark.parametrize(
    "organisations",
    [
        [builders.organisation(builders.CONSUMER)],
        [builders.organisation(builders.CONSUMER), builders.organisation(active=False)],
    ],
    ids=["unregistered", "inactive"],
)
def test_an_entry_needs_a_registered_active_provider(organisations: list[Organisation]) -> None:
    """R-001, R-020: an unregistered or inactive organisation cannot publish."""
    catalog = builders.catalog(organisations=organisations, grants=[])

    assert faults_of(catalog) == [("entry", "divisions", "provider", "ORGANISATION_UNKNOWN")]


def test_a_second_source_of_an_element_is_refused_and_names_the_first() -> None:
    """R-150: registering a second source is rejected and names the first. Invariant 5."""
    items = [builders.key_item(), builders.item("name", element="place-name")]
    catalog = builders.catalog(
        entries=[builders.entry("first", items=items), builders.entry("second", items=items)],
        grants=[],
    )

    faults = list(catalog_faults(catalog))

    assert [(fault.kind, fault.id, fault.path, fault.code) for fault in faults] == [
        ("entry", "second", ("items", "name", "element"), "ONE_SOURCE_CONFLICT")
    ]
    assert faults[0].message.startswith("first is the one source of element 'place-name'")


def test_a_grant_on_nothing_to_nobody_names_both() -> None:
    """R-023: no subscription without a published entry. R-001: nor an unregistered consumer."""
    stray = builders.grant(resource="nothing", consumer="nobody")

    found = faults_of(builders.catalog(grants=[stray]))

    assert found == [
        ("grant", "divisions-housing", "resource", "RESOURCE_UNKNOWN"),
        ("grant", "divisions-housing", "consumer", "ORGANISATION_UNKNOWN"),
    ]


def test_what_is_wrong_with_a_grant_is_reported_with_its_place() -> None:
    catalog = builders.catalog(grants=[builders.grant(items=["code", "salary"])])

    assert list(catalog_faults(catalog)) == [
        CatalogFault(
            "grant",
            "divisions-housing",
            ("items", "salary"),
            "ITEM_UNKNOWN",
            "divisions has no item 'salary'",
        )
    ]


def test_a_grant_on_an_entry_without_a_provider_has_only_the_entrys_fault() -> None:
    catalog = builders.catalog(organisations=[builders.organisation(builders.CONSUMER)])

    assert faults_of(catalog) == [("entry", "divisions", "provider", "ORGANISATION_UNKNOWN")]


def test_only_active_grants_are_in_force_in_a_fixed_order() -> None:
    """Invariant 6: a grant that ended delivers nothing."""
    live = builders.live_catalog(
        grants=[
            builders.live_grant(builders.grant("b")),
            builders.live_grant(builders.grant("c"), state=GrantState.REVOKED),
            builders.live_grant(builders.grant("d"), state=GrantState.EXPIRED),
            builders.live_grant(builders.grant("a")),
        ]
    )

    found = [(grant.id, entry.resource) for grant, entry in live.active_grants()]

    assert found == [("a", "divisions"), ("b", "divisions")]
