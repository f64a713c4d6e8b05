"""Decrees by the command line, in the real Postgres."""

import datetime as dt
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bus.adapters.calendars.amended_calendars import AmendedCalendars
from bus.adapters.memory.clock import ManualClock
from bus.adapters.postgres.audit_log import PostgresAuditReader
from bus.adapters.postgres.calendar_amendments import (
    PostgresCalendarStore,
    PostgresCalendarTransaction,
)
from bus.adapters.postgres.control_store import PostgresControlStore
from bus.adapters.postgres.pool import Postgres
from bus.domain.calendar_amendment import CALENDAR, RECOUNT, Decree
from bus.domain.deadline import Deadline
from bus.errors import StateConflict
from bus.services.calendar_decrees import CalendarDecrees, Loaded
from bus.services.scheduler import Scheduler
from tests.audit_cases import audit_record
from tests.command_line import CommandLine
from tests.live_platform import LivePlatform, wait_until

NOW = dt.datetime(2020, 1, 27, 9, tzinfo=ZoneInfo("Asia/Shanghai"))
FIRST = Decree(
    country="CN",
    ordinance="国办发明电〔2019〕16号",
    decreed_on=dt.date(2019, 11, 21),
    days_off=(dt.date(2020, 1, 30),),
    working_days=(dt.date(2020, 1, 31), dt.date(2020, 2, 1)),
)
EXTENDED = Decree(
    country="CN",
    ordinance="国办发明电〔2020〕1号",
    decreed_on=dt.date(2020, 1, 26),
    days_off=(dt.date(2020, 1, 31), dt.date(2020, 2, 1)),
)
FILE = """\
country: CN
ordinance: a decree of tomorrow [x]
decreed_on: 2098-11-01
days_off: [2099-01-01]
working_days: [2099-01-03]
whole_year: 2099
"""


@pytest.fixture
def dsn(platform: LivePlatform) -> str:
    """Return an empty control database."""
    return platform.new_control_database()


@pytest.fixture
def postgres(dsn: str) -> Iterator[Postgres]:
    """Return its connections."""
    pool = Postgres(dsn)
    yield pool
    pool.close()


@pytest.fixture
def onesource(
    dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> CommandLine:
    """Return the command line of that database."""
    line = CommandLine(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("ONESOURCE_POSTGRES__DSN", dsn)
    return line


def test_a_decree_is_loaded_once_with_its_audit_row_and_a_recount(postgres: Postgres) -> None:
    """R-083: open due dates are recomputed; R-190: the act is written down."""
    store = PostgresCalendarStore(postgres)
    decrees = CalendarDecrees(store=store, clock=ManualClock(NOW))
    recounted: list[str] = []

    def recount(_transaction: PostgresCalendarTransaction, deadline: Deadline) -> None:
        recounted.append(f"{deadline.subject_kind} {deadline.subject}")

    scheduler = Scheduler(store.transaction, {RECOUNT: recount}, ManualClock(NOW))

    assert decrees.load(FIRST, account="os-operator") == Loaded(days=3, year=False)
    assert scheduler.step() == 1
    assert decrees.load(FIRST, account="os-operator") == Loaded(days=0, year=False)
    assert scheduler.step() == 0
    later = CalendarDecrees(store=store, clock=ManualClock(NOW + dt.timedelta(seconds=1)))
    assert later.load(EXTENDED, account="os-operator") == Loaded(days=2, year=False)

    assert recounted == [f"{CALENDAR} CN"]
    rows = PostgresAuditReader(postgres).rows(0, 10)
    assert [(row.record.action, row.record.details["days"]) for row in rows] == [
        ("calendar.amended", "3"),
        ("calendar.amended", "2"),
    ]


def test_a_decree_that_contradicts_a_newer_one_is_refused_whole(postgres: Postgres) -> None:
    store = PostgresCalendarStore(postgres)
    decrees = CalendarDecrees(store=store, clock=ManualClock(NOW))
    decrees.load(EXTENDED, account="os-operator")

    with pytest.raises(StateConflict) as refused:
        decrees.load(FIRST, account="os-operator")

    assert refused.value.code == "CALENDAR_CONTRADICTED"
    with store.snapshot() as loaded:
        assert len(loaded.amendments("CN")) == 2


def test_a_decree_that_comes_while_the_one_before_is_recounted_waits_for_it(
    postgres: Postgres,
) -> None:
    """Neither ends the other: the recount has the deadline and wants the audit log's head."""
    CalendarDecrees(store=PostgresCalendarStore(postgres), clock=ManualClock(NOW)).load(
        FIRST, account="os-operator"
    )
    later = CalendarDecrees(
        store=PostgresCalendarStore(postgres), clock=ManualClock(NOW + dt.timedelta(seconds=1))
    )
    with ThreadPoolExecutor(1) as second:
        with PostgresControlStore(postgres, AmendedCalendars).transaction() as recounting:
            (due,) = recounting.deadlines.take_due(NOW, 1)
            loading = second.submit(later.load, EXTENDED, account="os-operator")
            wait_until(lambda: _waiting_for_a_lock(postgres) == 1, "the load waits")
            recounting.record(audit_record())
            recounting.deadlines.fired(due, NOW)
        assert loading.result(timeout=30) == Loaded(days=2, year=False)

    with PostgresCalendarStore(postgres).transaction() as transaction:
        # The second decree's recount is another one.
        assert len(transaction.deadlines.pending(CALENDAR, "CN")) == 1


def _waiting_for_a_lock(postgres: Postgres) -> int:
    with postgres.transaction() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return row[0] if row else 0


def test_the_operator_looks_and_loads(onesource: CommandLine, tmp_path: Path) -> None:
    """R-083: a year is unknown until its decree is loaded."""
    onesource.width(120)
    before = onesource("calendar", "show", "2099")
    assert before.status == 0
    assert "The decree for 2099 is not loaded" in before.err

    path = tmp_path / "decree.yaml"
    path.write_text(FILE, encoding="utf-8")
    loaded = onesource("calendar", "amend", str(path))
    assert (loaded.status, loaded.out) == (0, "2 days loaded, 2099 is decreed now\n"), loaded.err
    assert onesource("calendar", "amend", str(path)).out == "nothing to change\n"

    after = onesource("calendar", "show", "2099", "--json")
    assert json.loads(after.out) == {
        "year": 2099,
        "decreed": True,
        "days": [
            {
                "day": "2099-01-01",
                "weekday": "Thu",
                "is": "off",
                "by": "a decree of tomorrow [x] (2098-11-01)",
            },
            # 3 January 2099 is a Saturday.
            {
                "day": "2099-01-03",
                "weekday": "Sat",
                "is": "working",
                "by": "a decree of tomorrow [x] (2098-11-01)",
            },
        ],
    }
    assert "a decree of tomorrow [x]" in onesource("calendar", "show", "2099").out
    then = onesource("calendar", "show", "2099", "--as-of", "2098-10-31", "--json")
    assert json.loads(then.out) == {"year": 2099, "decreed": False, "days": []}

    contradicting = FILE.replace("days_off: [2099-01-01]", "days_off: []").replace(
        "2099-01-03", "2099-01-01"
    )
    path.write_text(contradicting, encoding="utf-8")
    refused = onesource("calendar", "amend", str(path))
    assert refused.status == 3
    assert "CALENDAR_CONTRADICTED" in refused.err


def test_a_country_without_calendar_is_refused(onesource: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "decree.yaml"
    path.write_text(FILE.replace("country: CN", "country: XX"), encoding="utf-8")

    refused = onesource("calendar", "amend", str(path))

    assert refused.status == 5
    assert "'XX' has no calendar here; known: CN" in refused.err
