"""Unit tests of `bus.bootstrap.embedded_platform`: what happens before anything is started."""

import os
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from subprocess import Popen

import pytest

from bus.adapters.embedded.processes import ProcessIdentity, free_port, spawn
from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.embedded.supervisor import Supervisor
from bus.bootstrap.embedded_platform import EmbeddedPlatform, answers
from bus.errors import DownloadFailed
from tests.loopback_http import answer, serving

SLEEPS = "import signal; signal.pause()"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """Return an empty state folder."""
    folder = StateFolder(tmp_path / "state")
    folder.root.mkdir()
    return folder


@pytest.fixture
def leftover(tmp_path: Path) -> Iterator[Popen[bytes]]:
    """Return a process that nobody watches."""
    child = spawn([sys.executable, "-c", SLEEPS], log=tmp_path / "log")
    yield child
    child.kill()
    child.wait()


def start_in_vain(folder: StateFolder, tmp_path: Path) -> None:
    """Start a platform that cannot have Kafka's jars."""
    platform = EmbeddedPlatform(folder, supervisor=Supervisor(), on_step=lambda _: None)
    with pytest.raises(DownloadFailed):
        platform.start(cache=tmp_path / "cache", mirror=f"http://127.0.0.1:{free_port()}")


def test_what_a_killed_supervisor_has_left_is_ended_first(
    folder: StateFolder, leftover: Popen[bytes], tmp_path: Path
) -> None:
    identity = ProcessIdentity.of(leftover.pid)
    known = {"pid": identity.pid, "created": identity.created}
    folder.save_platform({"processes": {"router": known}})

    start_in_vain(folder, tmp_path)

    assert identity.process() is None


def test_a_stranger_that_has_got_a_leftovers_pid_is_left_alone(
    folder: StateFolder, leftover: Popen[bytes], tmp_path: Path
) -> None:
    """After a restart of the machine the pids in the file are anybody's."""
    folder.save_platform({"processes": {"router": {"pid": leftover.pid, "created": 1.0}}})

    start_in_vain(folder, tmp_path)

    assert leftover.poll() is None


def test_a_start_in_vain_leaves_what_was_known(folder: StateFolder, tmp_path: Path) -> None:
    folder.save_platform({"ports": {"kafka": 1}})

    start_in_vain(folder, tmp_path)

    assert folder.platform() == {"ports": {"kafka": 1}}


def test_a_process_of_ours_is_told_its_folder_and_its_port(folder: StateFolder) -> None:
    platform = EmbeddedPlatform(folder, supervisor=Supervisor(), on_step=lambda _: None)

    part = platform.process_part("sink-a", "sink", "postgres", environment={"MORE": "x"})

    assert part.command == [sys.executable, "-m", "bus.cli.main", "sink", "postgres"]
    assert part.environment["ONESOURCE_STATE_FOLDER"] == str(folder.root)
    assert part.environment["ONESOURCE_HTTP__PORT"] == str(platform.ports["sink-a"])
    assert part.environment["MORE"] == "x"
    assert part.ready() is False


# --- Health pages ---------------------------------------------------------------------------------


def page(status: int) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a handler that answers with a status."""

    def handler(request: BaseHTTPRequestHandler) -> None:
        answer(request, b"{}", status=status)

    return handler


def speaks_no_http(request: BaseHTTPRequestHandler) -> None:
    """Answer as a database or a broker might."""
    request.wfile.write(b"\x00\x00\x00\x01E")


@pytest.mark.parametrize(
    ("handler", "well"),
    [(page(200), True), (page(503), False), (page(404), False), (speaks_no_http, False)],
    ids=["ready", "not ready", "another page", "no HTTP"],
)
def test_only_a_page_that_says_so_means_that_all_is_well(
    handler: Callable[[BaseHTTPRequestHandler], None],
    *,
    well: bool,
) -> None:
    with serving(handler) as url:
        assert answers(f"{url}/readyz") is well


def test_a_port_at_which_nobody_answers_is_not_well() -> None:
    assert answers(f"http://127.0.0.1:{free_port()}/readyz") is False


def test_our_own_pages_are_not_asked_for_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")

    with serving(page(200)) as url:
        assert answers(f"{url}/readyz") is True
