"""Unit tests of `bus.services.checkpoint_topic`."""

import pytest
import structlog

from bus.adapters.memory.broker import MemoryBroker, MemoryLogReaders
from bus.adapters.memory.clock import ManualClock
from bus.audit.checkpoint import encode
from bus.domain.names import AUDIT_CHECKPOINT_TOPIC
from bus.errors import BrokerUnavailable
from bus.ports import Partition, Record
from bus.services.checkpoint_topic import published_checkpoints
from tests.audit_cases import audit_record, chained, signed

WHERE = Partition(AUDIT_CHECKPOINT_TOPIC, 0)
DOCUMENTS = chained([audit_record()] * 5)
FIRST, SECOND, THIRD = (signed(DOCUMENTS, number) for number in (1, 2, 3))


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(AUDIT_CHECKPOINT_TOPIC, 1)
    return broker


def test_an_empty_topic_has_none(broker: MemoryBroker) -> None:
    assert list(published_checkpoints(MemoryLogReaders(broker), ManualClock())) == []


def test_those_are_read_that_were_there_when_reading_began(broker: MemoryBroker) -> None:
    """One of a row that is written later must not look like one of a row that is gone."""
    for each in (FIRST, SECOND):
        broker.append(WHERE, None, encode(each))

    found = published_checkpoints(MemoryLogReaders(broker), ManualClock())
    first = next(iter(found))
    broker.append(WHERE, None, encode(THIRD))

    assert [first, *found] == [FIRST, SECOND]


def test_what_is_no_checkpoint_vouches_for_nothing(broker: MemoryBroker) -> None:
    for value in (b"nonsense", None, encode(FIRST)):
        broker.append(WHERE, None, value)

    with structlog.testing.capture_logs() as logs:
        found = list(published_checkpoints(MemoryLogReaders(broker), ManualClock()))

    assert found == [FIRST]
    assert [entry["offset"] for entry in logs] == [0, 1]


def test_a_topic_that_cannot_be_read_to_its_end_is_said_so(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.append(WHERE, None, encode(FIRST))
    clock = ManualClock()
    readers = MemoryLogReaders(broker)
    reader = readers.open({WHERE: 0})
    monkeypatch.setattr(readers, "open", lambda _: reader)

    def read(_: int, seconds: float) -> list[Record]:
        clock.sleep(seconds)
        return []

    monkeypatch.setattr(reader, "read", read)

    with pytest.raises(BrokerUnavailable, match="to its end"):
        list(published_checkpoints(readers, clock))
