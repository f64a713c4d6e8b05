"""
The router's loop: gather records, write what becomes of them in one transaction, repeat.

No transaction is open while the consumer is asked for records, so a rebalance, which happens only
then, never finds one half done. Everything else (policy, new views, new partitions) changes between
two transactions.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bus import metrics
from bus.domain.names import ROUTER_STATE_TOPIC
from bus.errors import BrokerUnavailable, TransactionAborted, TransactionUnknown
from bus.ports import (
    Clock,
    Committed,
    EventCodec,
    GroupConsumer,
    LogReaders,
    LostPosition,
    Partition,
    Record,
    TransactionalWriter,
    UnreadableBatch,
)
from bus.router.assignment import AssignedGroup
from bus.router.partition_task import PartitionTask
from bus.router.plans import Plans
from bus.router.slots import ended_bits, next_slots
from bus.services.policy_follower import PolicyFollower
from bus.services.state_table import StateTable
from bus.views.row_filter import FilterCompiler

log = structlog.get_logger(__name__)

#: One call for records returns at most this many.
CONSUME_RECORDS = 10_000
#: With a backlog a transaction takes at most this many, and gathers for at most this long.
TRANSACTION_RECORDS = 100_000
GATHER_SECONDS = 0.5
#: How long to wait for the first record: with nothing else to do, and while fills or loading go on.
IDLE_SECONDS = 0.1
BUSY_SECONDS = 0.005
#: How long to ask whether a transaction of unknown outcome was committed.
_FIND_OUT_SECONDS = 60.0
#: How long a record may wait for its schema to reach the policy (design.md §4).
SCHEMA_WAIT_SECONDS = 30.0
#: Pauses after transactions that failed one after the other, so that a broken broker is left alone.
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_LAG_EVERY_SECONDS = 2.0


@dataclass(slots=True)
class _Gathered:
    """What one partition brings to a transaction."""

    records: list[Record] = field(default_factory=list)
    unreadable: UnreadableBatch | None = None


class Router:
    """One router process; `step` is one round of the loop."""

    def __init__(
        self,
        *,
        consumer: GroupConsumer,
        writer: TransactionalWriter,
        readers: LogReaders,
        follower: PolicyFollower,
        codec: EventCodec,
        clock: Clock,
        compile_filter: FilterCompiler,
        run_id: str,
    ) -> None:
        self._consumer = consumer
        self._writer = writer
        self._readers = readers
        self._follower = follower
        self._codec = codec
        self._clock = clock
        self._plans = Plans(compile_filter)
        self._state = StateTable(readers, codec, clock)
        self._tasks: dict[Partition, PartitionTask] = {}
        #: Those of them that have something to write though nothing comes. With thousands that are
        #: quiet, each round looks at no others.
        self._at_work: dict[Partition, PartitionTask] = {}
        self._groups: list[AssignedGroup] = []
        self.stopped: dict[Partition, str] = {}
        self._schema_deadlines: dict[Partition, float] = {}
        self._run_id = run_id
        self._transactions = 0
        self._failures = 0
        self._lag_due = 0.0
        self._lagging: set[str] = set()

    def not_ready(self) -> str | None:
        """Return why records are not routed now, None if they are."""
        if self._follower.policy is None:
            return "no policy is known"
        for partition, reason in self.stopped.items():
            return f"{partition.topic}/{partition.number} stopped: {reason}"
        if self._failures:
            return f"{self._failures} transactions failed one after the other"
        return None

    def round(self, *, pause: Callable[[float], object]) -> None:
        """
        Do one round, and `pause` if its transaction failed, longer each time.

        Raise `WriterFenced` or `BrokerUnavailable` when only a new process can go on.
        """
        self.step()
        if self._failures:
            pause(min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS))

    def step(self) -> None:
        """Follow the policy, bring new partitions on, gather, and transact."""
        if self._follower.poll():
            self._follow_policy()
        self._load()
        for task in self._at_work.values():
            task.look_ahead()
        gathered = self._gather()
        self._transact(gathered)
        self._give_up_waiting()
        self._measure()

    def close(self) -> None:
        """Leave the group and let go of everything; an open transaction is aborted."""
        for task in self._tasks.values():
            task.close()
        for group in self._groups:
            group.close()
        self._state.close()
        self._follower.close()
        self._consumer.close()
        self._writer.close()

    # --- GroupListener ----------------------------------------------------------------------------

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Take note of new partitions; see `GroupListener`."""
        log.info("partitions assigned", count=len(partitions))
        self._groups.append(
            AssignedGroup(
                partitions,
                consumer=self._consumer,
                readers=self._readers,
                state=self._state,
                codec=self._codec,
            )
        )

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Forget partitions; see `GroupListener`. No transaction is open here."""
        log.info("partitions revoked", count=len(partitions))
        for partition in partitions:
            self._let_go(partition)
            self.stopped.pop(partition, None)
            self._schema_deadlines.pop(partition, None)
        for group in self._groups:
            group.drop(partitions)

    # --- policy and partitions --------------------------------------------------------------------

    def _follow_policy(self) -> None:
        policy = self._follower.policy
        if policy is None:
            return
        before = self._plans.topics()
        self._plans.follow(policy)
        if self._plans.topics() != before:
            self._consumer.follow(self._plans.topics(), self)
        for task in self._tasks.values():
            self._adopt(task)
        metrics.POLICY_VERSION.set(policy.version)
        log.info("policy applied", version=policy.version, views=len(policy.views))

    def _adopt(self, task: PartitionTask) -> None:
        planned = self._plans.of(task.partition.topic)
        if planned is None:
            return
        plan, version = planned
        if plan is task.plan:
            # What it waits for may have turned out to be another resource's.
            if task.waiting_for is not None and self._plans.knows_schema(task.waiting_for):
                task.waiting_for = None
                self._go_on(task)
            return
        slots = next_slots(
            task.partition,
            plan.views,
            current=task.slots,
            recorded=task.recorded,
            position=task.position,
            policy_version=version,
            beginning=lambda: self._readers.beginnings([task.partition])[task.partition],
            readers=self._readers,
        )
        ended = ended_bits(task.slots, slots)
        waited = task.waiting_for is not None
        task.adopt(plan, slots, version)
        self._note_work([task])
        if ended:
            task.membership.forget(ended)
        if waited:
            self._go_on(task)

    def _go_on(self, task: PartitionTask) -> None:
        """Read on after a wait for a schema."""
        self._schema_deadlines.pop(task.partition, None)
        self._consumer.start({task.partition: task.position})

    def _load(self) -> None:
        if not self._groups:
            return
        group = self._groups[0]
        if group.partitions:
            ready = group.step(self._plans)
            if not ready and group.partitions - group.stopped.keys():
                return
            for task in ready:
                self._tasks[task.partition] = task
                self._adopt(task)
            self._note_work(ready)
            self._consumer.start({task.partition: task.position for task in ready})
            for partition, reason in group.stopped.items():
                self._stop(partition, reason)
        group.close()
        self._groups.pop(0)

    def _stop(self, partition: Partition, reason: str) -> None:
        log.error(
            "partition stopped", topic=partition.topic, partition=partition.number, reason=reason
        )
        self.stopped[partition] = reason
        self._consumer.pause([partition])
        self._let_go(partition)

    def _let_go(self, partition: Partition) -> None:
        self._at_work.pop(partition, None)
        task = self._tasks.pop(partition, None)
        if task is not None:
            task.close()

    def _note_work(self, tasks: Collection[PartitionTask]) -> None:
        """Note which of `tasks` have something to write though nothing comes."""
        for task in tasks:
            if task.filling or task.unsettled:
                self._at_work[task.partition] = task
            else:
                self._at_work.pop(task.partition, None)

    # --- records ----------------------------------------------------------------------------------

    def _gather(self) -> dict[Partition, _Gathered]:
        """Return what there is to route now; more at a time when there is a backlog."""
        busy = bool(self._groups) or bool(self._at_work)
        records, faults = self._consumer.consume(
            CONSUME_RECORDS, BUSY_SECONDS if busy else IDLE_SECONDS
        )
        gathered: list[Record] = list(records)
        until = self._clock.monotonic() + GATHER_SECONDS
        while (
            len(records) == CONSUME_RECORDS
            and not faults
            and len(gathered) < TRANSACTION_RECORDS
            and self._clock.monotonic() < until
        ):
            records, faults = self._consumer.consume(CONSUME_RECORDS, 0)
            gathered.extend(records)
        by_partition = {
            partition: _Gathered(found)
            for partition, found in _by_partition(gathered).items()
            # What was fetched of a partition that has just stopped or left is not ours to route.
            if partition in self._tasks
        }
        for fault in faults:
            # A partition that does not run yet has no position to lose.
            if fault.partition not in self._tasks:
                continue
            if isinstance(fault, LostPosition):
                self._stop(fault.partition, fault.reason)
                by_partition.pop(fault.partition, None)
            else:
                by_partition.setdefault(fault.partition, _Gathered()).unreadable = fault
        return by_partition

    def _transact(self, gathered: dict[Partition, _Gathered]) -> None:
        """Write what becomes of `gathered`, the next steps of fills, and the state, as one."""
        tasks = [self._tasks[partition] for partition in gathered]
        tasks += [
            task
            for partition, task in self._at_work.items()
            if partition not in gathered and task.has_work
        ]
        if not tasks:
            return
        self._transactions += 1
        note = f"{self._run_id}:{self._transactions}"
        started = self._clock.monotonic()
        try:
            self._writer.begin()
            for task in tasks:
                self._write(task, gathered.get(task.partition))
            positions = {task.partition: Committed(task.position, note) for task in tasks}
            self._writer.commit(positions, self._consumer)
        except TransactionAborted as error:
            log.warning("transaction aborted", reason=str(error))
            self._writer.abort()
            self._take_back(tasks)
        except TransactionUnknown as error:
            log.warning("transaction of unknown outcome", reason=str(error))
            self._find_out(tasks, note)
        else:
            self._failures = 0
            self._keep(tasks, gathered, started)

    def _write(self, task: PartitionTask, gathered: _Gathered | None) -> None:
        if gathered is not None:
            task.process(gathered.records, self._writer)
            if gathered.unreadable is not None and task.waiting_for is None:
                task.process_unreadable(gathered.unreadable, self._writer)
        if task.filling:
            task.fill_step(self._writer)
        task.write_states(self._writer, ROUTER_STATE_TOPIC)

    def _keep(
        self,
        tasks: Collection[PartitionTask],
        gathered: dict[Partition, _Gathered],
        started: float,
    ) -> None:
        resume: dict[Partition, int] = {}
        for task in tasks:
            task.settle()
            brought = gathered.get(task.partition)
            if task.waiting_for is not None:
                self._wait_for_schema(task)
            elif brought is not None and brought.unreadable is not None:
                resume[task.partition] = task.position
        self._note_work(tasks)
        if resume:
            self._consumer.start(resume)
        self._report(gathered, started)

    def _take_back(self, tasks: Collection[PartitionTask]) -> None:
        self._failures += 1
        metrics.TRANSACTIONS_ABORTED.inc()
        for task in tasks:
            task.undo()
        self._note_work(tasks)
        self._consumer.start({task.partition: task.position for task in tasks})

    def _find_out(self, tasks: Collection[PartitionTask], note: str) -> None:
        """Let the committed positions say whether a transaction was committed."""
        positions = self._ask_patiently([task.partition for task in tasks])
        if any(committed.note == note for committed in positions.values()):
            for task in tasks:
                task.settle()
            self._note_work(tasks)
            self._consumer.start({task.partition: task.position for task in tasks})
        else:
            self._take_back(tasks)

    def _ask_patiently(self, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        until = self._clock.monotonic() + _FIND_OUT_SECONDS
        while True:
            try:
                return self._consumer.committed(partitions)
            except BrokerUnavailable:
                if self._clock.monotonic() > until:
                    raise

    def _wait_for_schema(self, task: PartitionTask) -> None:
        if task.partition not in self._schema_deadlines:
            log.info("waiting for a schema", topic=task.partition.topic, schema=task.waiting_for)
        self._schema_deadlines.setdefault(
            task.partition, self._clock.monotonic() + SCHEMA_WAIT_SECONDS
        )
        self._consumer.pause([task.partition])

    def _give_up_waiting(self) -> None:
        now = self._clock.monotonic()
        for partition, deadline in list(self._schema_deadlines.items()):
            task = self._tasks.get(partition)
            if task is None or task.waiting_for is None:
                del self._schema_deadlines[partition]
            elif now >= deadline:
                del self._schema_deadlines[partition]
                task.given_up.add(task.waiting_for)
                task.waiting_for = None
                self._consumer.start({partition: task.position})

    # --- measuring --------------------------------------------------------------------------------

    def _report(self, gathered: dict[Partition, _Gathered], started: float) -> None:
        metrics.TRANSACTION_SECONDS.observe(self._clock.monotonic() - started)
        metrics.TRANSACTION_RECORDS.observe(sum(len(each.records) for each in gathered.values()))
        now = self._clock.now().timestamp()
        for partition, brought in gathered.items():
            task = self._tasks.get(partition)
            if task is None or not brought.records:
                continue
            histogram = metrics.ACCEPTED_TO_VIEW_SECONDS.labels(task.resource.resource)
            ends = brought.records[:1] + brought.records[1:][-1:]
            for record in ends:
                histogram.observe(max(0.0, now - record.timestamp()[1] / 1000))

    def _measure(self) -> None:
        now = self._clock.monotonic()
        if now < self._lag_due:
            return
        self._lag_due = now + _LAG_EVERY_SECONDS
        lag: dict[str, int] = {}
        ends = self._consumer.ends()
        for partition, task in self._tasks.items():
            behind = max(0, ends.get(partition, task.position) - task.position)
            resource = task.resource.resource
            lag[resource] = lag.get(resource, 0) + behind
        for resource, behind in lag.items():
            metrics.ROUTER_LAG.labels(resource).set(behind)
        for resource in self._lagging - lag.keys():
            # Another router says it now; a last value that stays would be summed with that one's.
            metrics.ROUTER_LAG.remove(resource)
        self._lagging = set(lag)
        states = {
            "running": len(self._tasks) - len(self._schema_deadlines),
            "waiting": len(self._schema_deadlines),
            "loading": sum(len(group.partitions) for group in self._groups),
            "stopped": len(self.stopped),
        }
        for state, count in states.items():
            metrics.ROUTER_PARTITIONS.labels(state).set(count)
        fills = [task for task in self._at_work.values() if task.filling]
        metrics.FILLS.set(sum(task.filling_views for task in fills))
        metrics.FILL_REMAINING.set(sum(task.fill_remaining for task in fills))
        metrics.MEMBERSHIP_KEYS.set(sum(len(task.membership) for task in self._tasks.values()))


def _by_partition(records: Sequence[Record]) -> dict[Partition, list[Record]]:
    """Return `records` by partition; they come in runs, each of one partition."""
    found: dict[Partition, list[Record]] = {}
    topic: str | None = None
    number: int | None = None
    run: list[Record] = []
    for record in records:
        if record.partition() != number or record.topic() != topic:
            topic, number = record.topic(), record.partition()
            run = found.setdefault(Partition(topic or "", number or 0), [])
        run.append(record)
    return found
