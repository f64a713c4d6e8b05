"""Unit tests of `bus.bootstrap.initialise`: what is refused before anything is asked to change."""

import json
from pathlib import Path

import pytest

from bus.bootstrap.initialise import initialise
from bus.errors import ConfigError, CredentialsMissing
from bus.settings import KafkaSettings, PostgresSettings, Settings

APPLICATION_DSN = "postgresql://onesource_app:secret@127.0.0.1:1/onesource"
OWNER_DSN = "postgresql://postgres:hidden@127.0.0.1:1/postgres"


@pytest.fixture
def admin(tmp_path: Path) -> Path:
    path = tmp_path / "admin.json"
    path.write_text(json.dumps({"username": "admin", "password": "-"}), encoding="utf-8")
    return path


def prepare(folder: Path, admin: Path | None, *, dsn: str, owner_dsn: str | None) -> None:
    settings = Settings(
        state_folder=folder / "state",
        credentials=admin,
        kafka=KafkaSettings(bootstrap="127.0.0.1:1"),
        postgres=PostgresSettings.model_validate({"dsn": dsn, "owner_dsn": owner_dsn}),
    )
    initialise(settings, folder / "secrets", on_step=lambda _: None)


def test_the_super_user_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing, match="--credentials"):
        prepare(tmp_path, None, dsn=APPLICATION_DSN, owner_dsn=OWNER_DSN)


def test_the_one_who_may_create_the_database_must_be_named(tmp_path: Path, admin: Path) -> None:
    with pytest.raises(ConfigError, match="ONESOURCE_POSTGRES__OWNER_DSN"):
        prepare(tmp_path, admin, dsn=APPLICATION_DSN, owner_dsn=None)
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://somebody:secret@127.0.0.1:1/onesource",
        "postgresql://onesource_app:secret@127.0.0.1:1/other",
        "postgresql://onesource_app@127.0.0.1:1/onesource",
        "secret=nonsense",
    ],
    ids=["another user", "another database", "no password", "unreadable"],
)
def test_a_connection_string_that_does_not_fit_is_refused_without_repeating_it(
    dsn: str, tmp_path: Path, admin: Path
) -> None:
    with pytest.raises(ConfigError, match="connection string") as refused:
        prepare(tmp_path, admin, dsn=dsn, owner_dsn=OWNER_DSN)

    assert "secret" not in str(refused.value)


def test_kafkas_administrator_is_not_kept_where_controls_will_be(tmp_path: Path) -> None:
    """Both would be called admin, and the one's password would become the other's."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    theirs = secrets / "admin.json"
    theirs.write_text('{"username": "admin", "password": "x"}', encoding="utf-8")

    with pytest.raises(ConfigError, match="keep it elsewhere"):
        prepare(tmp_path, theirs, dsn=APPLICATION_DSN, owner_dsn=OWNER_DSN)
