"""Rebuild from the view topics which of them hold which keys; nothing is guessed (design.md §6)."""

from collections.abc import Sequence

from bus.domain.record_key import partition_of
from bus.ports import LogReaders, Partition
from bus.router.membership import Membership
from bus.router.partition_task import PartitionTask

_BATCH = 10_000


class MembershipLoader:
    """Rebuilds the membership of several tasks from the view topics, each topic read once."""

    def __init__(self, readers: LogReaders, tasks: Sequence[PartitionTask]) -> None:
        self._tasks: dict[str, dict[int, PartitionTask]] = {}
        #: Where all that a partition of a view holds comes from one partition of the source.
        self._direct: dict[tuple[str, int], tuple[Membership, int]] = {}
        wanted: set[Partition] = set()
        for task in tasks:
            for topic, slot in task.slots.items():
                if slot.bit:
                    self._tasks.setdefault(topic, {})[task.partition.number] = task
                    out = Partition(topic, slot.out_partition(task.partition.number))
                    wanted.add(out)
                    if slot.policy.partitions > 1 or task.resource.partitions == 1:
                        self._direct[out] = task.membership, slot.bit
        beginnings = readers.beginnings(wanted)
        ends = readers.ends(wanted)
        self._ends = {each: end for each, end in ends.items() if end > beginnings[each]}
        starts = {each: beginnings[each] for each in self._ends}
        self._reader = readers.open(starts) if starts else None

    def step(self) -> bool:
        """Read on; return whether all of it has been read, open transactions waited for."""
        if self._reader is None:
            return True
        for record in self._reader.read(_BATCH, 0.05):
            target = self._target(
                record.topic() or "", record.partition() or 0, record.key() or b""
            )
            if target is not None:
                membership, bit = target
                membership.load(record.key() or b"", bit, held=record.value() is not None)
        for partition, end in list(self._ends.items()):
            if self._reader.position(partition) >= end:
                del self._ends[partition]
        return not self._ends

    def close(self) -> None:
        """Let go of the topics."""
        if self._reader is not None:
            self._reader.close()

    def _target(self, topic: str, partition: int, key: bytes) -> tuple[Membership, int] | None:
        """Return what a record of a view tells of, and the view's bit; None: it is not ours."""
        if (topic, partition) in self._direct:
            return self._direct[topic, partition]
        tasks = self._tasks[topic]
        # The router lets no record in the wrong partition through, so the key tells.
        resource = next(iter(tasks.values())).resource
        task = tasks.get(partition_of(key, resource.partitions))
        return None if task is None else (task.membership, task.slots[topic].bit)
