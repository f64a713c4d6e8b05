"""
Records as a client hands them out, by partition.

The module is compiled where there is a C compiler: `runs.pxd` has the types.
"""

from collections.abc import Iterable

from bus.ports import Partition, Record
from bus.ports.read_record import ReadRecord


def by_partition(records: Iterable[Record]) -> dict[Partition, list[Record]]:
    """Return `records` by partition, each in the order that they came in."""
    found: dict[Partition, list[Record]] = {}
    topic = ""
    number = -1
    run: list[Record] = []
    # They come in runs, each of one partition.
    for record in records:
        if isinstance(record, ReadRecord):
            read = record
            of, where = read.raw_topic, read.raw_partition
        else:
            of, where = record.topic() or "", record.partition() or 0
        if where != number or of != topic:
            topic, number = of, where
            run = found.setdefault(Partition(topic, number), [])
        run.append(record)
    return found
