"""
The common forms of row filters are what the engine says, however they are told.

As functions of Python, on the bytes of a record, and by an index of all views (design.md §5).
"""

import contextlib
from array import array
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.adapters.cel.cel_cpp import compile_filter, parse
from bus.adapters.cel.frequent_forms import compile_common
from bus.errors import FilterInvalid
from bus.views.byte_test import compile_byte_test
from bus.views.candidates import Candidates
from bus.views.row_filter import Equality, RowFilter
from tests.filter_cases import (
    ATOMS,
    FILTERS,
    INTS,
    RECORDS,
    STRINGS,
    TREE,
    TYPES,
    encoded,
    fields,
    integer,
    joined,
    listed,
    text,
    words,
)


def compiled(expressions: list[str]) -> Iterator[RowFilter]:
    """Yield the filters of those expressions that type-check."""
    for expression in expressions:
        with contextlib.suppress(FilterInvalid):
            yield compile_filter(expression, TYPES)


@settings(max_examples=3000)
@given(FILTERS, RECORDS)
def test_frequent_forms_say_what_the_engine_says(expression: str, record: dict[str, Any]) -> None:
    """design.md §5: the common forms in the kernel, the rest through the engine, same answer."""
    _, values = fields(encoded(record))

    for row_filter in compiled([expression]):
        engine = row_filter.ask_engine  # type: ignore[attr-defined]
        assert row_filter.matches(values) is engine(values)


NODES = dict(zip(TREE.field_names, TREE.children, strict=True))
PLACES = {name: place for place, name in enumerate(TREE.field_names)}
SAID = {1: True, 0: False, -1: None}


@settings(max_examples=3000)
@given(FILTERS, RECORDS)
def test_what_is_tested_on_bytes_is_what_the_engine_says(
    expression: str, record: dict[str, Any]
) -> None:
    data = encoded(record)
    starts, values = fields(data)

    for row_filter in compiled([expression]):
        test = compile_byte_test(row_filter.form, PLACES, NODES)
        if test is not None:
            said = SAID[test.matches(data, array("q", [*starts, len(data)]))]
            engine = row_filter.ask_engine  # type: ignore[attr-defined]
            assert said is engine(values)


@pytest.mark.parametrize(
    "expression",
    [
        "k >= 0",
        "-5 < i",
        "i2 != 3",
        "i in [1, 2]",
        's == "a" && !(k > 7)',
        's2 == "a" || s2 == null',
        "s2 != null && i2 <= 4",
        's2 in ["a", "é"]',
        's2 < "b"',
        's >= "é"',
        's.startsWith("a") || s2.contains("b")',
        's2.startsWith("é") || s.endsWith("é")',
    ],
)
@given(record=RECORDS)
def test_forms_that_are_tested_on_bytes(expression: str, record: dict[str, Any]) -> None:
    data = encoded(record)
    starts, values = fields(data)

    row_filter = compile_filter(expression, TYPES)
    test = compile_byte_test(row_filter.form, PLACES, NODES)
    assert test is not None
    said = SAID[test.matches(data, array("q", [*starts, len(data)]))]
    engine = row_filter.ask_engine  # type: ignore[attr-defined]
    assert said is engine(values)


@pytest.mark.parametrize(
    "expression",
    [
        "k >= 0",
        "-5 < i",
        "i in [1, 2]",
        's == "a" && !(k > 7)',
        's2 == "a" || s2 == null',
        's2 != "a"',
        's2 < "b"',
        's.startsWith("a") || s2.contains("b")',
        "s == e",
        "d > 1.5",
    ],
)
@given(record=RECORDS)
def test_a_common_form_needs_no_engine(expression: str, record: dict[str, Any]) -> None:
    test = compile_common(parse(expression), TYPES)
    assert test is not None
    _, values = fields(encoded(record))

    engine = compile_filter(expression, TYPES).ask_engine  # type: ignore[attr-defined]
    assert test(values) is engine(values)


@pytest.mark.parametrize(
    "expression",
    [
        "size(s) > 1",
        "k + 1 > 2",
        'day > timestamp("2020-01-01T00:00:00Z")',
        "has(m.x)",
        "k > 1.0",
        "true",
    ],
)
def test_other_forms_are_left_to_the_engine(expression: str) -> None:
    assert compile_common(parse(expression), TYPES) is None


LOOKED_UP = st.one_of(
    joined(words("s s2 u e l2 b2 at2"), st.just(" == "), STRINGS.map(text)),
    joined(STRINGS.map(text), st.just(" == "), words("s s2 e")),
    joined(words("k i i2 tm"), st.just(" == "), INTS.map(integer)),
    listed(words("s s2 e") | STRINGS.map(text)),
    listed(words("k i i2") | INTS.map(integer)),
)
#: Filters of which an index may answer a part, and others.
DEMANDING = st.recursive(
    LOOKED_UP | ATOMS,
    lambda inner: joined(
        st.just("("), inner, st.sampled_from([") && (", ") || ("]), inner, st.just(")")
    ),
    max_leaves=4,
)


@settings(max_examples=1500)
@given(st.lists(DEMANDING, max_size=6), RECORDS)
def test_what_is_looked_up_is_what_the_engine_says(
    expressions: list[str], record: dict[str, Any]
) -> None:
    """design.md §5: what the index leaves out is no match, and no error either."""
    filters = list(compiled(expressions))
    data = encoded(record)
    starts, values = fields(data)
    candidates = Candidates(
        filters,
        {name: at for at, name in enumerate(TREE.field_names)},
        dict(zip(TREE.field_names, TREE.children, strict=True)),
    )

    certain, tested = candidates.find(data, array("q", [*starts, len(data)]))

    for position, row_filter in enumerate(filters):
        said = row_filter.matches(values)
        if position in certain:
            assert said is True
        elif position not in tested:
            assert said is False


@pytest.mark.parametrize(
    ("expression", "item", "values", "exact"),
    [
        ('s == "a"', "s", {"a"}, True),
        ('"a" == s2', "s2", {"a"}, True),
        ('s in ["a", "b"]', "s", {"a", "b"}, True),
        ("s in []", "s", set(), True),
        ('(s == "a") || (s == "b")', "s", {"a", "b"}, True),
        ('s in ["a", "b"] && s == "b"', "s", {"b"}, True),
        ('s == "a" && i > 5', "s", {"a"}, False),
        ('i > 5 && (s == "a" || s == "b")', "s", {"a", "b"}, False),
        ('s in ["a", "b"] && e == "A"', "e", {"A"}, False),
        ("k == -3", "k", {-3}, True),
        ("k == 0x10", "k", {16}, True),
        ("s == '\\u6d77'", "s", {"海"}, True),
        ("s == r'\\u6d77'", "s", {"\\u6d77"}, True),
    ],
)
def test_frequent_forms_are_looked_up(
    expression: str, item: str, values: set[object], *, exact: bool
) -> None:
    assert compile_filter(expression, TYPES).equality == Equality(item, frozenset(values), exact)


@pytest.mark.parametrize(
    "expression",
    [
        's != "a"',
        '!(s == "a")',
        's == "a" || i == 5',
        "i2 == 5",
        "i < 5",
        'r.t == "a"',
        "s == s2",
        'y == b"a"',
        "b == true",
        "b",
        's == "a" ? b : true',
        's == "a" == b',
        "s in l",
    ],
)
def test_of_other_forms_nothing_is_certain(expression: str) -> None:
    assert compile_filter(expression, TYPES).equality is None


#: (filter, whether the record `PLAIN` passes); the language as design.md §5 and CEL define it.
