"""Unit tests of `bus.adapters.signing_key_file`."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog

from bus.adapters import signing_key_file
from bus.adapters.signing_key_file import ensure_signing_key, public_key_file
from bus.audit.checkpoint import key_id, private_pem, read_public_keys
from bus.errors import ConfigError
from tests.audit_cases import KEY, OTHER_KEY


def test_a_key_is_made_once_and_its_public_half_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "audit.pem"

    first, second = ensure_signing_key(path), ensure_signing_key(path)

    assert private_pem(first) == private_pem(second)
    public = public_key_file(path)
    assert public == tmp_path / "keys" / "audit.pub.pem"
    assert list(read_public_keys(public.read_text("utf-8"))) == [key_id(first.public_key())]
    assert sorted(path.parent.iterdir()) == [path, public]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "audit.pem"
    before = os.umask(0)
    try:
        ensure_signing_key(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    path = tmp_path / "audit.pem"

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: private_pem(ensure_signing_key(path)), range(8)))

    assert len(set(keys)) == 1
    assert not list(tmp_path.glob("*.part"))


def test_a_given_key_is_used_and_the_public_halves_of_former_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "audit.pem"
    for key in (KEY, OTHER_KEY, KEY):
        path.write_text(private_pem(key), encoding="utf-8")
        assert private_pem(ensure_signing_key(path)) == private_pem(key)

    found = read_public_keys(public_key_file(path).read_text("utf-8"))
    assert list(found) == [key_id(KEY.public_key()), key_id(OTHER_KEY.public_key())]


@pytest.mark.parametrize("content", [b"very-secret", b"", b"\xff"])
def test_a_file_without_a_key_is_refused_and_not_repeated(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "audit.pem"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="signing key") as caught:
        ensure_signing_key(path)

    assert "secret" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_place_that_takes_no_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="ONESOURCE_AUDIT__KEY_FILE"):
        ensure_signing_key(tmp_path / "file" / "audit.pem")


def test_a_public_key_that_cannot_be_kept_is_in_the_log_and_the_private_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that Docker mounts lie in a read-only folder."""
    path = tmp_path / "audit.pem"
    path.write_text(private_pem(KEY), encoding="utf-8")
    monkeypatch.setattr(
        signing_key_file, "public_key_file", lambda _: tmp_path / "missing" / "audit.pub.pem"
    )

    with structlog.testing.capture_logs() as logs:
        ensure_signing_key(path)

    (entry,) = logs
    assert list(read_public_keys(entry["key"])) == [key_id(KEY.public_key())]
    assert "PRIVATE" not in str(logs)
