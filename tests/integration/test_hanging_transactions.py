"""A transaction that nobody ends: noticed with control's account, named and ended by the doctor."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Producer

from bus import metrics
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.kafka.transactions import KafkaTransactions
from bus.adapters.memory.clock import ManualClock
from bus.cli.health import diagnose, end_hanging
from bus.domain.access import CONTROL
from bus.domain.entry import CatalogEntry
from bus.services import open_transactions
from bus.services.open_transactions import HANGS_SECONDS, OpenTransactions
from tests.integration.test_end_to_end import town
from tests.live_platform import LivePlatform, wait_until


@contextmanager
def left_open(platform: LivePlatform, entry: CatalogEntry) -> Iterator[None]:
    """
    Leave a transaction open at the beginning of a resource's source topic.

    It may be open for as long as the broker allows; from outside, one that a broker has forgotten
    looks the same.
    """
    settings = platform.admin().client(
        transactional_id=entry.source_topic, transaction_timeout_ms=60_000
    )
    stranger = Producer(settings)
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce(entry.source_topic, b"never committed", b"x", 0)
    assert stranger.flush(30) == 0
    try:
        yield
    finally:
        stranger.purge()


@contextmanager
def looking(platform: LivePlatform) -> Iterator[Callable[[float], float]]:
    """Let the seconds pass that are given, look, and tell how many partitions hang."""
    kafka = platform.kafka(CONTROL)
    clock = ManualClock()
    with closing(KafkaTransactions(kafka)) as transactions:
        watch = OpenTransactions(
            transactions=transactions, topics=KafkaTopicAdmin(kafka), clock=clock
        )

        def look(seconds: float) -> float:
            clock.sleep(seconds)
            watch.step()
            name = "onesource_hanging_transactions"
            return metrics.CONTROL_REGISTRY.get_sample_value(name) or 0.0

        yield look


def test_a_hanging_transaction_is_noticed_named_and_ended(
    platform: LivePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """design.md §6: nobody reads past an open transaction, so somebody has to learn of it."""
    entry = platform.new_resource()
    grant = platform.new_grant(entry)
    platform.apply()
    name = f"{entry.source_topic}/0 from position 0"
    with left_open(platform, entry), looking(platform) as look:
        with platform.publisher(entry) as publisher:
            publisher.upsert(town("behind"))
        assert look(0) == 0
        assert look(HANGS_SECONDS) == 1

        # So long that no transaction of the platform's own is meant.
        monkeypatch.setattr(open_transactions, "HANGS_SECONDS", 5.0)
        wait_until(
            lambda: any(f"hangs: {name}" in each.what for each in diagnose(platform.folder.root)),
            "the doctor names the transaction",
        )
        assert any(each.startswith(name) for each in end_hanging(platform.folder.root))

        # What stood behind it is routed.
        verified = platform.verify(grant)
        assert verified.well
        assert verified.source_records == 1
        assert look(0) == 0
    assert not any(entry.source_topic in each.what for each in diagnose(platform.folder.root))
