"""Unit tests of `bus.services.open_transactions`: what nobody ends is noticed."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence

import pytest

from bus import metrics
from bus.adapters.memory.clock import ManualClock
from bus.errors import BrokerUnavailable
from bus.ports import Partition, TopicSpec
from bus.ports.transactions import LogEnd, OpenTransaction
from bus.services.open_transactions import (
    EVERY_SECONDS,
    HANGS_SECONDS,
    OpenTransactions,
    hanging_now,
)

POLICY = Partition("os.policy", 0)
SOURCE = Partition("os.src.cn.bureau.towns.1", 0)
OFFSETS = Partition("__consumer_offsets", 1)


class Broker:
    """What a broker says of its logs, and which topics it has."""

    def __init__(self) -> None:
        self.logs = {POLICY: LogEnd(5, 5), SOURCE: LogEnd(7, 7), OFFSETS: LogEnd(3, 3)}
        self.open: list[OpenTransaction] = []
        self.away = False
        self.asked: list[Collection[Partition]] = []

    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, LogEnd]:
        if self.away:
            raise BrokerUnavailable("away")
        return {each: self.logs[each] for each in partitions if each in self.logs}

    def open_in(self, partitions: Collection[Partition]) -> Sequence[OpenTransaction]:
        self.asked.append(partitions)
        return [each for each in self.open if each.partition in partitions]

    def abort(self, transaction: OpenTransaction) -> None:
        self.open.remove(transaction)

    def ensure(self, specs: Sequence[TopicSpec]) -> None:
        raise NotImplementedError

    def existing(self, prefix: str) -> Mapping[str, int]:
        counts = {each.topic: each.number + 1 for each in self.logs}
        return {topic: count for topic, count in counts.items() if topic.startswith(prefix)}

    def delete(self, names: Collection[str]) -> None:
        raise NotImplementedError


class Watched:
    """A broker that is looked at, and the time."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.clock = ManualClock()
        self.watch = OpenTransactions(
            transactions=self.broker, topics=self.broker, clock=self.clock
        )

    def look(self, seconds: float = 0.0) -> float:
        """Look now and then for so long; return how many partitions are said to hang."""
        self.watch.step()
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            self.clock.sleep(EVERY_SECONDS)
            self.watch.step()
        found = metrics.CONTROL_REGISTRY.get_sample_value("onesource_hanging_transactions")
        assert found is not None
        return found


@pytest.fixture
def watched() -> Watched:
    """Return a broker on which nothing is open."""
    return Watched()


@pytest.mark.parametrize("partition", [POLICY, SOURCE, OFFSETS])
def test_what_stays_open_is_noticed_within_a_minute(watched: Watched, partition: Partition) -> None:
    """design.md §6: nobody reads past an open transaction, so it is noticed within 60 s."""
    assert watched.look(60) == 0
    end = watched.broker.logs[partition]
    watched.broker.logs[partition] = LogEnd(end.stable, end.last + 2)

    assert EVERY_SECONDS + HANGS_SECONDS + EVERY_SECONDS <= 60
    assert watched.look(HANGS_SECONDS + EVERY_SECONDS) == 1
    # What others write behind it changes nothing.
    watched.broker.logs[partition] = LogEnd(end.stable, end.last + 9)
    assert watched.look() == 1
    watched.broker.logs[partition] = LogEnd(end.last + 9, end.last + 9)
    assert watched.look() == 0


def test_transactions_that_follow_one_another_do_not_hang(watched: Watched) -> None:
    for position in range(10, 100, 10):
        watched.broker.logs[SOURCE] = LogEnd(position, position + 5)
        assert watched.look(HANGS_SECONDS - EVERY_SECONDS) == 0


def test_a_broker_that_is_away_for_a_moment_is_no_reason_to_be_unready(watched: Watched) -> None:
    watched.broker.logs[SOURCE] = LogEnd(7, 9)
    watched.look(HANGS_SECONDS + EVERY_SECONDS)
    watched.broker.away = True

    assert watched.look(40) == 1
    with pytest.raises(BrokerUnavailable):
        watched.look(60)
    watched.broker.away = False
    assert watched.look() == 1


def test_at_one_look_the_time_of_the_last_record_tells() -> None:
    broker, now = Broker(), dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)

    def transaction(partition: Partition, seconds: float) -> OpenTransaction:
        return OpenTransaction(
            partition=partition,
            producer=1,
            epoch=0,
            coordinator_epoch=0,
            start=3,
            written_at=now - dt.timedelta(seconds=seconds),
        )

    broker.logs[SOURCE] = broker.logs[POLICY] = LogEnd(3, 9)
    broker.open = [transaction(SOURCE, HANGS_SECONDS), transaction(POLICY, 1)]

    assert hanging_now(broker, list(broker.logs), now) == [broker.open[0]]
    # Producers are only asked for where something is open: that is a question for each partition.
    assert broker.asked == [[POLICY, SOURCE]]
