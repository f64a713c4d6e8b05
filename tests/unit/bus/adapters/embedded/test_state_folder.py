"""Unit tests of `bus.adapters.embedded.state_folder`."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.embedded.state_folder import AlreadyRunning, StateFolder
from bus.errors import PlatformDamaged
from bus.settings import load_credentials, load_settings

#: Holds the folder named on its command line until its input ends.
HOLDER = """
import sys
from pathlib import Path
from bus.adapters.embedded.state_folder import StateFolder
with StateFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """Return a state folder that is not there yet."""
    return StateFolder(tmp_path / "deep" / "state")


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


# --- Who holds it ---------------------------------------------------------------------------------


def test_one_supervisor_holds_a_folder(folder: StateFolder) -> None:
    assert not folder.is_held()
    with folder.locked():
        assert folder.is_held()
        with pytest.raises(AlreadyRunning), StateFolder(folder.root).locked():
            pass
        assert folder.is_held()

    assert not folder.is_held()
    with folder.locked():
        pass


def test_a_folder_is_let_go_when_its_holder_fails(folder: StateFolder) -> None:
    def fail() -> None:
        with folder.locked():
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert not folder.is_held()


def test_asking_whether_a_folder_is_held_does_not_make_one(folder: StateFolder) -> None:
    assert not folder.is_held()

    assert not folder.root.exists()


def test_a_holder_that_is_killed_leaves_nothing_to_clean_up(folder: StateFolder) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert folder.is_held()
        with pytest.raises(AlreadyRunning), folder.locked():
            pass

        holder.kill()

    assert not folder.is_held()
    with folder.locked():
        pass


# --- What it holds --------------------------------------------------------------------------------


def test_everything_in_it_is_for_its_owner_only(folder: StateFolder) -> None:
    """Whatever the umask says: addresses come with passwords."""
    before = os.umask(0)
    try:
        with folder.locked():
            folder.save_platform({"postgres": {"dsn": "postgresql://a:secret@127.0.0.1/b"}})
            folder.secret("kafka-admin")
            folder.save_credentials("os-router", "secret")
    finally:
        os.umask(before)

    assert {path.name: mode(path) for path in folder.root.rglob("*.json")} == {
        "platform.json": 0o600,
        "secrets.json": 0o600,
        "os-router.json": 0o600,
    }
    assert mode(folder.root / "credentials") == 0o700


def test_permissions_do_not_come_from_what_a_crash_has_left(folder: StateFolder) -> None:
    folder.root.mkdir(parents=True)
    left = folder.root / "platform.json.part"
    left.write_text("half a docu", encoding="utf-8")
    left.chmod(0o666)

    folder.save_platform({"kafka": {}})

    assert mode(folder.root / "platform.json") == 0o600
    assert folder.platform() == {"kafka": {}}
    assert not left.exists()


@given(
    first=st.dictionaries(st.text(), st.text() | st.integers()),
    second=st.dictionaries(st.text(), st.text()),
)
def test_the_newest_document_is_read_whole(
    tmp_path: Path, first: dict[str, object], second: dict[str, object]
) -> None:
    folder = StateFolder(tmp_path)

    folder.save_platform(first)
    assert folder.platform() == first
    folder.save_platform(second)
    assert folder.platform() == second


@pytest.mark.parametrize("content", ["", "{", "[]", "7", "\x00"])
def test_a_platform_file_that_is_none_is_as_good_as_missing(
    folder: StateFolder, content: str
) -> None:
    folder.root.mkdir(parents=True)
    (folder.root / "platform.json").write_text(content, encoding="utf-8")

    assert folder.platform() == {}


def test_credentials_are_found_by_the_settings(folder: StateFolder) -> None:
    path = folder.save_credentials("org-housing", "a password")

    found = load_credentials(load_settings(state_folder=folder.root), "org-housing")

    assert path == folder.credentials_file("org-housing")
    assert found.username == "org-housing"
    assert found.password.get_secret_value() == "a password"


# --- Secrets --------------------------------------------------------------------------------------


def test_a_secret_is_generated_once_and_each_is_another(folder: StateFolder) -> None:
    folder.root.mkdir(parents=True)
    names = ["kafka-admin", "kafka-controller", "postgres-owner"]

    first = {name: folder.secret(name) for name in names}
    second = {name: StateFolder(folder.root).secret(name) for name in reversed(names)}

    assert first == second
    assert len(set(first.values())) == len(names)
    assert all(len(secret) >= 32 for secret in first.values())


@pytest.mark.parametrize("content", ["", '{"kafka-admin": "abc', "[]"])
def test_damaged_secrets_are_never_replaced(folder: StateFolder, content: str) -> None:
    """New ones would not open what the old ones have locked."""
    folder.root.mkdir(parents=True)
    path = folder.root / "secrets.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(PlatformDamaged, match=r"secrets\.json cannot be read"):
        folder.secret("kafka-admin")

    assert path.read_text(encoding="utf-8") == content


def test_what_was_written_is_plain_json(folder: StateFolder) -> None:
    path = folder.save_credentials("os-router", "密码")

    assert json.loads(path.read_text(encoding="utf-8")) == {
        "username": "os-router",
        "password": "密码",
    }
