"""The sink on the real Postgres, behind a view in memory, whose topics can be away."""

from collections.abc import Iterator

import psycopg
import pytest

from bus.errors import BrokerUnavailable
from consumers.postgres_sink.sink import PostgresSink
from consumers.view_follower import DESCRIPTOR_SECONDS
from tests import builders
from tests.live_platform import LivePlatform
from tests.subscriber_fakes import Subscribed


@pytest.fixture
def subscribed() -> Subscribed:
    """Return a subscription to a view of two records."""
    made = Subscribed(live=False)
    made.upsert("1")
    made.upsert("2")
    made.fill()
    return made


@pytest.fixture
def dsn(platform: LivePlatform) -> str:
    """Return an empty database of the subscriber's."""
    return platform.new_database()


@pytest.fixture
def sink(subscribed: Subscribed, dsn: str) -> Iterator[PostgresSink]:
    """Return a sink of the subscription."""
    sink = PostgresSink(
        builders.GRANT,
        dsn=dsn,
        schema="public",
        table="towns",
        control=subscribed.control.as_client(),
        readers=subscribed.readers.as_kafka(),
        clock=subscribed.clock,
    )
    yield sink
    sink.close()


def codes(dsn: str) -> list[str]:
    """Return the keys in the table."""
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute("SELECT code FROM towns ORDER BY code")]


def test_a_new_topic_that_could_not_be_opened_is_loaded_by_the_next_step(
    subscribed: Subscribed, sink: PostgresSink, dsn: str
) -> None:
    """The view has moved once; that it could not be followed at once changes nothing."""
    sink.step()
    assert codes(dsn) == ["1", "2"]
    subscribed.move("code")
    subscribed.upsert("2")
    subscribed.fill()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)
    subscribed.readers.failures["open"] = BrokerUnavailable("no leader yet")
    with pytest.raises(BrokerUnavailable):
        sink.step()
    subscribed.readers.failures.clear()

    sink.step()

    assert codes(dsn) == ["2"]
