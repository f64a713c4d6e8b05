"""Unit tests of `bus.adapters.kafka.group_consumer`: a member that cannot take part or go on."""

from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from bus.adapters.kafka import group_consumer as module
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.group_consumer import MAX_TOPICS, KafkaGroupConsumer
from bus.domain.topics import MAX_RESOURCES
from bus.errors import BrokerUnavailable, ConfigError
from bus.ports import Partition


class FencedConsumer:
    """A consumer whose static membership another one has taken."""

    def __init__(self, _config: dict[str, Any], *, logger: object) -> None:
        pass

    def subscribe(self, _topics: list[str], **_callbacks: object) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def unsubscribe(self) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))


class FatalMessage:
    """What a consumer returns when its client has hit a fatal error: a pointer to it."""

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._FATAL)

    def topic(self) -> None:
        return None

    def partition(self) -> None:
        return None


class DeadConsumer(FencedConsumer):
    """A consumer that was fenced while it ran."""

    def consume(self, _most: int, _seconds: float) -> list[FatalMessage]:
        return [FatalMessage()]


class Listener:
    """Hears nothing."""

    def assigned(self, partitions: Sequence[Partition]) -> None:
        raise AssertionError(partitions)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        raise AssertionError(partitions)


@pytest.mark.parametrize("topics", [["a"], []])
def test_a_fenced_member_says_that_only_a_new_process_goes_on(
    topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Consumer", FencedConsumer)
    monkeypatch.setattr(module, "leave_unless_it_follows", lambda *_, **__: None)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    consumer = KafkaGroupConsumer(connection, group="g", instance="0")

    with pytest.raises(BrokerUnavailable, match="could not follow"):
        consumer.follow(topics, Listener())


def test_a_member_that_is_fenced_while_it_runs_does_not_run_on_deaf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "Consumer", DeadConsumer)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    consumer = KafkaGroupConsumer(connection, group="g", instance="0")

    with pytest.raises(BrokerUnavailable, match="cannot go on"):
        consumer.consume(1, 0.0)


def test_more_topics_than_the_client_survives_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Consumer", FencedConsumer)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    consumer = KafkaGroupConsumer(connection, group="g", instance="0")

    with pytest.raises(ConfigError, match="10,001 topics"):
        consumer.follow([f"t{number}" for number in range(MAX_TOPICS + 1)], Listener())


def test_the_catalog_has_room_for_no_more_than_a_router_can_follow() -> None:
    assert MAX_RESOURCES <= MAX_TOPICS
