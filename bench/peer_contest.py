"""The router beside what others would do its work with, exactly once where they can."""

import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.contest import Comparison, Options, Run, compare, take_turns
from bench.peer_job import PeerJobs
from bench.peers import programs
from bench.peers.process import PeerProcess
from bench.records import TIERS, Encoded, Register
from bench.router import InnerRouter, running_router
from bench.stage import TENTH, WHOLE, Stage
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.bootstrap.connections import kafka_connection
from bus.domain.access import CONTROL, ROUTER
from bus.domain.names import ROUTER_GROUP
from bus.domain.topics import view_config
from bus.ports import Partition, TopicSpec

_ROUTER = "router"
#: What compiles while it runs gets more than one job to warm up.
_WARMING_JOBS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peer:
    """One way to do the router's work."""

    name: str
    program: str
    stays: bool = False
    """Whether its process is kept for the next round, with what it has compiled."""
    part: int = 1
    """What is slow takes only the first of so many parts of a backlog."""
    commit_milliseconds: int = 0


_STREAMS, _QUIX, _FAUST = "kafka-streams", "quix", "faust"
_PEERS = (
    _Peer(name="Kafka Streams, 100 ms", program=_STREAMS, stays=True, commit_milliseconds=100),
    _Peer(name="Kafka Streams, 1 s", program=_STREAMS, stays=True, commit_milliseconds=1_000),
    _Peer(name="Quix Streams", program=_QUIX, part=2),
    _Peer(name="Faust", program=_FAUST, part=5),
)


def measure(options: Options, stage: Stage) -> list[Comparison]:
    """Compare the router with each peer, where one record in ten passes and where all do."""
    options.say("making the peers ready")
    folder = stage.root / "peers"
    folder.mkdir()
    commands = {
        _STREAMS: programs.kafka_streams(folder),
        _QUIX: programs.python_peer(_QUIX),
        _FAUST: programs.python_peer(_FAUST),
    }
    stage.stop_router()
    settings = stage.settings
    connection = kafka_connection(settings, ROUTER)
    found: list[Comparison] = []
    with (
        running_router(settings, connection, stage, (TENTH, WHOLE)) as router,
        _processes(commands, folder) as processes,
    ):
        for resource, every in ((TENTH, TIERS), (WHOLE, 1)):
            contest = _Contest(
                options, stage, router, processes=processes, resource=resource, every=every
            )
            found += contest.measure(f"{100 // every} % pass")
    return found


@contextmanager
def _processes(commands: dict[str, list[str]], folder: Path) -> Iterator[dict[str, PeerProcess]]:
    with ExitStack() as running:
        found = {}
        for peer in _PEERS:
            log = folder / f"{_name(peer)}.log"
            found[peer.name] = PeerProcess(commands[peer.program], log=log)
            running.callback(found[peer.name].close)
        yield found


class _Contest:
    """One resource: each round has a backlog of its own, which all contenders clear."""

    def __init__(
        self,
        options: Options,
        stage: Stage,
        router: InnerRouter,
        *,
        processes: dict[str, PeerProcess],
        resource: str,
        every: int,
    ) -> None:
        self._options = options
        self._stage = stage
        self._router = router
        self._processes = processes
        self._resource = resource
        self._every = every
        self._source = stage.source(resource)
        self._view = stage.view(resource)
        self._publication = stage.publication(resource)
        self._register = Register(options.seed)
        self._jobs = PeerJobs(stage, resource)
        self._numbers = itertools.count()
        self._warm: set[str] = set()
        self._start = self._end = 0
        self._routed: list[Encoded] = []

    def measure(self, where: str) -> list[Comparison]:
        runs: dict[str, Run] = {_ROUTER: self._clear}
        for peer in _PEERS:
            self._ensure_target(peer)
            runs[peer.name] = partial(self._run, peer)
        series = take_turns(
            runs, self._options, what=f"peers, {where}", before_round=self._new_backlog
        )
        return compare("peers", series, [(_ROUTER, peer.name) for peer in _PEERS], where)

    def _new_backlog(self) -> None:
        self._router.hold(self._source)
        contents = self._register.take(self._options.records)
        encoded = self._register.encode(self._publication, contents)
        self._start, self._end = self._stage.publish(self._resource, encoded)
        self._stage.await_quiet()

    def _clear(self) -> float:
        before = self._stage.end(self._view)
        seconds = self._router.clear(self._source, self._start, self._end)
        self._routed = self._jobs.read({self._view: before})[self._view]
        expected = math.ceil(self._options.records / self._every)
        if len(self._routed) != expected:
            raise ValueError(f"the router has written {len(self._routed)} records, not {expected}")
        return (self._end - self._start) / seconds

    def _run(self, peer: _Peer) -> float:
        if peer.stays and peer.name not in self._warm:
            for _ in range(1, _WARMING_JOBS):
                self._work(peer)
            self._warm.add(peer.name)
        return self._work(peer)

    def _work(self, peer: _Peer) -> float:
        """Let a peer clear its part; raise `ValueError` unless it writes what the router has."""
        count = (self._end - self._start) // peer.part
        group = f"{ROUTER_GROUP}.bench.{_name(peer)}.{self._resource}.{next(self._numbers)}"
        self._jobs.begin_at(group, self._start)
        target = self._target(peer)
        before = self._jobs.end(target)
        job = {
            **self._jobs.facts(self._routed[0][1]),
            "highest_tier": 0 if self._every == TIERS else TIERS,
            "group": group,
            "target": target.topic,
            "start": self._start,
            "end": self._start + count,
            "commit_milliseconds": peer.commit_milliseconds,
        }
        seconds = self._processes[peer.name].seconds(job, stays=peer.stays)
        written = self._jobs.read({target: before})[target]
        if written != self._routed[: math.ceil(count / self._every)]:
            raise ValueError(f"{peer.name} has written {len(written)} records, not the router's")
        return count / seconds

    def _target(self, peer: _Peer) -> Partition:
        return Partition(f"os.view.bench.{_name(peer)}.{self._resource}", 0)

    def _ensure_target(self, peer: _Peer) -> None:
        admin = KafkaTopicAdmin(kafka_connection(self._stage.settings, CONTROL))
        topic = self._target(peer).topic
        admin.ensure([TopicSpec(name=topic, partitions=1, config=view_config())])


def _name(peer: _Peer) -> str:
    return peer.name.lower().replace(", ", "-").replace(" ", "-")
