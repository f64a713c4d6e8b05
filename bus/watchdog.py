"""
Ends a process whose work has come to a standstill, so that its supervisor starts it anew.

It says what the standing thread was doing: that is the only trace that a hang leaves.
"""

import os
import sys
import threading
import traceback
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

#: "Something does not answer": the exit status of a process that may be tried again.
EXIT_STATUS = 4
_LOOK_SECONDS = 5.0


def _end() -> None:
    # Not sys.exit: the thread that stands would be waited for.
    os._exit(EXIT_STATUS)


class Watchdog:
    """Watches the thread that makes it, from a thread of its own."""

    def __init__(
        self,
        stuck: Callable[[], str | None],
        *,
        end: Callable[[], None] = _end,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """Ask `stuck` why only a new process can go on; when it has an answer, call `end`."""
        self._stuck = stuck
        self._end = end
        self._look_seconds = look_seconds
        self._watched = threading.get_ident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more: what comes now may take its time."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._look_seconds):
            reason = self._stuck()
            if reason is not None and not self._over.is_set():
                log.critical("at a standstill, ending", reason=reason, stack=self._stack())
                self._end()
                return

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 (there is no other way)
        return "".join(traceback.format_stack(frame)) if frame else "the thread has ended"
