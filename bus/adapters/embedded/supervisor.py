"""
Keep a handful of processes running: start them in order, restart what crashes, stop in reverse.

One supervisor a state folder. It is single-threaded: whoever uses it calls `watch` now and then.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bus.adapters.embedded.processes import ProcessIdentity, spawn
from bus.errors import PlatformDamaged

log = structlog.get_logger(__name__)

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0
#: A process that has run this long has recovered: its next crash starts with the first back-off.
_RECOVERED_SECONDS = 60.0
_POLL_SECONDS = 0.05
_LOG_TAIL_BYTES = 4000
#: A process of ours that ends on an error says its code on one line, and why on the next.
_LAST_LINES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], bool]
    """Whether it does its work; asked until it says so."""
    ready_seconds: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 20.0
    may_finish: bool = False
    """Whether ending with status 0 means that its work is done."""


@dataclass(slots=True)
class _Running:
    part: Part
    process: subprocess.Popen[bytes]
    started: float
    crashes: int = 0
    restart_at: float | None = None
    """When to start it again; None while it runs."""
    finished: bool = False


class Supervisor:
    """Starts, watches and stops parts."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    def start(self, *parts: Part) -> None:
        """
        Start `parts` together and wait until all are ready.

        Raise `PlatformDamaged`, with the end of its log, if one ends or is not ready in time.
        """
        for part in parts:
            self._running[part.name] = _Running(part, _spawn(part), time.monotonic())
        for part in parts:
            self._await(part)

    def watch(self) -> bool:
        """Restart what has crashed, each after its back-off; return whether anything was."""
        now = time.monotonic()
        restarted = False
        for running in self._running.values():
            if running.restart_at is not None:
                if now >= running.restart_at:
                    running.process = _spawn(running.part)
                    running.started, running.restart_at = now, None
                    restarted = True
                    log.info("restarted", part=running.part.name, pid=running.process.pid)
                continue
            status = running.process.poll()
            if status is None or running.finished:
                continue
            if status == 0 and running.part.may_finish:
                running.finished = True
                log.info("finished", part=running.part.name)
                continue
            if now - running.started > _RECOVERED_SECONDS:
                running.crashes = 0
            backoff = min(_FIRST_BACKOFF_SECONDS * 2**running.crashes, _LONGEST_BACKOFF_SECONDS)
            running.crashes += 1
            running.restart_at = now + backoff
            log.warning(
                "crashed",
                part=running.part.name,
                status=status,
                restart_in=backoff,
                said=_last_words(running.part.log),
            )
        return restarted

    def stop(self, *names: str) -> None:
        """Stop the parts `names`, all of them by default, the last started first."""
        for name in list(reversed(self._running)):
            if not names or name in names:
                running = self._running.pop(name)
                if running.process.poll() is None:
                    ProcessIdentity.of(running.process.pid).stop(
                        grace_seconds=running.part.grace_seconds, ask=running.part.stop_signal
                    )
                running.process.wait()

    def part(self, name: str) -> Part:
        """Return what was started under `name`."""
        return self._running[name].part

    def identities(self) -> dict[str, dict[str, float]]:
        """Return who the running parts are, for another process to recognise."""
        found: dict[str, dict[str, float]] = {}
        for name, running in self._running.items():
            if running.process.poll() is None:
                identity = ProcessIdentity.of(running.process.pid)
                found[name] = {"pid": identity.pid, "created": identity.created}
        return found

    def _await(self, part: Part) -> None:
        deadline = time.monotonic() + part.ready_seconds
        process = self._running[part.name].process
        while not part.ready():
            if process.poll() is not None:
                raise PlatformDamaged(
                    f"{part.name} ended with status {process.returncode}:\n{_tail(part.log)}"
                )
            if time.monotonic() > deadline:
                raise PlatformDamaged(
                    f"{part.name} is not ready after {part.ready_seconds:.0f} s:\n{_tail(part.log)}"
                )
            time.sleep(_POLL_SECONDS)


def _spawn(part: Part) -> subprocess.Popen[bytes]:
    return spawn(
        part.command,
        log=part.log,
        environment=part.environment,
        user=part.user,
        on_orphaned=part.stop_signal,
    )


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return "(no log)"


def _last_words(path: Path) -> str:
    """Return the last lines of a log, for whoever cannot look into it."""
    return "\n".join(_tail(path).strip().splitlines()[-_LAST_LINES:])
