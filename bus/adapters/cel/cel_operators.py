"""
Operators of CEL as its definition has them, for cel-python.

Its own call it an error that null is not 1, cannot order 1 and 1.5, and fail where one side of `&&`
is null and the other an error. An error is a value here too: `CELEvalError`.
"""

import datetime as dt
import math
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from celpy import celtypes
from celpy.evaluation import CELEvalError, base_functions, function_size

Value: TypeAlias = Any  # celpy has no types of its own to name here


def _not(value: Value) -> Value:
    known = _known(value)
    return _no_overload() if known is None else celtypes.BoolType(not known)


def _and(one: Value, other: Value) -> Value:
    known = {_known(one), _known(other)}
    if False in known:
        return celtypes.BoolType(False)
    return _no_overload() if None in known else celtypes.BoolType(True)


def _or(one: Value, other: Value) -> Value:
    known = {_known(one), _known(other)}
    if True in known:
        return celtypes.BoolType(True)
    return _no_overload() if None in known else celtypes.BoolType(False)


def _choose(condition: Value, one: Value, other: Value) -> Value:
    known = _known(condition)
    return _no_overload() if known is None else one if known else other


def _equal(one: Value, other: Value) -> Value:
    return _failed(one, other) or celtypes.BoolType(_same(one, other))


def _unequal(one: Value, other: Value) -> Value:
    return _failed(one, other) or celtypes.BoolType(not _same(one, other))


def _contained(one: Value, container: Value) -> Value:
    if failed := _failed(one, container):
        return failed
    may_be_key = isinstance(one, int | float | str)
    if isinstance(container, list) or (isinstance(container, dict) and may_be_key):
        return celtypes.BoolType(any(_same(one, each) for each in container))
    return _no_overload()


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Value, Value], Value]:
    def order(one: Value, other: Value) -> Value:
        # A boolean is an int to Python, and to CEL it is not.
        if isinstance(one, celtypes.BoolType) == isinstance(other, celtypes.BoolType):
            for kind in (int | float, str, bytes, dt.datetime, dt.timedelta):
                if isinstance(one, kind) and isinstance(other, kind):
                    return celtypes.BoolType(compare(_plain(one), _plain(other)))
        return _failed(one, other) or _no_overload()

    return order


def _add(one: Value, other: Value) -> Value:
    # Python's own sum of two texts is no longer a text to cel-python.
    for kind, result in ((str, celtypes.StringType), (bytes, celtypes.BytesType)):
        if isinstance(one, kind) and isinstance(other, kind):
            return result(_plain(one) + _plain(other))
    return base_functions["_+_"](one, other)


def _int(value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        return _no_overload()
    return celtypes.IntType(value)


def _size(container: Value) -> Value:
    return _no_overload() if container is None else function_size(container)


OPERATORS: dict[str, Any] = {
    "!_": _not,
    "_&&_": _and,
    "_||_": _or,
    "_?_:_": _choose,
    "_==_": _equal,
    "_!=_": _unequal,
    "_in_": _contained,
    "_<_": _ordered(operator.lt),
    "_<=_": _ordered(operator.le),
    "_>_": _ordered(operator.gt),
    "_>=_": _ordered(operator.ge),
    "_+_": _add,
    "int": _int,
    "size": _size,
}


def _no_overload() -> CELEvalError:
    return CELEvalError("no such overload")


def _known(value: Value) -> bool | None:
    """Return what a boolean says; None for anything else, an error above all."""
    return bool(value) if isinstance(value, celtypes.BoolType | bool) else None


def _failed(*values: Value) -> CELEvalError | None:
    return next((value for value in values if isinstance(value, CELEvalError)), None)


def _same(one: Value, other: Value) -> bool:
    """Tell whether two values are equal: values of different types are not, but for numbers."""
    match one, other:
        case (None, _) | (_, None):
            return one is other
        case (celtypes.BoolType(), _) | (_, celtypes.BoolType()):
            return type(one) is type(other) and int(one) == int(other)
        case (list(), list()):
            return len(one) == len(other) and all(map(_same, one, other))
        case (dict(), dict()):
            return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
        case (list() | dict(), _) | (_, list() | dict()):
            return False
        case _:
            return bool(_plain(one) == _plain(other))


def _plain(value: Value) -> Any:  # noqa: ANN401
    """Return Python's own value; Python compares int and float exactly, as CEL does."""
    match value:
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str(value)
        case bytes():
            return bytes(value)
        case _:
            return value
