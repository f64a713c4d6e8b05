"""Unit tests of `bus.adapters.postgres.provision` and `migrate`: what is refused before a start."""

import re
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from bus.adapters import postgres
from bus.adapters.embedded.processes import free_port
from bus.adapters.postgres.migrate import upgrade
from bus.adapters.postgres.provision import create_database, prepare_given_database
from bus.errors import ConfigError, StoreUnavailable

SUPERUSER = "postgresql://postgres:super-secret@127.0.0.1:1/postgres"
MIGRATIONS = Path(postgres.__file__).parent / "migrations"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://onesource_app@127.0.0.1/onesource",
        "postgresql://somebody:very-secret@127.0.0.1/onesource",
        "postgresql://onesource_app:very-secret@127.0.0.1/elsewhere",
        "postgresql://onesource_app:very-secret@127.0.0.1",
        "host=127.0.0.1 password=very-secret",
    ],
    ids=["no password", "another user", "another database", "no database", "neither"],
)
def test_a_connection_string_must_name_our_role_its_password_and_our_database(dsn: str) -> None:
    with pytest.raises(ConfigError, match="must name the user onesource_app") as caught:
        prepare_given_database(SUPERUSER, dsn)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", ["very-secret", "postgresql://a:very-secret@b/c?nothing=1", "user='x"]
)
def test_a_connection_string_that_cannot_be_read_is_not_repeated(bad: str) -> None:
    good = "postgresql://onesource_app:very-secret@127.0.0.1/onesource"

    for superuser, application in ((SUPERUSER, bad), (bad, good)):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            prepare_given_database(superuser, application)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_server_that_is_away_is_something_to_try_again() -> None:
    dsn = f"postgresql://a:very-secret@127.0.0.1:{free_port()}/b"

    with pytest.raises(StoreUnavailable, match="Postgres does not answer") as created:
        create_database(dsn, database="b", owner="a", owner_password="very-secret")
    with pytest.raises(StoreUnavailable, match="Postgres does not answer") as migrated:
        upgrade(dsn)

    assert "very-secret" not in str(created.value) + str(migrated.value)


def test_migrations_are_one_line_of_numbers_with_their_sql_beside_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)

    revisions = [each.revision for each in reversed(list(script.walk_revisions()))]

    assert len(script.get_heads()) == 1
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    versions = MIGRATIONS / "versions"
    assert {path.stem for path in versions.glob("*.sql")} == {
        path.stem for path in versions.glob("*.py")
    }


@pytest.mark.parametrize(
    "path", sorted((MIGRATIONS / "versions").glob("*.sql")), ids=lambda path: path.stem
)
def test_a_migration_keeps_to_its_schema(path: Path) -> None:
    made = re.findall(
        r"^CREATE (?:TABLE|SEQUENCE|VIEW) ([a-z_.]+)", path.read_text("utf-8"), re.MULTILINE
    )

    assert made
    assert [name for name in made if not name.startswith("onesource.")] == []
