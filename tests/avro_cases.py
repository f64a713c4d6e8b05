"""Random Avro schemas and values for them, for property tests."""

import datetime as dt
import decimal
import json
import math
import uuid
from typing import Any

from hypothesis import strategies as st

#: (schema as JSON, strategy of values as fastavro takes them)
Case = tuple[Any, st.SearchStrategy[Any]]

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
)
_FLOATS = st.floats(width=32, allow_nan=False)
_DOUBLES = st.floats(allow_nan=False)

_SCALARS: list[Case] = [
    ("string", TEXT),
    ("boolean", st.booleans()),
    ("int", st.integers(-(1 << 31), (1 << 31) - 1)),
    ("long", st.integers(-(1 << 63), (1 << 63) - 1)),
    ("float", _FLOATS),
    ("double", _DOUBLES),
    ("bytes", st.binary(max_size=12)),
    ({"type": "int", "logicalType": "date"}, st.dates()),
    (
        {"type": "long", "logicalType": "timestamp-micros"},
        st.datetimes(timezones=st.just(dt.UTC)),
    ),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        st.datetimes(timezones=st.just(dt.UTC)).map(
            lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        ),
    ),
    (
        {"type": "int", "logicalType": "time-millis"},
        st.times().map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)),
    ),
    ({"type": "long", "logicalType": "time-micros"}, st.times()),
    ({"type": "string", "logicalType": "uuid"}, st.uuids()),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        st.decimals(
            min_value=-9_999_999,
            max_value=9_999_999,
            places=2,
            allow_nan=False,
            allow_infinity=False,
        ),
    ),
]


@st.composite
def item_types(draw: st.DrawFn, name: str, depth: int = 0) -> Case:
    """Draw a type for an item called `name` (names of nested types begin with it)."""
    if depth >= 2 or draw(st.integers(0, 3)):
        return draw(st.sampled_from(_SCALARS))
    kind = draw(st.sampled_from(["array", "map", "record", "enum", "fixed", "nullable"]))
    match kind:
        case "enum":
            symbols = [f"S{index}" for index in range(draw(st.integers(1, 4)))]
            return (
                {"type": "enum", "name": f"{name}_enum", "symbols": symbols},
                st.sampled_from(symbols),
            )
        case "fixed":
            size = draw(st.integers(1, 6))
            return (
                {"type": "fixed", "name": f"{name}_fixed", "size": size},
                st.binary(min_size=size, max_size=size),
            )
        case "array":
            inner, values = draw(item_types(f"{name}_a", depth + 1))
            return {"type": "array", "items": inner}, st.lists(values, max_size=3)
        case "map":
            inner, values = draw(item_types(f"{name}_m", depth + 1))
            return {"type": "map", "values": inner}, st.dictionaries(TEXT, values, max_size=3)
        case "record":
            inner, values = draw(item_types(f"{name}_r", depth + 1))
            schema = {
                "type": "record",
                "name": f"{name}_record",
                "fields": [{"name": "x", "type": inner}, {"name": "y", "type": "long"}],
            }
            whole = st.fixed_dictionaries({"x": values, "y": st.integers(-5, 5)})
            return schema, whole
        case _:
            inner, values = draw(item_types(f"{name}_n", depth + 1))
            if isinstance(inner, list):
                return inner, values
            return ["null", inner], st.none() | values


@st.composite
def record_cases(draw: st.DrawFn, most_items: int = 5) -> tuple[str, st.SearchStrategy[Any]]:
    """
    Draw a source schema (with `meta` and a text key item `id`) and a strategy of its records.

    The strategy yields dictionaries with `meta`, as fastavro encodes them.
    """
    names = [f"i{index}" for index in range(draw(st.integers(0, most_items)))]
    items = {name: draw(item_types(name)) for name in names}
    fields: list[dict[str, Any]] = [
        {
            "name": "meta",
            "type": {
                "type": "record",
                "name": "SourceMeta",
                "fields": [
                    {
                        "name": "event_id",
                        "type": {"type": "fixed", "name": "EventId", "size": 16},
                    },
                    {
                        "name": "occurred_at",
                        "type": {"type": "long", "logicalType": "timestamp-micros"},
                    },
                ],
            },
        },
        {"name": "id", "type": "string"},
    ]
    fields += [{"name": name, "type": schema} for name, (schema, _) in items.items()]
    schema = {"type": "record", "name": "Record", "namespace": "os.test", "fields": fields}
    metas = st.fixed_dictionaries(
        {
            "event_id": st.uuids().map(lambda each: each.bytes),
            "occurred_at": st.datetimes(timezones=st.just(dt.UTC)),
        }
    )
    keys = st.text("abcdefghij", min_size=1, max_size=3)
    values = {name: strategy for name, (_, strategy) in items.items()}
    records = st.fixed_dictionaries({"meta": metas, "id": keys, **values})
    return json.dumps(schema), records


def comparable(value: Any) -> Any:
    """Return `value` in a form in which equal values are equal: floats as their bits, and so on."""
    match value:
        case dict():
            return {key: comparable(each) for key, each in value.items()}
        case list():
            return [comparable(each) for each in value]
        case float():
            return ("nan",) if math.isnan(value) else (value, math.copysign(1, value))
        case decimal.Decimal():
            return value.normalize()
        case uuid.UUID():
            return str(value)
        case _:
            return value
