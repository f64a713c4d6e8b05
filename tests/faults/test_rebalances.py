"""A rebalance comes while a transaction is open: it is aborted, and nothing is lost or doubled."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus import metrics
from bus.bootstrap.router import router as connected
from bus.domain.entry import CatalogEntry
from bus.router.router import Router
from bus.router.transaction import Brought, RouterTransaction
from tests.integration.test_end_to_end import town
from tests.live_platform import LivePlatform, running_platform, wait_until

RECORDS = 200
#: Shorter than a transaction may be open, longer than a member takes to join.
MOST_SECONDS = 8.0
_ABORTED = "onesource_router_transactions_aborted_total"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def platform() -> Iterator[LivePlatform]:
    """Start a platform with few partitions, so that each router has some of the resource's."""
    with (
        tempfile.TemporaryDirectory(prefix="onesource-rebalances-") as folder,
        running_platform(Path(folder)) as running,
    ):
        yield running


@contextmanager
def routing(router: Router) -> Iterator[None]:
    """Let a router work in a thread of its own."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            router.step()

    thread = threading.Thread(target=work, name="router")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def aborted() -> float:
    """Return how many transactions were aborted in this process."""
    return metrics.ROUTER_REGISTRY.get_sample_value(_ABORTED) or 0.0


def publish(platform: LivePlatform, entry: CatalogEntry, population: int) -> None:
    """Publish a value of each record."""
    with platform.publisher(entry) as publisher:
        for number in range(RECORDS):
            publisher.upsert(town(f"t{number:03d}", population=population))


def test_what_another_router_is_given_is_taken_out_of_an_open_transaction(
    platform: LivePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """design.md §6: the transaction that is open when partitions go away is never seen."""
    entry = platform.new_resource(partitions=4)
    grant = platform.new_grant(entry)
    platform.apply()
    open_now = threading.Event()
    with (
        platform.without("router"),
        connected(platform.settings.model_copy(update={"slot": "0"})) as first,
    ):
        with routing(first):
            publish(platform, entry, population=1)
            assert platform.verify(grant).well
        before = aborted()
        _hold_open(monkeypatch, first, open_now)
        publish(platform, entry, population=2)
        with (
            connected(platform.settings.model_copy(update={"slot": "1"})) as second,
            routing(first),
        ):
            assert open_now.wait(60)
            with routing(second):
                wait_until(lambda: aborted() > before, "the transaction is aborted")
                wait_until(lambda: second._tasks, "the other router has partitions")
                verified = platform.verify(grant)

    assert verified.well
    assert verified.source_records == 2 * RECORDS


def _hold_open(monkeypatch: pytest.MonkeyPatch, router: Router, open_now: threading.Event) -> None:
    """Keep the next transaction with records open until something is taken away from it."""
    bring, has_room = router._bring, router._has_room

    def let_go() -> None:
        monkeypatch.setattr(router, "_bring", bring)
        monkeypatch.setattr(router, "_has_room", has_room)

    def brings_more(seconds: float) -> Brought:
        brought = bring(seconds)
        if router._open is not None and router._open.revoked:
            let_go()
        else:
            brought.more = True
        return brought

    def has_room_until_revoked(transaction: RouterTransaction) -> bool:
        open_seconds = router._clock.monotonic() - transaction.started
        if transaction.records and open_seconds < MOST_SECONDS:
            open_now.set()
            return True
        let_go()
        return False

    monkeypatch.setattr(router, "_bring", brings_more)
    monkeypatch.setattr(router, "_has_room", has_room_until_revoked)
