"""
The two CEL engines agree: cel-cpp routes, cel-python verifies.

A record is written as Avro. The router's way (decode the items a filter reads, cel-cpp) and the
verifier's way (fastavro, cel-python) must come to the same answer, because `onesource verify`
compares their rows. Where the engines are known to differ, a strict xfail says so.
"""

import contextlib
import datetime as dt
import decimal
import io
import json
import math
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.cel.cel_python import row_predicate
from bus.domain.items import (
    ArrayType,
    DecimalType,
    EnumType,
    FixedType,
    ItemType,
    MapType,
    Nullable,
    RecordField,
    RecordType,
    Scalar,
)
from bus.errors import FilterInvalid
from bus.views.candidates import Candidates
from bus.views.filter_values import compile_decode
from bus.views.row_filter import Equality, RowFilter, filter_types
from bus.views.schema_tree import parse_schema
from tests import builders

# cel-python raises Python's recursion limit when it is first used; hypothesis must not see that.
row_predicate("true")

PART = RecordType(
    "part",
    (
        RecordField("x", Scalar.LONG),
        RecordField("t", Nullable(Scalar.STRING)),
        RecordField("day", Scalar.DATE),
        RecordField("at", Scalar.TIMESTAMP_MICROS),
        RecordField("dec", DecimalType(9, 2)),
        RecordField("y", Scalar.BYTES),
    ),
)
ITEMS: Mapping[str, ItemType] = {
    "s": Scalar.STRING,
    "s2": Nullable(Scalar.STRING),
    "u": Scalar.UUID,
    "e": EnumType("e_symbols", ("A", "B")),
    "k": Scalar.INT,
    "i": Scalar.LONG,
    "i2": Nullable(Scalar.LONG),
    "f": Scalar.FLOAT,
    "d": Scalar.DOUBLE,
    "d2": Nullable(Scalar.DOUBLE),
    "dec": DecimalType(9, 2),
    "dec2": Nullable(DecimalType(9, 2)),
    "b": Scalar.BOOLEAN,
    "b2": Nullable(Scalar.BOOLEAN),
    "y": Scalar.BYTES,
    "y2": Nullable(Scalar.BYTES),
    "z": FixedType("z_bytes", 2),
    "day": Scalar.DATE,
    "day2": Nullable(Scalar.DATE),
    "at": Scalar.TIMESTAMP_MICROS,
    "at2": Nullable(Scalar.TIMESTAMP_MICROS),
    "ms": Scalar.TIMESTAMP_MILLIS,
    "tm": Scalar.TIME_MILLIS,
    "tu2": Nullable(Scalar.TIME_MICROS),
    "l": ArrayType(Scalar.STRING),
    "l2": Nullable(ArrayType(Scalar.STRING)),
    "n": ArrayType(Nullable(Scalar.LONG)),
    "m": MapType(Scalar.LONG),
    "r": PART,
}
SCHEMA = builders.schema_of(
    builders.entry(
        items=[builders.key_item(), *(builders.item(name, kind) for name, kind in ITEMS.items())]
    )
)
PARSED = fastavro.parse_schema(json.loads(SCHEMA))
TREE = parse_schema(SCHEMA)
TYPES = filter_types(TREE)
DECODES = [compile_decode(node) for node in TREE.children]

# --- Records --------------------------------------------------------------------------------------

#: Few values, so that comparisons are equal now and then; the edges among them.
STRINGS = st.sampled_from(
    ["", "a", "ab", "B", "海口", "海口市", "é", "e\u0301", "😀", "\n", '"', "\\"]
)
INTS = st.sampled_from([0, 1, -1, 2, 7, 1 << 31, 1 << 53, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63)])
FINITE = st.sampled_from([0.0, -0.0, 1.0, 0.1, -2.5, 1e300, -1e300, 9007199254740993.0, 5e-324])
DOUBLES = FINITE | st.sampled_from([math.inf, -math.inf, math.nan])
BYTES = st.sampled_from([b"", b"a", b"a\0", b"a\0b", b"ab", b"\xff"])
DAYS = st.sampled_from(
    [dt.date(1970, 1, 1), dt.date(2026, 1, 5), dt.date(1, 1, 2), dt.date(9999, 12, 31)]
)
#: Whole milliseconds, so that they fit both kinds of timestamp.
INSTANTS = st.sampled_from(
    [
        dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 5, 9, 30, 15, 123000, tzinfo=dt.UTC),
        dt.datetime(1, 1, 1, 0, 0, 1, tzinfo=dt.UTC),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=dt.UTC),
    ]
)
DECIMALS = st.sampled_from(["0.00", "0.10", "12.34", "-0.01", "9999999.99"]).map(decimal.Decimal)
TIMES = st.sampled_from([dt.time(), dt.time(8, 30), dt.time(23, 59, 59, 999000)])

META = {"event_id": bytes(16), "occurred_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}
FIELDS: Mapping[str, st.SearchStrategy[Any]] = {
    "meta": st.just(META),
    "code": st.just("1"),
    "s": STRINGS,
    "s2": st.none() | STRINGS,
    "u": st.sampled_from([uuid.UUID(int=0), uuid.UUID(int=5)]),
    "e": st.sampled_from(["A", "B"]),
    "k": st.integers(-3, 3),
    "i": INTS,
    "i2": st.none() | INTS,
    "f": st.sampled_from([0.0, 0.5, -1.25, math.inf, math.nan]),
    "d": DOUBLES,
    "d2": st.none() | DOUBLES,
    "dec": DECIMALS,
    "dec2": st.none() | DECIMALS,
    "b": st.booleans(),
    "b2": st.none() | st.booleans(),
    "y": BYTES,
    "y2": st.none() | BYTES,
    "z": st.sampled_from([b"\0\0", b"ab"]),
    "day": DAYS,
    "day2": st.none() | DAYS,
    "at": INSTANTS,
    "at2": st.none() | INSTANTS,
    "ms": INSTANTS,
    "tm": TIMES,
    "tu2": st.none() | TIMES,
    "l": st.lists(STRINGS, max_size=3),
    "l2": st.none() | st.lists(STRINGS, max_size=2),
    "n": st.lists(st.none() | INTS, max_size=3),
    "m": st.dictionaries(st.sampled_from(["k", "海", ""]), INTS, max_size=2),
    "r": st.fixed_dictionaries(
        {
            "x": INTS,
            "t": st.none() | STRINGS,
            "day": DAYS,
            "at": INSTANTS,
            "dec": DECIMALS,
            "y": BYTES,
        }
    ),
}
RECORDS = st.fixed_dictionaries(dict(FIELDS))
PLAIN: Mapping[str, Any] = {
    "meta": META,
    "code": "1",
    "s": "海口",
    "s2": None,
    "u": uuid.UUID(int=5),
    "e": "A",
    "k": 1,
    "i": 7,
    "i2": None,
    "f": 0.5,
    "d": 0.0,
    "d2": None,
    "dec": decimal.Decimal("12.34"),
    "dec2": None,
    "b": True,
    "b2": None,
    "y": b"a\0b",
    "y2": None,
    "z": b"ab",
    "day": dt.date(2026, 1, 5),
    "day2": None,
    "at": dt.datetime(2026, 1, 5, 9, 30, 15, 123456, tzinfo=dt.UTC),
    "at2": None,
    "ms": dt.datetime(2026, 1, 5, 9, 30, 15, 123000, tzinfo=dt.UTC),
    "tm": dt.time(8, 30),
    "tu2": None,
    "l": ["a"],
    "l2": None,
    "n": [None, 1],
    "m": {"k": 1},
    "r": {
        "x": 1,
        "t": None,
        "day": dt.date(2026, 1, 5),
        "at": dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        "dec": decimal.Decimal("0.10"),
        "y": b"a\0",
    },
}

# --- Filters --------------------------------------------------------------------------------------


def text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def instant(value: dt.datetime | dt.date) -> str:
    written = value.isoformat() if isinstance(value, dt.datetime) else f"{value}T00:00:00+00:00"
    return f'timestamp("{written}")'


def double(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'double("{value}")'


def integer(value: int) -> str:
    return str(value) if value > -(1 << 63) else "(-9223372036854775807 - 1)"


def words(names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names.split())


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


ORDER = st.sampled_from([" == ", " != ", " < ", " <= ", " > ", " >= "])
TEXT_TERMS = words("s s2 u e r.t r.day r.at l[0] s+s2 string(i)") | STRINGS.map(text)
INT_TERMS = (
    words("k i i2 tm tu2 r.x n[0] i+1 i*i2 i/i2 i%7 -i i-i2 int(d)")
    | words('m["k"] m.k size(s) size(l) size(m) size(y) size(l2) l.size()')
    | INTS.map(integer)
)
DOUBLE_TERMS = words("f d d2 dec dec2 r.dec d+d2 d*2.0 d/4.0 double(i) -d") | DOUBLES.map(double)
TIME_TERMS = words('at at2 ms day day2 at+duration("1h")') | (INSTANTS | DAYS).map(instant)
BOOL_TERMS = words("b b2 true false has(m.k) has(r.t) b2==true")
BYTES_TERMS = words('y y2 z r.y b"a" b"a\\x00" y+z')
LIST_TERMS = words('l l2 n [] ["a"] [1] [null]')
MAP_TERMS = words('m r {} {"k":1}')
NULLABLE = words("s2 i2 d2 b2 y2 at2 day2 dec2 tu2 l2 n[0] r.t null")
TERMS = [TEXT_TERMS, INT_TERMS, DOUBLE_TERMS, TIME_TERMS, BOOL_TERMS, BYTES_TERMS]


def listed(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(terms, max_size=3).map(", ".join)
    return joined(terms, st.just(" in ["), lists, st.just("]"))


ATOMS = st.one_of(
    BOOL_TERMS,
    *(joined(terms, ORDER, terms) for terms in [*TERMS, NULLABLE, LIST_TERMS, MAP_TERMS]),
    *(listed(terms) for terms in TERMS),
    joined(INT_TERMS, ORDER, DOUBLE_TERMS),
    joined(NULLABLE, words("== !="), st.one_of(TERMS)),
    joined(
        st.just("("),
        TEXT_TERMS,
        words(").startsWith( ).endsWith( ).contains("),
        TEXT_TERMS,
        st.just(")"),
    ),
    joined(TEXT_TERMS, st.sampled_from([" in l", " in l2", " in m"])),
    joined(INT_TERMS, st.sampled_from([" in n", " in [null, 1]"])),
    joined(NULLABLE, st.sampled_from([" in m", " in l", " in n"])),
    joined(st.just("n.exists(v, v"), ORDER, INT_TERMS, st.just(")")),
    joined(st.just("l.all(v, v"), ORDER, TEXT_TERMS, st.just(")")),
    joined(
        words("at at2 ms day day2"),
        words(".getFullYear() .getMonth() .getDate() .getHours() .getDayOfWeek() .getSeconds()"),
        ORDER,
        st.sampled_from(["0", "1", "5", "9", "15", "2026"]),
    ),
)
FILTERS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        joined(st.just("("), inner, st.sampled_from([") && (", ") || ("]), inner, st.just(")")),
        joined(st.just("!("), inner, st.just(")")),
        joined(st.just("("), inner, st.just(") ? ("), inner, st.just(") : ("), inner, st.just(")")),
    ),
    max_leaves=4,
)


# --- The comparison -------------------------------------------------------------------------------


def fields(data: bytes) -> tuple[list[int], dict[str, object]]:
    """Return where the fields of a record start, and what the router decodes them to."""
    position, starts, values = 0, [], {}
    for name, decode in zip(TREE.field_names, DECODES, strict=True):
        starts.append(position)
        values[name], position = decode(data, position)
    return starts, values


def routed(expression: str, data: bytes) -> bool:
    """Tell what the router makes of a record: only what is certainly a match is one."""
    return compile_filter(expression, TYPES).matches(fields(data)[1]) is True


def compiled(expressions: list[str]) -> Iterator[RowFilter]:
    """Yield the filters of those expressions that type-check."""
    for expression in expressions:
        with contextlib.suppress(FilterInvalid):
            yield compile_filter(expression, TYPES)


def verified(expression: str, data: bytes) -> bool:
    """Tell what the verifier makes of it."""
    record = fastavro.schemaless_reader(io.BytesIO(data), PARSED, None)
    assert isinstance(record, dict)
    return row_predicate(expression)(record)


def encoded(record: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, dict(record))
    return out.getvalue()


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
        dict(zip(TREE.field_names, DECODES, strict=True)),
    )

    certain, tested = candidates.find(data, starts)

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
def test_common_forms_are_looked_up(
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
