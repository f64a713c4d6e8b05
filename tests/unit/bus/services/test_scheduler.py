"""Unit tests of `bus.services.scheduler`."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from bus import metrics
from bus.adapters.memory.clock import ManualClock
from bus.adapters.memory.deadlines import MemoryDeadlineStore, MemoryDeadlineTransaction
from bus.domain.deadline import Deadline
from bus.errors import StateConflict, StoreUnavailable
from bus.services.scheduler import Scheduler

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
Handler = Callable[[MemoryDeadlineTransaction, Deadline], None]


def deadline(subject: str = "r1", *, hours: float = 0, kind: str = "overdue") -> Deadline:
    """Return a deadline `hours` after the start."""
    return Deadline(
        subject_kind="request", subject=subject, kind=kind, due_at=START + dt.timedelta(hours=hours)
    )


class Desk:
    """A scheduler with its store and clock, and what has fired."""

    def __init__(self, *deadlines: Deadline, **handlers: Handler) -> None:
        self.store = MemoryDeadlineStore()
        self.clock = ManualClock(START)
        self.fired: list[str] = []
        self.handlers: Mapping[str, Handler] = {"overdue": self.note} | handlers
        with self.store.transaction() as transaction:
            for each in deadlines:
                transaction.deadlines.set(each)

    def note(self, _transaction: MemoryDeadlineTransaction, taken: Deadline) -> None:
        self.fired.append(taken.subject)

    def scheduler(self) -> Scheduler[MemoryDeadlineTransaction]:
        return Scheduler(self.store.transaction, self.handlers, self.clock)

    def step_after(self, seconds: float = 0) -> int:
        self.clock.sleep(seconds)
        return self.scheduler().step()

    def pending(self, subject: str = "r1") -> list[Deadline]:
        with self.store.transaction() as transaction:
            return list(transaction.deadlines.pending("request", subject))


def failing() -> float:
    """Return the gauge of deadlines that fail."""
    return metrics.DEADLINES_FAILING._value.get()  # type: ignore[no-any-return]


def test_what_is_due_fires_once_oldest_first_and_the_rest_waits() -> None:
    """R-088: at the due time, not before."""
    desk = Desk(deadline("late", hours=2), deadline("b"), deadline("a", hours=-1))

    assert desk.step_after() == 2
    assert desk.fired == ["a", "b"]
    assert desk.step_after() == 0
    assert desk.step_after(2 * 3600 - 1) == 0
    assert desk.step_after(1) == 1
    assert desk.fired == ["a", "b", "late"]


def test_what_fires_is_counted_by_kind() -> None:
    before = metrics.DEADLINES_FIRED.labels("overdue")._value.get()

    Desk(deadline()).step_after()

    assert metrics.DEADLINES_FIRED.labels("overdue")._value.get() == before + 1


def test_a_failure_is_kept_put_off_and_stops_no_other() -> None:
    """R-088: attempts and the last error stay with the deadline, and a metric shows them."""

    def refuse(_transaction: MemoryDeadlineTransaction, _taken: Deadline) -> None:
        raise StateConflict("the request is DRAFT")

    desk = Desk(deadline("bad", hours=-1, kind="bad"), deadline("good"), bad=refuse)

    assert desk.step_after() == 1
    assert desk.fired == ["good"]
    (kept,) = desk.pending("bad")
    assert (kept.attempts, kept.last_error) == (1, "STATE_CONFLICT: the request is DRAFT")
    assert failing() == 1
    desk.step_after(29)
    assert desk.pending("bad")[0].attempts == 1
    desk.step_after(1)
    assert desk.pending("bad")[0].attempts == 2
    desk.step_after(59)
    assert desk.pending("bad")[0].attempts == 2

    desk.handlers = {"bad": desk.note}
    assert desk.step_after(1) == 1
    assert desk.pending("bad") == []
    assert failing() == 0


def test_a_fault_in_a_handler_is_a_failure_like_others() -> None:
    """One poisoned deadline holds nothing up."""

    def fault(_transaction: MemoryDeadlineTransaction, _taken: Deadline) -> None:
        raise KeyError("nul\0" + "x" * 1_000)

    desk = Desk(deadline("bad", hours=-1, kind="bad"), deadline("good"), bad=fault)

    assert desk.step_after() == 1
    error = desk.pending("bad")[0].last_error
    assert error is not None
    assert error.startswith("INTERNAL: 'nul")
    assert "\0" not in error
    assert len(error) == 500


def test_what_a_failed_handler_has_changed_is_rolled_back() -> None:
    """A deadline fires with what its handler does, or not at all."""

    def half(transaction: MemoryDeadlineTransaction, _taken: Deadline) -> None:
        transaction.deadlines.set(deadline("other", hours=1))
        raise StateConflict("no")

    desk = Desk(deadline(kind="bad"), bad=half)
    desk.step_after()

    assert desk.pending("other") == []


def test_a_kind_that_nothing_handles_stays_due_and_visible() -> None:
    desk = Desk(deadline(kind="unheard-of"))

    assert desk.step_after() == 0
    assert desk.pending()[0].last_error is not None
    assert failing() == 1


def test_a_handler_may_set_its_own_deadline_anew() -> None:
    """A reminder that comes every hour."""

    def again(transaction: MemoryDeadlineTransaction, taken: Deadline) -> None:
        desk.fired.append(taken.subject)
        due_at = taken.due_at + dt.timedelta(hours=1)
        transaction.deadlines.set(deadline(hours=(due_at - START) / dt.timedelta(hours=1)))

    desk = Desk(deadline(), overdue=again)

    assert [desk.step_after(seconds) for seconds in (0, 3599, 1, 0)] == [1, 0, 1, 0]


def test_a_handler_that_sets_what_is_past_does_not_hold_the_step_for_ever() -> None:
    def past(transaction: MemoryDeadlineTransaction, taken: Deadline) -> None:
        earlier = taken.due_at - dt.timedelta(seconds=1)
        transaction.deadlines.set(deadline(hours=(earlier - START) / dt.timedelta(hours=1)))

    assert Desk(deadline(), overdue=past).step_after() == 1_000


def test_a_handler_may_clear_its_subject() -> None:
    def settle(transaction: MemoryDeadlineTransaction, taken: Deadline) -> None:
        transaction.deadlines.clear(taken.subject_kind, taken.subject)

    desk = Desk(deadline(), deadline(kind="due_soon", hours=1), overdue=settle)

    assert desk.step_after() == 1
    assert desk.store.rows == {}


def test_a_store_that_is_away_is_said_so_and_nothing_is_lost() -> None:
    desk = Desk(deadline())

    @contextmanager
    def away() -> Iterator[MemoryDeadlineTransaction]:
        if desk.store.rows:
            raise StoreUnavailable("away")
        with desk.store.transaction() as transaction:
            yield transaction

    with pytest.raises(StoreUnavailable):
        Scheduler(away, desk.handlers, desk.clock).step()
    assert desk.step_after() == 1


def test_running_waits_while_the_store_is_away() -> None:
    desk = Desk(deadline())
    pauses: list[float] = []
    failures = iter([StoreUnavailable("away")])

    @contextmanager
    def shaky() -> Iterator[MemoryDeadlineTransaction]:
        for failure in failures:
            raise failure
        with desk.store.transaction() as transaction:
            yield transaction

    Scheduler(shaky, desk.handlers, desk.clock).run(
        ended=lambda: len(pauses) == 2, pause=pauses.append
    )

    assert pauses == [2.0, 1.0]
    assert desk.fired == ["r1"]


def test_what_was_due_while_nobody_ran_fires_at_the_next_start() -> None:
    """Survives restarts: the store knows what is due, no process does."""
    desk = Desk(deadline(hours=1))
    desk.clock.sleep(100 * 3600)

    assert desk.scheduler().step() == 1
