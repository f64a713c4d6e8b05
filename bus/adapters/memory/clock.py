"""A clock that goes only when it is told to."""

import datetime as dt


class ManualClock:
    """See `bus.ports.Clock`. `sleep` advances it."""

    def __init__(self, start: dt.datetime = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)) -> None:
        self._now = start
        self._elapsed = 0.0

    def now(self) -> dt.datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        self._now += dt.timedelta(seconds=seconds)
        self._elapsed += seconds
