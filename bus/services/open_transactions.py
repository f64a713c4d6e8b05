"""
Notice transactions that hang: nobody ends them, and nobody reads past them (design.md §6).

A broker that dies at the wrong moment may note a transaction as ended and never say so in the
partitions that it has written to. Whoever reads committed records then waits there for ever:
subscribers, the router, or, on the policy topic, everybody.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import structlog

from bus import metrics
from bus.domain.names import OFFSETS_TOPIC, TOPIC_PREFIX
from bus.errors import BrokerUnavailable
from bus.ports import Clock, Partition, TopicAdmin
from bus.ports.transactions import OpenTransaction, Transactions

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 10.0
#: Longer than anything of the bus is open: writers give themselves ten seconds, and the coordinator
#: looks every ten or fifteen for those whose time is over.
HANGS_SECONDS: Final = 30.0
#: A topic that goes while it is asked about, or a broker that is away for a moment, spoils a look.
#: Only when it has gone on for so long is it said that nobody looks.
_BLIND_SECONDS = 60.0


class OpenTransactions:
    """Looks at the ends of all logs of the bus; keeps in mind since when one stands still."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        topics: TopicAdmin,
        clock: Clock,
    ) -> None:
        """Look at the topics of the bus, and at the positions of its groups."""
        self._transactions = transactions
        self._topics = topics
        self._clock = clock
        self._looked = clock.monotonic()
        #: Where a partition cannot be read past, and since when.
        self._standing: dict[Partition, tuple[int, float]] = {}
        self._said: set[tuple[Partition, int]] = set()

    def step(self) -> None:
        """Look once; raise `BrokerUnavailable` if no look has succeeded for a minute."""
        now = self._clock.monotonic()
        try:
            ends = self._transactions.ends(list(partitions(self._topics)))
        except BrokerUnavailable as error:
            if now - self._looked > _BLIND_SECONDS:
                raise
            log.info("transactions could not be looked at", reason=str(error))
            return
        self._looked = now
        before, self._standing = self._standing, {}
        for partition, end in ends.items():
            if end.stable < end.last:
                start, since = before.get(partition, (end.stable, now))
                self._standing[partition] = end.stable, since if start == end.stable else now
        hanging = {
            (partition, start)
            for partition, (start, since) in self._standing.items()
            if now - since >= HANGS_SECONDS
        }
        for partition, start in sorted(hanging - self._said):
            log.error(
                "a transaction hangs",
                topic=partition.topic,
                partition=partition.number,
                position=start,
                remedy="docs/how-to/operate.md, “A transaction hangs”",
            )
        self._said = hanging
        metrics.HANGING_TRANSACTIONS.set(len(hanging))


def partitions(topics: TopicAdmin) -> Iterator[Partition]:
    """Yield where the bus, its providers and its groups write."""
    for prefix in (TOPIC_PREFIX, OFFSETS_TOPIC):
        for topic, count in topics.existing(prefix).items():
            for number in range(count):
                yield Partition(topic, number)


def hanging_now(
    transactions: Transactions, where: Collection[Partition], now: dt.datetime
) -> Sequence[OpenTransaction]:
    """
    Return the transactions in which nothing was written for so long that they hang.

    They are told by the time of their last record, at one look.
    """
    ends = transactions.ends(where)
    behind = [partition for partition, end in ends.items() if end.stable < end.last]
    return [
        each
        for each in transactions.open_in(behind)
        if (now - each.written_at).total_seconds() >= HANGS_SECONDS
    ]
