"""
One router process, and two that share the partitions of a resource.

Both clear a backlog. What counts is the time in which every partition is under way: a router that
starts, or takes over what another has, is not measured.
"""

import itertools
import time
from collections.abc import Mapping

from bench.contest import Comparison, Options, compare, take_turns
from bench.records import Register
from bench.sender import Sender
from bench.stage import DIVIDED, Stage
from bus.ports import Partition

#: Records for each that is asked for: a start takes seconds, and is to leave most of them.
_TIMES = 20
_LEAST_PART = 0.25
_LOOK_SECONDS = 0.02
_WAIT_SECONDS = 300.0
_ONE, _TWO = "one router process", "two router processes"


def measure(options: Options, stage: Stage) -> list[Comparison]:
    """Compare them where every record passes, which is where a router has most to do."""
    publication = stage.publication(DIVIDED)
    register = Register(options.seed)
    encoded = register.encode(publication, register.take(options.records))
    sender = Sender(stage.provider.kafka, publication.topic, itertools.cycle(encoded))
    stage.stop_router()
    contest = _Contest(stage, sender, options.records * _TIMES)
    series = take_turns(
        {_ONE: lambda: contest.rate(1), _TWO: lambda: contest.rate(2)}, options, what="processes"
    )
    stage.start_router()
    return compare("processes", series, [(_TWO, _ONE)], "100 % pass")


class _Contest:
    """Each run has a backlog of its own."""

    def __init__(self, stage: Stage, sender: Sender, records: int) -> None:
        self._stage = stage
        self._sender = sender
        self._records = records

    def rate(self, processes: int) -> float:
        """Return how many records a second `processes` routers route."""
        begun = self._stage.positions(DIVIDED)
        self._sender.send(self._records)
        ends = self._stage.ends(DIVIDED)
        self._stage.await_quiet()
        try:
            self._stage.start_router(processes)
            return self._measured(processes, begun, ends)
        finally:
            for number in range(processes):
                self._stage.stop_router(number)

    def _measured(
        self, processes: int, begun: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> float:
        deadline = time.monotonic() + _WAIT_SECONDS
        while not self._shared(processes):
            _pause(deadline)
        # A transaction may be under way that began when one had all of them.
        before = self._moved(self._stage.positions(DIVIDED), deadline)
        first = time.monotonic()
        after, last = before, first
        while all(after[where] < end for where, end in ends.items()):
            _pause(deadline)
            now = self._stage.positions(DIVIDED)
            if now != after:
                after, last = now, time.monotonic()
        done = sum(after.values()) - sum(before.values())
        if done < _LEAST_PART * (sum(ends.values()) - sum(begun.values())):
            raise ValueError("the backlog was nearly cleared before all were at work: take more")
        while any(self._stage.positions(DIVIDED)[where] < end for where, end in ends.items()):
            _pause(deadline)
        return done / (last - first)

    def _shared(self, processes: int) -> bool:
        """Tell whether each process has its part of the resource."""
        return all(self._stage.routes(number, DIVIDED) for number in range(processes))

    def _moved(self, since: Mapping[Partition, int], deadline: float) -> Mapping[Partition, int]:
        """Wait until every partition has gone on; return where they stand then."""
        while True:
            now = self._stage.positions(DIVIDED)
            if all(now[where] > position for where, position in since.items()):
                return now
            _pause(deadline)


def _pause(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"the routers are not through after {_WAIT_SECONDS:.0f} s")
    time.sleep(_LOOK_SECONDS)
