"""Unit tests of `bus.adapters.postgres.statements` and of the SQL files that it reads."""

import re
from pathlib import Path

import pytest

from bus.adapters import postgres
from bus.adapters.postgres.statements import statements

PACKAGE = Path(postgres.__file__).parent
FILES = sorted(path.stem for path in (PACKAGE / "queries").glob("*.sql"))
ALL = [(file, name) for file in FILES for name in statements(file)]
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.glob("*.py"))

each_statement = pytest.mark.parametrize(
    ("file", "name"), ALL, ids=[f"{file}-{name}" for file, name in ALL]
)


@pytest.mark.parametrize("file", FILES)
def test_a_file_holds_each_name_once(file: str) -> None:
    text = (PACKAGE / "queries" / f"{file}.sql").read_text(encoding="utf-8")
    names = re.findall(r"^-- name: (.*)$", text, re.MULTILINE)

    assert names == list(statements(file))
    assert text.startswith("-- name: ")


@each_statement
def test_a_statement_is_one_and_says_in_a_sentence_what_it_does(file: str, name: str) -> None:
    comment, *lines = statements(file)[name].decode().splitlines()
    body = "\n".join(lines)

    assert re.fullmatch(r"-- [A-Z].*\.", comment)
    assert body.count(";") == 1
    assert body.endswith(";")


@each_statement
def test_a_statement_takes_values_as_parameters_only(file: str, name: str) -> None:
    body = statements(file)[name].decode()

    assert re.sub(r"%\([a-z_]+\)s", "", body).count("%") == 0


@each_statement
def test_a_statement_is_used(file: str, name: str) -> None:
    assert f'"{name}"' in SOURCE


@each_statement
def test_a_statement_names_the_schema_of_its_tables(file: str, name: str) -> None:
    """Nothing depends on the search path of whoever connects."""
    body = statements(file)[name].decode().split("\n", 1)[1]

    tables = re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_.]+)", body)
    # `unnest` makes rows of a parameter, and is always Postgres's own.
    assert [
        table for table in tables if not table.startswith("onesource.") and table != "unnest"
    ] == []
