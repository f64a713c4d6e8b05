"""Deadlines and calendar amendments: one suite, held by Postgres and by memory."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest

from bus.adapters.calendars.amended_calendars import AmendedCalendars
from bus.adapters.memory.calendar_amendments import MemoryCalendarAmendments
from bus.adapters.memory.deadlines import MemoryDeadlineStore
from bus.adapters.postgres.calendar_amendments import PostgresCalendarAmendments
from bus.adapters.postgres.deadlines import PostgresDeadlines
from bus.adapters.postgres.pool import Postgres
from bus.domain.calendar_amendment import DecreedYear
from bus.domain.deadline import Deadline
from bus.errors import ConfigError, StateConflict
from bus.ports.calendars import CalendarAmendments
from bus.ports.deadlines import DeadlineQueue
from tests import decrees
from tests.live_platform import LivePlatform

NOW = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DUE = Deadline(subject_kind="request", subject="r1", kind="overdue", due_at=NOW)
LATER = replace(DUE, due_at=NOW + HOUR)
YEAR = DecreedYear(country="CN", year=2099, decreed_on=dt.date(2098, 11, 1), ordinance="o")

BOTH = ["memory", pytest.param("postgres", marks=pytest.mark.platform)]
Deadlines = Callable[[], AbstractContextManager[DeadlineQueue]]


@pytest.fixture(params=BOTH)
def deadlines(request: pytest.FixtureRequest) -> Iterator[Deadlines]:
    """Return how to begin a transaction on a queue that is empty at first."""
    if request.param == "memory":
        store = MemoryDeadlineStore()

        @contextmanager
        def memory() -> Iterator[DeadlineQueue]:
            with store.transaction() as transaction:
                yield transaction.deadlines

        yield memory
        return
    platform: LivePlatform = request.getfixturevalue("platform")
    postgres = Postgres(platform.new_control_database())

    @contextmanager
    def stored() -> Iterator[DeadlineQueue]:
        with postgres.transaction() as connection:
            yield PostgresDeadlines(connection)

    yield stored
    postgres.close()


@pytest.fixture(params=BOTH)
def amendments(request: pytest.FixtureRequest) -> Iterator[CalendarAmendments]:
    """Return an empty table of amendments."""
    if request.param == "memory":
        yield MemoryCalendarAmendments()
        return
    platform: LivePlatform = request.getfixturevalue("platform")
    postgres = Postgres(platform.new_control_database())
    with postgres.transaction() as connection:
        yield PostgresCalendarAmendments(connection)
    postgres.close()


def due(deadlines: Deadlines, at: dt.datetime = NOW) -> list[Deadline]:
    """Return what is due, without dealing with it."""
    with deadlines() as queue:
        return list(queue.take_due(at, 10))


def fire(deadlines: Deadlines, deadline: Deadline) -> None:
    """Deal with a deadline."""
    with deadlines() as queue:
        queue.fired(deadline, NOW)


def put(deadlines: Deadlines, *given: Deadline) -> None:
    """Set deadlines."""
    with deadlines() as queue:
        for each in given:
            queue.set(each)


def test_what_is_due_is_given_oldest_first_up_to_a_number(deadlines: Deadlines) -> None:
    older = replace(DUE, subject="r2", due_at=NOW - HOUR)
    put(deadlines, DUE, older, replace(LATER, subject="r3"))

    assert due(deadlines) == [older, DUE]
    assert due(deadlines, NOW - dt.timedelta(microseconds=1)) == [older]
    with deadlines() as queue:
        assert queue.take_due(NOW, 1) == [older]


def test_what_was_rolled_back_has_not_happened(deadlines: Deadlines) -> None:
    put(deadlines, DUE)

    def roll_back() -> None:
        with deadlines() as queue:
            queue.fired(DUE, NOW)
            queue.set(LATER)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        roll_back()
    assert due(deadlines) == [DUE]


def test_what_has_fired_does_not_fire_again(deadlines: Deadlines) -> None:
    put(deadlines, DUE)
    fire(deadlines, DUE)

    assert due(deadlines) == []
    put(deadlines, DUE)
    assert due(deadlines) == []
    put(deadlines, LATER)
    assert due(deadlines, NOW + HOUR) == [LATER]


def test_setting_the_same_again_forgets_no_failure_another_time_does(deadlines: Deadlines) -> None:
    put(deadlines, DUE)
    with deadlines() as queue:
        queue.failed(DUE, error="E: why", retry_at=NOW + HOUR)

    put(deadlines, DUE)
    failed = replace(DUE, attempts=1, last_error="E: why")
    assert due(deadlines) == []
    assert due(deadlines, NOW + HOUR) == [failed]
    with deadlines() as queue:
        assert queue.failing() == 1

    put(deadlines, LATER)
    assert due(deadlines, NOW + HOUR) == [LATER]
    with deadlines() as queue:
        assert queue.failing() == 0


def test_a_failure_of_what_has_changed_meanwhile_is_not_noted(deadlines: Deadlines) -> None:
    put(deadlines, DUE, replace(DUE, subject="fired"))
    fire(deadlines, replace(DUE, subject="fired"))

    with deadlines() as queue:
        for stale in (
            replace(DUE, attempts=1, last_error="E"),
            replace(DUE, due_at=NOW - HOUR),
            replace(DUE, subject="fired"),
            replace(DUE, subject="nobody"),
        ):
            queue.failed(stale, error="E", retry_at=NOW + HOUR)
        queue.fired(replace(DUE, due_at=NOW - HOUR), NOW)
        queue.fired(replace(DUE, subject="nobody"), NOW)

    assert due(deadlines) == [DUE]


def test_a_subject_is_cleared_of_one_kind_or_of_all(deadlines: Deadlines) -> None:
    soon = replace(DUE, kind="due_soon")
    put(deadlines, DUE, soon, replace(DUE, subject="r2"), replace(DUE, subject_kind="entry"))

    with deadlines() as queue:
        queue.clear("request", "r1", "overdue")
        assert queue.pending("request", "r1") == [soon]
        queue.set(DUE)
        queue.clear("request", "r1")
        assert queue.pending("request", "r1") == []

    assert {(each.subject_kind, each.subject) for each in due(deadlines)} == {
        ("entry", "r1"),
        ("request", "r2"),
    }


def test_what_is_pending_of_a_subject_can_be_shown(deadlines: Deadlines) -> None:
    put(deadlines, LATER, replace(DUE, kind="due_soon"), replace(DUE, kind="told"))
    fire(deadlines, replace(DUE, kind="told"))

    with deadlines() as queue:
        assert queue.pending("request", "r1") == [replace(DUE, kind="due_soon"), LATER]


def test_amendments_are_loaded_once_and_kept(amendments: CalendarAmendments) -> None:
    """R-083, §6.2: the first decree and its amendment, both in the calendar table."""
    both = [*decrees.LABOUR_DAY_2019, *decrees.LABOUR_DAY_2019_AMENDED]

    assert [amendments.add(each) for each in both] == [True] * len(both)
    assert [amendments.add(each) for each in both] == [False] * len(both)

    assert amendments.amendments("CN") == sorted(both, key=lambda each: (each.day, each.decreed_on))
    assert amendments.amendments("XX") == []


def test_a_contradiction_needs_a_newer_decree(amendments: CalendarAmendments) -> None:
    """R-083: nobody changes a loaded day by loading an old decree over it."""
    (first, *_), (amended, *_) = decrees.LABOUR_DAY_2019, decrees.LABOUR_DAY_2019_AMENDED
    amendments.add(first)
    amendments.add(amended)

    for contradiction in (
        replace(amended, working=not amended.working),
        replace(first, decreed_on=first.decreed_on - dt.timedelta(days=1)),
    ):
        with pytest.raises(StateConflict, match="only a newer decree"):
            amendments.add(contradiction)

    assert len(amendments.amendments("CN")) == 2


def test_a_years_decree_is_loaded_once(amendments: CalendarAmendments) -> None:
    earlier = replace(YEAR, year=2098)

    assert amendments.add_year(YEAR)
    assert amendments.add_year(earlier)
    assert not amendments.add_year(YEAR)
    assert not amendments.add_year(replace(YEAR, ordinance="other"))
    assert amendments.years("CN") == [earlier, YEAR]
    assert amendments.years("XX") == []


def test_a_country_has_its_calendar_with_what_is_loaded(amendments: CalendarAmendments) -> None:
    """§6.2: calendar states before and after an amendment, out of one table."""
    calendars = AmendedCalendars(amendments)
    friday = dt.date(2020, 1, 31)
    for each in (*decrees.SPRING_FESTIVAL_2020, *decrees.SPRING_FESTIVAL_2020_EXTENDED):
        amendments.add(each)

    assert calendars.calendar("CN").is_working_day(friday) is False
    assert calendars.calendar("CN", as_of=dt.date(2020, 1, 25)).is_working_day(friday) is True
    assert calendars.calendar("CN").is_working_day(dt.date(2099, 1, 2)) is None
    amendments.add_year(YEAR)
    assert calendars.calendar("CN").is_working_day(dt.date(2099, 1, 2)) is True


def test_a_country_without_calendar_is_refused(amendments: CalendarAmendments) -> None:
    with pytest.raises(ConfigError, match="'XX' has no calendar here; known: CN"):
        AmendedCalendars(amendments).calendar("XX")
