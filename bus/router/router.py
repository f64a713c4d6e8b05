"""
The router's loop: take records, write what becomes of them in one transaction, repeat.

With a backlog it asks the consumer for more while a transaction is open. A rebalance happens only
then; if it takes partitions away that are part of the transaction, that is aborted. Everything else
(policy, new views, new partitions) changes between two transactions.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import structlog

from bus import metrics
from bus.domain.names import ROUTER_STATE_TOPIC
from bus.errors import (
    BrokerUnavailable,
    PseudonymKeyUnusable,
    StopPartition,
    TransactionAborted,
    TransactionUnknown,
)
from bus.ports import (
    Clock,
    Committed,
    EventCodec,
    GroupConsumer,
    LogReaders,
    Partition,
    TransactionalWriter,
)
from bus.ports.pseudonym_secrets import PseudonymSecrets
from bus.router.assignment import AssignedGroup
from bus.router.fill_pace import FillPace
from bus.router.partition_task import PartitionTask
from bus.router.plans import Plans
from bus.router.progress import Progress
from bus.router.slots import ended_bits, next_slots
from bus.router.transaction import Brought, PartitionsRevoked, RouterTransaction, bring
from bus.services.policy_follower import PolicyFollower
from bus.services.state_table import StateTable
from bus.views.row_filter import FilterCompiler

log = structlog.get_logger(__name__)

#: One call for records returns at most this many: they are in the processor's cache when they are
#: looked at, and their memory is used again for the next.
CONSUME_RECORDS = 10_000
#: With a backlog a transaction takes at most this many, and asks for more for at most this long.
TRANSACTION_RECORDS = 200_000
TRANSACTION_SECONDS = 1.0
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
#: How often to look whether a secret of pseudonyms has been put where it was missing.
_SECRETS_EVERY_SECONDS = 5.0
#: When nothing comes though it should, so many partitions are read in another way, for so long.
_HEARING_PARTITIONS = 5
_HEARING_SECONDS = 5.0


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
        pseudonym_secrets: PseudonymSecrets | None = None,
    ) -> None:
        self._consumer = consumer
        self._writer = writer
        self._readers = readers
        self._follower = follower
        self._codec = codec
        self._clock = clock
        self._plans = Plans(compile_filter, pseudonym_secrets)
        self._state = StateTable(readers, codec, clock)
        self._tasks: dict[Partition, PartitionTask] = {}
        #: Those of them that have something to write though nothing comes. With thousands that are
        #: quiet, each round looks at no others.
        self._at_work: dict[Partition, PartitionTask] = {}
        self._groups: list[AssignedGroup] = []
        self.stopped: dict[Partition, str] = {}
        #: Those of them whose plan cannot be made for want of a secret, and when to try again.
        self._without_secret: set[Partition] = set()
        self._secrets_due = 0.0
        self._schema_deadlines: dict[Partition, float] = {}
        self._run_id = run_id
        self._transactions = 0
        self._open: RouterTransaction | None = None
        self._pace = FillPace()
        self._failures = 0
        self._lag_due = 0.0
        self._lagging: set[str] = set()
        self.progress = Progress(clock)

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
        """Follow the policy, bring new partitions on, and route what there is."""
        if self._follower.poll():
            self._follow_policy()
        self._look_for_secrets()
        self._load()
        for task in self._at_work.values():
            task.look_ahead()
        self._route()
        self._give_up_waiting()
        self._measure()
        self.progress.came_round()

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
        """Forget partitions; see `GroupListener`."""
        log.info("partitions revoked", count=len(partitions))
        if self._open is not None:
            self._open.note_revoked(partitions)
        for partition in partitions:
            self._let_go(partition)
            self.stopped.pop(partition, None)
            self._without_secret.discard(partition)
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
        self._adopt_plans(list(self._tasks.values()))
        metrics.POLICY_VERSION.set(policy.version)
        log.info("policy applied", version=policy.version, views=len(policy.views))

    def _adopt_plans(self, tasks: Collection[PartitionTask]) -> None:
        """Let tasks follow what has changed; those that may not go on stop."""
        for task in tasks:
            try:
                self._adopt(task)
            except StopPartition as error:
                self._stop_for(task.partition, error)

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
            self._tasks.update({task.partition: task for task in ready})
            self._adopt_plans(ready)
            running = [task for task in ready if task.partition in self._tasks]
            self._note_work(running)
            self._consumer.start({task.partition: task.position for task in running})
            for partition, error in group.stopped.items():
                self._stop_for(partition, error)
            log.info("partitions run", count=len(running), stopped=len(group.stopped))
            # The gauges say so at once: a start is over when they do.
            self._lag_due = 0.0
        group.close()
        self._groups.pop(0)

    def _stop_for(self, partition: Partition, error: StopPartition) -> None:
        """Stop a partition, and say with a code that leads to what to do."""
        self._stop(partition, f"{error} [{error.code}]")
        if isinstance(error, PseudonymKeyUnusable):
            self._without_secret.add(partition)
            self._secrets_due = self._clock.monotonic() + _SECRETS_EVERY_SECONDS

    def _look_for_secrets(self) -> None:
        """Let partitions that stopped for want of a secret begin anew once it is there."""
        if not self._without_secret or self._clock.monotonic() < self._secrets_due:
            return
        self._secrets_due = self._clock.monotonic() + _SECRETS_EVERY_SECONDS
        again = [each for each in self._without_secret if self._has_secrets(each.topic)]
        if again:
            log.info("the secret is there", partitions=len(again))
            self._without_secret.difference_update(again)
            for partition in again:
                del self.stopped[partition]
            self.assigned(again)

    def _has_secrets(self, topic: str) -> bool:
        try:
            return self._plans.of(topic) is not None
        except PseudonymKeyUnusable:
            return False

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

    def _route(self) -> None:
        """Route what there is now, if it is anything; more at a time when there is a backlog."""
        busy = bool(self._groups) or bool(self._at_work)
        brought = self._bring(BUSY_SECONDS if busy else IDLE_SECONDS)
        lost = brought.lost
        failures = self._failures
        if brought.records or brought.unreadable:
            transaction = self._new_transaction()
            transaction.take(brought, self._tasks)
            self._transact(transaction, brought)
            lost = transaction.lost
        for fault in lost:
            # A partition that does not run yet has no position to lose.
            if fault.partition in self._tasks:
                self._stop(fault.partition, fault.reason)
        work = {place: task for place, task in self._at_work.items() if task.has_work}
        # Not after records that were just aborted; but what failed in an earlier round is tried
        # again, though no records come.
        if work and self._failures <= failures:
            # In a transaction of their own: records do not wait for what fills write, nor for the
            # topics that only those touch.
            transaction = self._new_transaction()
            transaction.tasks.update(work)
            self._transact(transaction, None)

    def _bring(self, seconds: float) -> Brought:
        """Return what the consumer has of the partitions that run."""
        brought = bring(self._consumer, CONSUME_RECORDS, seconds)
        # What was fetched of a partition that has just stopped or left is not ours to route.
        for found in (brought.records, brought.unreadable):
            for partition in found.keys() - self._tasks.keys():
                del found[partition]
        return brought

    def _new_transaction(self) -> RouterTransaction:
        self._transactions += 1
        return RouterTransaction(f"{self._run_id}:{self._transactions}", self._clock.monotonic())

    def _fill(self, tasks: Iterable[PartitionTask]) -> None:
        """Let the fills of `tasks` go on by a step each."""
        started = self._clock.monotonic()
        for task in tasks:
            task.fill_step(self._writer, self._pace.records)
        self._pace.note(self._clock.monotonic() - started)

    def _transact(self, transaction: RouterTransaction, brought: Brought | None) -> None:
        """Write what becomes of `brought` and what follows, or the next steps of fills, as one."""
        self._open = transaction
        try:
            self._writer.begin()
            if brought is None:
                self._fill(transaction.tasks.values())
            else:
                self._write_records(transaction, brought)
            self._commit(transaction)
        except PartitionsRevoked as error:
            log.info("transaction aborted", reason=str(error))
            self._writer.abort()
            self._take_back(transaction)
        except TransactionAborted as error:
            log.warning("transaction aborted", reason=str(error))
            self._writer.abort()
            self._failures += 1
            self._take_back(transaction)
        except TransactionUnknown as error:
            log.warning("transaction of unknown outcome", reason=str(error))
            self._find_out(transaction)
        else:
            self._failures = 0
            self.progress.committed()
            self._keep(transaction)
        finally:
            self._open = None

    def _write_records(self, transaction: RouterTransaction, brought: Brought) -> None:
        """Write what becomes of `brought`, and of more while there is more."""
        self._write(transaction, brought)
        while brought.more and self._has_room(transaction):
            brought = self._bring(0)
            transaction.take(brought, self._tasks)
            if transaction.revoked:
                raise PartitionsRevoked("partitions were taken away")
            self._write(transaction, brought)

    def _has_room(self, transaction: RouterTransaction) -> bool:
        open_seconds = self._clock.monotonic() - transaction.started
        return transaction.records < TRANSACTION_RECORDS and open_seconds < TRANSACTION_SECONDS

    def _write(self, transaction: RouterTransaction, brought: Brought) -> None:
        for partition, records in brought.records.items():
            task = transaction.tasks[partition]
            # Behind one that waits for its schema everything waits.
            if task.waiting_for is None:
                transaction.note_records(partition, records)
                task.process(records, self._writer)
        for partition, batch in brought.unreadable.items():
            task = transaction.tasks[partition]
            if task.waiting_for is None:
                transaction.unreadable.add(partition)
                task.process_unreadable(batch, self._writer)

    def _commit(self, transaction: RouterTransaction) -> None:
        tasks = transaction.tasks.values()
        for task in tasks:
            task.write_states(self._writer, ROUTER_STATE_TOPIC)
        note = transaction.note
        positions = {task.partition: Committed(task.position, note) for task in tasks}
        self._writer.commit(positions, self._consumer)

    def _keep(self, transaction: RouterTransaction) -> None:
        tasks = transaction.tasks.values()
        resume: dict[Partition, int] = {}
        for task in tasks:
            task.settle()
            if task.waiting_for is not None:
                self._wait_for_schema(task)
            elif task.partition in transaction.unreadable:
                resume[task.partition] = task.position
        self._note_work(tasks)
        if resume:
            self._consumer.start(resume)
        self._report(transaction)

    def _take_back(self, transaction: RouterTransaction) -> None:
        metrics.TRANSACTIONS_ABORTED.inc()
        # What has been taken away is closed: it has nothing to undo, and nothing to read again.
        tasks = [
            task
            for partition, task in transaction.tasks.items()
            if self._tasks.get(partition) is task
        ]
        for task in tasks:
            task.undo()
        self._note_work(tasks)
        self._consumer.start({task.partition: task.position for task in tasks})

    def _find_out(self, transaction: RouterTransaction) -> None:
        """Let the committed positions say whether a transaction was committed."""
        tasks = transaction.tasks.values()
        positions = self._ask_patiently(list(transaction.tasks))
        if any(committed.note == transaction.note for committed in positions.values()):
            for task in tasks:
                task.settle()
            self._note_work(tasks)
            self._consumer.start({task.partition: task.position for task in tasks})
        else:
            self._failures += 1
            self._take_back(transaction)

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

    def _report(self, transaction: RouterTransaction) -> None:
        metrics.TRANSACTION_SECONDS.observe(self._clock.monotonic() - transaction.started)
        metrics.TRANSACTION_RECORDS.observe(transaction.records)
        now = self._clock.now().timestamp()
        for partition, ends in transaction.ends.items():
            resource = transaction.tasks[partition].resource.resource
            histogram = metrics.ACCEPTED_TO_VIEW_SECONDS.labels(resource)
            for record in ends:
                histogram.observe(max(0.0, now - record.timestamp()[1] / 1000))

    def _position(self, partition: Partition, otherwise: int) -> int:
        """Return where a partition stands; `otherwise` if nothing need come of it now."""
        task = self._tasks.get(partition)
        return otherwise if task is None or task.waiting_for is not None else task.position

    def _check_hearing(self, behind: Collection[Partition]) -> None:
        """
        Raise `BrokerUnavailable` if there are records that the client does not hand out.

        What is behind an end may be no records: markers, or a transaction that is still open.
        """
        for partition in list(behind)[:_HEARING_PARTITIONS]:
            reader = self._readers.open({partition: self._tasks[partition].position})
            try:
                heard = reader.read(1, _HEARING_SECONDS)
            finally:
                reader.close()
            if heard:
                raise BrokerUnavailable(
                    f"records of {partition.topic}/{partition.number} wait, and none is handed out"
                )

    def _measure(self) -> None:
        now = self._clock.monotonic()
        if now < self._lag_due:
            return
        self._lag_due = now + _LAG_EVERY_SECONDS
        states = {
            "running": len(self._tasks) - len(self._schema_deadlines),
            "waiting": len(self._schema_deadlines),
            "loading": sum(len(group.partitions) for group in self._groups),
            "stopped": len(self.stopped),
        }
        for state, count in states.items():
            metrics.ROUTER_PARTITIONS.labels(state).set(count)
        lag: dict[str, int] = {}
        ends = self._consumer.ends()
        for partition, task in self._tasks.items():
            behind = max(0, ends.get(partition, task.position) - task.position)
            resource = task.resource.resource
            lag[resource] = lag.get(resource, 0) + behind
        for resource, behind in lag.items():
            metrics.ROUTER_LAG.labels(resource).set(behind)
        behind_now = {each for each, end in ends.items() if end > self._position(each, end)}
        if self.progress.seen(waiting=bool(behind_now) and not self._groups):
            self._check_hearing(behind_now)
        for resource in self._lagging - lag.keys():
            # Another router says it now; a last value that stays would be summed with that one's.
            metrics.ROUTER_LAG.remove(resource)
        self._lagging = set(lag)
        fills = [task for task in self._at_work.values() if task.filling]
        metrics.FILLS.set(sum(task.filling_views for task in fills))
        metrics.FILL_REMAINING.set(sum(task.fill_remaining for task in fills))
        metrics.MEMBERSHIP_KEYS.set(sum(len(task.membership) for task in self._tasks.values()))
