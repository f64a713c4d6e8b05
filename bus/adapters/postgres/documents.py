"""Domain values as JSON documents, and back."""

from typing import Any, TypeVar

from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

T = TypeVar("T")

#: Building one costs milliseconds.
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def to_document(value: object) -> Jsonb:
    """Return the dataclass `value` as a JSON parameter."""
    return Jsonb(_adapter(type(value)).dump_python(value, mode="json"))


def from_document(kind: type[T], document: Any) -> T:  # noqa: ANN401 (JSON)
    """Return the value of the dataclass `kind` that `to_document` made `document` of."""
    value: T = _adapter(kind).validate_python(document)
    return value


def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 (a type)
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
