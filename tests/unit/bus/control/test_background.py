"""Unit tests of `bus.control.background`: the threads beside HTTP, and what they say of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typing_extensions import override

from bus import metrics
from bus.adapters.memory.audit_log import MemoryAudit
from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.adapters.memory.idempotency import MemoryKeptAnswers
from bus.control import background as module
from bus.control.background import Background
from bus.domain.names import POLICY_TOPIC
from bus.errors import BrokerUnavailable, StoreUnavailable
from bus.ports import CatalogTransaction, Partition
from bus.services import audit_checkpoints, housekeeping
from bus.services.audit_checkpoints import AuditCheckpoints
from bus.services.fill_watch import FillWatch
from bus.services.housekeeping import Housekeeping
from bus.services.state_table import StateTable
from tests import builders
from tests.audit_cases import KEY, audit_record
from tests.live_platform import wait_until
from tests.stream_builders import ControlPlane

THREADS = {"relay", "fill-watch", "housekeeping", "audit-checkpoints"}
LONG_AGO = builders.grant(valid_from=builders.TODAY, valid_until=builders.TODAY)


class Store(MemoryCatalogStore):
    """A store that fails for as long as it is told to, and for one thread at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self._lock = threading.RLock()

    @override
    @contextmanager
    def transaction(self) -> Iterator[CatalogTransaction]:
        if self.error is not None:
            raise self.error
        with self._lock, super().transaction() as transaction:
            yield transaction

    @override
    @contextmanager
    def snapshot(self) -> Iterator[CatalogTransaction]:
        if self.error is not None:
            raise self.error
        with self._lock, super().snapshot() as snapshot:
            yield snapshot


class Control:
    """The background of a control plane in memory."""

    def __init__(self) -> None:
        self.plane = ControlPlane()
        self.store = Store()
        self.plane.store = self.store
        self.plane.changes._store = self.store
        self.plane.outbox._store = self.store
        self.plane.apply(builders.catalog(grants=[LONG_AGO]))
        self.no_broker = False
        self.audit = MemoryAudit()
        self.published: list[bytes] = []
        self.background = Background(
            relay=self.plane.relay(),
            connect_watch=self.watch,
            housekeeping=Housekeeping(
                store=self.store,
                changes=self.plane.changes,
                topics=self.plane.topics,
                answers=MemoryKeptAnswers(self.plane.clock),
                clock=self.plane.clock,
            ),
            checkpoints=AuditCheckpoints(
                store=self.audit,
                publisher=self,
                key=KEY,
                clock=self.plane.clock,
                seconds=60,
                rows=1,
            ),
        )

    def publish(self, checkpoint: bytes) -> None:
        """Take a checkpoint; fail if there is no broker."""
        if self.no_broker:
            raise BrokerUnavailable("no broker")
        self.published.append(checkpoint)

    def watch(self) -> FillWatch:
        """Connect a fill watch; fail if there is no broker."""
        if self.no_broker:
            raise BrokerUnavailable("no broker")
        return FillWatch(
            store=self.store,
            changes=self.plane.changes,
            state=StateTable(self.plane.readers, self.plane.codec, self.plane.clock),
            readers=self.plane.readers,
            clock=self.plane.clock,
        )

    def reason(self) -> str:
        """Return why it is not ready."""
        return self.background.not_ready() or ""


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    """Return a background that is stopped at the end, and does not wait long for anything."""
    monkeypatch.setattr(module, "_PAUSE_AFTER_FAILURE_SECONDS", 0.01)
    monkeypatch.setattr(module, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(housekeeping, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(audit_checkpoints, "EVERY_SECONDS", 0.01)
    control = Control()
    yield control
    if any(thread.ident for thread in control.background._threads):
        control.background.stop()


def running(control: Control) -> set[str]:
    """Return the names of the threads of a background that run."""
    return {thread.name for thread in control.background._threads if thread.is_alive()}


def test_nothing_runs_before_it_is_started_or_after_it_is_stopped(control: Control) -> None:
    assert running(control) == set()
    control.background.start()
    assert running(control) == THREADS

    control.background.stop()

    assert running(control) == set()
    assert control.plane.leader == []


def test_the_outbox_is_relayed(control: Control) -> None:
    control.background.start()

    wait_until(lambda: control.plane.outbox.pending_versions() == 0, "all is published")

    assert control.plane.broker.end(Partition(POLICY_TOPIC, 0)) > 0
    assert control.background.not_ready() is None


def test_a_filled_view_is_noticed(control: Control) -> None:
    control.background.start()

    control.plane.fill(control.plane.subscription().topic)

    wait_until(lambda: control.plane.incarnation_of().live, "the view is live")


def test_a_grant_ends_by_the_clock(control: Control) -> None:
    """The day after the last one that a grant was given for, it is over."""
    control.plane.clock.sleep(24 * 3600)
    control.background.start()

    wait_until(lambda: control.plane.subscription().ended, "the subscription has ended")


def test_the_audit_log_is_signed(control: Control) -> None:
    """R-193: a checkpoint leaves the database; one that cannot be published is waited for."""
    control.audit.write(audit_record())
    control.no_broker = True
    control.background.start()
    wait_until(lambda: "audit-checkpoints" in control.background._failed, "it says so")
    assert control.audit.newest_checkpoint() is None

    control.no_broker = False

    wait_until(lambda: len(control.published) == 1, "it is published")
    wait_until(lambda: control.background.not_ready() is None, "it is ready")


def test_a_broker_that_is_away_is_waited_for(control: Control) -> None:
    control.no_broker = True
    control.background.start()
    wait_until(lambda: control.reason() == "fill-watch: no broker", "it says what is missing")

    control.no_broker = False

    wait_until(lambda: control.background.not_ready() is None, "it is ready")
    assert running(control) == THREADS


def test_a_fill_watch_that_has_lost_its_broker_begins_anew(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADR 0014: what it read with may have stopped for good."""
    closed: list[FillWatch] = []

    def lost(_: FillWatch) -> None:
        if not closed:
            raise BrokerUnavailable("the position is lost")

    def close(watch: FillWatch) -> None:
        closed.append(watch)

    monkeypatch.setattr(FillWatch, "step", lost)
    monkeypatch.setattr(FillWatch, "close", close)
    control.background.start()

    wait_until(lambda: bool(closed), "the reader is closed")
    wait_until(lambda: control.background.not_ready() is None, "it is ready")

    assert len(closed) == 1


def test_a_database_that_is_away_is_waited_for(control: Control) -> None:
    control.store.error = StoreUnavailable("no database")
    control.background.start()
    wait_until(lambda: "housekeeping" in control.background._failed, "it says so")
    assert control.reason().endswith(": no database")

    control.store.error = None

    wait_until(lambda: control.background.not_ready() is None, "it is ready")


def test_an_error_that_no_retry_helps_is_said_for_good(control: Control) -> None:
    """The topic is ahead of the database: nothing may be published until an operator acts."""
    relay = control.plane.relay()
    relay.step()
    relay._resign()
    control.store.state.version = 0
    control.store.state.outbox = []
    control.background.start()

    wait_until(lambda: "restored from a backup" in control.reason(), "it says so")

    wait_until(lambda: running(control) == THREADS - {"relay"}, "the others go on")
    assert control.reason().startswith("relay: ")


def test_a_fault_of_ours_does_not_leave_a_process_that_calls_itself_ready(
    control: Control,
) -> None:
    control.store.error = KeyError("a fault")
    control.background.start()

    wait_until(lambda: "ended by a fault" in control.reason(), "it says so")
    assert "'a fault'" not in control.reason()


def test_a_thread_that_ended_by_a_fault_is_started_again(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that passes must not stop the policy until somebody restarts the process."""
    monkeypatch.setattr(module, "_FIRST_RESTART_SECONDS", 0.01)
    faults = {name: metrics.THREAD_FAULTS.labels(name)._value.get() for name in THREADS}
    outbox = control.plane.outbox
    monkeypatch.setattr(control.background._relay, "_outbox", None)
    control.background.start()
    wait_until(lambda: "relay: ended by a fault" in control.reason(), "it says so")

    monkeypatch.setattr(control.background._relay, "_outbox", outbox)

    wait_until(lambda: control.plane.outbox.pending_versions() == 0, "all is published")
    wait_until(lambda: control.background.not_ready() is None, "it is ready")
    assert metrics.THREAD_FAULTS.labels("relay")._value.get() > faults["relay"]
    assert running(control) == THREADS
