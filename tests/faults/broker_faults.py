"""
What is done to brokers: killed, stopped, restarted one after the other, their leaders moved.

A fault is a generator that does its harm and yields the condition that it waits for before it goes
on. There is one at a time, and it is over when all is well again: so no two brokers are ever away
together, which is all that three brokers of which two must be in sync can bear, and what an
operator takes care of. Whoever calls `step` is the one thread that may start processes.
"""

import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from typing_extensions import override

from bus.adapters.kafka.connection import KafkaConnection
from tests.faults.replicas import KINDS, Replicas, moved
from tests.faults.soak_platform import Broker, SoakPlatform

Act: TypeAlias = Callable[[], None]
Condition: TypeAlias = Callable[[], bool]
Fault: TypeAlias = Generator[Condition, None, None]

#: After its start a lone broker is left alone for so long at least.
_REST_SECONDS = 12.0
#: For how long a broker stands still; its controller waits for it for nine seconds.
_STANDSTILLS = (0.5, 1.0, 2.0, 3.0, 12.0)


class BrokerFaults(ABC):
    """The faults of some brokers, of which none holds one up for more than `longest` seconds."""

    def __init__(self, brokers: Sequence[Broker], chance: random.Random, *, longest: float) -> None:
        self._brokers = brokers
        self._chance = chance
        self._longest = longest
        self._fault: Fault | None = None
        self._waits_for: Condition = lambda: True
        self.strikes: Counter[str] = Counter()

    @property
    @abstractmethod
    def acts(self) -> list[tuple[int, Act]]:
        """What can be done, and how often in comparison."""

    @property
    def over(self) -> bool:
        """Whether everything has happened that belongs to each run."""
        return True

    @abstractmethod
    def well(self) -> Condition:
        """Return the condition that all brokers are well, seen after now."""

    @abstractmethod
    def rested(self) -> Condition:
        """Return the condition that they can bear another fault."""

    @abstractmethod
    def start(self) -> None:
        """Begin what there is to do from the beginning."""

    @abstractmethod
    def stop(self) -> None:
        """End what runs beside."""

    def step(self) -> None:
        """Go on with the fault that there is, if what it waits for has come."""
        if self._fault is not None and self._waits_for():
            self._go_on(self._fault)

    def heal(self) -> None:
        """Put right what was done, without going on with it."""
        if self._fault is not None:
            self._fault.close()
            self._fault = None

    def kill(self) -> None:
        """SIGKILL; it comes back a moment later."""
        self._begin(self._killing(self._any()))

    def stand_still(self) -> None:
        """SIGSTOP: mostly shorter, sometimes longer than its controller waits for it."""
        self._begin(self._standing_still(self._any()))

    def _any(self) -> Broker:
        return self._chance.choice(self._brokers)

    def _begin(self, fault: Fault) -> None:
        if self._fault is None:
            self._fault = fault
            self._go_on(fault)

    def _go_on(self, fault: Fault) -> None:
        try:
            self._waits_for = next(fault)
        except StopIteration:
            self._fault = None

    def _killing(self, broker: Broker) -> Fault:
        self.strikes["broker killed"] += 1
        broker.kill()
        try:
            yield _after(self._chance.uniform(0, 3))
        finally:
            broker.start()
        yield from self._coming_back(broker)

    def _standing_still(self, broker: Broker) -> Fault:
        self.strikes["broker stopped"] += 1
        broker.stand_still()
        try:
            yield _after(min(self._chance.choice(_STANDSTILLS), self._longest))
        finally:
            broker.go_on()
        yield self.rested()

    def _restarting(self, broker: Broker, may_start: Condition) -> Fault:
        broker.stop()
        try:
            yield may_start
        finally:
            # Waits until it has ended.
            broker.start()
        self.strikes["broker restarted"] += 1
        yield from self._coming_back(broker)

    def _coming_back(self, broker: Broker) -> Fault:
        # It listens once its controller knows that it is another. Until then it may count as in
        # sync, since nobody has missed the one before yet.
        yield broker.listens
        yield self.rested()


class LoneBrokerFaults(BrokerFaults):
    """Of one broker: while it is away, there is none."""

    @property
    @override
    def acts(self) -> list[tuple[int, Act]]:
        return [(4, self.kill), (2, self.restart), (3, self.stand_still)]

    @override
    def well(self) -> Condition:
        return lambda: all(broker.listens() for broker in self._brokers)

    @override
    def rested(self) -> Condition:
        well, rested = self.well(), _after(_REST_SECONDS)
        return lambda: rested() and well()

    @override
    def start(self) -> None:
        pass

    @override
    def stop(self) -> None:
        pass

    def restart(self) -> None:
        """Ask it to end, and start it again."""
        self._begin(self._restarting(self._any(), _after(self._chance.uniform(0.5, 3))))


class ClusterFaults(BrokerFaults):
    """Of several brokers: each run restarts all in a row, and moves leaders of all kinds."""

    def __init__(
        self,
        brokers: Sequence[Broker],
        connection: KafkaConnection,
        chance: random.Random,
        *,
        longest: float,
    ) -> None:
        super().__init__(brokers, chance, longest=longest)
        self._replicas = Replicas(
            connection, random.Random(chance.random()), self.strikes, brokers=len(brokers)
        )

    @property
    @override
    def acts(self) -> list[tuple[int, Act]]:
        # Most of them come while another is not over yet.
        return [(12, self.kill), (4, self.roll), (9, self.stand_still), (8, self.move_leaders)]

    @property
    @override
    def over(self) -> bool:
        return min(self.strikes[each] for each in _BELONGS_TO_EACH_RUN) > 0

    @override
    def well(self) -> Condition:
        since = time.monotonic()
        return lambda: self._replicas.in_sync_since(since)

    @override
    def rested(self) -> Condition:
        return self.well()

    @override
    def start(self) -> None:
        self._replicas.start()
        self._begin(self._first())

    @override
    def stop(self) -> None:
        self._replicas.stop()

    def roll(self) -> None:
        """Restart all brokers in order, the next when everything is in sync again."""
        self._begin(self._rolling())

    def move_leaders(self) -> None:
        """Let others lead some partitions, of one kind or of several."""
        for kind in self._chance.sample(list(KINDS), self._chance.randint(1, len(KINDS))):
            self._replicas.move(kind)

    def _first(self) -> Fault:
        yield self.well()
        yield from self._rolling()
        while not self.over:
            # Again, until some of each kind were seen to lead.
            for kind in KINDS:
                self._replicas.move(kind)
            yield self.well()

    def _rolling(self) -> Fault:
        for broker in self._chance.sample(self._brokers, len(self._brokers)):
            yield from self._restarting(broker, broker.has_ended)
        self.strikes["rolling restart"] += 1
        self._replicas.elect_preferred()


_BELONGS_TO_EACH_RUN = ("rolling restart", *map(moved, KINDS))


def broker_faults(platform: SoakPlatform, chance: random.Random, *, longest: float) -> BrokerFaults:
    """Return the faults that the brokers of a platform can bear."""
    brokers = platform.brokers()
    if len(brokers) == 1:
        return LoneBrokerFaults(brokers, chance, longest=longest)
    return ClusterFaults(brokers, platform.admin(), chance, longest=longest)


def _after(seconds: float) -> Condition:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until
