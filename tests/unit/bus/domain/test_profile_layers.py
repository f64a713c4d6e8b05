"""Unit tests of `bus.domain.profile_layers`: what lies over what, and who said it (R-266)."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.profile import Profile
from bus.domain.profile_keys import ALL, KEYS, Form, Key
from bus.domain.profile_layers import (
    DEFAULTS,
    Layer,
    LayerFault,
    Origin,
    OriginKind,
    merge,
    read_layer,
)

WORDS = st.text(alphabet="abc的", min_size=1, max_size=3)
FORMS: Mapping[Form, st.SearchStrategy[Any]] = {
    Form.TEXT: WORDS,
    Form.TEXTS: st.lists(WORDS, max_size=2),
    Form.TEXT_OR_TEXTS: WORDS | st.lists(WORDS, max_size=2),
    Form.FLAG: st.booleans(),
    Form.COUNT: st.integers(0, 20),
    Form.PERIOD: st.sampled_from(["5s", "30d", "1y", "forever"]),
    Form.SINCE: st.sampled_from(["2019-08-01", "on_issue"]),
    Form.DAY: st.sampled_from(["01-31", "06-30"]),
    Form.WINDOW: st.just(["06-01", "06-30"]),
}


def values(key: Key) -> st.SearchStrategy[Any]:
    """Return what may be written at `key`: a value, silence, or a mapping of labels."""
    if not key.choices:
        one = FORMS[key.form]
    elif key.form is Form.TEXT:
        one = st.sampled_from(key.choices)
    else:
        one = st.lists(st.sampled_from(key.choices), max_size=2)
    one = one | st.none()
    if not key.keyed:
        return one
    labels = [ALL, *sorted(key.labels or ("population", "credit"))]
    return one | st.dictionaries(st.sampled_from(labels), one, max_size=3)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the nested content of a file that states a few keys."""
    content: dict[str, Any] = {}
    # Few names, so that layers meet.
    for name in draw(st.sets(st.sampled_from(sorted(KEYS)[::6]), max_size=12)):
        *sections, last = name.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = draw(values(KEYS[name]))
    return content


def layer(name: str, content: Mapping[str, Any], clauses: Mapping[str, str] | None = None) -> Layer:
    """Return the layer that `content` states; there must be nothing wrong with it."""
    found, faults = read_layer(name, content, clauses or {})
    assert faults == []
    return found


def profile(*layers: Layer) -> Profile:
    """Return the profile of these layers."""
    return Profile.of(layers[0].name, 1, None, layers)


def over(upper: object, lower: object, path: tuple[str, ...] = ()) -> object:
    """Return `upper` merged over `lower`, as §2.2 puts it, on nested mappings."""
    if upper is None:
        return lower
    key = KEYS.get(".".join(path))
    if key is not None and key.keyed:
        upper, lower = _by_label(upper), _by_label(lower)
    if isinstance(upper, dict):
        assert lower is None or isinstance(lower, dict)
        below = lower or {}
        return {
            name: over(upper.get(name), below.get(name), (*path, name)) for name in upper | below
        }
    return upper


def _by_label(value: object) -> dict[str, object] | None:
    return value if value is None or isinstance(value, dict) else {ALL: value}


def at(content: object, dotted: str) -> object:
    """Return what stands at a dotted path."""
    for name in dotted.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return content


@given(st.lists(contents(), min_size=1, max_size=4))
def test_layers_merge_like_nested_mappings(written: list[dict[str, Any]]) -> None:
    """R-266: maps merge key by key, lists and values replace, silence lets the next one speak."""
    expected: object = None
    for content in reversed(written):
        expected = over(content, expected)

    merged = merge([layer(f"layer-{depth}", each) for depth, each in enumerate(written)])

    for key in KEYS.values():
        stands = at(expected, key.name)
        labelled = _by_label(stands) if key.keyed else {None: stands}
        wanted = {
            (key.name, label): tuple(value) if isinstance(value, list) else value
            for label, value in (labelled or {}).items()
            if value is not None
        }
        assert {
            place: each.value for place, each in merged.items() if place[0] == key.name
        } == wanted


@given(st.lists(contents(), min_size=2, max_size=4))
def test_each_value_names_the_first_layer_that_states_it(written: list[dict[str, Any]]) -> None:
    """R-266: the origin of every value."""
    names = [f"layer-{depth}" for depth in range(len(written) - 1)]
    layers = [layer(name, each) for name, each in zip([*names, DEFAULTS], written, strict=True)]

    for place, each in merge(layers).items():
        speaker = next(found for found in layers if place in found.stated)
        assert each.value == speaker.stated[place].value
        if speaker.name == DEFAULTS:
            assert each.origin == Origin(kind=OriginKind.DEFAULT)
        else:
            own = speaker is layers[0]
            assert each.origin.kind is (OriginKind.OWN if own else OriginKind.PARENT)
            assert each.origin.profile == speaker.name


@given(contents(), contents())
def test_an_empty_layer_changes_no_value(upper: dict[str, Any], lower: dict[str, Any]) -> None:
    first, second, silent = layer("a", upper), layer("b", lower), layer("s", {})

    without = {place: each.value for place, each in merge([first, second]).items()}

    for layers in ([silent, first, second], [first, silent, second], [first, second, silent]):
        assert {place: each.value for place, each in merge(layers).items()} == without


@given(contents(), contents())
def test_a_profile_survives_being_kept(upper: dict[str, Any], lower: dict[str, Any]) -> None:
    """R-014: what judged an action can be kept with it."""
    kept = profile(layer("county", upper, {"meta": "001 §1"}), layer(DEFAULTS, lower))

    again = Profile.from_document(kept.document())

    assert again == kept
    assert again.digest == kept.digest


def test_a_named_scope_beats_all_and_a_parents_name_beats_a_childs_all() -> None:
    """§2.2: maps merge key by key before anybody asks."""
    city = layer("city", {"application": {"reply_deadline_wd": {"external": 10}}})
    county = layer("county", {"application": {"reply_deadline_wd": {"all": 5}}})

    found = profile(county, city)

    assert found.get("application.reply_deadline_wd", "internal") == 5
    assert found.get("application.reply_deadline_wd", "external") == 10
    assert found.origin("application.reply_deadline_wd", "external").profile == "city"


def test_a_plain_value_is_the_one_for_all() -> None:
    city = layer("city", {"application": {"clock_start": "submitted"}})
    county = layer("county", {"application": {"clock_start": {"external": "received"}}})

    found = profile(county, city)

    assert found.get("application.clock_start", "internal") == "submitted"
    assert found.get("application.clock_start", "external") == "received"


def test_the_longest_name_of_a_clause_wins() -> None:
    content = {"application": {"supply": "in_time", "reply_deadline_wd": {"all": 5, "external": 9}}}
    clauses = {"application": "§1", "application.reply_deadline_wd.external": "§2"}

    found = profile(layer("a", content, clauses))

    assert str(found.origin("application.supply")) == "§1"
    assert str(found.origin("application.reply_deadline_wd", "internal")) == "§1"
    assert str(found.origin("application.reply_deadline_wd", "external")) == "§2"


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        ({"aplication": {}}, "aplication", "there is no such key"),
        ({"application": {"deadline": 5}}, "application.deadline", "there is no such key"),
        ({"application": 5}, "application", "a mapping is wanted here, not 5"),
        (
            {"application": {"reply_deadline_wd": {"outside": 5}}},
            "application.reply_deadline_wd.outside",
            "there is no such key",
        ),
        (
            {"application": {"reply_deadline_wd": {"all": "5"}}},
            "application.reply_deadline_wd.all",
            "a whole number, 0 or more is wanted here, not '5'",
        ),
        (
            {"catalog": {"update_deadline_wd": True}},
            "catalog.update_deadline_wd",
            "a whole number, 0 or more is wanted here, not True",
        ),
        (
            {"catalog": {"update_deadline_wd": -1}},
            "catalog.update_deadline_wd",
            "a whole number, 0 or more is wanted here, not -1",
        ),
        (
            {"free_of_charge": "yes"},
            "free_of_charge",
            "true or false is wanted here, not 'yes'",
        ),
        (
            {"classes": {"enabled": "conditional"}},
            "classes.enabled",
            "a list of texts is wanted here, not 'conditional'",
        ),
        (
            {"classes": {"enabled": ["secret"]}},
            "classes.enabled",
            "'secret' is not one of unconditional, conditional, not_shared",
        ),
        (
            {"calendar": {"day_end": 1440}},
            "calendar.day_end",
            "a text is wanted here, not 1440",
        ),
        (
            {"refusal": {"grounds": "whim"}},
            "refusal.grounds",
            "'whim' is not one of any, statutory_only",
        ),
        (
            {"meta": {"effective_from": "2019-02-30"}},
            "meta.effective_from",
            "a date like \"2019-08-01\", or on_issue is wanted here, not '2019-02-30'",
        ),
        (
            {"report": {"due": "31-01"}},
            "report.due",
            "a month and a day like \"01-31\" is wanted here, not '31-01'",
        ),
        (
            {"report": {"due_window": ["06-01"]}},
            "report.due_window",
            'two days like ["06-01", "06-30"] is wanted here, not [\'06-01\']',
        ),
        (
            {"grant": {"period": "a year"}},
            "grant.period",
            "a period like 30d, 5s, 1y is wanted here, not 'a year'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_key(
    content: dict[str, Any], path: str, message: str
) -> None:
    found, faults = read_layer("a", content, {})

    assert faults == [LayerFault(tuple(path.split(".")), message)]
    assert found.stated == {}


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        ({"aplication": "§1"}, "there is no such key"),
        ({"application.reply_deadline_wd.outside": "§1"}, "there is no such key"),
        ({"application": 1}, "a text is wanted here, not 1"),
        ({"application": " "}, "a text is wanted here, not ' '"),
    ],
)
def test_a_clause_belongs_to_a_key(clauses: dict[str, Any], message: str) -> None:
    _, faults = read_layer("a", {}, clauses)

    assert faults == [LayerFault(("clauses", next(iter(clauses))), message)]


def test_every_key_can_be_written() -> None:
    """No key is also a section: it could hold a value and keys below it."""
    for name in KEYS:
        assert not any(other.startswith(f"{name}.") for other in KEYS)
