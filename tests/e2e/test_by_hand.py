"""
What the README tells to do by hand, done: `onesource up` in one terminal, commands in others.

One platform for the module, in a state folder of its own; the tests go on from one another, in the
order in which they stand.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.postgres.provision import create_database
from tests.live_platform import wait_until

ROOT = Path(__file__).parents[2]
EDITIONS = ROOT / "examples" / "divisions" / "streets"
RESOURCE = "division-streets"
#: Of 2019: the townships that Changzhou's grant allows, counted in the file.
CHANGZHOU_ROWS = 65
TOWN = {
    "code": "320412199",
    "name": "试验镇",
    "areaCode": "320412",
    "provinceCode": "32",
    "cityCode": "3204",
}

pytestmark = pytest.mark.timeout(400)


class Terminals:
    """Commands in a state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.topics = state.parent / "topics"
        #: What the command that was opened last has said on standard error.
        self.said = state.parent / "said"
        shutil.copytree(ROOT / "topics", self.topics)

    def command(self, *arguments: str) -> list[str]:
        """Return the line that runs `onesource` with these arguments."""
        return [sys.executable, "-m", "bus.cli.main", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a command."""
        return {**os.environ, "ONESOURCE_STATE_FOLDER": str(self.state), "COLUMNS": "200", **more}

    def run(self, *arguments: str, status: int = 0, given: str = "", **environment: str) -> str:
        """Run a command to its end, and return what it printed."""
        done = subprocess.run(
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            input=given,
            timeout=180,
            env=self.environment(**environment),
            cwd=ROOT,
        )
        assert done.returncode == status, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def open(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command that goes on by itself; at the end it is asked to stop."""
        with self.said.open("w", encoding="utf-8") as said:
            process = subprocess.Popen(
                self.command(*arguments),
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=self.environment(**environment),
                cwd=ROOT,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)
            assert process.stdout is not None
            process.stdout.close()

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return what `onesource status` says, by part."""
        return {part["name"]: part for part in json.loads(self.run("status", "--json"))}

    def all_well(self) -> bool:
        """Return whether everything runs."""
        parts = self.parts()
        return len(parts) >= 4 and all(part["well"] for part in parts.values())


@pytest.fixture(scope="module")
def terminals() -> Iterator[Terminals]:
    """Return commands in a new state folder, with the platform running."""
    with tempfile.TemporaryDirectory(prefix="onesource-by-hand-") as folder:
        terminals = Terminals(Path(folder) / "state")
        with terminals.open("up"):
            wait_until(terminals.all_well, "everything runs")
            yield terminals
            terminals.run("down")
        shutil.rmtree(terminals.state)


def test_starting_twice_finds_the_running_one(terminals: Terminals) -> None:
    before = StateFolder(terminals.state).platform()

    said = terminals.run("up")

    assert "it runs already" in said
    assert before["kafka"]["bootstrap"] in said
    assert StateFolder(terminals.state).platform() == before
    assert "bad" not in terminals.run("doctor")


def test_the_catalog_goes_live_and_then_nothing_is_left_to_do(terminals: Terminals) -> None:
    folder = str(terminals.topics)

    planned = terminals.run("catalog", "plan", folder)
    terminals.run("catalog", "apply", folder)
    again = terminals.run("catalog", "plan", folder)

    assert RESOURCE in planned
    assert RESOURCE not in again
    files = list((terminals.state / "credentials").glob("*"))
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_an_edition_is_published_and_the_second_time_nothing(terminals: Terminals) -> None:
    edition = str(EDITIONS / "2019.csv.xz")

    tried = terminals.run("publish", "file", RESOURCE, edition, "--dry-run", "--json")
    terminals.run("publish", "file", RESOURCE, edition)
    again = terminals.run("publish", "file", RESOURCE, edition, "--json")

    assert (_json(tried)["inserts"], _json(tried)["sent"]) == (43_105, 0)
    assert (_json(again)["unchanged"], _json(again)["sent"]) == (43_105, 0)


def _json(printed: str) -> dict[str, Any]:
    """Return the JSON object that a command has printed."""
    found: dict[str, Any] = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    return found


def test_an_edition_that_loses_too_much_is_refused(terminals: Terminals, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv"
    cut.write_text(f"{','.join(TOWN)}\n{','.join(TOWN.values())}\n", "utf-8")

    said = terminals.run("publish", "file", RESOURCE, str(cut), status=3)

    assert "43105" in said.replace(",", "")
    assert "--confirm-deletes" in said


def test_a_published_change_appears_in_the_tail(terminals: Terminals) -> None:
    """The README's third terminal. How fast it is, `make bench` says."""
    with terminals.open("tail", "streets-changzhou", "--json", "--max", "2") as tail:
        wait_until(lambda: "listening" in terminals.said.read_text("utf-8"), "the tail listens")
        terminals.run("publish", "record", RESOURCE, given=json.dumps(TOWN))
        terminals.run(
            "publish", "record", RESOURCE, "--delete", given=json.dumps({"code": TOWN["code"]})
        )
        assert tail.stdout is not None
        first, second = (json.loads(tail.stdout.readline()) for _ in range(2))
        assert tail.wait(60) == 0

    assert (first["kind"], first["record"]["name"]) == ("upsert", TOWN["name"])
    assert (second["kind"], second["key"]) == ("delete", TOWN["code"])


def test_a_sink_keeps_its_table_and_verify_agrees(terminals: Terminals) -> None:
    platform = StateFolder(terminals.state)
    port = platform.platform()["ports"]["postgres"]
    superuser = platform.secret("postgres-superuser")
    create_database(
        f"postgresql://postgres:{superuser}@127.0.0.1:{port}/postgres",
        database="changzhou",
        owner="changzhou",
        owner_password="front-end",
    )
    dsn = f"postgresql://changzhou:front-end@127.0.0.1:{port}/changzhou"

    with terminals.open("sink", "postgres", "streets-changzhou", ONESOURCE_SINK_DSN=dsn):
        said = terminals.run("verify", "streets-changzhou", ONESOURCE_SINK_DSN=dsn)

    assert f"view topic: equal: {CHANGZHOU_ROWS} rows" in said
    assert f"table: equal: {CHANGZHOU_ROWS} rows" in said


def test_a_killed_supervisor_leaves_nothing_behind_that_stops_the_next(
    terminals: Terminals,
) -> None:
    """Kill -9: what it started is found and ended, and the data is still there."""
    content = StateFolder(terminals.state).platform()
    supervisor = psutil.Process(int(content["supervisor"]["pid"]))
    children = [int(each["pid"]) for each in content["processes"].values()]

    os.kill(supervisor.pid, signal.SIGKILL)
    with terminals.open("up"):
        wait_until(terminals.all_well, "everything runs again")
        assert "equal" in terminals.run("verify", "streets-changzhou")
        assert StateFolder(terminals.state).platform()["kafka"] == content["kafka"]
        terminals.run("down")

    assert [pid for pid in children if _runs(pid)] == []


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_commands_without_a_platform_say_what_to_do(terminals: Terminals) -> None:
    assert "onesource up" in terminals.run("catalog", "plan", str(terminals.topics), status=5)
    assert "does not run" in terminals.run("down")
