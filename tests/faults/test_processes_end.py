"""
What happens when processes end in the middle of their work: nothing is lost, nothing comes twice.

Each is killed (SIGKILL) while records flow, and started again as the supervisor would.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.domain.names import subscription_principal
from bus.errors import StoreUnavailable, WriterFenced
from bus.settings import CREDENTIALS_FOLDER
from consumers import Subscriber
from tests.integration.test_end_to_end import open_sink, open_subscriber, take, town
from tests.live_platform import LivePlatform, running_platform, wait_until

RECORDS = 4_000
TABLE = "towns"
MOST_EDITIONS = 200
#: Brokers close connections that are idle for ten seconds.
QUIET_SECONDS = 13
#: A broker that is not heard of for nine seconds is taken out of the cluster.
PAUSE_SECONDS = 14
_ROUTED = "onesource_router_records_read_total"
_ABORTED = "onesource_router_transactions_aborted_total"


pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def platform() -> Iterator[LivePlatform]:
    """
    Start a platform of the module's own.

    The session's has hundreds of topics by then, and a broker that was killed looks through all of
    their logs before it serves again.
    """
    with (
        tempfile.TemporaryDirectory(prefix="onesource-faults-") as folder,
        running_platform(Path(folder)) as running,
    ):
        yield running


@pytest.fixture
def entry(platform: LivePlatform) -> CatalogEntry:
    """Return a resource of the test's own."""
    return platform.new_resource()


@pytest.fixture
def grants(platform: LivePlatform, entry: CatalogEntry) -> tuple[Grant, ...]:
    """Return three grants: everything, a filter that records enter and leave, fewer items."""
    return (
        platform.new_grant(entry),
        platform.new_grant(entry, row_filter='district == "east"'),
        platform.new_grant(entry, row_filter="population > 5", items=["code", "population"]),
    )


def publish(platform: LivePlatform, entry: CatalogEntry, turn: int) -> None:
    """Publish an edition, other values each `turn`; after the first, delete every tenth record."""
    with platform.publisher(entry) as publisher:
        for number in range(RECORDS):
            if turn and number % 10 == turn % 10:
                publisher.delete({"code": str(number)})
                continue
            district = "east" if (number + turn) % 3 else "west"
            record = town(str(number), district=district, population=(number + turn) % 11)
            publisher.upsert(record)


@contextmanager
def publishing(platform: LivePlatform, entry: CatalogEntry) -> Iterator[None]:
    """Publish edition after edition in a thread of its own; all of it has been accepted after."""
    over = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for turn in range(MOST_EDITIONS):
                publish(platform, entry, turn)
                if over.is_set():
                    break
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(180)
    assert not thread.is_alive()
    assert failures == []


def routed(platform: LivePlatform) -> float:
    """Return how many records the router that runs now has read."""
    try:
        return platform.metric("router", _ROUTED)
    except OSError:
        return 0.0


def test_a_router_killed_three_times_while_an_edition_is_published(
    platform: LivePlatform, entry: CatalogEntry, grants: tuple[Grant, ...]
) -> None:
    """Invariants 1 and 4: `onesource verify` of every subscription says equal."""
    with publishing(platform, entry):
        for _ in range(3):
            before = routed(platform)
            wait_until(partial(_more, lambda: routed(platform), before), "the router routes")
            platform.kill("router")
            platform.restart("router")

    for grant in grants:
        assert platform.verify(grant).well


def test_a_broker_killed_while_an_edition_is_published(
    platform: LivePlatform, entry: CatalogEntry, grants: tuple[Grant, ...]
) -> None:
    """The publisher waits and goes on; everybody else finds the way back without help."""
    with platform.supervised(), open_subscriber(platform, grants[0]) as subscriber:
        with publishing(platform, entry):
            take(subscriber, 10)
            platform.kill("kafka")

        another = platform.new_grant(entry, items=["code"])
        for grant in (*grants, another):
            assert platform.verify(grant, wait_seconds=120).well
        with platform.publisher(entry) as publisher:
            publisher.upsert(town("last"))
        wait_until(
            lambda: any(change.key == "last" for change in subscriber.poll(0.1)),
            "the subscriber goes on",
        )


def test_a_broker_that_stands_still_is_found_again_by_everyone(
    platform: LivePlatform, entry: CatalogEntry, grants: tuple[Grant, ...]
) -> None:
    """
    ADR 0014: for a moment after it goes on, metadata has no broker at all, as on a starved machine.

    What was waited for passes control's relay, the router's follower, group and transactions, the
    fill watch, and the subscriber.
    """
    pid = platform.pid("kafka")
    with platform.supervised(), open_subscriber(platform, grants[0]) as subscriber:
        with publishing(platform, entry):
            take(subscriber, 10)
            os.kill(pid, signal.SIGSTOP)
            # This is the pause, not a wait for something to happen.
            time.sleep(PAUSE_SECONDS)
            os.kill(pid, signal.SIGCONT)

        another = platform.new_grant(entry, items=["code"])
        for grant in (*grants, another):
            assert platform.verify(grant).well
        with platform.publisher(entry) as publisher:
            publisher.upsert(town("last"))
        wait_until(
            lambda: any(change.key == "last" for change in subscriber.poll(0.1)),
            "the subscriber goes on",
        )
    wait_until(lambda: '"ready"' in platform.condition().splitlines()[0], "control is ready")


def test_quiet_times_longer_than_connections_live_hold_nothing_up(
    platform: LivePlatform, entry: CatalogEntry, grants: tuple[Grant, ...]
) -> None:
    """ADR 0014: after a quiet time no transaction is aborted, and no router is fenced."""
    pid = platform.pid("router")
    aborted = platform.metric("router", _ABORTED)
    with platform.publisher(entry) as publisher, open_subscriber(platform, grants[0]) as subscriber:
        for name in ("first", "second", "third"):
            publisher.upsert(town("1", name=name))
            wait_until(partial(_arrives, subscriber, name), "it arrives")
            # This is the quiet time, not a wait for something to happen.
            time.sleep(QUIET_SECONDS)

    assert platform.pid("router") == pid
    assert platform.metric("router", _ABORTED) == aborted


def _arrives(subscriber: Subscriber, name: str) -> bool:
    return any((change.record or {}).get("name") == name for change in subscriber.poll(0.1))


def test_a_database_killed_leaves_the_data_flowing(
    platform: LivePlatform, entry: CatalogEntry, grants: tuple[Grant, ...]
) -> None:
    """The data plane needs no Postgres: the policy is in Kafka."""
    publisher = platform.publisher(entry)
    with open_subscriber(platform, grants[0]) as subscriber, publisher:
        publisher.upsert(town("before"))
        take(subscriber, 1)
        with platform.without("postgres"):
            with pytest.raises(StoreUnavailable):
                platform.apply()
            publisher.upsert(town("while away"))
            wait_until(
                lambda: any(change.key == "while away" for change in subscriber.poll(0.1)),
                "the subscriber receives it",
            )

    another = platform.new_grant(entry, items=["code"])
    assert platform.verify(another).well


def test_a_sink_killed_at_any_moment_keeps_its_table_exact(
    platform: LivePlatform, entry: CatalogEntry, grants: tuple[Grant, ...]
) -> None:
    """Rows and position are one transaction: killed three times, the table is what it must be."""
    dsn = platform.new_database()
    grant = grants[1]

    with publishing(platform, entry):
        for _ in range(3):
            before = _received(dsn)
            with sink_process(platform, grant, dsn) as process:
                wait_until(partial(_more, lambda: _received(dsn), before), "the sink receives")
                process.kill()
    with sink_process(platform, grant, dsn):
        verified = platform.verify(grant)
        compared = platform.compare_table(grant, dsn, TABLE, verified)

    assert verified.well
    assert compared.equal


def test_a_second_sink_takes_over_and_the_first_writes_no_more(
    platform: LivePlatform, entry: CatalogEntry, grants: tuple[Grant, ...]
) -> None:
    dsn = platform.new_database()
    grant = grants[0]
    publish(platform, entry, 0)
    first = open_sink(platform, grant, dsn)
    wait_until(lambda: first.step() or _received(dsn) > 0, "the first one receives")

    second = open_sink(platform, grant, dsn)
    wait_until(lambda: second.step() == 0 and _received(dsn) >= RECORDS, "the second one is there")
    publish(platform, entry, 0)
    with pytest.raises(WriterFenced):
        wait_until(lambda: first.step() < 0, "the first one notices")
    verified = platform.verify(grant)
    wait_until(lambda: second.step() == 0 and _received(dsn) >= 2 * RECORDS, "the second goes on")
    compared = platform.compare_table(grant, dsn, TABLE, verified)
    first.close()
    second.close()

    assert compared.equal


def test_a_database_of_a_sink_that_goes_away_is_waited_for(
    platform: LivePlatform, entry: CatalogEntry, grants: tuple[Grant, ...]
) -> None:
    dsn = platform.new_database()
    grant = grants[0]
    publisher = platform.publisher(entry)
    with sink_process(platform, grant, dsn) as process:
        publish(platform, entry, 0)
        wait_until(lambda: _received(dsn) > 0, "the sink receives")
        with platform.without("postgres"), publisher:
            publisher.upsert(town("while away"))

        assert platform.compare_table(grant, dsn, TABLE, platform.verify(grant)).equal
        assert process.poll() is None


def _more(count: Callable[[], float], before: float) -> bool:
    return count() > before


@contextmanager
def sink_process(
    platform: LivePlatform, grant: Grant, dsn: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `onesource sink postgres`; it is asked to stop at the end."""
    credentials = subscription_principal(grant.id)
    folder = platform.folder.root / CREDENTIALS_FOLDER
    process = subprocess.Popen(
        [sys.executable, "-m", "bus.cli.main", "sink", "postgres", grant.id, "--table", TABLE],
        env={
            **platform.environment(),
            "ONESOURCE_SINK_DSN": dsn,
            "ONESOURCE_CREDENTIALS": str(folder / f"{credentials}.json"),
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
        process.wait(60)


def _received(dsn: str) -> int:
    """Return how many changes a sink's transactions have taken in."""
    try:
        with psycopg.connect(dsn) as connection:
            row = connection.execute(
                "SELECT upserts + deletes + left_view FROM onesource_sink.subscription"
            ).fetchone()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return 0
    return int(row[0]) if row else 0
