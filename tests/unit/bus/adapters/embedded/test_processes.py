"""Unit tests of `bus.adapters.embedded.processes`, with small real processes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bus.adapters.embedded import processes
from bus.adapters.embedded.processes import ProcessIdentity, free_port, spawn
from tests.live_platform import wait_until

WAITS = "import signal; print('ready', flush=True); signal.pause()"
WAITS_ON = "print('ready', flush=True); [signal.pause() for _ in range(9)]"
#: Starts a process as the supervisor does, says which, and waits.
PARENT = """
import signal, sys
from pathlib import Path
from bus.adapters.embedded.processes import spawn
child = spawn([sys.executable, "-c", sys.argv[1]], log=Path(sys.argv[2]))
print(child.pid, flush=True)
signal.pause()
"""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return where the children write."""
    return tmp_path / "logs" / "child.log"


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    """Return a function that starts a child that is ended at the end, and waits for `ready`."""
    children: list[subprocess.Popen[bytes]] = []

    def started(code: str = WAITS, **options: object) -> subprocess.Popen[bytes]:
        child = spawn([sys.executable, "-c", code], log=log, **options)  # type: ignore[arg-type]
        children.append(child)
        wait_until(lambda: b"ready" in log.read_bytes(), "the child is ready")
        return child

    yield started
    for child in children:
        child.kill()
        child.wait()


# --- Who a process is -----------------------------------------------------------------------------


def test_a_live_process_is_recognised(start: Start) -> None:
    child = start()
    identity = ProcessIdentity.of(child.pid)

    found = identity.process()

    assert found is not None
    assert found.pid == child.pid


def test_an_ended_process_is_not_even_while_nobody_has_asked_how_it_ended(start: Start) -> None:
    child = start()
    identity = ProcessIdentity.of(child.pid)

    child.kill()

    wait_until(lambda: identity.process() is None, "it is not there any more")
    assert child.returncode is None
    child.wait()
    assert identity.process() is None


def test_a_pid_that_was_given_to_another_is_not_the_process(start: Start) -> None:
    """A pid file outlives a restart of the machine; the pid in it may be anybody's."""
    child = start()
    stale = replace(ProcessIdentity.of(child.pid), created=psutil.boot_time() - 1000)

    assert stale.process() is None
    stale.stop(grace_seconds=10)

    assert child.poll() is None


def test_there_is_no_identity_without_a_process(start: Start) -> None:
    child = start()
    child.kill()
    child.wait()

    with pytest.raises(psutil.NoSuchProcess):
        ProcessIdentity.of(child.pid)


# --- Stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [signal.SIGTERM, signal.SIGINT])
def test_a_process_is_asked_to_end(start: Start, log: Path, ask: signal.Signals) -> None:
    answer = "lambda *_: (print('goodbye', flush=True), exit())"
    child = start(f"import signal; signal.signal({int(ask)}, {answer}); {WAITS}")
    identity = ProcessIdentity.of(child.pid)

    identity.stop(grace_seconds=30, ask=ask)

    assert identity.process() is None
    assert log.read_text(encoding="utf-8") == "ready\ngoodbye\n"


def test_a_process_that_does_not_listen_is_killed(start: Start) -> None:
    child = start(f"import signal; signal.signal(signal.SIGTERM, lambda *_: None); {WAITS_ON}")
    identity = ProcessIdentity.of(child.pid)

    identity.stop(grace_seconds=0.05)

    assert identity.process() is None


def test_stopping_what_has_ended_is_no_error(start: Start) -> None:
    child = start()
    identity = ProcessIdentity.of(child.pid)
    child.kill()
    child.wait()

    identity.stop(grace_seconds=30)


# --- Starting -------------------------------------------------------------------------------------


def test_output_is_appended_to_the_log(start: Start, log: Path) -> None:
    log.parent.mkdir()
    log.write_text("before\n", encoding="utf-8")

    child = start("import sys; print('ready', flush=True); print('trouble', file=sys.stderr)")
    child.wait()

    assert log.read_text(encoding="utf-8") == "before\nready\ntrouble\n"


def test_a_child_gets_our_environment_and_what_is_added(
    start: Start, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "kept")
    monkeypatch.setenv("BOTH", "old")

    child = start(
        "import os; print(os.environ['OURS'], os.environ['BOTH'], 'ready', flush=True)",
        environment={"BOTH": "new"},
    )
    child.wait()

    assert log.read_text(encoding="utf-8") == "kept new ready\n"


def test_a_child_reads_nothing_and_the_terminals_signals_do_not_reach_it(
    start: Start, log: Path, tmp_path: Path
) -> None:
    """Ctrl-C goes to a whole process group: the supervisor stops its children in order instead."""
    child = start(
        "import os, sys; print(sys.stdin.read() == '', os.getcwd(), 'ready', flush=True); "
        "import signal; signal.pause()",
        cwd=tmp_path,
    )

    assert log.read_text(encoding="utf-8") == f"True {tmp_path} ready\n"
    assert os.getsid(child.pid) == child.pid != os.getsid(0)


def test_a_program_that_is_not_there_is_an_error(log: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spawn(["/no/such/program"], log=log)


def test_a_killed_parent_leaves_no_orphan(log: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, WAITS, str(log)], stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        try:
            wait_until(lambda: log.exists() and b"ready" in log.read_bytes(), "the child is ready")

            parent.kill()

            wait_until(
                lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE,
                "the child has ended",
            )
        finally:
            with suppress(psutil.NoSuchProcess):
                child.kill()


# --- Ports ----------------------------------------------------------------------------------------


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()

    with socket.create_server(("127.0.0.1", port)):
        assert port > 1023


def test_the_preferred_port_is_given_if_it_is_free_and_another_if_not() -> None:
    preferred = free_port()

    assert free_port(preferred) == preferred
    with socket.create_server(("127.0.0.1", preferred)):
        assert free_port(preferred) != preferred


def test_no_outgoing_connection_can_take_a_free_port() -> None:
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())

    assert free_port() < first


def test_a_port_is_given_out_once() -> None:
    ports = [free_port() for _ in range(200)]

    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("text", [None, "1024\t65535\n"])
def test_ports_are_found_on_other_systems(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    range_file = tmp_path / "range"
    if text is not None:
        range_file.write_text(text)
    monkeypatch.setattr(processes, "_PORT_RANGE", range_file)

    with socket.create_server(("127.0.0.1", free_port())):
        pass
