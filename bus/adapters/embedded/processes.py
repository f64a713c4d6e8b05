"""
Start, recognise and stop child processes.

A process is known by pid *and* creation time: a pid file that outlived its process may name a pid
that now belongs to someone else.
"""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Who a process is, across restarts of whoever asks."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """Return the identity of the live process `pid`; raise psutil.NoSuchProcess if none."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Return the live process, or None if it has ended (or its pid was given to another)."""
        try:
            process = psutil.Process(self.pid)
            alive = (
                abs(process.create_time() - self.created) < 1
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return None
        return process if alive else None

    def stop(self, *, grace_seconds: float, ask: signal.Signals = signal.SIGTERM) -> None:
        """End the process: send it `ask`, and after `grace_seconds` kill it."""
        process = self.process()
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            process.send_signal(ask)
        try:
            process.wait(grace_seconds)
        except psutil.TimeoutExpired:
            with suppress(psutil.NoSuchProcess):
                process.kill()
            process.wait(grace_seconds)


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    cwd: Path | None = None,
    on_orphaned: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """
    Start `command` with its output appended to `log`.

    The child gets the signal `on_orphaned` when its parent dies, so that a killed supervisor leaves
    no orphan; and the terminal's Ctrl-C does not reach it: its parent stops it, in order.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 (the command is ours)
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=cwd,
            start_new_session=True,
            # One prctl call in a process without threads.
            preexec_fn=partial(_end_with_parent, on_orphaned),  # noqa: PLW1509
        )


def _end_with_parent(on_orphaned: signal.Signals) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, on_orphaned)


def free_port(preferred: int | None = None) -> int:
    """
    Return a free loopback TCP port: `preferred` if it is free, else one not given out before.

    It lies below the ports that the system gives to outgoing connections (`ip_local_port_range`):
    a port from among those may be taken by any connection between two starts of its process, even
    by one that asks whether the process is there yet.
    """
    if preferred is not None and _is_free(preferred):
        return preferred
    fixed = range(_LOWEST_PORT, _first_ephemeral_port())
    for candidate in random.sample(fixed, len(fixed)):
        if candidate not in _given and _is_free(candidate):
            _given.add(candidate)
            return candidate
    raise OSError("no free loopback port")


#: Ports given out by this process: between giving out and listening, a port looks free.
_given: set[int] = set()
_LOWEST_PORT = 10_000
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _first_ephemeral_port() -> int:
    try:
        first = int(_PORT_RANGE.read_text().split()[0])
    except OSError:  # no Linux: the range that IANA sets apart (RFC 6335, 6)
        return 49_152
    # Where the system's range reaches down to ours, nothing is left to choose from.
    return first if first > 2 * _LOWEST_PORT else 65_536


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
