"""Unit tests of `bus.services.audit_checkpoints` (R-193)."""

from dataclasses import dataclass, field

import pytest
import structlog

from bus import metrics
from bus.adapters.memory.audit_log import MemoryAudit
from bus.adapters.memory.clock import ManualClock
from bus.audit.chain import to_document
from bus.audit.checkpoint import decode
from bus.audit.verifier import verify
from bus.errors import BrokerUnavailable
from bus.services.audit_checkpoints import AuditCheckpoints
from tests.audit_cases import KEY, PUBLIC_KEYS, audit_record


@dataclass
class Topic:
    """Where checkpoints are published; `away`: nobody answers."""

    published: list[bytes] = field(default_factory=list)
    away: bool = False

    def publish(self, checkpoint: bytes) -> None:
        if self.away:
            raise BrokerUnavailable("no broker")
        self.published.append(checkpoint)


class Log:
    """An audit log with its checkpoints."""

    def __init__(self) -> None:
        self.audit = MemoryAudit()
        self.topic = Topic()
        self.clock = ManualClock()
        self.checkpoints = self.process()

    def process(self) -> AuditCheckpoints:
        """Return a control process's part in it."""
        return AuditCheckpoints(
            store=self.audit,
            publisher=self.topic,
            key=KEY,
            clock=self.clock,
            seconds=60,
            rows=10,
        )

    def write(self, count: int) -> None:
        for _ in range(count):
            self.audit.write(audit_record())


@pytest.fixture
def log() -> Log:
    return Log()


def test_nothing_is_signed_while_there_is_nothing(log: Log) -> None:
    log.checkpoints.step()
    log.clock.sleep(100)

    assert log.checkpoints.step() is None
    assert log.topic.published == []


def test_a_row_waits_no_longer_than_was_set(log: Log) -> None:
    log.clock.sleep(100)
    log.write(1)
    assert log.checkpoints.step() is None
    log.clock.sleep(59)
    assert log.checkpoints.step() is None
    assert metrics.AUDIT_UNSIGNED_ROWS._value.get() == 1
    assert metrics.AUDIT_UNSIGNED_SECONDS._value.get() == 59
    log.clock.sleep(1)

    made = log.checkpoints.step()

    assert made is not None
    assert (made.sequence, made.at) == (1, log.clock.now())
    assert log.audit.newest_checkpoint() == made
    assert [decode(each) for each in log.topic.published] == [made]
    assert metrics.AUDIT_ROWS._value.get() == 1
    assert metrics.AUDIT_UNSIGNED_ROWS._value.get() == 0
    assert metrics.AUDIT_UNSIGNED_SECONDS._value.get() == 0
    log.clock.sleep(100)
    assert log.checkpoints.step() is None


def test_many_rows_wait_for_no_time(log: Log) -> None:
    log.write(9)
    assert log.checkpoints.step() is None
    log.write(1)

    made = log.checkpoints.step()

    assert made is not None
    assert made.sequence == 10


def test_what_was_made_is_what_the_verifier_believes(log: Log) -> None:
    for count in (12, 30):
        log.write(count)
        log.checkpoints.step()

    verdict = verify(
        [to_document(row) for row in log.audit.all_rows],
        [decode(each) for each in log.topic.published],
        PUBLIC_KEYS,
        log=log.audit.log,
    )

    assert verdict.intact
    assert (verdict.checkpoints, verdict.signed_through) == (2, 42)


def test_a_checkpoint_that_is_not_published_is_made_again(log: Log) -> None:
    log.write(10)
    log.topic.away = True
    with pytest.raises(BrokerUnavailable):
        log.checkpoints.step()
    assert log.audit.newest_checkpoint() is None
    log.topic.away = False

    made = log.checkpoints.step()

    assert made is not None
    assert made.sequence == 10


def test_one_process_at_a_time_makes_one(log: Log) -> None:
    log.write(10)
    log.audit.busy = True
    assert log.checkpoints.step() is None
    log.audit.busy = False
    assert log.process().step() is not None

    assert log.checkpoints.step() is None
    assert len(log.topic.published) == 1


def test_a_row_that_another_process_left_waiting_waits_anew_for_each_checkpoint(log: Log) -> None:
    other = log.process()
    log.write(1)
    log.checkpoints.step()
    other.step()
    log.clock.sleep(60)
    assert other.step() is not None
    log.write(1)

    assert log.checkpoints.step() is None


def test_signed_rows_that_are_gone_are_said_once(log: Log) -> None:
    log.write(10)
    log.checkpoints.step()
    del log.audit.all_rows[7:]

    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert log.checkpoints.step() is None

    assert [(entry["log_level"], entry["rows"]) for entry in logs] == [("error", 3)]
    assert metrics.AUDIT_UNSIGNED_ROWS._value.get() == -3
