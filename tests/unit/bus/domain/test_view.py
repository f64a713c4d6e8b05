"""Unit tests of `bus.domain.view`."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.items import ArrayType, EnumType, ItemType, Nullable, Scalar
from bus.domain.pseudonyms import PseudonymKey
from bus.domain.view import (
    Treatment,
    View,
    make_view,
    may_treat,
    widens,
)
from tests import builders

PSEUDONYMOUS = {"code": Treatment.KEEP, "name": Treatment.HMAC}

TREATMENTS = st.dictionaries(
    st.sampled_from(["code", "name", "district", "population"]),
    st.sampled_from(sorted(Treatment)),
    max_size=4,
)
KEYS = st.builds(PseudonymKey, st.sampled_from(["tourism", "housing"]), st.integers(1, 2))
FILTERS = st.sampled_from([None, 'district == "1"', 'district == "2"'])


@st.composite
def views(draw: st.DrawFn) -> View:
    return make_view(
        jurisdiction=draw(st.sampled_from(["cn", "nz"])),
        resource=draw(st.sampled_from(["divisions", "streets"])),
        generation=draw(st.integers(1, 2)),
        row_filter=draw(FILTERS),
        treatments=draw(TREATMENTS),
        pseudonyms_for=draw(KEYS),
    )


def test_the_id_of_a_view_never_changes_between_releases() -> None:
    """design.md §5: topic names hold the id, so this literal must stay what it is."""
    view = builders.view(row_filter='district == "海口"', items=("code", "name"))

    assert view.canonical_form() == (
        '{"generation":1,"jurisdiction":"cn","resource":"divisions",'
        '"row_filter":"district == \\"海口\\"","treatments":{"code":"keep","name":"keep"}}'
    )
    assert view.id == "4bofjlbo6dem"


@given(views())
def test_the_id_does_not_depend_on_the_order_of_the_items(view: View) -> None:
    names = list(view.treatments)
    random.Random(0).shuffle(names)
    shuffled = replace(view, treatments={name: view.treatments[name] for name in names})

    assert shuffled.id == view.id


@given(views(), views())
def test_two_views_share_an_id_only_if_they_are_equal(one: View, other: View) -> None:
    """Invariant 2: grants share a topic only if they allow the same."""
    assert (one.id == other.id) is (one == other)


@pytest.mark.parametrize(
    "change",
    [
        {"jurisdiction": "nz"},
        {"resource": "streets"},
        {"generation": 2},
        {"row_filter": 'district == "2"'},
        {"treatments": {"code": Treatment.KEEP}},
        {"treatments": {"code": Treatment.KEEP, "name": Treatment.NULL}},
    ],
    ids=str,
)
def test_whatever_differs_in_a_view_differs_in_its_id(change: dict[str, Any]) -> None:
    view = builders.view()

    assert replace(view, **change).id != view.id


def test_an_omitted_item_is_not_part_of_a_view() -> None:
    treatments = {"code": Treatment.KEEP, "name": Treatment.OMIT}

    made = make_view(
        jurisdiction="cn",
        resource="divisions",
        generation=1,
        row_filter=None,
        treatments=treatments,
    )

    assert made == builders.view(items=["code"])
    assert made.kept() == {"code"}


@pytest.mark.parametrize(
    ("written", "kept"),
    [(None, None), ("", None), (" \n", None), ("  a == 1\n", "a == 1"), ("a  == 1", "a  == 1")],
)
def test_a_filter_counts_without_the_white_space_around_it(
    written: str | None, kept: str | None
) -> None:
    assert builders.view(row_filter=written).row_filter == kept


@pytest.mark.parametrize(
    ("old", "new", "wider"),
    [
        ({}, {}, True),
        ({"row_filter": "a == 1"}, {"row_filter": "a == 1"}, True),
        ({"row_filter": "a == 1"}, {"row_filter": None}, True),
        ({"row_filter": None}, {"row_filter": "a == 1"}, False),
        ({"row_filter": "a == 1"}, {"row_filter": "a == 1 || b == 2"}, False),
        ({"items": ["code"]}, {"items": ["code", "name"]}, True),
        ({"items": ["code", "name"]}, {"items": ["code"]}, False),
        ({"items": ["code"]}, {"items": ["name"]}, False),
        ({"generation": 1}, {"generation": 2}, False),
        ({"resource": "divisions"}, {"resource": "streets"}, False),
        ({"jurisdiction": "cn"}, {"jurisdiction": "nz"}, False),
    ],
)
def test_a_view_widens_if_it_certainly_shows_at_least_as_much(
    old: dict[str, Any], new: dict[str, Any], *, wider: bool
) -> None:
    """design.md §9: widening switches when the new view is live, narrowing cuts first."""
    assert widens(builders.view(**old), builders.view(**new)) is wider


def test_a_view_that_treats_an_item_in_another_way_does_not_widen() -> None:
    plain = builders.view()
    masked = replace(plain, treatments={"code": Treatment.KEEP, "name": Treatment.PARTIAL})

    assert not widens(plain, masked)
    assert not widens(masked, plain)


@given(views(), views(), views())
def test_widening_is_an_order(one: View, two: View, three: View) -> None:
    assert widens(one, one)
    if widens(one, two) and widens(two, three):
        assert widens(one, three)
    if widens(one, two) and widens(two, one):
        assert one == two


def test_the_id_of_a_view_with_pseudonyms_never_changes_either() -> None:
    """docs/adr/0024: whose they are is part of the form, there and nowhere else."""
    view = builders.view(items=PSEUDONYMOUS, pseudonyms_for=PseudonymKey("tourism", 2))

    assert view.canonical_form() == (
        '{"generation":1,"jurisdiction":"cn","resource":"divisions","row_filter":null,'
        '"treatments":{"code":"keep","name":"hmac"},"pseudonyms_for":"tourism#2"}'
    )
    assert view.id == "63q7va3nbrf5"


@pytest.mark.parametrize("other", [PseudonymKey("housing", 1), PseudonymKey("tourism", 2)], ids=str)
def test_views_with_pseudonyms_of_other_keys_are_other_views(other: PseudonymKey) -> None:
    """Two organisations never share pseudonyms, and a renewed key is a view that is filled anew."""
    view = builders.view(items=PSEUDONYMOUS, pseudonyms_for=PseudonymKey("tourism", 1))
    changed = builders.view(items=PSEUDONYMOUS, pseudonyms_for=other)

    assert view.id != changed.id
    assert not widens(view, changed)
    assert not widens(changed, view)


def test_organisations_share_views_without_pseudonyms() -> None:
    one = builders.view(pseudonyms_for=PseudonymKey("tourism", 1))
    other = builders.view(pseudonyms_for=PseudonymKey("housing", 7))

    assert one == other
    assert one.pseudonyms_for is None


def test_a_view_may_widen_by_pseudonyms() -> None:
    plain = builders.view(items=["code"])

    assert widens(plain, builders.view(items=PSEUDONYMOUS))


def test_a_view_without_a_key_has_no_pseudonyms() -> None:
    """Invariant 2: nothing is left open to whoever routes it."""
    view = builders.view()

    with pytest.raises(ValueError, match="for whom"):
        replace(view, treatments=PSEUDONYMOUS)
    with pytest.raises(ValueError, match="for whom"):
        replace(view, pseudonyms_for=PseudonymKey("tourism", 1))


@pytest.mark.parametrize(
    ("item_type", "of_text"),
    [
        (Scalar.STRING, True),
        (Nullable(Scalar.STRING), True),
        (Scalar.UUID, False),
        (Nullable(Scalar.LONG), False),
        (EnumType("e", ("A",)), False),
        (ArrayType(Scalar.STRING), False),
    ],
)
def test_texts_alone_can_be_masked_and_everything_be_null(
    item_type: ItemType, *, of_text: bool
) -> None:
    assert may_treat(Treatment.PARTIAL, item_type) is of_text
    assert may_treat(Treatment.FIXED, item_type) is of_text
    assert may_treat(Treatment.HMAC, item_type) is of_text
    assert may_treat(Treatment.NULL, item_type)
    assert may_treat(Treatment.KEEP, item_type)
