"""Unit tests of `bus.adapters.kafka.transactional_writer`: calls that do not come back."""

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from typing_extensions import override

from bus.adapters.kafka import transactional_writer as module
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.group_consumer import KafkaGroupConsumer
from bus.adapters.kafka.transactional_writer import KafkaTransactionalWriter
from bus.errors import TransactionAborted, WriterFenced
from bus.ports import Committed, Partition

POSITIONS = {Partition("t", 0): Committed(7, "")}


class HungProducer:
    """A producer of which the first waits without end for a coordinator, whatever it is told."""

    made: list["HungProducer"]
    released: threading.Event

    def __init__(self, _config: dict[str, Any], *, logger: object) -> None:
        self.number = len(self.made)
        self.made.append(self)
        self.calls: list[str] = []

    def init_transactions(self, _seconds: float) -> None:
        self.calls.append("init")

    def begin_transaction(self) -> None:
        self.calls.append("begin")

    def send_offsets_to_transaction(self, *_: object) -> None:
        if self.number == 0:
            self.released.wait()
        self.calls.append("offsets")

    def commit_transaction(self, _seconds: float) -> None:
        self.calls.append("commit")

    def purge(self, *, blocking: bool) -> None:
        assert not blocking


class Membership(KafkaGroupConsumer):
    """A consumer that is member of a group, as far as the writer asks."""

    def __init__(self) -> None:
        self._consumer = cast(Any, self)

    def consumer_group_metadata(self) -> object:
        return object()


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaTransactionalWriter]:
    """Return a writer of which the first producer hangs; it is let go at the end."""
    HungProducer.made, HungProducer.released = [], threading.Event()
    monkeypatch.setattr(module, "Producer", HungProducer)
    monkeypatch.setattr(module, "_HUNG_SECONDS", 0.1)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    yield KafkaTransactionalWriter(connection, transactional_id="id")
    HungProducer.released.set()


def test_positions_that_are_sent_for_ever_abort_the_transaction(
    writer: KafkaTransactionalWriter,
) -> None:
    """A router whose coordinator is gone goes on with a new producer, which ends the old one's."""
    writer.begin()

    with pytest.raises(TransactionAborted, match="no answer and no error"):
        writer.commit(POSITIONS, Membership())
    writer.abort()
    writer.begin()
    writer.commit(POSITIONS, Membership())

    first, second = HungProducer.made
    assert "commit" not in first.calls
    assert second.calls == ["init", "begin", "offsets", "commit"]


class FencedProducer:
    """A producer whose transactional id another process has taken meanwhile."""

    made: int

    def __init__(self, _config: dict[str, Any], *, logger: object) -> None:
        type(self).made += 1

    def init_transactions(self, _seconds: float) -> None:
        pass

    def begin_transaction(self) -> None:
        pass

    def produce(self, *_: object, **__: object) -> None:
        # This is what librdkafka says of any fault that it cannot get over.
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def abort_transaction(self, _seconds: float) -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", True))

    def purge(self, *, blocking: bool) -> None:
        assert not blocking


class DeadProducer(FencedProducer):
    """A producer that is told of it before it has begun anything."""

    @override
    def begin_transaction(self) -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", True))


def test_a_writer_that_learns_of_its_successor_while_it_writes_leaves_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new producer would fence the successor, and both would end in turn for ever."""
    FencedProducer.made = 0
    monkeypatch.setattr(module, "Producer", FencedProducer)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    writer = KafkaTransactionalWriter(connection, transactional_id="id")
    writer.begin()

    with pytest.raises(TransactionAborted):
        writer.write("view", 0, b"key", b"value")
    with pytest.raises(WriterFenced):
        writer.abort()

    assert FencedProducer.made == 1


def test_a_writer_that_learns_of_its_successor_when_it_begins_leaves_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    DeadProducer.made = 0
    monkeypatch.setattr(module, "Producer", DeadProducer)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    writer = KafkaTransactionalWriter(connection, transactional_id="id")

    with pytest.raises(WriterFenced):
        writer.begin()

    assert DeadProducer.made == 1
