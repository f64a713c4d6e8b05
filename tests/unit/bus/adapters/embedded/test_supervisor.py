"""Unit tests of `bus.adapters.embedded.supervisor`, with small real processes."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from bus.adapters.embedded import supervisor as module
from bus.adapters.embedded.processes import ProcessIdentity
from bus.adapters.embedded.supervisor import Part, Supervisor
from bus.errors import PlatformDamaged
from tests.live_platform import wait_until

#: Says that it runs, and when asked to end, that it does; both into the file of its argument.
WORKS = """
import signal, sys
name, journal = sys.argv[1:]
def note(what):
    with open(journal, "a") as file:
        file.write(f"{name} {what}\\n")
def end(number, _frame):
    note(f"ends on {number}")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
note("runs")
while True:
    signal.pause()
"""
NEVER_SECONDS = 3600.0


class World:
    """A supervisor, and a journal in which its parts write."""

    def __init__(self, folder: Path) -> None:
        self.supervisor = Supervisor()
        self.folder = folder
        self.journal_file = folder / "journal"

    def journal(self) -> list[str]:
        """Return what the parts have written."""
        return self.journal_file.read_text().splitlines() if self.journal_file.exists() else []

    def part(self, name: str, code: str = WORKS, **options: Any) -> Part:
        """Return a part that is ready when it has said so."""
        started = self.journal().count(f"{name} runs")
        defaults: dict[str, Any] = {
            "ready": lambda: self.journal().count(f"{name} runs") > started,
            "log": self.folder / f"{name}.log",
        }
        command = [sys.executable, "-c", code, name, str(self.journal_file)]
        return Part(name=name, command=command, **{**defaults, **options})

    def pid(self, name: str) -> int:
        """Return the process id of a part that runs."""
        return int(self.supervisor.identities()[name]["pid"])

    def end(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a part behind the supervisor's back, and wait until it has noticed."""
        process = self.supervisor._running[name].process
        os.kill(process.pid, number)
        wait_until(lambda: process.poll() is not None, f"{name} has ended")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world in which nothing runs at the end."""
    world = World(tmp_path)
    yield world
    world.supervisor.stop()


@pytest.fixture
def backoff(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that sets the first back-off."""

    def set_first(seconds: float) -> None:
        monkeypatch.setattr(module, "_FIRST_BACKOFF_SECONDS", seconds)
        monkeypatch.setattr(module, "_LONGEST_BACKOFF_SECONDS", max(seconds, 30.0))

    return set_first


# --- Starting -------------------------------------------------------------------------------------


def test_parts_run_once_start_returns(world: World) -> None:
    world.supervisor.start(world.part("a"), world.part("b"))

    assert sorted(world.journal()) == ["a runs", "b runs"]
    assert list(world.supervisor.identities()) == ["a", "b"]
    identity = world.supervisor.identities()["a"]
    assert ProcessIdentity(int(identity["pid"]), identity["created"]).process() is not None
    assert world.supervisor.part("a").name == "a"


def test_parts_get_their_environment(world: World) -> None:
    code = "import os; print('got', os.environ['GIVEN'], flush=True); import signal; signal.pause()"
    log = world.folder / "a.log"
    part = world.part(
        "a",
        code,
        environment={"GIVEN": "this"},
        ready=lambda: log.exists() and "got this" in log.read_text(),
    )

    world.supervisor.start(part)

    assert log.read_text() == "got this\n"


def test_a_part_that_ends_at_once_is_told_with_the_end_of_its_log(world: World) -> None:
    code = "import sys; print('x' * 5000 + ' what went wrong'); sys.exit(3)"

    with pytest.raises(PlatformDamaged, match="a ended with status 3") as caught:
        world.supervisor.start(world.part("a", code))

    assert str(caught.value).endswith("what went wrong\n")
    assert len(str(caught.value)) < 4100


def test_a_part_that_never_gets_ready_is_told_and_can_be_stopped(world: World) -> None:
    part = world.part("a", ready=lambda: False, ready_seconds=0.2)

    with pytest.raises(PlatformDamaged, match="a is not ready"):
        world.supervisor.start(part)

    pid = world.pid("a")
    identity = ProcessIdentity.of(pid)
    world.supervisor.stop()
    assert identity.process() is None


# --- Stopping -------------------------------------------------------------------------------------


def test_everything_is_stopped_the_last_started_first_each_when_the_former_has_ended(
    world: World,
) -> None:
    names = ["kafka", "postgres", "control", "router"]
    for name in names:
        world.supervisor.start(world.part(name))

    world.supervisor.stop()

    assert world.journal()[len(names) :] == [f"{name} ends on 15" for name in reversed(names)]
    assert world.supervisor.identities() == {}


def test_one_part_can_be_stopped_and_the_others_run_on(world: World) -> None:
    world.supervisor.start(world.part("a"), world.part("b"), world.part("c"))

    world.supervisor.stop("b")

    assert list(world.supervisor.identities()) == ["a", "c"]
    assert world.journal()[-1] == "b ends on 15"
    assert world.supervisor.watch() is False


def test_a_part_is_asked_with_the_signal_that_it_understands(world: World) -> None:
    """Postgres stops at once on SIGINT; on SIGTERM it would wait for its clients."""
    world.supervisor.start(world.part("postgres", stop_signal=signal.SIGINT))

    world.supervisor.stop()

    assert world.journal()[-1] == "postgres ends on 2"


def test_a_part_that_does_not_end_in_its_grace_is_killed(world: World) -> None:
    deaf = WORKS.replace("sys.exit(0)", "pass")
    world.supervisor.start(world.part("a", deaf, grace_seconds=0.1))
    identity = ProcessIdentity.of(world.pid("a"))

    world.supervisor.stop()

    assert identity.process() is None


def test_stopping_passes_over_what_has_crashed(world: World) -> None:
    world.supervisor.start(world.part("a"), world.part("b"))
    world.end("b")

    world.supervisor.stop()

    assert world.journal()[2:] == ["a ends on 15"]


# --- Watching -------------------------------------------------------------------------------------


def test_while_all_is_well_nothing_is_restarted(world: World) -> None:
    world.supervisor.start(world.part("a"))
    before = world.supervisor.identities()

    assert [world.supervisor.watch() for _ in range(3)] == [False] * 3
    assert world.supervisor.identities() == before


def test_what_crashes_is_started_again_after_its_back_off(
    world: World, backoff: Callable[[float], None]
) -> None:
    backoff(0.0)
    world.supervisor.start(world.part("a"), world.part("b"))
    first, other = world.pid("a"), world.pid("b")
    world.end("a")
    assert "a" not in world.supervisor.identities()

    noticed, restarted = world.supervisor.watch(), world.supervisor.watch()

    assert (noticed, restarted) == (False, True)
    assert world.pid("a") != first
    assert world.pid("b") == other
    wait_until(lambda: world.journal().count("a runs") == 2, "it runs again")
    assert world.supervisor.watch() is False


def test_before_its_back_off_is_over_nothing_is_started(
    world: World, backoff: Callable[[float], None]
) -> None:
    backoff(NEVER_SECONDS)
    world.supervisor.start(world.part("a"))
    world.end("a")

    assert [world.supervisor.watch() for _ in range(5)] == [False] * 5
    assert world.supervisor.identities() == {}


def announced(world: World, crashes: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the back-offs that are announced when a part crashes again and again."""
    with structlog.testing.capture_logs() as logged:
        for _ in range(crashes):
            world.end("a")
            world.supervisor.watch()
            # The wait itself is passed over.
            world.supervisor._running["a"].restart_at = 0.0
            assert world.supervisor.watch()
    return [each["restart_in"] for each in logged if each["event"] == "crashed"]


def test_what_crashes_is_announced_with_its_last_words(world: World) -> None:
    log = world.folder / "a.log"
    part = world.part("a", log=log)
    world.supervisor.start(part)
    log.write_text("starts\nerror [BROKER_UNAVAILABLE]\ncould not ask for offsets\n\n")
    world.end("a")

    with structlog.testing.capture_logs() as logged:
        world.supervisor.watch()

    (crash,) = [each for each in logged if each["event"] == "crashed"]
    assert crash["said"] == "error [BROKER_UNAVAILABLE]\ncould not ask for offsets"


def test_each_crash_in_a_row_doubles_the_back_off_up_to_a_bound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.supervisor.start(world.part("a"))

    assert announced(world, 9, monkeypatch) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_part_that_had_recovered_starts_with_the_first_back_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.supervisor.start(world.part("a"))
    announced(world, 3, monkeypatch)
    monkeypatch.setattr(module, "_RECOVERED_SECONDS", -1.0)

    assert announced(world, 1, monkeypatch) == [0.5]


@pytest.mark.parametrize(
    ("status", "may_finish", "restarted"),
    [(0, True, False), (0, False, True), (1, True, True), (1, False, True)],
)
def test_ending_is_a_crash_unless_the_work_may_be_done(
    world: World,
    backoff: Callable[[float], None],
    status: int,
    *,
    may_finish: bool,
    restarted: bool,
) -> None:
    """A sink ends with status 0 when its grant is over: nothing has to start it again."""
    backoff(0.0)
    code = WORKS.replace("sys.exit(0)", f"sys.exit({status})")
    world.supervisor.start(world.part("a", code, may_finish=may_finish))
    world.end("a", signal.SIGTERM)

    assert (True in [world.supervisor.watch() for _ in range(3)]) is restarted


def test_a_restarted_part_is_stopped_like_any_other(
    world: World, backoff: Callable[[float], None]
) -> None:
    backoff(0.0)
    world.supervisor.start(world.part("a"))
    world.end("a")
    world.supervisor.watch()
    world.supervisor.watch()
    wait_until(lambda: world.journal().count("a runs") == 2, "it runs again")

    world.supervisor.stop()

    assert world.journal()[-1] == "a ends on 15"
