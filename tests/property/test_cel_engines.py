"""
The two CEL engines agree: cel-cpp routes, cel-python verifies.

A record is written as Avro. The router's way (decode the items a filter reads, cel-cpp) and the
verifier's way (fastavro, cel-python) must come to the same answer, because `onesource verify`
compares their rows. Where the engines are known to differ, a strict xfail says so.
"""

import datetime as dt
import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings

from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.cel.cel_python import row_predicate
from bus.errors import FilterInvalid
from tests.filter_cases import FILTERS, PARSED, PLAIN, RECORDS, TYPES, encoded, fields

# cel-python raises Python's recursion limit when it is first used; hypothesis must not see that.
row_predicate("true")


def routed(expression: str, data: bytes) -> bool:
    """Tell what the router makes of a record: only what is certainly a match is one."""
    return compile_filter(expression, TYPES).matches(fields(data)[1]) is True


def verified(expression: str, data: bytes) -> bool:
    """Tell what the verifier makes of it."""
    record = fastavro.schemaless_reader(io.BytesIO(data), PARSED, None)
    assert isinstance(record, dict)
    return row_predicate(expression)(record)


@settings(max_examples=3000)
@given(FILTERS, RECORDS)
def test_both_engines_let_the_same_records_pass(expression: str, record: dict[str, Any]) -> None:
    """Invariant 1: the oracle of the view's rows is independent of the engine that routes them."""
    data = encoded(record)

    try:
        expected = routed(expression, data)
    except FilterInvalid:
        return
    assert verified(expression, data) is expected


CERTAIN = [
    ('s == "海口"', True),
    ('s.startsWith("海") && s.endsWith("口") && size(s) == 2', True),
    ('s in ["海口", "三亚"]', True),
    ('s.matches("^海.$")', True),
    ('e == "A"', True),
    ('u == "00000000-0000-0000-0000-000000000005"', True),
    ("i > 6 && i < 8", True),
    ("dec == 12.34", True),
    ("f == 0.5", True),
    ("tm == 30600000000", True),
    ('at == timestamp("2026-01-05T17:30:15.123456+08:00")', True),
    ('day == timestamp("2026-01-05T00:00:00Z")', True),
    ('r.day == "2026-01-05T00:00:00+00:00"', True),
    ('y == b"a\\x00b"', True),
    ('y == b"a"', False),
    ("size(y) == 3", True),
    ('r.y == b"a"', False),
    ("m.k == 1 && has(m.k) && !has(m.x)", True),
    ("n.exists(v, v == null)", True),
    # An evaluation error is no match, also under `!`.
    ('s2.startsWith("a")', False),
    ('!s2.startsWith("a")', False),
    ("i2 > 0", False),
    ("!(i2 > 0)", False),
    ("m.x == 1", False),
    ("!(m.x == 1)", False),
    ("i / k == 7 && i % 0 == 1", False),
    ("m.x == 1 || true", True),
    # Equality with null is no error in CEL: null is not equal to anything else.
    ("i2 == 1", False),
    ("!(i2 == 1)", True),
    ("i2 != 1", True),
    ('s2 != "a"', True),
    ("at2 != at", True),
    ("!(i2 in [1, 2])", True),
    ("i2 == null", True),
    ("size(l2) == 0", False),
    # Numbers are compared as numbers, whatever their types.
    ("r.x == 1.0", True),
    ("r.x < 1.5", True),
    ("r.dec < 1", True),
    ("9007199254740993 in [r.x, 9007199254740993]", True),
    ("dyn(i) in [7.0]", True),
    ("dyn(1) == true", False),
]


@pytest.mark.parametrize(("expression", "passes"), CERTAIN)
def test_both_engines_read_the_language_as_it_is_defined(expression: str, *, passes: bool) -> None:
    """design.md §5: types of items in a row filter, and nulls."""
    data = encoded(PLAIN)

    assert routed(expression, data) is passes
    assert verified(expression, data) is passes


MIDNIGHT = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)

#: (what, filter, items, whether the record passes by CEL's definition)
DIFFERENT = [
    (
        "cel-expr-python takes the first instant for the infinite past",
        "at == at",
        {"at": MIDNIGHT},
        True,
    ),
    (
        "cel-expr-python takes the first instant for the infinite past",
        "day == day",
        {"day": dt.date(1, 1, 1)},
        True,
    ),
    (
        "cel-expr-python takes the last instant for the infinite future",
        "at == at",
        {"at": LAST},
        True,
    ),
    ("cel-python divides by zero without its sign", "1.0 / d > 0.0", {"d": -0.0}, False),
    ("cel-python divides zero by zero to infinity", "d / 0.0 > 0.0", {"d": 0.0}, False),
    ("cel-python writes 1.0, cel-cpp 1", 'string(d) == "1"', {"d": 1.0}, True),
    ("cel-python writes True, cel-cpp true", 'string(b) == "true"', {"b": True}, True),
    (
        "cel-cpp's durations end at 292 years",
        'at - at2 > duration("1h")',
        {"at": LAST.replace(microsecond=0), "at2": dt.datetime(1970, 1, 1, tzinfo=dt.UTC)},
        True,
    ),
]


@pytest.mark.parametrize(
    ("expression", "items", "passes"),
    [
        pytest.param(
            *case, marks=pytest.mark.xfail(strict=True, reason=what), id=f"{case[0]} {what}"
        )
        for what, *case in DIFFERENT
    ],
)
def test_both_engines_agree_where_they_are_known_to_differ(
    expression: str, items: dict[str, Any], *, passes: bool
) -> None:
    """Each of these is a record on which `onesource verify` may raise a false alarm."""
    data = encoded({**PLAIN, **items})

    assert routed(expression, data) is verified(expression, data) is passes
