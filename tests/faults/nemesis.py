"""
The nemesis: small acts against routers, brokers and the network between them, drawn at random.

An act begins at once and may have an end that comes later, so acts overlap. Everything is done by
the one thread that calls `step`, since processes end with the thread that started them.
"""

import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.broker_faults import Act, BrokerFaults
from tests.faults.proxy import FAIR, Proxy, Weather
from tests.faults.routers import Routers

SECOND_SLOT = "1"


@dataclass(order=True, slots=True)
class _Due:
    at: float
    number: int
    act: Act = field(compare=False)


class Nemesis:
    """Draws acts, one every `pause` seconds or so, of which none takes more than `longest`."""

    def __init__(
        self,
        routers: Routers,
        brokers: BrokerFaults,
        proxies: Sequence[Proxy],
        chance: random.Random,
        *,
        pause: float,
        longest: float,
    ) -> None:
        self._routers = routers
        self._brokers = brokers
        self._proxies = proxies
        self._chance = chance
        self._pause = pause
        self._longest = longest
        self._agenda: list[_Due] = []
        self._numbers = itertools.count()
        self._next_act = 0.0
        self.strikes: Counter[str] = Counter()
        self._acts: list[tuple[int, Act]] = [
            (24, routers.kill),
            (4, routers.stand_still),
            *brokers.acts,
            (5, self.second_router_comes_or_goes),
            (1, self.storm),
            (7, self.bad_weather),
            (5, self.cut),
            (5, self.reset),
            (2, self.hold_requests),
            (3, self.hold_answers),
            (2, self.part_routers_from_broker),
        ]

    def step(self) -> None:
        """Do what is due, and now and then something more."""
        now = time.monotonic()
        while self._agenda and self._agenda[0].at <= now:
            heapq.heappop(self._agenda).act()
        self._brokers.step()
        self._routers.look()
        if now >= self._next_act:
            weights = [weight for weight, _ in self._acts]
            _, act = self._chance.choices(self._acts, weights)[0]
            act()
            self._next_act = now + self._chance.expovariate(1 / self._pause)

    def heal(self) -> None:
        """End all acts that have not ended yet."""
        while self._agenda:
            heapq.heappop(self._agenda).act()
        self._brokers.heal()
        for proxy in self._proxies:
            proxy.weather = FAIR

    # --- group ------------------------------------------------------------------------------------

    def second_router_comes_or_goes(self) -> None:
        """Rebalance: another router joins, or leaves in order."""
        self.strikes["rebalance asked for"] += 1
        if SECOND_SLOT in self._routers.wanted:
            self._routers.leave(SECOND_SLOT)
        else:
            self._routers.wanted.add(SECOND_SLOT)

    def storm(self) -> None:
        """Rebalance several times in a row."""
        at = 0.0
        for _ in range(self._chance.randint(3, 6)):
            self._later(at, self.second_router_comes_or_goes)
            at += self._chance.uniform(1.0, 5.0)

    # --- network ----------------------------------------------------------------------------------

    def bad_weather(self) -> None:
        """Delay and slice what goes between routers and broker."""
        self.strikes["connections delayed or sliced"] += 1
        weather = self._chance.choice(
            [
                Weather(delay=0.02),
                Weather(delay=0.3),
                Weather(slice_bytes=7),
                Weather(slice_bytes=100, delay=0.05),
            ]
        )
        self._weather(weather, self._chance.uniform(1.0, 6.0))

    def cut(self) -> None:
        """Close all connections of routers."""
        self.strikes["connections cut"] += 1
        for proxy in self._some():
            proxy.cut()

    def reset(self) -> None:
        """End all connections of routers with a reset."""
        self.strikes["connections reset"] += 1
        for proxy in self._some():
            proxy.reset()

    def hold_requests(self) -> None:
        """Let requests arrive late, some when nobody waits for their answer any more."""
        self.strikes["requests held"] += 1
        self._weather(Weather(holds_requests=True), self._chance.choice([0.5, 1.0, 2.0, 6.0, 18.0]))

    def hold_answers(self) -> None:
        """Let the broker do what it is asked, and its answers be lost."""
        self.strikes["answers held"] += 1
        seconds = self._chance.choice([0.5, 1.0, 2.0, 6.0])
        resets = self._chance.random() < 0.7
        for proxy in self._weather(Weather(holds_answers=True), seconds):
            if resets:
                self._later(seconds * 0.99, proxy.reset)

    def part_routers_from_broker(self) -> None:
        """Refuse connections, and cut those that there are."""
        self.strikes["routers parted from broker"] += 1
        seconds = self._chance.choice([0.5, 1.0, 3.0, 8.0])
        for proxy in self._weather(Weather(refuses=True), seconds):
            proxy.cut()

    def _weather(self, weather: Weather, seconds: float) -> Sequence[Proxy]:
        """Change the weather for some proxies, for a while; return them."""
        some = self._some()
        for proxy in some:
            proxy.weather = weather

        def clears() -> None:
            for proxy in some:
                # Unless it has changed again meanwhile.
                if proxy.weather is weather:
                    proxy.weather = FAIR

        self._later(min(seconds, self._longest), clears)
        return some

    def _some(self) -> Sequence[Proxy]:
        """Draw the ways to all brokers, or the one to one of them."""
        return (
            self._proxies if self._chance.random() < 0.5 else [self._chance.choice(self._proxies)]
        )

    def _later(self, seconds: float, act: Act) -> None:
        due = _Due(time.monotonic() + seconds, next(self._numbers), act)
        heapq.heappush(self._agenda, due)
