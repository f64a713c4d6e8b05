"""Records as a client hands them out, by partition."""

from collections.abc import Iterable

from bus.ports import Partition, Record


def by_partition(records: Iterable[Record]) -> dict[Partition, list[Record]]:
    """Return `records` by partition, each in the order that they came in."""
    found: dict[Partition, list[Record]] = {}
    topic: str | None = None
    number: int | None = None
    run: list[Record] = []
    # They come in runs, each of one partition.
    for record in records:
        where = record.partition()
        of = record.topic()
        if where != number or of != topic:
            topic, number = of, where
            run = found.setdefault(Partition(topic or "", number or 0), [])
        run.append(record)
    return found
