"""Unit tests of `bus.watchdog`: a process whose work stands still ends, and says where it stood."""

import subprocess
import sys
import threading

from bus.watchdog import EXIT_STATUS, Watchdog

_HANGS = """
import threading
from bus.logs import configure_logs
from bus.watchdog import Watchdog

def a_call_that_never_returns():
    threading.Event().wait()

configure_logs(level="INFO", form="json", process="router")
since = 0

def stuck():
    global since
    since += 1
    return "no round for 120 s" if since > 3 else None

Watchdog(stuck, look_seconds=0.01).start()
a_call_that_never_returns()
"""


def test_a_process_that_hangs_ends_and_names_the_call() -> None:
    """field-notes.md B1: calls of the client library may never return."""
    ended = subprocess.run(
        [sys.executable, "-c", _HANGS], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == EXIT_STATUS
    said = ended.stdout + ended.stderr
    assert "at a standstill" in said
    assert "no round for 120 s" in said
    assert "a_call_that_never_returns" in said


def test_a_process_that_gets_on_is_left_alone_and_so_is_one_that_leaves() -> None:
    looked, ended = threading.Event(), threading.Event()
    reasons: list[str | None] = [None, None, None]

    def stuck() -> str | None:
        if reasons:
            return reasons.pop()
        looked.set()
        return None

    watchdog = Watchdog(stuck, end=ended.set, look_seconds=0.01)
    watchdog.start()
    assert looked.wait(30)
    watchdog.stop()
    reasons.append("no round for 120 s")
    watchdog._thread.join(30)

    assert not watchdog._thread.is_alive()
    assert not ended.is_set()
