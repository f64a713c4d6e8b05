"""Row filters and records for them: every type, and the corners of each."""

import datetime as dt
import decimal
import io
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any

import fastavro
from hypothesis import strategies as st

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
from bus.views.filter_values import compile_decode
from bus.views.row_filter import filter_types
from bus.views.schema_tree import parse_schema
from tests import builders

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


# --- Bytes ----------------------------------------------------------------------------------------


def fields(data: bytes) -> tuple[list[int], dict[str, object]]:
    """Return where the fields of a record start, and what the router decodes them to."""
    position, starts, values = 0, [], {}
    for name, decode in zip(TREE.field_names, DECODES, strict=True):
        starts.append(position)
        values[name], position = decode(data, position)
    return starts, values


def encoded(record: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, dict(record))
    return out.getvalue()
