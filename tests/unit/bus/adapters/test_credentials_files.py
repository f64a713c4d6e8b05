"""Unit tests of `bus.adapters.credentials_files`."""

import json
import os
import stat
from pathlib import Path

import pytest

from bus.adapters.credentials_files import ensure_credentials, save_credentials
from bus.errors import ConfigError


def test_missing_credentials_are_generated_once(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    first = ensure_credentials(folder, "os-router")
    second = ensure_credentials(folder, "os-router")

    assert first == second
    assert first.username == "os-router"
    assert first != ensure_credentials(folder, "os-control")


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    before = os.umask(0)
    try:
        path = save_credentials(folder, "os-router", "-")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == [path]


def test_given_credentials_are_kept_and_nothing_is_left_out(tmp_path: Path) -> None:
    content = json.dumps({"username": "os-router", "password": "given"})
    (tmp_path / "os-router.json").write_text(content, encoding="utf-8")

    assert ensure_credentials(tmp_path, "os-router").password.get_secret_value() == "given"
    assert (tmp_path / "os-router.json").read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"username": "os-control", "password": "-"}', "credentials of os-control, not of"),
        ('{"username": "os-router"}', "is not a credentials file"),
        ("", "is not a credentials file"),
    ],
    ids=["somebody else's", "no password", "empty"],
)
def test_a_file_that_is_not_what_it_is_called_is_refused(
    content: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "os-router.json").write_text(content, encoding="utf-8")

    with pytest.raises(ConfigError, match=reason):
        ensure_credentials(tmp_path, "os-router")


def test_a_folder_that_cannot_be_written_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="cannot be kept"):
        ensure_credentials(tmp_path / "file" / "folder", "os-router")
