"""The operating system's clock."""

import datetime as dt
import time


class SystemClock:
    """See `bus.ports.Clock`."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
