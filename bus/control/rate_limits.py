"""
How many requests an account, and an address, may send: token buckets in this process's memory.

Each replica counts for itself: behind a balancer an account may send as many times as much. The
tables are bounded; who has not been heard of for longest is forgotten, with a full bucket.
"""

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Depends, Request

from bus import metrics
from bus.control.authentication import Caller
from bus.control.identity import Asking
from bus.control.problems import Problem

MAX_NAMES = 20_000
#: Whoever has one IPv6 address has as many as a /64 holds.
_IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many requests a second in the long run, and so many at once."""

    per_second: float
    burst: int


#: Far above what a program sends that waits for its answers and follows its descriptors.
ACCOUNT_RATE = Rate(per_second=50, burst=1_000)
#: A whole government may come from one address.
ADDRESS_RATE = Rate(per_second=200, burst=4_000)


class TokenBuckets:
    """One bucket a name; safe to use from several threads."""

    def __init__(
        self,
        rate: Rate,
        *,
        most: int = MAX_NAMES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._most = most
        self._monotonic = monotonic
        self._lock = threading.Lock()
        #: The tokens that a name had, and when; the one heard of last stands last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a token and return 0, or return in how many seconds there will be one."""
        now = self._monotonic()
        burst = float(self._rate.burst)
        with self._lock:
            tokens, since = self._buckets.pop(name, (burst, now))
            tokens = min(burst, tokens + (now - since) * self._rate.per_second)
            wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate.per_second
            self._buckets[name] = (tokens if wait else tokens - 1, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._buckets)


class RateLimits:
    """The limits of a process; put into the application's state."""

    def __init__(
        self,
        *,
        account: Rate = ACCOUNT_RATE,
        address: Rate = ADDRESS_RATE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = TokenBuckets(account, monotonic=monotonic)
        self._addresses = TokenBuckets(address, monotonic=monotonic)

    def check_account(self, name: str) -> None:
        """Raise `Problem` if the account sends too many requests."""
        _refuse("account", self._accounts.take(name))

    def check_address(self, host: str | None) -> None:
        """Raise `Problem` if too many requests come from an address."""
        _refuse("address", self._addresses.take(network_of(host)))


def network_of(host: str | None) -> str:
    """Return what is counted as one sender: an IPv4 address, or an IPv6 network."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host or ""
    if address.version == 4:  # noqa: PLR2004 (the protocol's name)
        return str(address)
    return str(ipaddress.ip_network((int(address), _IPV6_PREFIX), strict=False))


def _refuse(kind: str, wait: float) -> None:
    if wait:
        metrics.RATE_LIMITED.labels(kind).inc()
        raise Problem(
            429,
            "RATE_LIMITED",
            f"too many requests from this {kind}",
            headers={"Retry-After": str(math.ceil(wait))},
        )


def _limit_account(request: Request, who: Asking) -> None:
    limits: RateLimits = request.app.state.limits
    limits.check_account(who.actor.account)


def _limit_principal(request: Request, caller: Caller) -> None:
    limits: RateLimits = request.app.state.limits
    limits.check_account(caller.name)


#: For routes that ask for a token.
limit_account = Depends(_limit_account)
#: For routes that ask for the credentials of a Kafka principal.
limit_principal = Depends(_limit_principal)
