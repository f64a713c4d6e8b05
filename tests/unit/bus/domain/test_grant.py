"""Unit tests of `bus.domain.grant`."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from bus.domain.entry import CatalogEntry, DeliveryMode
from bus.domain.grant import MAX_FILTER_BYTES, Fault, Grant, GrantState, grant_faults
from bus.domain.organisation import Zone
from bus.domain.pseudonyms import PseudonymKey
from bus.domain.share import Purpose, Scope
from bus.domain.view import Treatment
from tests import builders

KEEP = Treatment.KEEP
#: Two groups: `base` for everybody inside and on conditions outside, `business` for nobody inside.
TWO_GROUPS = builders.entry(
    groups=[
        builders.item_group(
            "base", internal=builders.unconditional(), external=builders.conditional()
        ),
        builders.item_group("business", internal=builders.not_shared()),
    ],
    items=[
        builders.key_item("code"),
        builders.item("name"),
        builders.item("income", group="business"),
    ],
)


def faults_of(
    grant: Grant,
    entry: CatalogEntry = TWO_GROUPS,
    *,
    consumer_active: bool = True,
    consumer_zone: Zone = Zone.EXTERNAL,
) -> list[Fault]:
    consumer = builders.organisation(builders.CONSUMER, active=consumer_active, zone=consumer_zone)
    return list(grant_faults(grant, entry, consumer=consumer, provider=builders.organisation()))


def test_a_grant_inside_what_the_entry_allows_has_no_fault() -> None:
    assert faults_of(builders.grant()) == []


@pytest.mark.parametrize(
    ("change", "code", "key"),
    [
        ({"code": "Not A Code"}, "GRANT_INVALID", "grant"),
        (
            {"valid_from": dt.date(2026, 2, 1), "valid_until": dt.date(2026, 1, 31)},
            "GRANT_INVALID",
            "valid_until",
        ),
        ({"row_filter": "x" * (MAX_FILTER_BYTES + 1)}, "FILTER_INVALID", "rows"),
        ({"row_filter": "统" * (MAX_FILTER_BYTES // 3 + 1)}, "FILTER_INVALID", "rows"),
        ({"items": ["code", "salary"]}, "ITEM_UNKNOWN", "items.salary"),
        ({"items": ["name"]}, "KEY_ITEMS_REQUIRED", "items"),
        ({"treatments": {"code": Treatment.OMIT}}, "KEY_ITEMS_REQUIRED", "items"),
        ({"items": ["code", "income"]}, "NOT_SHARED", "items.income"),
    ],
)
def test_a_grant_outside_of_it_is_refused_with_the_code_and_the_key(
    change: dict[str, Any], code: str, key: str
) -> None:
    """R-058: projection and filter stay inside the entry. R-053: not shared is not granted."""
    assert [(fault.code, fault.key) for fault in faults_of(builders.grant(**change))] == [
        (code, key)
    ]


@pytest.mark.parametrize("treatment", sorted(set(Treatment) - {KEEP}))
def test_texts_may_be_masked(treatment: Treatment) -> None:
    """R-058: partial content, down to a part of an item."""
    assert faults_of(builders.grant(treatments={"code": KEEP, "name": treatment})) == []


@pytest.mark.parametrize("treatment", [Treatment.PARTIAL, Treatment.HMAC, Treatment.FIXED])
def test_what_is_no_text_cannot_be_masked(treatment: Treatment) -> None:
    grant = builders.grant(treatments={"code": KEEP, "population": treatment})

    (fault,) = faults_of(grant, builders.entry())

    assert (fault.code, fault.key) == ("TREATMENT_NOT_FOR_TYPE", "items.population")


@pytest.mark.parametrize("treatment", sorted(set(Treatment) - {KEEP}))
def test_a_key_item_is_not_treated(treatment: Treatment) -> None:
    """design.md §4: key items are in every view, as they are."""
    grant = builders.grant(treatments={"code": treatment})

    assert [fault.code for fault in faults_of(grant)] == ["KEY_ITEMS_REQUIRED"]


def test_a_grant_with_pseudonyms_allows_a_view_of_its_consumers_alone() -> None:
    """docs/adr/0024: equal grants of two organisations do not share a view; of one they do."""
    treatments = {"code": KEEP, "name": Treatment.HMAC}
    housing = builders.grant(treatments=treatments)
    again = builders.grant("again", treatments=treatments)
    tourism = builders.grant("other", consumer="tourism", treatments=treatments)
    entry = builders.entry()

    assert housing.view(entry).pseudonyms_for == PseudonymKey("housing", 1)
    assert housing.view(entry) == again.view(entry)
    assert housing.view(entry).id != tourism.view(entry).id
    assert housing.view(entry, pseudonym_key=2).pseudonyms_for == PseudonymKey("housing", 2)


def test_a_provider_gets_no_pseudonyms_of_its_own_texts() -> None:
    """It could look up those of others' texts: it would have a dictionary of its own key."""
    treatments = {"code": KEEP, "name": Treatment.HMAC}
    own = builders.grant(consumer=builders.PROVIDER, treatments=treatments)

    assert [(each.code, each.key) for each in faults_of(own)] == [
        ("PSEUDONYM_OF_OWN_DATA", "items.name")
    ]
    assert faults_of(replace(own, treatments=dict.fromkeys(treatments, KEEP))) == []


def test_an_omitted_item_needs_no_permission() -> None:
    grant = builders.grant(treatments={"code": KEEP, "income": Treatment.OMIT})

    assert faults_of(grant) == []


def test_a_filter_of_the_longest_length_is_not_too_long() -> None:
    grant = builders.grant(row_filter="x" * MAX_FILTER_BYTES)

    assert faults_of(grant) == []


def test_an_inactive_consumer_receives_nothing() -> None:
    """R-001: an inactive organisation can neither publish nor consume."""
    faults = faults_of(builders.grant(), consumer_active=False)

    assert faults == [Fault("ORGANISATION_INACTIVE", "consumer", "housing is not active")]


def test_a_grant_does_not_cross_network_zones() -> None:
    """R-065: a grant across zones is refused."""
    faults = faults_of(builders.grant(), consumer_zone=Zone.INTERNAL)

    assert [(fault.code, fault.key) for fault in faults] == [("ZONE_MISMATCH", "consumer")]
    assert "housing is in the internal network" in faults[0].message


def test_a_mode_that_the_entry_does_not_offer_is_refused() -> None:
    entry = builders.entry(delivery_modes=[DeliveryMode.FRONT_END])

    faults = faults_of(builders.grant(mode=DeliveryMode.KAFKA), entry)

    assert [(fault.code, fault.key) for fault in faults] == [("MODE_NOT_OFFERED", "mode")]


def test_an_item_that_is_not_offered_to_the_scope_is_refused() -> None:
    """R-051: each delivery is judged by the scope of the consumer."""
    inside_only = builders.entry()

    faults = faults_of(builders.grant(scope=Scope.EXTERNAL), inside_only)

    assert {(fault.code, fault.key) for fault in faults} == {
        ("SCOPE_NOT_OFFERED", "items.code"),
        ("SCOPE_NOT_OFFERED", "items.name"),
    }


@pytest.mark.parametrize(
    ("decided_by", "purpose", "codes"),
    [
        (builders.PROVIDER, Purpose.WORK_REFERENCE, set()),
        (None, Purpose.WORK_REFERENCE, {"DECISION_REQUIRED"}),
        (builders.CONSUMER, Purpose.WORK_REFERENCE, {"DECISION_REQUIRED"}),
        (builders.PROVIDER, Purpose.ADMINISTRATIVE_BASIS, {"PURPOSE_NOT_ALLOWED"}),
        (None, Purpose.ADMINISTRATIVE_BASIS, {"DECISION_REQUIRED", "PURPOSE_NOT_ALLOWED"}),
    ],
)
def test_a_conditional_item_needs_the_providers_decision_and_an_allowed_purpose(
    decided_by: str | None, purpose: Purpose, codes: set[str]
) -> None:
    """R-005, R-056, R-057: the provider decides, for the uses that the entry states."""
    grant = builders.grant(scope=Scope.EXTERNAL, decided_by=decided_by, purpose=purpose)

    assert {fault.code for fault in faults_of(grant)} == codes


def test_an_unconditional_item_needs_no_decision() -> None:
    grant = builders.grant(scope=Scope.INTERNAL, decided_by=None)

    assert faults_of(grant) == []


@pytest.mark.parametrize(
    ("today", "counts"),
    [
        (dt.date(2025, 12, 31), False),
        (dt.date(2026, 1, 1), True),
        (dt.date(2026, 12, 31), True),
        (dt.date(2027, 1, 1), False),
    ],
)
def test_a_grant_is_in_force_from_its_first_to_its_last_day(
    today: dt.date, *, counts: bool
) -> None:
    assert builders.grant().in_force(today) is counts


def test_the_view_of_a_grant_is_its_rows_and_items_of_the_entrys_generation() -> None:
    """R-058: partial content is enforced by row filter and projection."""
    grant = builders.grant(
        row_filter=' district == "1" ',
        treatments={"code": KEEP, "name": Treatment.OMIT, "district": KEEP},
    )

    view = grant.view(builders.entry(generation=3))

    assert view == builders.view(
        generation=3, row_filter='district == "1"', items=["code", "district"]
    )


def test_grants_that_allow_the_same_share_one_view() -> None:
    """design.md §5: the bus writes once per distinct view, not once per subscriber."""
    one = builders.grant("one", consumer="housing", purpose=Purpose.WORK_REFERENCE)
    other = builders.grant("other", consumer="tourism", purpose=Purpose.DATA_VERIFICATION)

    assert one.view(builders.entry()).id == other.view(builders.entry()).id


def test_only_an_active_grant_has_not_ended() -> None:
    """requirements.md §6.3: what is EXPIRED or REVOKED stays so."""
    assert {state for state in GrantState if not state.ended} == {
        GrantState.AUTHORISED,
        GrantState.ACTIVE,
        GrantState.SUSPENDED,
    }
