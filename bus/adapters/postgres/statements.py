"""The SQL of this package, by name, from `queries/*.sql`."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

_NAME = "-- name: "


@cache
def statements(file: str) -> Mapping[str, bytes]:
    """
    Return the statements of `queries/<file>.sql` by name.

    A statement starts with a line `-- name: …` and a comment of one sentence. Bytes, because
    psycopg takes text only if it is a literal, and these are as good as literals.
    """
    text = resources.files(__package__).joinpath("queries", f"{file}.sql").read_text("utf-8")
    return dict(_split(text))


def _split(text: str) -> Iterator[tuple[str, bytes]]:
    for part in text.split(_NAME)[1:]:
        name, _, statement = part.partition("\n")
        yield name.strip(), statement.strip().encode()
