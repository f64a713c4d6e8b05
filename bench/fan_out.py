"""
Views with a topic each, of which every record belongs to one: the router beside Kafka Streams.

A transaction that touches a topic has to end it, so many topics are dear to both. Both clear a
backlog.
"""

import dataclasses
import itertools
from functools import partial

from bench.contest import Comparison, Options, Run, compare, take_turns
from bench.peer_job import PeerJobs, written_with
from bench.peers import programs
from bench.peers.process import PeerProcess
from bench.records import TIERS, Encoded, Register, county
from bench.router import InnerRouter, running_router
from bench.stage import Stage, address_grant, fanned
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.bootstrap.connections import kafka_connection
from bus.domain.access import CONTROL, ROUTER
from bus.domain.names import ROUTER_GROUP
from bus.domain.topics import view_config
from bus.ports import Partition, TopicSpec

_VIEWS = (10, 100, 1_000)
_ROUTER = "router"
#: The name of the contender, and its commit interval in milliseconds.
_STREAMS = {"Kafka Streams, 100 ms": 100, "Kafka Streams, 1 s": 1_000}
_WARMING_JOBS = 3
_FILL_SECONDS = 600.0


def measure(options: Options, stage: Stage) -> list[Comparison]:
    """Compare the two with ten, a hundred and a thousand views."""
    folder = stage.root / "peers"
    folder.mkdir(exist_ok=True)
    command = programs.kafka_streams(folder)
    for views in _VIEWS:
        options.say(f"{views:,} views")
        _give(stage, views)
    stage.stop_router()
    connection = kafka_connection(stage.settings, ROUTER)
    resources = [fanned(views) for views in _VIEWS]
    found: list[Comparison] = []
    with running_router(stage.settings, connection, stage, resources) as router:
        for views in _VIEWS:
            process = PeerProcess(command, log=folder / f"fan-out-{views}.log")
            try:
                found += _Contest(options, stage, router, process, views).measure()
            finally:
                process.close()
    return found


def _give(stage: Stage, views: int) -> None:
    resource = fanned(views)
    grants = [
        dataclasses.replace(
            address_grant(resource, f'county == "{county(number)}"'), id=_grant(views, number)
        )
        for number in range(views)
    ]
    stage.add_grants(grants)
    stage.await_filled([grant.id for grant in grants], timeout=_FILL_SECONDS)


def _grant(views: int, number: int) -> str:
    return f"{fanned(views)}-{number}"


class _Contest:
    """One number of views: each round has a backlog of its own, which all contenders clear."""

    def __init__(
        self,
        options: Options,
        stage: Stage,
        router: InnerRouter,
        process: PeerProcess,
        views: int,
    ) -> None:
        self._options = options
        self._stage = stage
        self._router = router
        self._process = process
        self._views = views
        self._resource = fanned(views)
        self._source = stage.source(self._resource)
        self._publication = stage.publication(self._resource)
        self._register = Register(options.seed)
        self._jobs = PeerJobs(stage, self._resource)
        self._numbers = itertools.count()
        self._warm: set[str] = set()
        self._start = self._end = 0
        #: By county: the view topic that the router writes to, and that of the peers.
        self._topics = {
            county(number): stage.subscription_view(_grant(views, number))
            for number in range(views)
        }
        self._targets = {
            name: Partition(f"os.view.bench.fan-out-{views}.{name}", 0) for name in self._topics
        }
        self._routed: dict[str, list[Encoded]] = {}

    def measure(self) -> list[Comparison]:
        """Take turns."""
        admin = KafkaTopicAdmin(kafka_connection(self._stage.settings, CONTROL))
        admin.ensure(
            [
                TopicSpec(name=target.topic, partitions=1, config=view_config())
                for target in self._targets.values()
            ]
        )
        runs: dict[str, Run] = {_ROUTER: self._clear}
        runs |= {name: partial(self._run, name) for name in _STREAMS}
        where = f"{self._views:,} views with topics"
        series = take_turns(
            runs, self._options, what=f"fan-out, {where}", before_round=self._new_backlog
        )
        return compare("fan-out", series, [(_ROUTER, name) for name in _STREAMS], where)

    def _new_backlog(self) -> None:
        self._router.hold(self._source)
        contents = self._register.take(self._options.records, counties=self._views)
        encoded = self._register.encode(self._publication, contents)
        self._start, self._end = self._stage.publish(self._resource, encoded)
        self._stage.await_quiet()

    def _clear(self) -> float:
        before = self._jobs.ends(list(self._topics.values()))
        seconds = self._router.clear(self._source, self._start, self._end)
        written = self._jobs.read(before)
        self._routed = {name: written[topic] for name, topic in self._topics.items()}
        total = sum(len(records) for records in self._routed.values())
        if total != self._options.records:
            raise ValueError(f"the router has written {total} records")
        return self._options.records / seconds

    def _run(self, name: str) -> float:
        if name not in self._warm:
            for _ in range(1, _WARMING_JOBS):
                self._work(name)
            self._warm.add(name)
        return self._work(name)

    def _work(self, name: str) -> float:
        """Let Kafka Streams do it; raise `ValueError` unless it writes what the router has."""
        group = f"{ROUTER_GROUP}.bench.fan-out.{self._views}.{next(self._numbers)}"
        self._jobs.begin_at(group, self._start)
        before = self._jobs.ends(list(self._targets.values()))
        sample = next(iter(self._routed.values()))[0][1]
        job = {
            **self._jobs.facts(sample),
            "group": group,
            "targets": {
                name: {
                    "topic": target.topic,
                    "schema_id": written_with(self._routed[name][0][1]),
                }
                for name, target in self._targets.items()
            },
            "start": self._start,
            "end": self._end,
            "highest_tier": TIERS,
            "commit_milliseconds": _STREAMS[name],
        }
        seconds = self._process.seconds(job, stays=True)
        written = self._jobs.read(before)
        if any(written[self._targets[each]] != self._routed[each] for each in self._targets):
            raise ValueError(f"{name} has not written what the router has")
        return (self._end - self._start) / seconds
