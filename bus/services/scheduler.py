"""
Fire what is due: each deadline in a transaction with what its handler changes (R-088).

Every replica runs one; they share the work by row locks. What fails is put off and stays visible:
its attempts and its last error are kept with it, and `onesource_deadlines_failing` counts it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

import structlog

from bus import metrics
from bus.domain.deadline import Deadline, retry_at
from bus.errors import BusError, ConfigError, TransientError
from bus.ports import Clock
from bus.ports.deadlines import DeadlineTransaction

log = structlog.get_logger(__name__)

T = TypeVar("T", bound=DeadlineTransaction)

#: How often to look for something due.
POLL_SECONDS = 1.0
_PAUSE_AFTER_FAILURE_SECONDS = 2.0
#: Then a step ends, so that a handler that sets what is past already does not hold it for ever.
_MOST_PER_STEP = 1_000
_LONGEST_ERROR = 500


class Scheduler(Generic[T]):
    """The scheduler of one replica; `handlers` are called by the deadline's kind."""

    def __init__(
        self,
        transactions: Callable[[], AbstractContextManager[T]],
        handlers: Mapping[str, Callable[[T, Deadline], None]],
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._handlers = handlers
        self._clock = clock

    def run(self, *, ended: Callable[[], bool], pause: Callable[[float], object]) -> None:
        """Fire what is due until `ended`; wait while the store is away."""
        while not ended():
            try:
                self.step()
            except TransientError as error:
                log.warning("scheduler waits", code=error.code, reason=str(error))
                pause(_PAUSE_AFTER_FAILURE_SECONDS)
            else:
                pause(POLL_SECONDS)

    def step(self) -> int:
        """
        Fire all that is due now, oldest first; return how many fired.

        One whose handler fails is put off, and the others go on. Raise `TransientError` if the
        store is away.
        """
        now = self._clock.now()
        fired = 0
        for _ in range(_MOST_PER_STEP):
            taken: Deadline | None = None
            try:
                with self._transactions() as transaction:
                    due = transaction.deadlines.take_due(now, 1)
                    if not due:
                        metrics.DEADLINES_FAILING.set(transaction.deadlines.failing())
                        break
                    taken = due[0]
                    self._handler(taken)(transaction, taken)
                    transaction.deadlines.fired(taken, now)
            except Exception as error:
                # A fault of ours in one handler must not hold up what others have to do.
                if taken is None:
                    raise
                self._put_off(taken, error)
            else:
                fired += 1
                metrics.DEADLINES_FIRED.labels(taken.kind).inc()
                log.info("deadline fired", kind=taken.kind, subject=taken.subject)
        return fired

    def _handler(self, deadline: Deadline) -> Callable[[T, Deadline], None]:
        handler = self._handlers.get(deadline.kind)
        if handler is None:
            # A newer replica may know it: it stays due, and visible.
            raise ConfigError(f"nothing handles deadlines of kind {deadline.kind}")
        return handler

    def _put_off(self, deadline: Deadline, error: Exception) -> None:
        """Keep the failure in a transaction of its own: the handler's is rolled back."""
        code = error.code if isinstance(error, BusError) else BusError.code
        attempts = deadline.attempts + 1
        again = retry_at(attempts, self._clock.now())
        # Postgres keeps no U+0000 in text.
        reason = f"{code}: {error}".replace("\0", "")[:_LONGEST_ERROR]
        with self._transactions() as transaction:
            transaction.deadlines.failed(deadline, error=reason, retry_at=again)
        log.error(
            "deadline failed",
            kind=deadline.kind,
            subject=deadline.subject,
            code=code,
            attempts=attempts,
            retry_at=again.isoformat(),
            exc_info=None if isinstance(error, BusError) else error,
        )
