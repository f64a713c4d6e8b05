"""
Row filters by cel-python, for verification: slow, and independent of the engine the router uses.

Values come as fastavro decodes them; what the filter language makes of each is spelled out here
once more, on purpose.
"""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import celpy
from celpy import celtypes
from celpy.evaluation import CELEvalError

from bus.adapters.cel.cel_operators import OPERATORS

_REMEMBERED = 100_000


def row_predicate(expression: str) -> Callable[[Mapping[str, Any]], bool]:
    """
    Return a function that tells whether a record, as fastavro decodes it, matches `expression`.

    An evaluation error is no match, and so is an item that the record lacks.
    """
    environment = celpy.Environment()
    tree = environment.compile(expression)
    read = frozenset(str(child) for ident in tree.find_data("ident") for child in ident.children)
    program = environment.program(tree, functions=OPERATORS)
    # Many records agree in the few items that a filter reads.
    known: dict[tuple[object, ...], bool] = {}

    def matches(record: Mapping[str, Any]) -> bool:
        names = sorted(read & record.keys())
        try:
            at = tuple(record[name] for name in names)
            if at in known:
                return known[at]
        except TypeError:
            at = ()
        result = _evaluate(program, {name: record[name] for name in names})
        if at and len(known) < _REMEMBERED:
            known[at] = result
        return result

    return matches


def _evaluate(program: celpy.Runner, values: Mapping[str, Any]) -> bool:
    try:
        result = program.evaluate({name: _cel(value) for name, value in values.items()})
    except (CELEvalError, ArithmeticError):
        # The second: not all of what Python's numbers refuse is an error value in cel-python.
        return False
    return isinstance(result, celtypes.BoolType | bool) and bool(result)


def _cel(value: Any, *, nested: bool = False) -> Any:  # noqa: ANN401 (any item)
    match value:
        case None:
            return None
        case bool():
            return celtypes.BoolType(value)
        case int():
            return celtypes.IntType(value)
        case float() | decimal.Decimal():
            return celtypes.DoubleType(float(value))
        case str() | uuid.UUID():
            return celtypes.StringType(str(value))
        case bytes():
            return celtypes.BytesType(value)
        case dt.datetime():
            moment = value.astimezone(dt.UTC)
            return celtypes.StringType(moment.isoformat()) if nested else _timestamp(moment)
        case dt.date():
            midnight = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
            return celtypes.StringType(midnight.isoformat()) if nested else _timestamp(midnight)
        case dt.time():
            seconds = (value.hour * 60 + value.minute) * 60 + value.second
            return celtypes.IntType(seconds * 1_000_000 + value.microsecond)
        case list():
            return celtypes.ListType([_cel(each, nested=True) for each in value])
        case _:
            return celtypes.MapType(
                {
                    celtypes.StringType(str(name)): _cel(each, nested=True)
                    for name, each in value.items()
                }
            )


def _timestamp(moment: dt.datetime) -> Any:  # noqa: ANN401 (celpy has no types)
    return celtypes.TimestampType(moment)
