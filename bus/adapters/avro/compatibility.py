"""Apache avro's own judgement of whether a new schema reads what older ones wrote."""

from collections.abc import Iterable

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse

from bus.errors import ContractError

#: What the library meets documents with that are far from a schema, or nested too deeply.
_ODD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def incompatibilities(reader: str, writers: Iterable[str]) -> list[str]:
    """
    Return why records of any of the schemas `writers` could not be read with `reader`.

    Checked against all of them this is BACKWARD_TRANSITIVE (design.md §4). Raise `ContractError` if
    one of them is no schema.
    """
    found: list[str] = []
    for text in writers:
        checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        try:
            result = checker.get_compatibility(parse(reader), parse(text))
        except AvroException as error:
            raise ContractError(str(error)) from error
        except _ODD as error:
            raise ContractError(f"a schema cannot be read: {error}") from error
        if result.compatibility is not SchemaCompatibilityType.compatible:
            places = sorted(result.locations)
            messages = sorted(result.messages)
            found.append("; ".join(messages) + f" (at {', '.join(places)})")
    return found
