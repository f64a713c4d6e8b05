"""
Views without a topic: the router's engine, given out in this process (docs/adr/0023).

The records of one resource go through the same partition tasks as in the router, so that a view is
the same whether it has a topic or not. What they would write is collected and given out; there is
no transaction, and what was given out is kept by whoever takes it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from typing_extensions import override

from bus.domain.policy import Policy, ResourcePolicy, ViewPolicy
from bus.domain.router_state import Phase, RouterState, state_key
from bus.errors import BrokerUnavailable
from bus.ports import Clock, EventCodec, LogReader, LogReaders, Partition
from bus.ports.pseudonym_secrets import PseudonymSecrets
from bus.ports.virtual_views import Bookmark, ViewChange, ViewProgress
from bus.router.change_collector import ChangeCollector
from bus.router.membership import Membership
from bus.router.partition_task import PartitionTask
from bus.router.router import BUSY_SECONDS, SCHEMA_WAIT_SECONDS
from bus.router.runs import by_partition
from bus.router.slots import ended_bits, next_slots
from bus.services.policy_follower import PolicyFollower
from bus.views.plan import Plan, compile_plan
from bus.views.row_filter import FilterCompiler

#: A relay that runs is heard four times a second. Without it for so long, nobody here knows whether
#: a view still stands, and nothing is given out.
SILENCE_SECONDS: Final = 10.0
#: Source records that are looked at for one batch. What is given out stays in memory until then.
BATCH_RECORDS: Final = 1_000


class Batch:
    """
    What some source records change in the views that are followed; to be gone through once.

    Before each change the policy is asked: what has ended, or is followed no more, is withheld.
    """

    def __init__(
        self,
        changes: list[ViewChange],
        permits: Callable[[str], bool],
        bookmarks: Callable[[Collection[str]], Mapping[tuple[str, int], Bookmark]],
    ) -> None:
        self._changes = changes
        self._permits = permits
        self._bookmarks = bookmarks
        self._at = 0
        self.withheld: set[str] = set()
        """The views of which something was not given out."""

    def __iter__(self) -> Iterator[ViewChange]:
        while self._at < len(self._changes):
            change = self._changes[self._at]
            # What comes behind something that was withheld would come before its turn.
            permitted = self._permits(change.view) and change.view not in self.withheld
            self._at += 1
            if permitted:
                yield change
            else:
                self.withheld.add(change.view)

    @property
    def taken(self) -> bool:
        """Whether all of it has been given out."""
        return self._at == len(self._changes)

    @property
    def bookmarks(self) -> Mapping[tuple[str, int], Bookmark]:
        """
        By view and source partition: what to keep, now that all changes were taken; else empty.

        A batch without changes may have some, too.
        """
        return self._bookmarks(self.withheld) if self.taken else {}


class VirtualViews:
    """
    Gives out views of one resource, from its source topic, in order for each key.

    Each change is given out at least once: again if the taker did not get to keep what it has.
    Not for two threads at once, except `follow`.
    """

    def __init__(
        self,
        source: str,
        progress: ViewProgress,
        *,
        readers: LogReaders,
        follower: PolicyFollower,
        codec: EventCodec,
        clock: Clock,
        compile_filter: FilterCompiler,
        batch_records: int = BATCH_RECORDS,
        pseudonym_secrets: PseudonymSecrets | None = None,
    ) -> None:
        """Give out views of the source topic `source`; whoever made `follower` closes it."""
        self._secrets = pseudonym_secrets
        self._source = source
        self._progress = progress
        self._readers = readers
        self._follower = follower
        self._codec = codec
        self._clock = clock
        self._compile_filter = compile_filter
        self._batch_records = batch_records
        self._followed = frozenset[str]()
        self._policy: Policy | None = None
        #: Schema ids of all resources and views; plans look at it.
        self._schemas: set[int] = set()
        #: What the newest policy says of the source.
        self._resource: ResourcePolicy | None = None
        self._standing: dict[str, ViewPolicy] = {}
        self._plan: Plan | None = None
        self._reader: LogReader | None = None
        self._tasks: dict[Partition, _VirtualTask] = {}
        self._schema_deadlines: dict[Partition, float] = {}
        #: Views of which something was withheld: they go on from the bookmark that was kept.
        self._interrupted: set[str] = set()
        #: The bookmarks that have been told.
        self._told: dict[tuple[str, int], Bookmark] = {}
        self.passed_over: Counter[str] = Counter()
        """By code: records that no view may have. Their dead letters are the router's to write."""

    def follow(self, views: Collection[str]) -> None:
        """
        Give out exactly these views, as soon and as long as the policy has them.

        Nothing more of another is given out once this has returned, but the one change that may be
        on its way. A view that comes back goes on from its bookmark.
        """
        self._followed = frozenset(views)

    @property
    def standing(self) -> frozenset[str]:
        """The views followed that the policy has. Names are never used twice: gone is ended."""
        return self._followed & self._standing.keys()

    @contextmanager
    def batch(self, seconds: float = 0.1) -> Iterator[Batch]:
        """
        Look at the next source records, waiting at most `seconds`, and give out what they change.

        In the block, take all changes and keep the bookmarks. If it raises, or leaves changes, the
        same is given out again. Raise `BrokerUnavailable` if nothing can be given out now,
        `PseudonymKeyUnusable` if a view followed has pseudonyms that cannot be made here.
        """
        self._follow_policy()
        if self._policy is None:
            self._follower.poll(seconds)
            self._follow_policy()
        self._adopt()
        self._give_up_waiting()
        kept = False
        try:
            batch = Batch(self._evaluate(seconds), self._permits, self._bookmarks)
            yield batch
            if batch.taken:
                self._settle(batch)
                kept = True
        finally:
            if not kept:
                self._take_back()

    def close(self) -> None:
        """Let go of the source."""
        for task in self._tasks.values():
            task.close()
        self._tasks.clear()
        self._schema_deadlines.clear()
        self._interrupted.clear()
        self._told.clear()
        self._plan = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # --- the policy -------------------------------------------------------------------------------

    def _follow_policy(self) -> None:
        """Take in the newest policy there is; raise `BrokerUnavailable` if it may be old."""
        self._follower.poll()
        if self._clock.monotonic() - self._follower.heard_at > SILENCE_SECONDS:
            raise BrokerUnavailable(
                "nothing is heard of the relay, so nobody knows which views still stand: is "
                "control running?"
            )
        policy = self._follower.policy
        if policy is None or policy is self._policy:
            return
        self._policy = policy
        self._resource = policy.resources.get(self._source)
        views = () if self._resource is None else policy.views_of(self._resource)
        self._standing = {view.topic: view for view in views}
        self._schemas.clear()
        for resource in policy.resources.values():
            self._schemas.update(schema.id for schema in resource.schemas)
        for view in policy.views.values():
            self._schemas.update(view.projections.values())

    def _permits(self, view: str) -> bool:
        """Tell whether a view may be given out now, by what is known now."""
        self._follow_policy()
        return view in self._followed and view in self._standing

    def _adopt(self) -> None:
        """Between two batches: let the tasks follow what has changed."""
        resource = self._resource
        followed = self._followed
        views = tuple(view for name, view in self._standing.items() if name in followed)
        if resource is None or not views:
            self.close()
            return
        try:
            self._follow_views(resource, views)
        except BaseException:
            # Half brought on, a view would not know what its taker holds: all of them start anew.
            self.close()
            raise
        for partition, task in self._tasks.items():
            # What it waits for may have turned out to be another resource's.
            if task.waiting_for is not None and task.waiting_for in self._schemas:
                task.waiting_for = None
                self._go_on(partition)

    def _follow_views(self, resource: ResourcePolicy, views: tuple[ViewPolicy, ...]) -> None:
        if self._interrupted:
            rest = tuple(view for view in views if view.topic not in self._interrupted)
            self._take_on(self._compiled(resource, rest))
            self._interrupted.clear()
        if self._plan is None or (self._plan.resource, self._plan.views) != (resource, views):
            self._take_on(self._compiled(resource, views))

    def _compiled(self, resource: ResourcePolicy, views: tuple[ViewPolicy, ...]) -> Plan:
        return compile_plan(
            resource,
            views,
            compile_filter=self._compile_filter,
            registered=self._schemas,
            secrets=self._secrets,
        )

    def _take_on(self, plan: Plan) -> None:
        """Make `plan` that of all tasks, and bring its new views on."""
        self._plan = plan
        version = 0 if self._policy is None else self._policy.version
        if not self._tasks:
            self._start(plan, version)
        for partition, task in self._tasks.items():
            waited = task.waiting_for is not None
            marks = self._kept_bookmarks(partition, plan.views, but=task.slots.keys())
            slots = next_slots(
                partition,
                plan.views,
                current=task.slots,
                recorded={
                    state_key(*partition, name): _resumed(mark, task.position, version)
                    for name, mark in marks.items()
                },
                position=task.position,
                policy_version=version,
                beginning=partial(self._beginning, partition),
                readers=self._readers,
            )
            ended = ended_bits(task.slots, slots)
            for name in task.slots.keys() - slots.keys():
                self._told.pop((name, partition.number), None)
            task.adopt(plan, slots, version)
            if ended:
                task.membership.forget(ended)
            for name in marks:
                bit = slots[name].bit
                for key in self._progress.held(name, partition.number) if bit else ():
                    task.membership.load(key, bit, held=True)
            if waited:
                self._go_on(partition)

    def _start(self, plan: Plan, version: int) -> None:
        """Open the source: where the views that have come furthest stand, else at its end."""
        partitions = [Partition(self._source, number) for number in range(plan.resource.partitions)]
        positions: dict[Partition, int] = dict(self._readers.ends(partitions))
        for partition in partitions:
            marks = self._kept_bookmarks(partition, plan.views, but=())
            if marks:
                positions[partition] = max(max(mark.start, mark.next) for mark in marks.values())
        self._tasks = {
            partition: _VirtualTask(
                partition,
                plan,
                position=position,
                policy_version=version,
                codec=self._codec,
                membership=Membership(),
                passed_over=self.passed_over,
            )
            for partition, position in positions.items()
        }
        self._reader = self._readers.open(positions)

    def _beginning(self, partition: Partition) -> int:
        return self._readers.beginnings([partition])[partition]

    def _kept_bookmarks(
        self, partition: Partition, views: Collection[ViewPolicy], *, but: Collection[str]
    ) -> dict[str, Bookmark]:
        """Return what the taker has kept of `views` in a partition, by view, leaving out `but`."""
        found = {
            view.topic: self._progress.bookmark(view.topic, partition.number)
            for view in views
            if view.topic not in but
        }
        return {name: mark for name, mark in found.items() if mark is not None}

    # --- records ----------------------------------------------------------------------------------

    def _evaluate(self, seconds: float) -> list[ViewChange]:
        """Return what the next records, and the next steps of fills, change."""
        if self._reader is None or self._resource is None:
            return []
        collector = ChangeCollector(self._resource.dead_letter_topic)
        filling = [task for task in self._tasks.values() if task.filling]
        for task in filling:
            task.look_ahead()
        records = self._reader.read(self._batch_records, BUSY_SECONDS if filling else seconds)
        for partition, found in by_partition(records).items():
            task = self._tasks[partition]
            # What comes while a schema is waited for is read again.
            if task.waiting_for is None:
                task.process(found, collector)
        for task in filling:
            task.fill_step(collector)
        return collector.changes

    def _bookmarks(self, withheld: Collection[str]) -> Mapping[tuple[str, int], Bookmark]:
        """Return what has moved, of the views that were given out whole."""
        marks: dict[tuple[str, int], Bookmark] = {}
        for partition, task in self._tasks.items():
            for name, slot in task.slots.items():
                mark = Bookmark(task.position, task.position)
                if slot.fill is not None:
                    mark = Bookmark(slot.fill.start, slot.fill.next)
                at = (name, partition.number)
                if name in self.standing and name not in withheld and self._told.get(at) != mark:
                    marks[at] = mark
        return marks

    def _settle(self, batch: Batch) -> None:
        self._told.update(batch.bookmarks)
        self._interrupted |= batch.withheld
        for partition, task in self._tasks.items():
            task.settle()
            if task.waiting_for is not None:
                self._schema_deadlines.setdefault(
                    partition, self._clock.monotonic() + SCHEMA_WAIT_SECONDS
                )

    def _take_back(self) -> None:
        for partition, task in self._tasks.items():
            task.undo()
            self._read_on(partition)

    def _give_up_waiting(self) -> None:
        now = self._clock.monotonic()
        for partition, deadline in list(self._schema_deadlines.items()):
            task = self._tasks[partition]
            if now >= deadline and task.waiting_for is not None:
                task.given_up.add(task.waiting_for)
                task.waiting_for = None
                self._go_on(partition)

    def _go_on(self, partition: Partition) -> None:
        """Read on after a wait for a schema."""
        self._schema_deadlines.pop(partition, None)
        self._read_on(partition)

    def _read_on(self, partition: Partition) -> None:
        if self._reader is not None:
            self._reader.seek(partition, self._tasks[partition].position)


class _VirtualTask(PartitionTask):
    """A partition task that is not the router's: its counts are not, either."""

    def __init__(
        self,
        partition: Partition,
        plan: Plan,
        *,
        position: int,
        policy_version: int,
        codec: EventCodec,
        membership: Membership,
        passed_over: Counter[str],
    ) -> None:
        super().__init__(
            partition,
            plan,
            position=position,
            policy_version=policy_version,
            codec=codec,
            membership=membership,
        )
        self._passed_over = passed_over

    @override
    def _report(self) -> None:
        for (kind, detail), count in self._counts.items():
            if kind == "dead-letter":
                self._passed_over[detail] += count
        self._counts.clear()
        self._view_writer.take_counts()


def _resumed(mark: Bookmark, position: int, version: int) -> RouterState:
    """Return a view's state where live records stand at `position`; behind it, it catches up."""
    live = mark.next == position and not mark.filling
    return RouterState(
        phase=Phase.LIVE if live else Phase.FILLING,
        policy_version=version,
        start=mark.start,
        next=mark.next,
    )
