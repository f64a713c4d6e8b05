"""The scheduler over the real Postgres: several replicas, crashes."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.rows import TupleRow

from bus.adapters.memory.clock import ManualClock
from bus.adapters.postgres.deadlines import PostgresDeadlines
from bus.adapters.postgres.pool import Postgres
from bus.domain.deadline import Deadline
from bus.errors import StateConflict
from bus.ports.deadlines import DeadlineQueue
from bus.services.scheduler import Scheduler
from tests.live_platform import LivePlatform

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
DEADLINES = 200


@dataclass
class Work:
    """A transaction in which a handler may do more than deal with its deadline."""

    connection: psycopg.Connection[TupleRow]

    @property
    def deadlines(self) -> DeadlineQueue:
        return PostgresDeadlines(self.connection)


class Desk:
    """A control database with a table of what handlers have done."""

    def __init__(self, dsn: str) -> None:
        self.postgres = Postgres(dsn)
        self.clock = ManualClock(NOW)
        with self.postgres.transaction() as connection:
            connection.execute("CREATE TABLE public.done (subject text, by text)")

    @contextmanager
    def work(self) -> Iterator[Work]:
        with self.postgres.transaction() as connection:
            yield Work(connection)

    def put(self, number: int) -> None:
        with self.work() as work:
            for n in range(number):
                due_at = NOW - timedelta(seconds=n)
                work.deadlines.set(
                    Deadline(subject_kind="request", subject=f"r{n}", kind="overdue", due_at=due_at)
                )

    def done(self) -> Counter[str]:
        with self.postgres.transaction() as connection:
            rows = connection.execute("SELECT subject FROM public.done").fetchall()
        return Counter(subject for (subject,) in rows)


def handle(work: Work, deadline: Deadline) -> None:
    """Write down in the same transaction that, and by whom, a deadline was handled."""
    by = threading.current_thread().name
    work.connection.execute("INSERT INTO public.done VALUES (%s, %s)", (deadline.subject, by))


@pytest.fixture
def desk(platform: LivePlatform) -> Iterator[Desk]:
    """Return a desk on a database of its own."""
    made = Desk(platform.new_control_database())
    yield made
    made.postgres.close()


def test_two_replicas_fire_each_deadline_exactly_once(desk: Desk) -> None:
    """R-088: no overdue request is escalated twice, none is left."""
    desk.put(DEADLINES)
    together = threading.Barrier(2)
    fired: list[int] = []

    def replica() -> None:
        alone = [True]

        def first_both(work: Work, deadline: Deadline) -> None:
            if alone:
                # Both have taken one before either goes on: row locks alone keep them apart.
                alone.clear()
                together.wait(timeout=30)
            handle(work, deadline)

        fired.append(Scheduler(desk.work, {"overdue": first_both}, desk.clock).step())

    threads = [threading.Thread(target=replica) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert desk.done() == Counter(f"r{n}" for n in range(DEADLINES))
    assert sum(fired) == DEADLINES
    assert Scheduler(desk.work, {"overdue": handle}, desk.clock).step() == 0


def test_what_one_replica_has_taken_the_other_passes_over(desk: Desk) -> None:
    """Nobody waits for a slow handler elsewhere."""
    desk.put(2)

    with desk.work() as slow:
        (taken,) = slow.deadlines.take_due(NOW, 1)
        with desk.work() as other:
            others = other.deadlines.take_due(NOW, 10)

    assert taken.subject == "r1"
    assert [each.subject for each in others] == ["r0"]


def test_a_crash_before_the_commit_leaves_the_deadline_due(desk: Desk) -> None:
    """Fired with what its handler did, or not at all; a restart finds it."""
    desk.put(1)

    class Crash(BaseException):
        pass

    def crash(work: Work, deadline: Deadline) -> None:
        handle(work, deadline)
        raise Crash

    with pytest.raises(Crash):
        Scheduler(desk.work, {"overdue": crash}, desk.clock).step()
    assert desk.done() == Counter()

    assert Scheduler(desk.work, {"overdue": handle}, desk.clock).step() == 1
    assert desk.done() == Counter(["r0"])


def test_a_connection_that_is_lost_in_a_handler_leaves_the_deadline_due(desk: Desk) -> None:
    desk.put(1)

    def lose(work: Work, deadline: Deadline) -> None:
        handle(work, deadline)
        with desk.postgres.transaction() as other:
            pid = work.connection.info.backend_pid
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        work.connection.execute("SELECT 1")

    assert Scheduler(desk.work, {"overdue": lose}, desk.clock).step() == 0
    assert desk.done() == Counter()
    with desk.work() as work:
        (kept,) = work.deadlines.pending("request", "r0")
        assert kept.attempts == 1
        assert kept.last_error is not None
        assert kept.last_error.startswith("STORE_UNAVAILABLE: ")

    desk.clock.sleep(30)
    assert Scheduler(desk.work, {"overdue": handle}, desk.clock).step() == 1


def test_a_failure_is_kept_although_its_transaction_is_rolled_back(desk: Desk) -> None:
    """R-088: not for ever silently."""
    desk.put(2)

    def refuse_one(work: Work, deadline: Deadline) -> None:
        handle(work, deadline)
        if deadline.subject == "r1":
            raise StateConflict("the request is DRAFT")

    assert Scheduler(desk.work, {"overdue": refuse_one}, desk.clock).step() == 1
    assert desk.done() == Counter(["r0"])
    with desk.work() as work:
        (kept,) = work.deadlines.pending("request", "r1")
        assert (kept.attempts, kept.last_error) == (1, "STATE_CONFLICT: the request is DRAFT")
        assert work.deadlines.failing() == 1
