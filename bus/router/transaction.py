"""What goes into one transaction of the router, and what has gone into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bus.errors import TransactionAborted
from bus.ports import GroupConsumer, LostPosition, Partition, Record, UnreadableBatch
from bus.router.partition_task import PartitionTask
from bus.router.runs import by_partition

#: What comes faster than this at a time, which is some milliseconds, is a backlog.
_BACKLOG_RECORDS = 1_000


class PartitionsRevoked(TransactionAborted):
    """Another router is given partitions whose records are in the transaction."""


@dataclass(slots=True)
class Brought:
    """What one call of the consumer brought."""

    records: dict[Partition, list[Record]]
    unreadable: dict[Partition, UnreadableBatch]
    lost: list[LostPosition]
    more: bool
    """Whether there seems to be more at once."""


@dataclass(slots=True)
class RouterTransaction:
    """A transaction that is open, or has just ended."""

    note: str
    """What its positions carry, so that it is known again."""
    started: float
    tasks: dict[Partition, PartitionTask] = field(default_factory=dict)
    """Whose records are part of it, written or not yet, and who writes without records."""
    ends: dict[Partition, list[Record]] = field(default_factory=dict)
    """The first of each partition's records and the last, if that is another."""
    unreadable: set[Partition] = field(default_factory=set)
    lost: list[LostPosition] = field(default_factory=list)
    """Positions that were lost on the way: what came before is part of it."""
    records: int = 0
    revoked: bool = False
    """Whether some of it belongs to another router by now."""

    def take(self, brought: Brought, tasks: Mapping[Partition, PartitionTask]) -> None:
        """
        Make what was brought part of it: from now on it is written, or read again.

        `tasks` are those that run; all that was brought is of them.
        """
        for partition in (*brought.records, *brought.unreadable):
            self.tasks[partition] = tasks[partition]
        self.lost += brought.lost

    def note_records(self, partition: Partition, records: list[Record]) -> None:
        """Note that `records`, which are some, are part of it."""
        first = self.ends.get(partition, records)[:1]
        self.ends[partition] = first if first[0] is records[-1] else [*first, records[-1]]
        self.records += len(records)

    def note_revoked(self, partitions: Sequence[Partition]) -> None:
        """Note that `partitions` are another router's; what they have in it must not be seen."""
        if self.tasks.keys() & set(partitions):
            self.revoked = True


def bring(consumer: GroupConsumer, most: int, seconds: float) -> Brought:
    """Ask for up to `most` records, waiting `seconds` for the first; see `GroupConsumer`."""
    records, faults = consumer.consume(most, seconds)
    unreadable = {each.partition: each for each in faults if isinstance(each, UnreadableBatch)}
    lost = [each for each in faults if isinstance(each, LostPosition)]
    more = len(records) >= min(most, _BACKLOG_RECORDS) and not faults
    return Brought(by_partition(records), unreadable, lost, more)
