"""Unit tests of `bus.domain.changes`."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from bus.domain.catalog import Catalog, CatalogFault, LiveCatalog
from bus.domain.changes import (
    AmendGrant,
    Change,
    EndGrant,
    GiveGrant,
    PublishEntry,
    RetireEntry,
    SaveOrganisation,
    describe,
    difference,
)
from bus.domain.grant import GrantState
from bus.domain.items import Nullable, Scalar
from bus.domain.organisation import Organisation
from bus.domain.view import Treatment
from tests import builders

EMPTY = LiveCatalog(organisations={}, entries={}, grants={})
NEW_ITEMS = (*builders.entry().items, builders.item("area", Nullable(Scalar.DOUBLE)))


def changes(
    live: LiveCatalog, declared: Catalog, today: dt.date = builders.TODAY
) -> list[Change | CatalogFault]:
    return list(difference(live, declared, today))


def refusals(live: LiveCatalog, declared: Catalog) -> list[tuple[str, tuple[str, ...], str]]:
    return [
        (found.id, found.path, found.code)
        for found in changes(live, declared)
        if isinstance(found, CatalogFault)
    ]


def test_nothing_changes_if_what_is_declared_is_in_force() -> None:
    assert changes(builders.live_catalog(), builders.catalog()) == []


def test_everything_is_new_to_an_empty_catalog_and_comes_in_order() -> None:
    """R-023: organisations, then entries, then the grants on them."""
    declared = builders.catalog()

    found = changes(EMPTY, declared)

    assert found == [
        SaveOrganisation(builders.organisation("housing"), new=True),
        SaveOrganisation(builders.organisation("statistics"), new=True),
        PublishEntry(builders.entry(), 1, new_generation=True),
        GiveGrant(builders.grant()),
    ]
    assert [describe(each) for each in found if not isinstance(each, CatalogFault)] == [
        "+ organisation housing",
        "+ organisation statistics",
        "+ resource divisions, version 1",
        "+ grant divisions-housing: divisions to housing",
    ]


def test_everything_goes_when_nothing_is_declared_and_grants_end_first() -> None:
    """Invariant 6: access ends before what it gave access to does."""
    nothing = builders.catalog(organisations=[], entries=[], grants=[])

    found = changes(builders.live_catalog(), nothing)

    assert found == [
        EndGrant(builders.grant(), GrantState.REVOKED),
        SaveOrganisation(builders.organisation("housing", active=False), new=False),
        SaveOrganisation(builders.organisation("statistics", active=False), new=False),
        RetireEntry("divisions"),
    ]
    assert [describe(each) for each in found if not isinstance(each, CatalogFault)] == [
        "- grant divisions-housing (revoked): divisions to housing",
        "~ organisation housing",
        "~ organisation statistics",
        "- resource divisions (retired)",
    ]


def test_what_has_gone_already_does_not_go_again() -> None:
    gone = builders.live_catalog(
        organisations=[builders.organisation(active=False)],
        entries=[builders.live_entry(retired=True)],
        grants=[builders.live_grant(state=GrantState.REVOKED)],
    )

    found = changes(gone, builders.catalog(organisations=[], entries=[], grants=[]))

    assert found == []


def with_key(version: int) -> list[Organisation]:
    """Return both organisations, the consumer with a key version for its pseudonyms."""
    consumer = replace(builders.organisation(builders.CONSUMER), pseudonym_key=version)
    return [builders.organisation(), consumer]


def test_a_new_key_changes_the_views_with_pseudonyms_and_no_others() -> None:
    """docs/adr/0024: the files need not name each grant again."""
    treatments = {"code": Treatment.KEEP, "name": Treatment.HMAC}
    grants = [builders.grant(), builders.grant("pseudonymous", treatments=treatments)]
    held = [builders.live_grant(grant) for grant in grants]

    found = changes(
        builders.live_catalog(organisations=with_key(1), grants=held),
        builders.catalog(organisations=with_key(3), grants=grants),
    )

    assert found == [
        SaveOrganisation(with_key(3)[1], new=False),
        AmendGrant(grants[1], 2, same_view=False, widens=False),
    ]


def test_a_former_key_is_not_taken_again() -> None:
    """Its secret may have been seen: a line that is missing in a file does not bring it back."""
    (fault,) = changes(
        builders.live_catalog(organisations=with_key(2)),
        builders.catalog(organisations=with_key(1)),
    )

    assert isinstance(fault, CatalogFault)
    assert (fault.id, fault.path, fault.code) == (
        "housing",
        ("pseudonym_key",),
        "PSEUDONYM_KEY_OVER",
    )


def test_an_organisation_is_saved_when_anything_about_it_changes() -> None:
    renamed = builders.organisation(title_en="Office of Statistics")
    declared = builders.catalog(organisations=[renamed, builders.organisation(builders.CONSUMER)])

    found = changes(builders.live_catalog(), declared)

    assert found == [SaveOrganisation(renamed, new=False)]


# --- Entries --------------------------------------------------------------------------------------


def test_a_changed_entry_is_a_new_version() -> None:
    """R-028: entry versions are immutable and numbered."""
    live = builders.live_catalog(entries=[builders.live_entry(version=4)])
    changed = builders.entry(items=NEW_ITEMS)

    found = changes(live, builders.catalog(entries=[changed]))

    assert found == [PublishEntry(changed, 5, new_generation=False)]
    assert describe(PublishEntry(changed, 5, new_generation=False)) == (
        "~ resource divisions, version 5"
    )


def test_a_new_generation_is_a_new_version_and_its_grants_get_a_new_view() -> None:
    """design.md §4: what decides where a record lies changes with a new generation only."""
    changed = builders.entry(generation=2, partitions=8)

    found = changes(builders.live_catalog(), builders.catalog(entries=[changed]))

    assert found == [
        PublishEntry(changed, 2, new_generation=True),
        AmendGrant(builders.grant(), 2, same_view=False, widens=False),
    ]
    assert describe(PublishEntry(changed, 2, new_generation=True)) == (
        "~ resource divisions, version 2, new generation 2"
    )


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"provider": "housing"}, "provider"),
        ({"partitions": 2}, "partitions"),
        ({"items": [builders.key_item("name"), builders.item("code")]}, "items"),
        ({"items": [builders.key_item("code", Scalar.LONG), builders.item("name")]}, "items"),
        ({"items": [builders.key_item("code"), builders.key_item("name")]}, "items"),
    ],
    ids=["provider", "partitions", "another key item", "its type", "one more"],
)
def test_what_decides_where_a_record_lies_needs_a_new_generation(
    change: dict[str, Any], key: str
) -> None:
    """design.md §4; R-155: a source moves with a recorded step, never under its subscribers."""
    moved = builders.entry(**change)
    next_generation = replace(moved, generation=2)

    assert refusals(builders.live_catalog(), builders.catalog(entries=[moved])) == [
        ("divisions", (key,), "GENERATION_REQUIRED")
    ]
    assert refusals(builders.live_catalog(), builders.catalog(entries=[next_generation])) == []


def test_the_order_of_items_that_are_no_key_may_change_within_a_generation() -> None:
    reordered = builders.entry(items=builders.entry().items[::-1])

    found = changes(builders.live_catalog(), builders.catalog(entries=[reordered]))

    assert found == [PublishEntry(reordered, 2, new_generation=False)]


@pytest.mark.parametrize(
    ("old", "change"),
    [
        (1, {"generation": 3}),
        (3, {"generation": 2}),
        (3, {"generation": 1}),
        (1, {"generation": 1, "jurisdiction": "nz"}),
        (1, {"generation": 2, "jurisdiction": "nz"}),
    ],
)
def test_a_generation_stays_or_becomes_the_next(old: int, change: dict[str, Any]) -> None:
    live = builders.live_catalog(
        entries=[builders.live_entry(builders.entry(generation=old))], grants=[]
    )
    declared = builders.catalog(entries=[builders.entry(**change)], grants=[])

    assert refusals(live, declared) == [("divisions", ("generation",), "GENERATION_INVALID")]


def test_a_retired_resource_never_comes_back() -> None:
    """requirements.md §6.1: RETIRED is an end state."""
    live = builders.live_catalog(entries=[builders.live_entry(retired=True)], grants=[])

    found = refusals(live, builders.catalog(grants=[]))

    assert found == [("divisions", ("resource",), "RESOURCE_RETIRED")]


# --- Grants ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [GrantState.REVOKED, GrantState.EXPIRED])
def test_a_grant_that_ended_never_comes_back(state: GrantState) -> None:
    """design.md §9, requirements.md §6.3: a revoked grant is never given again."""
    live = builders.live_catalog(grants=[builders.live_grant(state=state)])

    assert changes(live, builders.catalog()) == [
        CatalogFault(
            "grant",
            "divisions-housing",
            ("grant",),
            "GRANT_ENDED",
            f"divisions-housing is {state.lower()} and stays so; give a new grant",
        )
    ]


def test_a_grant_ends_on_the_day_after_its_last() -> None:
    last_day = builders.grant().valid_until

    on_time = changes(builders.live_catalog(), builders.catalog(), last_day)
    too_late = changes(builders.live_catalog(), builders.catalog(), last_day + dt.timedelta(days=1))

    assert on_time == []
    assert too_late == [EndGrant(builders.grant(), GrantState.EXPIRED)]
    assert describe(EndGrant(builders.grant(), GrantState.EXPIRED)).startswith(
        "- grant divisions-housing (expired)"
    )


@pytest.mark.parametrize(
    "period",
    [
        {"valid_from": dt.date(2026, 1, 6)},
        {"valid_from": dt.date(2025, 1, 1), "valid_until": dt.date(2026, 1, 4)},
    ],
    ids=["not yet", "no more"],
)
def test_a_grant_outside_its_period_is_not_given(period: dict[str, Any]) -> None:
    declared = builders.catalog(grants=[builders.grant(**period)])

    assert changes(builders.live_catalog(grants=[]), declared) == []


def test_an_expired_grant_may_stay_declared() -> None:
    over = builders.grant(valid_until=dt.date(2026, 1, 4))
    live = builders.live_catalog(grants=[builders.live_grant(over, state=GrantState.EXPIRED)])

    assert changes(live, builders.catalog(grants=[over])) == []


@pytest.mark.parametrize(
    ("before", "after", "same_view", "wider", "effect"),
    [
        ({}, {"valid_until": dt.date(2027, 1, 1)}, True, True, "same view"),
        ({"items": ["code"]}, {"items": ["code", "name"]}, False, True, "wider view"),
        ({"items": ["code", "name"]}, {"items": ["code"]}, False, False, "narrower view"),
        ({"row_filter": 'name == "a"'}, {"row_filter": None}, False, True, "wider view"),
        ({"row_filter": None}, {"row_filter": 'name == "a"'}, False, False, "narrower view"),
    ],
)
def test_a_changed_grant_is_amended_and_its_effect_is_said(
    before: dict[str, Any],
    after: dict[str, Any],
    *,
    same_view: bool,
    wider: bool,
    effect: str,
) -> None:
    """design.md §9: narrowing cuts the old access first, widening switches later. R-063."""
    live = builders.live_catalog(grants=[builders.live_grant(builders.grant(**before), version=2)])
    amended = builders.grant(**after)

    found = changes(live, builders.catalog(grants=[amended]))

    change = AmendGrant(amended, 3, same_view=same_view, widens=wider)
    assert found == [change]
    assert describe(change) == f"~ grant divisions-housing, version 3 ({effect})"


@pytest.mark.parametrize("change", [{"resource": "streets"}, {"consumer": "statistics"}])
def test_a_grant_does_not_move_to_another_resource_or_consumer(change: dict[str, str]) -> None:
    declared = builders.catalog(
        entries=[builders.entry(), builders.entry("streets")],
        grants=[
            builders.grant(
                resource=change.get("resource", "divisions"),
                consumer=change.get("consumer", "housing"),
            )
        ],
    )
    live = builders.live_catalog(
        entries=[builders.live_entry(), builders.live_entry(builders.entry("streets"))]
    )

    assert refusals(live, declared) == [("divisions-housing", ("grant",), "GRANT_INVALID")]


def test_a_grant_on_a_resource_that_is_gone_is_left_to_the_catalogs_own_check() -> None:
    declared = builders.catalog(entries=[])

    assert changes(builders.live_catalog(), declared) == [RetireEntry("divisions")]
