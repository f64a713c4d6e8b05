"""Unit tests of `bus.cli.platform` and `bus.cli.health`: up, down, status, doctor."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from bus.adapters.embedded import jars
from bus.adapters.embedded.processes import ProcessIdentity, free_port
from bus.adapters.embedded.state_folder import StateFolder
from bus.cli.health import platform_status
from tests.command_line import CommandLine
from tests.loopback_http import Handler, answer, serving

#: Holds the folder named on its command line as `onesource up` does, until it is asked to end.
HOLDER = """
import os, signal, sys
from pathlib import Path
from bus.adapters.embedded.processes import ProcessIdentity
from bus.adapters.embedded.state_folder import StateFolder
folder = StateFolder(Path(sys.argv[1]))
with folder.locked():
    mine = ProcessIdentity.of(os.getpid())
    known = folder.platform()
    folder.save_platform({**known, "supervisor": {"pid": mine.pid, "created": mine.created}})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def folder(onesource: CommandLine) -> StateFolder:
    """Return the state folder that commands use."""
    folder = StateFolder(onesource.folder / ".onesource")
    folder.root.mkdir()
    return folder


def ready(request: BaseHTTPRequestHandler) -> None:
    """Answer as a process of ours that is well."""
    answer(request, b'{"status": "ready"}')


def not_ready(reason: str) -> Handler:
    """Return how a process of ours answers that cannot work."""

    def handler(request: BaseHTTPRequestHandler) -> None:
        answer(request, json.dumps({"status": "no", "reason": reason}).encode(), status=503)

    return handler


def stranger(request: BaseHTTPRequestHandler) -> None:
    """Answer as some other web server."""
    answer(request, b"<html>not here</html>", status=404)


def no_http(request: BaseHTTPRequestHandler) -> None:
    """Answer as no web server does."""
    request.wfile.write(b"\x00\x00\x00\x01E")


class Process(NamedTuple):
    """A part of a platform: whether it runs, and what its health page answers."""

    alive: bool
    health: Handler | None


@pytest.fixture
def pretend(folder: StateFolder) -> Iterator[Callable[..., None]]:
    """Return a function that makes the folder that of a platform with these parts."""
    with ExitStack() as stack:

        def as_if(*, held: bool = True, **parts: Process) -> None:
            mine = ProcessIdentity.of(os.getpid())
            ports: dict[str, int] = {}
            processes: dict[str, Any] = {}
            for name, part in parts.items():
                url = stack.enter_context(serving(part.health)) if part.health else ""
                ports[name] = urlsplit(url).port or free_port()
                created = mine.created if part.alive else mine.created - 1000
                processes[name] = {"pid": mine.pid, "created": created}
            folder.save_platform(
                {
                    "kafka": {"bootstrap": "127.0.0.1:1"},
                    "control": {"url": "http://127.0.0.1:2"},
                    "ports": ports,
                    "processes": processes,
                }
            )
            if held:
                stack.enter_context(folder.locked())

        yield as_if


WELL = Process(alive=True, health=ready)


# --- status ---------------------------------------------------------------------------------------


def states(onesource: CommandLine) -> dict[str, tuple[str, bool, str]]:
    """Return state, whether that is well, and the detail of each part, as `status` prints them."""
    ran = onesource("status", "--json")
    assert ran.status == 0
    return {
        each["name"]: (each["state"], each["well"], each["detail"]) for each in json.loads(ran.out)
    }


def test_a_folder_without_a_platform_is_told_how_to_start_one(onesource: CommandLine) -> None:
    assert states(onesource) == {"platform": ("never started", False, "onesource up")}
    assert "onesource up" in onesource("status").out


def test_status_tells_of_every_part(onesource: CommandLine, pretend: Callable[..., None]) -> None:
    pretend(
        kafka=Process(alive=True, health=None),
        control=WELL,
        router=Process(alive=True, health=not_ready("os.src.a/0 stopped: [bold]why[/red]")),
        sink=Process(alive=False, health=None),
    )

    assert states(onesource) == {
        "supervisor": ("running", True, ""),
        "kafka": ("running", True, ""),
        "control": ("running", True, ""),
        "router": ("running", False, "os.src.a/0 stopped: [bold]why[/red]"),
        "sink": ("stopped", False, "does not answer"),
    }
    onesource.width(200)
    table = onesource("status").out
    assert "os.src.a/0 stopped: [bold]why[/red]" in table
    assert [line.split()[0] for line in table.splitlines()[1:]] == [
        *("supervisor", "kafka", "control", "router", "sink")
    ]


@pytest.mark.parametrize(
    ("health", "detail"), [(stranger, "not ready"), (no_http, "does not answer")]
)
def test_another_program_at_a_parts_port_is_not_mistaken_for_it(
    onesource: CommandLine, pretend: Callable[..., None], health: Handler, detail: str
) -> None:
    """After a restart of the machine ports are anybody's."""
    pretend(held=False, control=Process(alive=False, health=health))

    assert states(onesource) == {
        "supervisor": ("stopped", False, ""),
        "control": ("stopped", False, detail),
    }


def test_health_pages_are_not_asked_for_through_a_proxy(
    folder: StateFolder, pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    pretend(control=WELL)

    assert all(part.well for part in platform_status(folder.root))


# --- doctor ---------------------------------------------------------------------------------------


@pytest.fixture
def _all_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "locked_jars", tuple)


@pytest.mark.usefixtures("_all_cached")
def test_the_doctor_finds_nothing_where_all_is_well(
    onesource: CommandLine, pretend: Callable[..., None]
) -> None:
    pretend(control=WELL, router=WELL)

    ran = onesource("doctor")

    assert ran.status == 0
    assert "bad" not in ran.out
    assert "do:" not in ran.out
    assert "router is running" in ran.out


@pytest.mark.usefixtures("_all_cached")
@pytest.mark.parametrize(
    ("part", "remedy"),
    [
        (Process(alive=True, health=not_ready("os.src.a/0 stopped: x")), "A partition has stopped"),
        (Process(alive=True, health=not_ready("no policy yet")), "logs/router.log"),
        (Process(alive=False, health=None), "the supervisor restarts it"),
    ],
    ids=["a stopped partition", "not ready", "crashed"],
)
def test_the_doctor_says_what_to_do_about_each_fault(
    onesource: CommandLine, pretend: Callable[..., None], part: Process, remedy: str
) -> None:
    pretend(control=WELL, router=part)

    ran = onesource("doctor")

    assert ran.status == 1
    bad, what_to_do = ran.out.splitlines()[-2:]
    assert bad.startswith("bad  router is ")
    assert what_to_do.strip().startswith("do: ")
    assert remedy in what_to_do


def test_the_doctor_counts_what_is_missing_before_the_first_start(
    onesource: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESOURCE_CACHE", str(onesource.folder / "cache"))

    ran = onesource("doctor")

    assert ran.status == 1
    assert f"0 of {len(jars.locked_jars())} jars of Kafka are cached" in ran.out
    assert "needs the network" in ran.out
    assert "start it with `onesource up`" in ran.out


@pytest.mark.usefixtures("_all_cached")
def test_a_disk_that_is_almost_full_is_found(
    onesource: CommandLine, pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(control=WELL)
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))

    ran = onesource("doctor")

    assert ran.status == 1
    assert "bad  0.0 GiB of disk are free" in ran.out


# --- up and down ----------------------------------------------------------------------------------


@pytest.fixture
def holder(folder: StateFolder) -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that holds the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.root)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_down_asks_the_supervisor_to_end_and_waits_until_it_has(
    onesource: CommandLine, holder: subprocess.Popen[bytes], folder: StateFolder
) -> None:
    ran = onesource("down")

    assert ran.status == 0
    assert "stopped" in ran.err
    assert holder.wait() == 0
    assert not folder.is_held()


def test_down_does_nothing_where_nothing_runs(
    onesource: CommandLine, pretend: Callable[..., None]
) -> None:
    assert "it does not run" in onesource("down").err

    pretend(held=False, control=WELL)
    ran = onesource("down")

    assert (ran.status, ran.out) == (0, "")
    assert "it does not run" in ran.err


def up(onesource: CommandLine, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `onesource up` to its end, in a process: it takes over signals and logs."""
    clean = {name: value for name, value in os.environ.items() if "ONESOURCE" not in name}
    return subprocess.run(
        [sys.executable, "-m", "bus.cli.main", "up"],
        cwd=onesource.folder,
        env={**clean, "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_up_says_where_it_runs_already(
    onesource: CommandLine, pretend: Callable[..., None], folder: StateFolder
) -> None:
    pretend(control=WELL)
    before = folder.platform()

    ran = up(onesource)

    assert ran.returncode == 0
    assert "it runs already" in ran.stderr
    assert "127.0.0.1:1" in ran.stdout
    assert "http://127.0.0.1:2" in ran.stdout
    assert folder.platform() == before


def test_up_without_a_network_says_so_and_leaves_nothing_behind(
    onesource: CommandLine, folder: StateFolder
) -> None:
    ran = up(
        onesource,
        ONESOURCE_CACHE=str(onesource.folder / "cache"),
        ONESOURCE_MAVEN_MIRROR=f"http://127.0.0.1:{free_port()}",
    )

    assert ran.returncode == 4
    assert "error [DOWNLOAD_FAILED]" in ran.stderr
    assert "needs the network" in ran.stderr
    assert not folder.is_held()


@pytest.mark.parametrize(
    "line",
    [
        ["catalog", "plan"],
        ["publish", "record", "towns"],
        ["tail", "towns-housing"],
        ["verify", "towns-housing"],
        ["dlq", "list", "towns"],
        ["doctor", "--end-hanging-transactions"],
    ],
)
def test_what_needs_a_stopped_platform_says_at_once_how_to_start_it(
    onesource: CommandLine, pretend: Callable[..., None], line: list[str]
) -> None:
    pretend(held=False, control=WELL)

    ran = onesource(*line)

    assert ran.status == 5
    assert "error [PLATFORM_NOT_RUNNING]" in ran.err
    assert "onesource up" in ran.err
