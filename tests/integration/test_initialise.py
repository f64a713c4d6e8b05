"""`onesource init` against a real Kafka and Postgres, which another way has prepared already."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bus.adapters.pseudonym_secret_files import secret_file
from bus.bootstrap.connections import postgres_settings
from bus.bootstrap.pseudonyms import FOLDER_NAME
from bus.cli.main import EXIT_CONFIG
from bus.domain.access import OPERATOR, SERVICE_RULES
from bus.domain.pseudonyms import SECRET_BYTES
from bus.settings import CREDENTIALS_FOLDER
from tests.live_platform import LivePlatform


@pytest.fixture
def admin(platform: LivePlatform, tmp_path: Path) -> Path:
    path = tmp_path / "admin.json"
    connection = platform.admin()
    content = {"username": connection.username, "password": connection.password}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def initialise(
    platform: LivePlatform, admin: Path, *, owner_dsn: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with the credentials that the platform's own processes have."""
    postgres = postgres_settings(platform.settings)
    return subprocess.run(
        [
            *(sys.executable, "-m", "bus.cli.main", "init", "--credentials", str(admin)),
            *("--secrets", str(platform.folder.root / CREDENTIALS_FOLDER)),
        ],
        env=platform.environment()
        | {
            "ONESOURCE_POSTGRES__DSN": postgres.dsn.get_secret_value(),
            "ONESOURCE_POSTGRES__OWNER_DSN": owner_dsn,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def credentials(platform: LivePlatform) -> dict[str, str]:
    return {
        name: platform.folder.credentials_file(name).read_text(encoding="utf-8")
        for name in SERVICE_RULES
    }


def test_preparing_again_changes_nothing_for_those_who_run(
    platform: LivePlatform, admin: Path
) -> None:
    before = credentials(platform)
    secret = secret_file(platform.folder.root / CREDENTIALS_FOLDER / FOLDER_NAME, 1)
    secrets = []

    for _ in range(2):
        result = initialise(platform, admin, owner_dsn=platform.superuser_dsn)
        assert result.returncode == 0, result.stderr
        secrets.append(secret.read_bytes())

    assert credentials(platform) == before
    assert len(secrets[0]) == SECRET_BYTES
    assert secrets[0] == secrets[1]
    # Old and new connections work on: a change of the catalog passes Kafka, Postgres and control.
    entry = platform.new_resource()
    operator = platform.account(OPERATOR)
    assert operator.control.publication(entry.resource)["topic"] == entry.source_topic


def test_a_role_that_may_not_create_roles_is_a_wrong_setting(
    platform: LivePlatform, admin: Path
) -> None:
    application_dsn = postgres_settings(platform.settings).dsn.get_secret_value()

    result = initialise(platform, admin, owner_dsn=application_dsn)

    assert result.returncode == EXIT_CONFIG
    assert "may create roles and databases" in " ".join(result.stderr.split())
