"""Unit tests of `bus.services.relay`: the outbox, exactly once in effect."""

from collections.abc import Callable, Mapping

import pytest
from typing_extensions import override

from bus import metrics
from bus.adapters.memory.broker import MemoryBroker, MemoryTransactionalWriter
from bus.adapters.memory.catalog_store import MemoryOutbox, MemoryRelayLock
from bus.adapters.memory.clock import ManualClock
from bus.domain.access import RELAY_TRANSACTIONAL_ID
from bus.domain.names import POLICY_TOPIC
from bus.domain.policy import PolicyHeartbeat, PolicyVersion, ViewPolicy
from bus.errors import (
    BrokerUnavailable,
    ConfigError,
    StoreUnavailable,
    TransactionAborted,
    TransactionUnknown,
    WriterFenced,
)
from bus.ports import Committed, GroupConsumer, Partition, Record
from bus.services.relay import HEARTBEAT_SECONDS, Relay
from tests import builders
from tests.stream_builders import ControlPlane


class FaultyWriter(MemoryTransactionalWriter):
    """A writer of which the next commits end otherwise than hoped."""

    def __init__(self, broker: MemoryBroker, faults: list[str]) -> None:
        super().__init__(broker, transactional_id=RELAY_TRANSACTIONAL_ID)
        self._faults = faults
        self.closed = False

    @override
    def commit(
        self, positions: Mapping[Partition, Committed], consumer: GroupConsumer | None
    ) -> None:
        match self._faults.pop(0) if self._faults else "":
            case "aborted":
                raise TransactionAborted("injected")
            case "unknown, committed":
                super().commit(positions, consumer)
                raise TransactionUnknown("injected")
            case "unknown, lost":
                self.abort()
                raise TransactionUnknown("injected")
            case _:
                super().commit(positions, consumer)

    @override
    def close(self) -> None:
        self.closed = True
        super().close()


class TickingClock(ManualClock):
    """A clock that goes on by itself: somebody waits for something that does not come."""

    @override
    def monotonic(self) -> float:
        self.sleep(1)
        return super().monotonic()


class Replicas(ControlPlane):
    """A control plane of which the policy is changed by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.writers: list[FaultyWriter] = []

    def change(self, **objects: int | None) -> None:
        """Commit a policy version with views `objects` of these numbers; None: removed."""
        changes = {
            name: None
            if number is None
            else self.codec.encode(builders.view_policy(builders.incarnation(number=number)))
            for name, number in objects.items()
        }
        with self.store.transaction() as transaction:
            transaction.publish_policy(changes)

    @override
    def writer(self) -> FaultyWriter:
        self.writers.append(FaultyWriter(self.broker, self.faults))
        return self.writers[-1]

    def written(self) -> list[tuple[str, int | None]]:
        """Return what readers of the policy topic see: views and versions with their numbers."""
        found: list[tuple[str, int | None]] = []
        for record in self.committed():
            event = None if record.value() is None else self.codec.decode(record.value() or b"")
            match event:
                case PolicyVersion(version):
                    found.append(("version", version))
                case ViewPolicy(incarnation=number):
                    found.append(((record.key() or b"").decode(), number))
                case None:
                    found.append(((record.key() or b"").decode(), None))
                case _:
                    assert isinstance(event, PolicyHeartbeat)
        return found

    def committed(self) -> list[Record]:
        """Return what readers of the policy topic are given."""
        records, _ = self.broker.read(Partition(POLICY_TOPIC, 0), 0, 1000)
        return records

    def beats(self) -> int:
        """Return how many heartbeats there are."""
        return sum(record.key() == b"heartbeat" for record in self.committed())


@pytest.fixture
def control() -> Replicas:
    return Replicas()


# --- Publishing -----------------------------------------------------------------------------------


def test_the_first_start_says_that_there_is_nothing_yet(control: Replicas) -> None:
    relay = control.relay()

    relay.step()

    assert relay.leading
    assert control.written() == [("version", 0)]
    assert control.policy().version == 0


def test_versions_are_published_whole_and_in_order(control: Replicas) -> None:
    """Invariant 3: a version is closed before the next one begins."""
    control.change(a=1, b=1)
    control.change(a=2, b=None)
    relay = control.relay()

    relay.step()

    assert control.written() == [
        *[("version", 0), ("a", 1), ("b", 1), ("version", 1)],
        *[("a", 2), ("b", None), ("version", 2)],
    ]
    assert control.outbox.pending_versions() == 0


def test_a_version_is_seen_whole_or_not_at_all(control: Replicas) -> None:
    relay = control.relay()
    relay.step()
    control.change(a=1, b=1)
    control.faults.append("aborted")

    with pytest.raises(TransactionAborted):
        relay.step()

    assert control.written() == [("version", 0)]
    assert len(control.broker.all_records(POLICY_TOPIC)) > 3


def test_what_is_committed_later_is_published_at_the_next_step(control: Replicas) -> None:
    relay = control.relay()
    relay.step()
    control.change(a=1)

    relay.step()

    assert control.written()[1:] == [("a", 1), ("version", 1)]


# --- Exactly once in effect -----------------------------------------------------------------------


def test_a_crash_between_publishing_and_marking_publishes_nothing_twice(
    control: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 4."""
    former = control.relay()
    former.step()
    control.change(a=1)
    control.change(a=2)

    def crash(_: int) -> None:
        raise StoreUnavailable("killed")

    with monkeypatch.context() as dying:
        dying.setattr(control.outbox, "mark_published", crash)
        with pytest.raises(StoreUnavailable):
            former.step()
    control.leader.clear()
    left_over = control.outbox.pending_versions()
    control.relay().step()

    assert left_over == 2
    assert control.written()[1:] == [("a", 1), ("version", 1), ("a", 2), ("version", 2)]
    assert control.outbox.pending_versions() == 0


def test_a_crash_in_the_middle_of_a_version_leaves_nothing_of_it(control: Replicas) -> None:
    control.change(a=1)
    former = control.writer()
    former.begin()
    former.write(POLICY_TOPIC, 0, b"a", b"half of it")
    former.close()

    control.relay().step()

    assert control.written() == [("version", 0), ("a", 1), ("version", 1)]


@pytest.mark.parametrize("fault", ["unknown, committed", "unknown, lost", "aborted"])
def test_after_a_commit_of_unknown_outcome_the_topic_decides(control: Replicas, fault: str) -> None:
    """Invariant 4: neither lost nor published twice."""
    control.change(a=1)
    relay = control.relay()
    relay.step()
    control.change(a=2)
    control.faults.append(fault)
    pauses: list[float] = []

    relay.run(ended=lambda: len(pauses) == 2, pause=pauses.append)

    assert control.written()[1:] == [("a", 1), ("version", 1), ("a", 2), ("version", 2)]
    assert control.outbox.pending_versions() == 0
    assert pauses[0] > pauses[1]


def test_an_unknown_outcome_ends_the_lead(control: Replicas) -> None:
    relay = control.relay()
    relay.step()
    control.change(a=1)
    control.faults.append("unknown, lost")

    with pytest.raises(TransactionUnknown):
        relay.step()

    assert not relay.leading
    assert control.leader == []
    assert control.writers[0].closed


# --- One at a time --------------------------------------------------------------------------------


def test_only_one_replica_relays(control: Replicas) -> None:
    first, second = control.relay(), control.relay()
    control.change(a=1)

    first.step()
    second.step()

    assert (first.leading, second.leading) == (True, False)
    assert control.written() == [("version", 0), ("a", 1), ("version", 1)]


def test_a_replica_takes_over_when_the_lock_is_lost(control: Replicas) -> None:
    first, second = control.relay(), control.relay()
    first.step()
    control.leader.clear()
    second.step()
    control.change(a=1)

    first.step()
    second.step()

    assert (first.leading, second.leading) == (False, True)
    assert control.written() == [("version", 0), ("version", 0), ("a", 1), ("version", 1)]


def test_a_former_relay_that_does_not_know_that_it_is_over_is_fenced(control: Replicas) -> None:
    former = control.relay()
    former.step()
    control.change(a=1)
    for lock in control.leader:
        lock.held = lambda: True  # type: ignore[method-assign]
    control.leader.clear()
    control.relay().step()
    control.change(a=2)

    with pytest.raises(WriterFenced):
        former.step()

    assert control.written()[-2:] == [("a", 1), ("version", 1)]
    assert control.outbox.pending_versions() == 1


def test_a_fenced_relay_resigns_and_waits_its_turn(control: Replicas) -> None:
    """Its thread must not end: the replica would say for ever that it leads."""
    former = control.relay()
    former.step()
    control.change(a=1)
    for lock in control.leader:
        lock.held = lambda: True  # type: ignore[method-assign]
    control.leader.clear()
    control.relay().step()
    rounds = iter([False, False, True])

    former.run(ended=lambda: next(rounds), pause=lambda _: None)

    assert not former.leading
    assert _leads() == 0


def _leads() -> float:
    return metrics.CONTROL_REGISTRY.get_sample_value("onesource_relay_leader") or 0


def test_a_relay_that_no_waiting_helps_lets_another_one_lead(control: Replicas) -> None:
    """The database was restored: this replica must not keep the lock while it says so."""
    first = control.relay()
    first.step()
    control.change(a=1)
    first.step()
    first.run(ended=lambda: True, pause=lambda _: None)
    control.outbox.newest_version = lambda: 0  # type: ignore[method-assign]
    second = control.relay()

    with pytest.raises(ConfigError):
        second.run(ended=lambda: False, pause=lambda _: None)

    assert not second.leading
    assert control.relay()._lock.acquire()


def test_a_relay_says_which_version_is_out_when_it_begins_to_lead(control: Replicas) -> None:
    first = control.relay()
    first.step()
    control.change(a=1)
    first.step()
    first.run(ended=lambda: True, pause=lambda _: None)
    metrics.POLICY_VERSION.set(0)

    control.relay().step()

    assert metrics.CONTROL_REGISTRY.get_sample_value("onesource_policy_version") == 1


def test_a_relay_that_ends_lets_another_one_relay(control: Replicas) -> None:
    first, second = control.relay(), control.relay()
    first.step()

    first.run(ended=lambda: True, pause=lambda _: None)
    second.step()

    assert (first.leading, second.leading) == (False, True)
    assert control.writers[0].closed


# --- Starting -------------------------------------------------------------------------------------


def test_a_new_relay_goes_on_with_what_is_missing_on_the_topic(control: Replicas) -> None:
    for number in range(1, 4):
        control.change(a=number)
    kept = control.store.state.outbox
    control.relay().step()
    control.leader.clear()
    control.store.state.outbox = [row for row in kept if row.policy_version > 1]
    control.change(a=4)

    control.relay().step()

    assert control.written()[-4:] == [("a", 3), ("version", 3), ("a", 4), ("version", 4)]
    assert [key for key, _ in control.written()].count("a") == 4


def test_a_database_that_is_older_than_the_topic_is_refused(control: Replicas) -> None:
    """A restored backup must not publish a version number a second time (field-notes B4)."""
    for number in range(3):
        control.change(a=number + 1)
    control.relay().step()
    control.leader.clear()
    control.store.state.version = 2
    before = control.written()

    with pytest.raises(ConfigError, match="holds version 3, but the database only 2"):
        control.relay().step()

    assert control.written() == before


def test_a_topic_that_cannot_be_read_to_its_end_is_tried_again(
    control: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = MemoryTransactionalWriter(control.broker, transactional_id="somebody")
    hanging.begin()
    hanging.write(POLICY_TOPIC, 0, b"x", b"")
    control.clock = TickingClock()
    relay = control.relay()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        hanging.abort()

    relay.run(ended=lambda: len(pauses) == 2, pause=pause)

    assert control.written() == [("version", 0)]


def test_a_broker_that_is_away_is_waited_for(
    control: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [True, True, False]

    def connect() -> FaultyWriter:
        if away.pop(0):
            raise BrokerUnavailable("away")
        return FaultyWriter(control.broker, [])

    monkeypatch.setattr(control, "writer", connect)
    control.change(a=1)
    pauses: list[float] = []

    control.relay().run(ended=lambda: len(pauses) == 3, pause=pauses.append)

    assert control.written() == [("version", 0), ("a", 1), ("version", 1)]


# --- Heartbeats and metrics -----------------------------------------------------------------------


def test_a_heartbeat_says_that_nothing_has_changed(control: Replicas) -> None:
    control.change(a=1)
    relay = control.relay()
    relay.step()
    at_once = control.beats()
    control.clock.sleep(HEARTBEAT_SECONDS)

    relay.step()
    relay.step()

    assert at_once == 0
    assert control.beats() == 1
    assert control.codec.decode(control.committed()[-1].value() or b"") == PolicyHeartbeat(1)


def test_a_replica_that_does_not_lead_says_nothing(control: Replicas) -> None:
    control.relay().step()
    waiting = control.relay()
    for _ in range(4):
        control.clock.sleep(HEARTBEAT_SECONDS)
        waiting.step()

    assert control.beats() == 0


def test_a_relay_without_its_writer_publishes_nothing() -> None:
    control = Replicas()
    relay = control.relay()

    with pytest.raises(TransactionAborted, match="not the relay"):
        relay._write({"a": b"1"})


def test_what_waits_in_the_outbox_is_measured_while_it_cannot_be_published(
    control: Replicas,
) -> None:
    relay = control.relay()
    relay.step()
    control.change(a=1)
    control.change(a=2)
    control.faults.append("aborted")

    with pytest.raises(TransactionAborted):
        relay.step()
    stuck = metrics.RELAY_PENDING._value.get()
    relay.step()

    assert stuck == 2
    assert metrics.RELAY_PENDING._value.get() == 0
    assert metrics.POLICY_VERSION._value.get() == 2


def test_the_leader_is_measured(control: Replicas) -> None:
    relay = control.relay()
    relay.step()
    leading = metrics.RELAY_LEADER._value.get()

    relay.run(ended=lambda: True, pause=lambda _: None)

    assert leading == 1
    assert metrics.RELAY_LEADER._value.get() == 0


def relay_over(outbox: MemoryOutbox, control: Replicas, lock: Callable[[], bool]) -> Relay:
    """Return a relay whose lock answers as `lock` does."""
    made = MemoryRelayLock([])
    made.acquire = lock  # type: ignore[method-assign]
    return Relay(
        outbox=outbox,
        lock=made,
        connect=control.writer,
        readers=control.readers,
        codec=control.codec,
        clock=control.clock,
    )


def test_a_store_that_is_away_ends_the_lead_until_it_is_back(control: Replicas) -> None:
    away = [True, False]

    def acquire() -> bool:
        if away.pop(0):
            raise StoreUnavailable("away")
        return True

    relay = relay_over(control.outbox, control, acquire)
    pauses: list[float] = []

    relay.run(ended=lambda: len(pauses) == 2, pause=pauses.append)

    assert control.written() == [("version", 0)]
