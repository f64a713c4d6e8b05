"""The threads of the control process that are not HTTP."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from bus import metrics
from bus.errors import BrokerUnavailable, ConfigError, TransientError
from bus.services import audit_checkpoints, housekeeping
from bus.services.audit_checkpoints import AuditCheckpoints
from bus.services.fill_watch import FillWatch
from bus.services.housekeeping import Housekeeping
from bus.services.relay import Relay

log = structlog.get_logger(__name__)

_WATCH_SECONDS = 0.1
_PAUSE_AFTER_FAILURE_SECONDS = 2.0
_JOIN_SECONDS = 10.0
#: How long a thread that ended by a fault stays away: longer each time, unless it ran for a while.
_FIRST_RESTART_SECONDS = 1.0
_LONGEST_RESTART_SECONDS = 60.0
_RECOVERED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Repeated:
    """Something that is done again and again; each step is idempotent."""

    name: str
    step: Callable[[], object]
    every_seconds: float


class Background:
    """Relay, fill watch, housekeeping, the audit log's checkpoints and more, each in a thread."""

    def __init__(
        self,
        *,
        relay: Relay,
        connect_watch: Callable[[], FillWatch],
        housekeeping: Housekeeping,
        checkpoints: AuditCheckpoints,
        repeated: Sequence[Repeated] = (),
    ) -> None:
        self._relay = relay
        self._connect_watch = connect_watch
        self._housekeeping = housekeeping
        self._checkpoints = checkpoints
        self._ended = threading.Event()
        self._failed: dict[str, str] = {}
        self._threads = [
            threading.Thread(target=self._guard, args=(name, run), name=name, daemon=True)
            for name, run in (
                ("relay", self._run_relay),
                ("fill-watch", self._run_watch),
                ("housekeeping", self._run_housekeeping),
                ("audit-checkpoints", self._run_checkpoints),
                *((each.name, partial(self._repeat, each)) for each in repeated),
            )
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask the threads to end, and wait for them within a bound."""
        self._ended.set()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def not_ready(self) -> str | None:
        """Return which thread cannot work and why, None if all can."""
        for name, reason in list(self._failed.items()):
            return f"{name}: {reason}"
        return None

    def _guard(self, name: str, run: Callable[[], None]) -> None:
        """Run until the end is asked for; after a fault of ours again, a little later each time."""
        pause = _FIRST_RESTART_SECONDS
        while not self._ended.is_set():
            started = time.monotonic()
            try:
                run()
            except ConfigError as error:
                # An error that no retry helps: the process stays up to say so on /readyz.
                log.exception("thread ended", thread=name, code=error.code)
                self._failed[name] = str(error)
                return
            except Exception:
                # What fails once may go well the next time; meanwhile /readyz says that it failed.
                if time.monotonic() - started >= _RECOVERED_SECONDS:
                    pause = _FIRST_RESTART_SECONDS
                log.exception("thread ended", thread=name, restart_in=pause)
                metrics.THREAD_FAULTS.labels(name).inc()
                self._failed[name] = "ended by a fault; the log says which. It is started again"
                self._ended.wait(pause)
                pause = min(2 * pause, _LONGEST_RESTART_SECONDS)

    def _run_relay(self) -> None:
        self._relay.run(
            ended=self._ended.is_set,
            pause=self._ended.wait,
            went_well=partial(self._failed.pop, "relay", None),
        )

    def _run_watch(self) -> None:
        watch: FillWatch | None = None
        while not self._ended.is_set():
            try:
                watch = watch or self._connect_watch()
                watch.step()
                self._failed.pop("fill-watch", None)
                self._ended.wait(_WATCH_SECONDS)
            except BrokerUnavailable as error:
                # Its reader may have stopped for good: a new one begins at the beginning.
                if watch is not None:
                    watch.close()
                watch = None
                self._wait("fill-watch", error)
            except TransientError as error:
                self._wait("fill-watch", error)

    def _run_housekeeping(self) -> None:
        while not self._ended.is_set():
            try:
                self._housekeeping.step()
                self._failed.pop("housekeeping", None)
                self._ended.wait(housekeeping.EVERY_SECONDS)
            except TransientError as error:
                self._wait("housekeeping", error)

    def _run_checkpoints(self) -> None:
        while not self._ended.is_set():
            try:
                self._checkpoints.step()
                self._failed.pop("audit-checkpoints", None)
                self._ended.wait(audit_checkpoints.EVERY_SECONDS)
            except TransientError as error:
                self._wait("audit-checkpoints", error)

    def _repeat(self, repeated: Repeated) -> None:
        while not self._ended.is_set():
            try:
                repeated.step()
                self._failed.pop(repeated.name, None)
                self._ended.wait(repeated.every_seconds)
            except TransientError as error:
                self._wait(repeated.name, error)

    def _wait(self, name: str, error: TransientError) -> None:
        log.warning("waiting", thread=name, code=error.code, reason=str(error))
        self._failed[name] = str(error)
        self._ended.wait(_PAUSE_AFTER_FAILURE_SECONDS)
