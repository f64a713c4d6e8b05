"""Unit tests of `bus.adapters.pseudonym_secret_files`."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bus.adapters.pseudonym_secret_files import (
    PseudonymSecretFiles,
    ensure_first_secret,
    secret_file,
)
from bus.errors import ConfigError, PseudonymKeyUnusable, StopPartition


def private(folder: Path, version: int, content: bytes, mode: int = 0o600) -> Path:
    """Write the secret of a version."""
    path = secret_file(folder, version)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_first_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys" / "pseudonyms"
    before = os.umask(0)
    try:
        made = ensure_first_secret(folder)
    finally:
        os.umask(before)
    content = made.read_bytes()

    assert ensure_first_secret(folder) == made
    assert made.read_bytes() == content == PseudonymSecretFiles(folder).secret(1)
    assert len(content) == 32
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == [made]


def test_processes_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ensure_first_secret(tmp_path).read_bytes(), range(8)))

    assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_two_installations_have_two_secrets(tmp_path: Path) -> None:
    one, other = (ensure_first_secret(tmp_path / name).read_bytes() for name in ("a", "b"))

    assert one != other


def test_a_first_secret_that_was_taken_away_is_not_made_again(tmp_path: Path) -> None:
    """Other bytes under the same version would be other pseudonyms in the same views."""
    private(tmp_path, 2, bytes(32))

    assert not ensure_first_secret(tmp_path).exists()


def test_each_version_has_a_secret_and_a_new_one_needs_no_restart(tmp_path: Path) -> None:
    secrets = PseudonymSecretFiles(tmp_path)
    private(tmp_path, 1, b"1" * 32)
    first = secrets.secret(1)
    with pytest.raises(PseudonymKeyUnusable):
        secrets.secret(2)
    private(tmp_path, 2, b"2" * 32)

    assert (first, secrets.secret(2)) == (b"1" * 32, b"2" * 32)


def test_a_secret_that_is_missing_stops_what_needs_it(tmp_path: Path) -> None:
    with pytest.raises(StopPartition, match="ONESOURCE_PSEUDONYMS__FOLDER") as raised:
        PseudonymSecretFiles(tmp_path / "nowhere").secret(1)

    assert raised.value.code == "PSEUDONYM_KEY_UNUSABLE"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_secret_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    private(tmp_path, 1, b"s3cret" * 5 + b"s3", mode)

    with pytest.raises(PseudonymKeyUnusable, match="chmod 600") as raised:
        PseudonymSecretFiles(tmp_path).secret(1)

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_what_is_no_secret_is_refused(tmp_path: Path, length: int) -> None:
    """Half a file derives keys as well as a whole one: only the length tells."""
    private(tmp_path, 1, bytes(length))

    with pytest.raises(PseudonymKeyUnusable, match="32 bytes"):
        PseudonymSecretFiles(tmp_path).secret(1)


def test_a_folder_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="cannot be kept"):
        ensure_first_secret(tmp_path / "file" / "pseudonyms")
