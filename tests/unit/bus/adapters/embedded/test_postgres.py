"""Unit tests of `bus.adapters.embedded.postgres`: what the server is told, before it is started."""

import os
from pathlib import Path

import pytest

from bus.adapters.embedded.postgres import PostgresCluster
from bus.errors import ConfigError, PlatformDamaged


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresCluster:
    """Return a cluster that runs as the current user, whoever that is."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return PostgresCluster(
        folder=tmp_path / "postgres", port=15432, superuser_password="super-secret"
    )


def written_by(cluster: PostgresCluster, version: str) -> Path:
    """Make the files of a cluster that a version of Postgres has written."""
    data = cluster.folder / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{version}\n", encoding="ascii")
    return data


def test_files_of_another_major_version_are_refused_with_what_to_do(
    cluster: PostgresCluster,
) -> None:
    written_by(cluster, "9")

    with pytest.raises(PlatformDamaged, match="was written by Postgres 9") as caught:
        cluster.prepare()

    assert "dump it" in str(caught.value)
    assert isinstance(caught.value, ConfigError)


def test_the_pid_file_of_a_server_that_is_gone_is_forgotten(cluster: PostgresCluster) -> None:
    """Its pid may be another program's by now, and Postgres would refuse to start."""
    data = written_by(cluster, "18")
    (data / "postmaster.pid").write_text("1\n", encoding="ascii")

    cluster.prepare()

    assert not (data / "postmaster.pid").exists()


def test_it_listens_on_this_machine_only_and_its_command_holds_no_password(
    cluster: PostgresCluster,
) -> None:
    command = cluster.command()

    assert "listen_addresses=127.0.0.1" in command
    assert "port=15432" in command
    assert "unix_socket_directories=" in command
    assert "super-secret" not in " ".join(command)


def test_a_connection_string_names_who_and_where(cluster: PostgresCluster) -> None:
    assert cluster.dsn() == "postgresql://postgres:super-secret@127.0.0.1:15432/postgres"
    assert (
        cluster.dsn("onesource", user="owner", password="other")
        == "postgresql://owner:other@127.0.0.1:15432/onesource"
    )


def test_started_by_root_it_runs_as_somebody_else(
    cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster.user is None

    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert cluster.user == "embedded_postgres"
