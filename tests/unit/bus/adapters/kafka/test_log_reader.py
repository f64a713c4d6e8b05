"""Unit tests of `bus.adapters.kafka.log_reader`: calls that do not come back."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from bus.adapters.kafka import log_reader as module
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.log_reader import KafkaLogReader
from bus.errors import BrokerUnavailable
from bus.ports import Committed, Partition

WHERE = Partition("t", 0)


class HungConsumer:
    """A consumer of which the first waits without end for a coordinator when it commits."""

    made: list["HungConsumer"]
    released: threading.Event

    def __init__(self, _config: dict[str, Any], *, logger: object) -> None:
        self.number = len(self.made)
        self.made.append(self)
        self.assigned: list[tuple[str, int, int]] = []
        self.commits = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = [(each.topic, each.partition, each.offset) for each in partitions]

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert offsets
        assert not asynchronous
        if self.number == 0:
            self.released.wait()
        self.commits += 1


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaLogReader]:
    """Return a reader of which the first consumer hangs; it is let go at the end."""
    HungConsumer.made, HungConsumer.released = [], threading.Event()
    monkeypatch.setattr(module, "Consumer", HungConsumer)
    monkeypatch.setattr(module, "_COMMIT_SECONDS", 0.1)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    yield KafkaLogReader(connection, "group", {WHERE: 5})
    HungConsumer.released.set()


def test_a_commit_that_never_ends_is_given_up_and_the_reader_goes_on(
    reader: KafkaLogReader,
) -> None:
    """A subscriber whose coordinator is gone reads on from where it is, and commits later."""
    reader.seek(WHERE, 7)

    with pytest.raises(BrokerUnavailable, match="no answer and no error"):
        reader.commit({WHERE: Committed(7, "")})
    reader.commit({WHERE: Committed(7, "")})

    first, second = HungConsumer.made
    assert (first.commits, second.commits) == (0, 1)
    assert second.assigned == [("t", 0, 7)]
