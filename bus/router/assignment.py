"""
Bring source partitions that have just been assigned to the point where they can run.

A group of partitions goes through these steps while the others run on: committed positions are
stable and known; the state topic is read to its end; the policy is at least as new as the one that
their former owner applied; the membership of their filtered views is rebuilt.
"""

from collections.abc import Collection, Sequence
from enum import Enum

import structlog

from bus.domain.router_state import state_key
from bus.errors import BrokerUnavailable, StopPartition
from bus.ports import Committed, EventCodec, GroupConsumer, LogReaders, Partition
from bus.router.loading import MembershipLoader
from bus.router.membership import Membership
from bus.router.partition_task import PartitionTask
from bus.router.plans import Plans
from bus.router.slots import next_slots
from bus.services.state_table import StateTable

log = structlog.get_logger(__name__)


class _Step(Enum):
    POSITIONS = "waiting for stable positions"
    STATE = "reading the state topic"
    POLICY = "waiting for the policy"
    MEMBERSHIP = "rebuilding membership"


class AssignedGroup:
    """Partitions that were assigned together and are not running yet."""

    def __init__(
        self,
        partitions: Collection[Partition],
        *,
        consumer: GroupConsumer,
        readers: LogReaders,
        state: StateTable,
        codec: EventCodec,
    ) -> None:
        self.partitions = set(partitions)
        self.stopped: dict[Partition, StopPartition] = {}
        self._consumer = consumer
        self._readers = readers
        self._state = state
        self._codec = codec
        self._step = _Step.POSITIONS
        self._positions: dict[Partition, int] = {}
        self._uncommitted: set[Partition] = set()
        self._beginnings: dict[Partition, int] = {}
        self._tasks: list[PartitionTask] = []
        self._loader: MembershipLoader | None = None

    def drop(self, partitions: Collection[Partition]) -> None:
        """Forget partitions that were taken away again."""
        self.partitions -= set(partitions)

    def step(self, plans: Plans) -> Sequence[PartitionTask]:
        """Go on a little; return the tasks once they can run (then the group is done)."""
        match self._step:
            case _Step.POSITIONS:
                self._ask_positions()
            case _Step.STATE:
                if self._state.step():
                    self._step = _Step.POLICY
            case _Step.POLICY:
                self._await_policy(plans)
            case _Step.MEMBERSHIP:
                if self._loader is None or self._loader.step():
                    self.close()
                    return [task for task in self._tasks if task.partition in self.partitions]
        return ()

    def close(self) -> None:
        """Let go of the view topics."""
        if self._loader is not None:
            self._loader.close()
            self._loader = None

    def _ask_positions(self) -> None:
        try:
            committed = self._consumer.committed(sorted(self.partitions))
        except BrokerUnavailable as error:
            log.info("positions are not stable yet", reason=str(error))
            return
        self._positions = {
            partition: committed.get(partition, Committed(0, "")).position
            for partition in self.partitions
        }
        self._uncommitted = self.partitions - committed.keys()
        self._state.aim()
        self._step = _Step.STATE

    def _await_policy(self, plans: Plans) -> None:
        for partition in sorted(self.partitions):
            recorded = self._state.of(partition).get(state_key(*partition))
            if recorded is not None and recorded.policy_version > plans.version:
                return
            if not plans.knows(partition.topic):
                return
        for partition in sorted(self.partitions):
            try:
                self._tasks.append(self._task(partition, plans))
            except StopPartition as error:
                self.stopped[partition] = error
        self._loader = MembershipLoader(self._readers, self._tasks)
        self._step = _Step.MEMBERSHIP

    def _task(self, partition: Partition, plans: Plans) -> PartitionTask:
        planned = plans.of(partition.topic)
        recorded = self._state.of(partition)
        if planned is None or (partition in self._uncommitted and recorded):
            # Offsets that expired must not turn into a second start from the beginning.
            raise StopPartition(
                f"{partition.topic}/{partition.number} has router state but no committed position"
            )
        plan, version = planned
        position = self._positions[partition]
        task = PartitionTask(
            partition,
            plan,
            position=position,
            policy_version=version,
            codec=self._codec,
            membership=Membership(),
        )
        slots = next_slots(
            partition,
            plan.views,
            current={},
            recorded=recorded,
            position=position,
            policy_version=version,
            beginning=lambda: self._beginning(partition),
            readers=self._readers,
        )
        task.adopt(plan, slots, version)
        task.recorded = dict(recorded)
        return task

    def _beginning(self, partition: Partition) -> int:
        """Return where a log begins: all are asked for at once, if one is wanted."""
        if partition not in self._beginnings:
            self._beginnings.update(self._readers.beginnings(self.partitions))
        return self._beginnings[partition]
