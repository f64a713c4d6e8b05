"""
What the router knows of one source partition, and what becomes of its records.

A task changes in transactions: `process` and the fill write records and move the state forward,
`settle` keeps that, `undo` takes it back. The loop decides which.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bus.domain.dead_letter import dead_letter
from bus.domain.policy import ResourcePolicy, ViewPolicy
from bus.domain.router_state import Phase, RouterState, state_key
from bus.metrics import (
    DEAD_LETTERS,
    FILTER_ERRORS,
    ROUTER_RECORDS_READ,
    ROUTER_RECORDS_WRITTEN,
)
from bus.ports import (
    EventCodec,
    Partition,
    Record,
    UnreadableBatch,
)
from bus.ports.record_writer import RecordWriter
from bus.router.fill import STEP_RECORDS, Fill
from bus.router.membership import Membership
from bus.router.view_writer import ViewWriter
from bus.views.plan import Plan, Reject, SchemaPending


@dataclass(slots=True)
class ViewSlot:
    """One view incarnation in one source partition."""

    policy: ViewPolicy
    bit: int
    """Its bit in the membership; 0 for a view of all rows, which every key is a member of."""
    since: int
    """The policy version from which it is live, or is being filled."""
    fill: Fill | None
    """What is still to be handed out of the past; None: the view is live."""

    def out_partition(self, source: int) -> int:
        """Return the partition of the view topic that source partition `source` goes to."""
        return source if self.policy.partitions > 1 else 0


class PartitionTask:
    """The state of one source partition; see the module's docstring for how it changes."""

    def __init__(
        self,
        partition: Partition,
        plan: Plan,
        *,
        position: int,
        policy_version: int,
        codec: EventCodec,
        membership: Membership,
    ) -> None:
        self.partition = partition
        self.plan = plan
        self.position = position
        self.policy_version = policy_version
        self.slots: dict[str, ViewSlot] = {}
        self.membership = membership
        #: A schema that the policy does not know yet: the partition waits for it.
        self.waiting_for: int | None = None
        #: Schemas that were waited for in vain.
        self.given_up: set[int] = set()
        #: What the state topic says.
        self.recorded: dict[str, RouterState] = {}
        self._codec = codec
        self._settled_position = position
        self._fills: list[Fill] = []
        #: Views whose fill ended in this transaction, to be taken back if it is aborted.
        self._joined: list[tuple[ViewSlot, Fill]] = []
        self._live = frozenset[int]()
        self._view_writer = ViewWriter(partition, membership)
        #: Whether the state topic does not say yet what is the case.
        self.unsettled = True
        self._counts: dict[tuple[str, str], int] = {}

    @property
    def resource(self) -> ResourcePolicy:
        """The resource that the partition belongs to."""
        return self.plan.resource

    @property
    def filling(self) -> bool:
        """Whether a view still needs something of the past."""
        return bool(self._fills)

    @property
    def has_work(self) -> bool:
        """Whether a transaction is worth while without new records."""
        return self.unsettled or any(fill.has_work(self.position) for fill in self._fills)

    @property
    def filling_views(self) -> int:
        """How many views still need something of the past."""
        return sum(slot.fill is not None for slot in self.slots.values())

    @property
    def fill_remaining(self) -> int:
        """How many source positions the fills have still to look at, at most."""
        return sum(fill.remaining(self.position) for fill in self._fills)

    def adopt(self, plan: Plan, slots: Mapping[str, ViewSlot], policy_version: int) -> None:
        """Take a new plan and its views (by topic), between two transactions."""
        self.plan = plan
        self.policy_version = policy_version
        self.slots = dict(slots)
        wanted = list({id(slot.fill): slot.fill for slot in slots.values() if slot.fill}.values())
        for fill in self._fills:
            if fill not in wanted:
                fill.close()
        self._fills = wanted
        self.waiting_for = None
        self.given_up.clear()
        self.unsettled = True
        slots_by_view = [self.slots[view.topic] for view in plan.views]
        self._view_writer.aim(
            [
                (slot.bit, slot.policy.topic, slot.out_partition(self.partition.number))
                for slot in slots_by_view
            ],
            plan.resource.generation,
        )
        self._find_live()

    def look_ahead(self) -> None:
        """Let the fills read on, outside of any transaction."""
        for fill in self._fills:
            fill.look_ahead(self.plan)

    # --- in a transaction -------------------------------------------------------------------------

    def process(self, records: Sequence[Record], writer: RecordWriter) -> None:
        """Write what becomes of `records`, up to the first whose schema is not known yet."""
        self._count("read", "", len(records))
        if not records:
            return
        changes = self.plan.changes(self.partition.number, records, self._live, self.membership)
        while refused := self._view_writer.write_until_refused(changes, self._live, writer):
            record, outcome = refused
            match outcome:
                case SchemaPending(schema_id) if schema_id not in self.given_up:
                    self.waiting_for = schema_id
                    self.position = record.offset() or 0
                    return
                case SchemaPending(schema_id):
                    reason = f"schema {schema_id} is not registered"
                    self._dead_letter(record, "SCHEMA_UNKNOWN", reason, writer)
                case Reject(code, reason):
                    self._dead_letter(record, code, reason, writer)
        self.position = (records[-1].offset() or 0) + 1

    def process_unreadable(self, batch: UnreadableBatch, writer: RecordWriter) -> None:
        """Dead-letter a batch that cannot be read, by its coordinates, and pass over it."""
        # A batch may begin before the position, which then stands in the middle of it.
        start = max(batch.start, self.position)
        letter = dead_letter(
            code="BATCH_UNREADABLE",
            reason=batch.reason,
            topic=self.partition.topic,
            partition=self.partition.number,
            position=start,
            positions=batch.end - start,
            accepted_at=dt.datetime.fromtimestamp(0, dt.UTC),
            key=None,
            value=None,
        )
        writer.write(self.resource.dead_letter_topic, 0, None, self._codec.encode(letter))
        self._count("dead-letter", "BATCH_UNREADABLE")
        self.position = batch.end

    def fill_step(self, writer: RecordWriter, most: int = STEP_RECORDS) -> None:
        """Hand out more of the past to views that are being filled: of `most` records a fill."""
        for fill in list(self._fills):
            indexes = frozenset(
                index
                for index, view in enumerate(self.plan.views)
                if self.slots[view.topic].fill is fill
            )
            past = iter(fill.step(self.plan, self.position, indexes, most))
            self._view_writer.write_until_refused(past, indexes, writer)
            if fill.joined:
                self._join(fill)

    def write_states(self, writer: RecordWriter, topic: str) -> None:
        """Write to the state topic what has changed since it was last settled."""
        if not (self.unsettled or self._fills or self._joined):
            return
        current = self.states()
        for key in self.recorded.keys() - current.keys():
            writer.write(topic, 0, key.encode(), None)
        for key, state in current.items():
            if self.recorded.get(key) != state:
                writer.write(topic, 0, key.encode(), self._codec.encode(state))

    # --- between transactions ---------------------------------------------------------------------

    def states(self) -> dict[str, RouterState]:
        """Return the state records that describe this partition now."""
        states = {
            state_key(*self.partition): RouterState(
                phase=Phase.PARTITION, policy_version=self.policy_version
            )
        }
        for topic, slot in self.slots.items():
            if slot.fill is None:
                state = RouterState(phase=Phase.LIVE, policy_version=slot.since)
            else:
                state = RouterState(
                    phase=Phase.FILLING,
                    policy_version=slot.since,
                    start=slot.fill.start,
                    next=slot.fill.next,
                )
            states[state_key(*self.partition, topic)] = state
        return states

    def settle(self) -> None:
        """Keep what the last transaction did."""
        self.membership.settle()
        self._settled_position = self.position
        if self.unsettled or self._fills or self._joined:
            self.recorded = self.states()
            self.unsettled = False
        for _, fill in self._joined:
            fill.close()
        self._joined.clear()
        for fill in self._fills:
            fill.settle()
        self._report()

    def undo(self) -> None:
        """Take back what the last transaction did."""
        self.membership.undo()
        self.position = self._settled_position
        self.waiting_for = None
        self._counts.clear()
        self._view_writer.take_counts()
        for slot, fill in self._joined:
            slot.fill = fill
            if fill not in self._fills:
                self._fills.append(fill)
        self._joined.clear()
        for fill in self._fills:
            fill.undo()
        self._find_live()

    def close(self) -> None:
        """Let go of files and readers."""
        for fill in self._fills:
            fill.close()
        self.membership.close()

    def _join(self, fill: Fill) -> None:
        for slot in self.slots.values():
            if slot.fill is fill:
                slot.fill = None
                self._joined.append((slot, fill))
        self._fills.remove(fill)
        self._find_live()

    def _find_live(self) -> None:
        self._live = frozenset(
            index
            for index, view in enumerate(self.plan.views)
            if self.slots[view.topic].fill is None
        )

    def _dead_letter(self, record: Record, code: str, reason: str, writer: RecordWriter) -> None:
        letter = dead_letter(
            code=code,
            reason=reason,
            topic=self.partition.topic,
            partition=self.partition.number,
            position=record.offset() or 0,
            accepted_at=dt.datetime.fromtimestamp(record.timestamp()[1] / 1000, dt.UTC),
            key=record.key(),
            value=record.value(),
        )
        writer.write(self.resource.dead_letter_topic, 0, letter.key, self._codec.encode(letter))
        self._count("dead-letter", code)

    def _report(self) -> None:
        """Count in the metrics what has been committed."""
        resource = self.resource.resource
        for (kind, detail), count in self._counts.items():
            if kind == "read":
                ROUTER_RECORDS_READ.labels(resource).inc(count)
            else:
                DEAD_LETTERS.labels(resource, detail).inc(count)
        self._counts.clear()
        for said, count in self._view_writer.take_counts().items():
            ROUTER_RECORDS_WRITTEN.labels(resource, said).inc(count)
        failed = sum(self.plan.filter_errors)
        if failed:
            FILTER_ERRORS.labels(resource).inc(failed)
            self.plan.filter_errors[:] = [0] * len(self.plan.filter_errors)

    def _count(self, kind: str, detail: str, count: int = 1) -> None:
        if count:
            at = (kind, detail)
            self._counts[at] = self._counts.get(at, 0) + count
