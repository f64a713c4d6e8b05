"""Rebuild from the view topics which of them hold which keys; nothing is guessed (design.md §6)."""

from collections.abc import Mapping, Sequence

from bus.domain.record_key import partition_of
from bus.ports import LogReaders, Partition
from bus.router.partition_task import PartitionTask

_BATCH = 10_000


class MembershipLoader:
    """Rebuilds the membership of several tasks from the view topics, each topic read once."""

    def __init__(self, readers: LogReaders, tasks: Sequence[PartitionTask]) -> None:
        self._tasks: dict[str, dict[int, PartitionTask]] = {}
        wanted: set[Partition] = set()
        for task in tasks:
            for topic, slot in task.slots.items():
                if slot.bit:
                    self._tasks.setdefault(topic, {})[task.partition.number] = task
                    wanted.add(Partition(topic, slot.out_partition(task.partition.number)))
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
            topic, key = record.topic() or "", record.key() or b""
            by_partition = self._tasks[topic]
            task = by_partition.get(self._source_partition(by_partition, key))
            if task is None:
                continue
            bit = task.slots[topic].bit
            held = task.membership.get(key)
            task.membership.set(key, held & ~bit if record.value() is None else held | bit)
            task.membership.settle()
        for partition, end in list(self._ends.items()):
            if self._reader.position(partition) >= end:
                del self._ends[partition]
        return not self._ends

    def close(self) -> None:
        """Let go of the topics."""
        if self._reader is not None:
            self._reader.close()

    @staticmethod
    def _source_partition(tasks: Mapping[int, PartitionTask], key: bytes) -> int:
        # The router lets no record in the wrong partition through, so the key tells.
        resource = next(iter(tasks.values())).resource
        return partition_of(key, resource.partitions)
