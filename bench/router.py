"""The router clears a backlog, exactly once, beside a raw copy of as many records."""

import dataclasses
import gc
import math
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from typing_extensions import override

from bench.contest import Options, Result, Run, Usage, compare, take_turns
from bench.raw_copy import RawCopy
from bench.records import TIERS, Register
from bench.stage import TENTH, WHOLE, Stage
from bus import metrics
from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.group_consumer import KafkaGroupConsumer
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.kafka.transactional_writer import KafkaTransactionalWriter
from bus.adapters.system_clock import SystemClock
from bus.bootstrap.connections import kafka_connection
from bus.bootstrap.router import look_for_garbage_rarely
from bus.domain.access import CONTROL, ROUTER
from bus.domain.names import ROUTER_GROUP
from bus.domain.topics import view_config
from bus.ports import Committed, GroupConsumer, Partition, ReadFault, Record, TopicSpec
from bus.router.router import Router
from bus.services.policy_follower import PolicyFollower
from bus.settings import Settings

_WAIT_SECONDS = 120.0
_ROUTER = "router"
_COPY = "raw copy"
_IDEMPOTENT = "idempotent copy"


#: Bytes that an item of the records has besides its own, and the part of a backlog that is enough.
_SIZES = {"1 KB": (900, 4), "10 KB": (10_000, 20)}


def measure(options: Options, stage: Stage) -> list[Result]:
    """Compare router and raw copy where one record in ten passes the filter, and where all do."""
    plain = Register(options.seed)
    with _contests(options, stage) as contest:
        tenth = contest(TENTH, every=TIERS, register=plain).measure("10 % pass")
        return tenth + contest(WHOLE, every=1, register=plain).measure("100 % pass")


def measure_sizes(options: Options, stage: Stage) -> list[Result]:
    """Compare them where all pass, with larger records."""
    found: list[Result] = []
    with _contests(options, stage) as contest:
        for size, (padding, part) in _SIZES.items():
            register = Register(options.seed, padding=padding)
            some = contest(WHOLE, every=1, register=register, records=options.records // part)
            found += some.measure(f"100 % pass, {size}")
    return found


@contextmanager
def _contests(options: Options, stage: Stage) -> Iterator["Callable[..., _Contest]"]:
    stage.stop_router()
    settings = stage.settings
    connection = kafka_connection(settings, ROUTER)
    with running_router(settings, connection, stage, (TENTH, WHOLE)) as router:

        def contest(
            resource: str, *, every: int, register: Register, records: int = options.records
        ) -> _Contest:
            return _Contest(
                dataclasses.replace(options, records=records),
                stage,
                router,
                connection=connection,
                resource=resource,
                every=every,
                register=register,
            )

        yield contest


class TracedWriter(KafkaTransactionalWriter):
    """The router's writer; remembers what has been committed."""

    def __init__(self, connection: KafkaConnection, *, transactional_id: str) -> None:
        super().__init__(connection, transactional_id=transactional_id)
        self.committed: dict[Partition, int] = {}

    @override
    def commit(
        self, positions: Mapping[Partition, Committed], consumer: GroupConsumer | None
    ) -> None:
        super().commit(positions, consumer)
        self.committed.update({where: each.position for where, each in positions.items()})


class _TimedConsumer(KafkaGroupConsumer):
    """The router's consumer; remembers when records came first."""

    first = 0.0

    @override
    def consume(self, most: int, seconds: float) -> tuple[Sequence[Record], Sequence[ReadFault]]:
        found = super().consume(most, seconds)
        if found[0] and not self.first:
            self.first = time.perf_counter()
        return found


class InnerRouter:
    """A real router in this process, whose source can be held back while a backlog builds up."""

    def __init__(self, settings: Settings, connection: KafkaConnection) -> None:
        codec = AvroEventCodec()
        clock = SystemClock()
        readers = KafkaLogReaders(connection, group=f"{ROUTER_GROUP}.reader")
        self._consumer = _TimedConsumer(connection, group=ROUTER_GROUP, instance=settings.slot)
        self._writer = TracedWriter(connection, transactional_id=f"{ROUTER_GROUP}.{settings.slot}")
        self._router = Router(
            consumer=self._consumer,
            writer=self._writer,
            readers=readers,
            follower=PolicyFollower(readers, codec, clock),
            codec=codec,
            clock=clock,
            compile_filter=compile_filter,
            run_id=uuid.uuid4().hex[:12],
        )

    def settle(self, partitions: Collection[Partition]) -> None:
        """Go on until all of `partitions` are routed."""
        self._go_on(dict.fromkeys(partitions, 0))

    def hold(self, partition: Partition) -> None:
        """Fetch no more of a partition."""
        self._consumer.pause([partition])

    def clear(self, partition: Partition, start: int, end: int) -> float:
        """Route what stands from `start` to `end`; return the seconds from the first record on."""
        # Nothing has been fetched ahead: the raw copy starts as empty-handed.
        self._consumer.first = 0.0
        self._consumer.start({partition: start})
        self._go_on({partition: end})
        return time.perf_counter() - self._consumer.first

    def close(self) -> None:
        """Leave the group, and let go."""
        self._router.close()

    def _go_on(self, ends: Mapping[Partition, int]) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        committed = self._writer.committed
        while any(committed.get(where, -1) < end for where, end in ends.items()):
            self._router.step()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the router is not through: {self._router.not_ready()}")


@contextmanager
def running_router(
    settings: Settings, connection: KafkaConnection, stage: Stage, resources: Collection[str]
) -> Iterator[InnerRouter]:
    """
    Let a router in this process route `resources`; the router process must not run.

    The process looks for garbage as a router's does meanwhile, whoever else works in it.
    """
    before = gc.get_threshold()
    look_for_garbage_rarely()
    router = InnerRouter(settings, connection)
    try:
        router.settle([stage.source(each) for each in resources])
        yield router
    finally:
        router.close()
        gc.set_threshold(*before)


class _Contest:
    """One resource: each round has a backlog of its own, which all contenders clear."""

    def __init__(
        self,
        options: Options,
        stage: Stage,
        router: InnerRouter,
        *,
        connection: KafkaConnection,
        resource: str,
        every: int,
        register: Register,
    ) -> None:
        self._options = options
        self._stage = stage
        self._router = router
        self._connection = connection
        self._resource = resource
        self._every = every
        self._source = stage.source(resource)
        self._publication = stage.publication(resource)
        self._register = register
        self._start = self._end = 0
        self._spent: dict[str, list[float]] = {}

    def measure(self, where: str) -> list[Result]:
        copies = {
            name: self._copy(name, exactly_once=name == _COPY) for name in (_COPY, _IDEMPOTENT)
        }
        runs: dict[str, Run] = {_ROUTER: partial(self._metered, _ROUTER, self._clear)}
        for name, copy in copies.items():
            runs[name] = partial(self._metered, name, partial(self._run, copy))
        try:
            series = take_turns(
                runs, self._options, what=f"router, {where}", before_round=self._new_backlog
            )
        finally:
            for copy in copies.values():
                copy.close()
        pairs = [(_ROUTER, _COPY), (_COPY, _IDEMPOTENT)]
        usages = [
            # The round that warms up does not count.
            Usage("router", f"{name}, {where}", tuple(self._spent[name][1:]))
            for name in (_ROUTER, _COPY)
        ]
        return [*compare("router", series, pairs, where), *usages]

    def _metered(self, name: str, run: Run) -> float:
        before = time.process_time()
        rate = run()
        spent = time.process_time() - before
        self._spent.setdefault(name, []).append(spent / (self._end - self._start) * 1e6)
        return rate

    def _new_backlog(self) -> None:
        self._router.hold(self._source)
        contents = self._register.take(self._options.records)
        encoded = self._register.encode(self._publication, contents)
        self._start, self._end = self._stage.publish(self._resource, encoded)
        self._stage.await_quiet()

    def _clear(self) -> float:
        before = self._written()
        seconds = self._router.clear(self._source, self._start, self._end)
        written = self._written() - before
        expected = math.ceil(self._options.records / self._every)
        if written != expected:
            raise ValueError(f"the router has written {written:.0f} records, not {expected}")
        return self._rate(seconds)

    def _run(self, copy: RawCopy) -> float:
        return self._rate(copy.run(self._start, self._end))

    def _written(self) -> float:
        found = metrics.ROUTER_REGISTRY.get_sample_value(
            "onesource_router_records_written_total",
            {"resource": self._resource, "outcome": "upsert"},
        )
        return found or 0.0

    def _rate(self, seconds: float) -> float:
        return (self._end - self._start) / seconds

    def _copy(self, name: str, *, exactly_once: bool) -> RawCopy:
        target = f"os.view.bench.{name.replace(', ', '-').replace(' ', '-')}.{self._resource}"
        admin = KafkaTopicAdmin(kafka_connection(self._stage.settings, CONTROL))
        admin.ensure([TopicSpec(name=target, partitions=1, config=view_config())])
        return RawCopy(
            self._connection, self._source, target, every=self._every, exactly_once=exactly_once
        )
