"""
How long a router takes that has to know millions of keys, and in how much memory.

The view topic is filled by a producer of bytes: what the router reads at its start is who is a
member, whatever wrote it there.
"""

import itertools
import time

import psutil

from bench.contest import Latency, Options
from bench.sender import Sender
from bench.stage import TENTH, Stage
from bus.bootstrap.connections import kafka_connection
from bus.domain.access import ROUTER

#: Keys for each record that is asked for: ten million by default.
_TIMES = 100
_STARTS = 3
_WAIT_SECONDS = 600.0
_MIB = 1 << 20
_VALUE = b"\x00\x00\x00\x00\x02" + bytes(range(100))


def measure(options: Options, stage: Stage) -> list[Latency]:
    """Fill a view, and start the router process some times."""
    keys = options.records * _TIMES
    partitions = stage.running_partitions()
    stage.stop_router()
    started = time.monotonic()
    view = stage.view(TENTH)
    members = ((b"%012d" % number, _VALUE) for number in itertools.count())
    connection = kafka_connection(stage.settings, ROUTER)
    Sender(connection, view.topic, members, partition=view.number).send(keys)
    options.say(f"{keys:,} keys written in {time.monotonic() - started:.0f} s")
    seconds: list[float] = []
    for _ in range(_STARTS):
        started = time.monotonic()
        stage.start_router()
        while stage.running_partitions() < partitions:
            if time.monotonic() - started > _WAIT_SECONDS:
                raise TimeoutError("the router has not taken all partitions on")
            time.sleep(0.5)
        seconds.append(time.monotonic() - started)
        memory = psutil.Process(stage.router_pid).memory_info().rss / _MIB
        options.say(f"router with {keys:,} keys after {seconds[-1]:.1f} s: {memory:,.0f} MiB")
        stage.stop_router()
    milliseconds = tuple(each * 1000 for each in seconds)
    return [Latency("membership", f"router, start with {keys:,} keys", milliseconds)]
