"""
Whether the router's loop gets on, as another thread can see it.

Two things go wrong without an error: a call that never returns (librdkafka has had some), and
rounds in which nothing comes though records wait (a client that has gone deaf). A new process gets
over both, and loses nothing: what was not committed is done again.
"""

from typing import Final

from bus.ports import Clock

#: The longest that one round may take. After that long the group has given the partitions to others
#: anyway (`max.poll.interval.ms`), and no call that ends is waited for longer.
ROUND_SECONDS: Final = 120.0
#: How long records may seem to wait while nothing is committed before the broker is asked.
IDLE_SECONDS: Final = 120.0


class Progress:
    """The loop writes, a watchdog reads: single values, so that neither needs a lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._round = clock.monotonic()
        #: Since when records seem to wait and nothing has been committed.
        self._idle_since: float | None = None

    def came_round(self) -> None:
        """Note that a round has ended."""
        self._round = self._clock.monotonic()

    def committed(self) -> None:
        """Note that a transaction has been committed."""
        self._idle_since = None

    def seen(self, *, waiting: bool) -> bool:
        """Note whether records seem to wait; return whether they have for too long."""
        now = self._clock.monotonic()
        if not waiting:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > IDLE_SECONDS:
            # Asked again after as long a time.
            self._idle_since = now
            return True
        return False

    def round_seconds(self) -> float:
        """Return how long the present round has taken."""
        return self._clock.monotonic() - self._round

    def stuck(self) -> str | None:
        """Return why only a new process can go on, None if this one can."""
        seconds = self.round_seconds()
        return f"no round for {seconds:.0f} s" if seconds > ROUND_SECONDS else None
