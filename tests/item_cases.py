"""Random values for item types: those that fit, and those that a careless provider would give."""

import datetime as dt
import decimal
import math
import uuid
from typing import Any

from hypothesis import strategies as st

from bus.domain.items import (
    ArrayType,
    DecimalType,
    EnumType,
    FixedType,
    ItemType,
    MapType,
    Nullable,
    RecordReference,
    RecordType,
    Scalar,
)

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
)
#: Far from midnight in UTC on the first and last day of the calendar.
_OFFSETS = st.integers(-23 * 60, 23 * 60).map(
    lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))
)
#: Moments that every calendar can hold, whatever the time zone.
MOMENTS = st.datetimes(
    dt.datetime(1, 1, 2),  # noqa: DTZ001 (hypothesis adds the zone)
    dt.datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=_OFFSETS,
)
_INT, _LONG = 1 << 31, 1 << 63

_SCALARS: dict[Scalar, st.SearchStrategy[Any]] = {
    Scalar.STRING: TEXT,
    Scalar.BOOLEAN: st.booleans(),
    Scalar.INT: st.integers(-_INT, _INT - 1),
    Scalar.LONG: st.integers(-_LONG, _LONG - 1),
    Scalar.FLOAT: st.floats(width=32),
    Scalar.DOUBLE: st.floats() | st.integers(-_INT, _INT),
    Scalar.BYTES: st.binary(max_size=8),
    Scalar.DATE: st.dates(),
    Scalar.TIME_MILLIS: st.times().map(
        lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
    ),
    Scalar.TIME_MICROS: st.times(),
    Scalar.TIMESTAMP_MILLIS: MOMENTS.map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    Scalar.TIMESTAMP_MICROS: MOMENTS,
    Scalar.UUID: st.uuids(),
}

#: Anything that a program may hold where a value of an item is wanted.
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-_INT - 2, _INT + 2),
    st.integers(-_LONG - 2, _LONG + 2),
    st.just(10**400),
    st.floats(),
    st.sampled_from([3.5e38, -3.5e38, 1.7e308]),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.decimals(),
    st.dates(),
    st.times() | st.times(timezones=_OFFSETS),
    st.datetimes() | st.datetimes(timezones=_OFFSETS),
    _OFFSETS.map(lambda zone: dt.datetime(1, 1, 1, tzinfo=zone)),
    _OFFSETS.map(lambda zone: dt.datetime(9999, 12, 31, 23, 59, tzinfo=zone)),
    st.uuids(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


def fitting(item_type: ItemType) -> st.SearchStrategy[Any]:
    """Return a strategy of values that fit an item type."""
    return _fitting(item_type, {})


def anything(item_type: ItemType) -> st.SearchStrategy[Any]:
    """Return a strategy of values of which many do not fit, now and then only deep inside."""
    return ANYTHING | _mixed(item_type)


def comparable(value: Any) -> Any:
    """Return `value` so that what was encoded equals what was decoded: NaN, -0, numbers, zones."""
    match value:
        case dict():
            return {key: comparable(each) for key, each in value.items()}
        case list() | tuple():
            return [comparable(each) for each in value]
        case bool() | None:
            return value
        case int() | float():
            return "NaN" if math.isnan(value) else (float(value), math.copysign(1, value))
        case decimal.Decimal():
            return value.normalize(decimal.Context(prec=100))
        case dt.datetime():
            return value.astimezone(dt.UTC)
        case uuid.UUID():
            return str(value)
        case _:
            return value


def _fitting(
    item_type: ItemType, enclosing: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Any]:
    match item_type:
        case Scalar():
            return _SCALARS[item_type]
        case DecimalType(precision, scale):
            largest = 10**precision - 1
            return st.integers(-largest, largest).map(
                lambda unscaled: decimal.Decimal(unscaled).scaleb(-scale, decimal.Context(prec=100))
            )
        case EnumType(_, symbols):
            return st.sampled_from(symbols)
        case FixedType(_, size):
            return st.binary(min_size=size, max_size=size)
        case ArrayType(items):
            each = _fitting(items, enclosing)
            return st.just([]) if each.is_empty else st.lists(each, max_size=3)
        case MapType(values):
            each = _fitting(values, enclosing)
            return st.just({}) if each.is_empty else st.dictionaries(TEXT, each, max_size=3)
        case RecordType(name, fields):
            # Two generations of a record that holds itself are enough.
            strategy: st.SearchStrategy[Any] = st.nothing()
            for _ in range(2):
                known = {**enclosing, name: strategy}
                strategy = st.fixed_dictionaries(
                    {field.name: _fitting(field.type, known) for field in fields}
                )
            return strategy
        case RecordReference(name):
            return enclosing[name]
        case Nullable(inner):
            return st.none() | _fitting(inner, enclosing)


def _mixed(item_type: ItemType) -> st.SearchStrategy[Any]:
    match item_type:
        case ArrayType(items):
            return st.lists(ANYTHING | fitting(items), max_size=3)
        case MapType(values):
            return st.dictionaries(st.text(max_size=2), ANYTHING | fitting(values), max_size=2)
        case RecordType(_, fields):
            return st.fixed_dictionaries(
                {
                    field.name: ANYTHING
                    for field in fields
                    if not isinstance(field.type, RecordReference)
                }
            )
        case Nullable(inner):
            return _mixed(inner)
        case _:
            return fitting(item_type)
