"""
The router process at most of what it can do, for a long time, and what it takes of memory.

What it can do is measured first, with everything else beside it on the same cores. A bounded set of
keys is updated in turn, and enters and leaves the view.
"""

import itertools
import time
from collections.abc import Sequence

import psutil
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from bench.contest import Course, Options
from bench.records import TIERS, Encoded, Register
from bench.sender import Sender
from bench.stage import TENTH, Stage
from bus.adapters.kafka.connection import LOGGER

_LOAD = 0.8
_KEYS = 100_000
#: Each key comes with so many values, one after the other; in one of ten it belongs to the view.
_VERSIONS = 3
_PROBE_RECORDS = 1_000_000
_SAMPLE_SECONDS = 10.0
_SAY_SECONDS = 60.0
#: Before that, memory is still being taken for the first time.
_RUN_IN_SECONDS = 120.0
_CALL_SECONDS = 30.0
_MIB = 1 << 20
#: What an hour of records would fill is not needed: the topics keep the newest of it.
_KEPT = {
    "cleanup.policy": "compact,delete",
    "retention.bytes": str(1 << 31),
    "segment.bytes": str(1 << 28),
}


def measure(options: Options, stage: Stage) -> list[Course]:
    """Find out what the router can do, let it do most of that, and watch its memory and its lag."""
    _keep_little(stage)
    records = itertools.cycle(_versions(stage, options.seed))
    where = stage.source(TENTH)
    sender = Sender(stage.provider.kafka, where.topic, records, partition=where.number)
    rate = options.rate or int(_LOAD * _capacity(stage, sender))
    seconds = options.minutes * 60
    options.say(f"{rate:,} records/s for {options.minutes} minutes")
    memory: list[tuple[float, float]] = []
    lag: list[tuple[float, float]] = []
    late: list[tuple[float, float]] = []
    process = psutil.Process(stage.router_pid)
    said = 0.0
    for now, behind in sender.paced(rate, seconds, _SAMPLE_SECONDS):
        memory.append((now, process.memory_info().rss / _MIB))
        lag.append((now, float(stage.lag(TENTH))))
        late.append((now, float(behind)))
        if now - said >= _SAY_SECONDS:
            said = now
            options.say(f"{now:,.0f} s: {memory[-1][1]:,.1f} MiB, {lag[-1][1]:,.0f} records behind")
    stage.await_routed(TENTH)
    at = f"{rate:,} records/s"
    counts = [(now, value) for now, value in memory if now >= min(_RUN_IN_SECONDS, seconds / 2)]
    return [
        Course("endurance", f"router's resident memory, {at}", "MiB", tuple(counts)),
        Course("endurance", f"router behind, {at}", "records", tuple(lag)),
        Course("endurance", f"publisher behind its plan, {at}", "records", tuple(late)),
    ]


def _capacity(stage: Stage, sender: Sender) -> float:
    """Return how many records a second go through when they are sent as fast as they can be."""
    stage.await_routed(TENTH)
    started = time.monotonic()
    sender.send(_PROBE_RECORDS)
    stage.await_routed(TENTH)
    return _PROBE_RECORDS / (time.monotonic() - started)


def _keep_little(stage: Stage) -> None:
    connection = stage.broker_admin
    admin = AdminClient(connection.client(), logger=LOGGER)
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in _KEPT.items()
    ]
    resources = [
        ConfigResource(ResourceType.TOPIC, where.topic, incremental_configs=entries)
        for where in (stage.source(TENTH), stage.view(TENTH))
    ]
    admin.list_topics(timeout=_CALL_SECONDS)
    for altered in admin.incremental_alter_configs(resources).values():
        altered.result(_CALL_SECONDS)


def _versions(stage: Stage, seed: int) -> Sequence[Encoded]:
    register = Register(seed)
    contents = register.take(_KEYS)
    publication = stage.publication(TENTH)
    found: list[Encoded] = []
    for version in range(_VERSIONS):
        changed = [
            {**content, "tier": (number + version) % TIERS}
            for number, content in enumerate(contents)
        ]
        found += register.encode(publication, changed)
    return found
