"""
Row filters by cel-expr-python, Google's wrapper of cel-cpp: typed, bounded, and fast.

cel-python's parser is used to know which items an expression reads, and what an index can answer.
"""

import datetime as dt
from collections.abc import Mapping
from functools import cache, lru_cache

from cel_expr_python import cel
from celpy.celparser import CELParseError, CELParser
from lark import Token, Tree

from bus.adapters.cel.equalities import find_equality
from bus.adapters.cel.frequent_forms import AskEngine, compile_form, find_form
from bus.errors import FilterInvalid
from bus.views.filter_form import FilterForm
from bus.views.row_filter import Equality, FilterType, RowFilter

MAX_SOURCE_BYTES = 4096

_TYPES: Mapping[FilterType, cel.Type] = {
    FilterType.BOOL: cel.Type.BOOL,
    FilterType.INT: cel.Type.INT,
    FilterType.DOUBLE: cel.Type.DOUBLE,
    FilterType.STRING: cel.Type.STRING,
    FilterType.BYTES: cel.Type.BYTES,
    FilterType.TIMESTAMP: cel.Type.TIMESTAMP,
    FilterType.LIST: cel.Type.List(cel.Type.DYN),
    FilterType.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    FilterType.DYN: cel.Type.DYN,
}


_MAY_HOLD_BYTES = frozenset({FilterType.BYTES, FilterType.LIST, FilterType.MAP, FilterType.DYN})


def compile_filter(expression: str, types: Mapping[str, FilterType]) -> RowFilter:
    """
    Compile `expression` over items of these `types` (a `FilterCompiler`).

    Raise `FilterInvalid` if it is too long, does not parse, does not type-check, names an unknown
    item, or is not bool.
    """
    if len(expression.encode()) > MAX_SOURCE_BYTES:
        raise FilterInvalid(f"{expression[:60]}…", f"longer than {MAX_SOURCE_BYTES} bytes")
    environment = cel.NewEnv(variables={name: _TYPES[kind] for name, kind in types.items()})
    try:
        program = environment.compile(expression)
    except RuntimeError as error:
        raise FilterInvalid(expression, _reason(error)) from error
    # `==`, not `in` or a match: the type of an expression on nullable items is dynamic.
    if program.return_type() != cel.Type.BOOL:
        raise FilterInvalid(expression, f"it is {program.return_type().name()}, not BOOL")
    return _CelFilter(expression, program, types)


class _CelFilter:
    """A compiled filter; see `RowFilter`."""

    def __init__(
        self, expression: str, program: cel.Expression, types: Mapping[str, FilterType]
    ) -> None:
        self._expression = expression
        self._types = types
        self._evaluate = program.eval
        tree = parse(expression)
        self._items = _items_read(tree) & types.keys()
        self._equality = find_equality(tree, types)
        self._form = find_form(tree, types)
        self._common = None if self._form is None else compile_form(self._form, types)
        self._dynamic = tuple(name for name in self._items if types[name] is FilterType.DYN)
        self._binary = tuple(name for name in self._items if types[name] in _MAY_HOLD_BYTES)
        self._variant = lru_cache(maxsize=64)(self._compile_variant)

    @property
    def items(self) -> frozenset[str]:
        return self._items

    @property
    def equality(self) -> Equality | None:
        return self._equality

    @property
    def form(self) -> FilterForm | None:
        return self._form

    def matches(self, values: Mapping[str, object]) -> bool | None:
        if self._common is not None:
            try:
                return self._common(values)
            except AskEngine:
                pass
        return self.ask_engine(values)

    def ask_engine(self, values: Mapping[str, object]) -> bool | None:
        """Return what `matches` does, whatever the form of the expression."""
        evaluate = self._evaluate
        if self._dynamic:
            timed = [name for name in self._dynamic if isinstance(values[name], dt.datetime)]
            if timed:
                evaluate = self._variant(frozenset(timed)).eval
        data = {name: values[name] for name in self._items}
        for name in self._binary:
            data[name] = _uncut(data[name])
        result = evaluate(data=data).value()
        # An error is a value too, and its text is what `value()` returns.
        return result if isinstance(result, bool) else None

    def _compile_variant(self, timed: frozenset[str]) -> cel.Expression:
        """
        Compile for records in which the nullable items `timed` hold a timestamp.

        The engine takes a timestamp only for a variable of that type. The expression has been
        checked with these items as dynamic, and evaluates by the same rules here.
        """
        variables = {name: _TYPES[self._types[name]] for name in self._items}
        variables.update(dict.fromkeys(timed, cel.Type.TIMESTAMP))
        environment = cel.NewEnv(variables=variables)
        return environment.compile(self._expression, disable_check=True)


def _uncut(value: object) -> object:
    """Return `value` with bytearrays for bytes: the engine cuts `bytes` off at the first zero."""
    match value:
        case bytes():
            return bytearray(value)
        case list():
            return [_uncut(each) for each in value]
        case dict():
            return {key: _uncut(each) for key, each in value.items()}
        case _:
            return value


def parse(expression: str) -> Tree[Token]:
    """Return the tree of an expression; raise `FilterInvalid` if it cannot be analysed."""
    try:
        return _parser().parse(expression)
    except CELParseError as error:
        raise FilterInvalid(expression, f"it cannot be analysed: {error}") from error


def _items_read(tree: Tree[Token]) -> frozenset[str]:
    return frozenset(
        str(child)
        for ident in tree.find_data("ident")
        for child in ident.children
        if isinstance(child, Token)
    )


@cache
def _parser() -> CELParser:
    return CELParser()


def _reason(error: RuntimeError) -> str:
    """Return the engine's first complaint with its line and column, without its ornaments."""
    first = str(error).splitlines()[0]
    return first.removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: <input>:")
