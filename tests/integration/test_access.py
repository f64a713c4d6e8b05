"""
Who may read and write what, enforced by Kafka itself.

The clients here are plain confluent-kafka ones with a principal's own credentials: no code of ours
stands between them and the broker.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from bus.adapters.control_http.client import ControlClient
from bus.adapters.kafka.access_admin import KafkaAccessAdmin
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.kafka.quotas import ClientQuotas
from bus.domain.access import OPERATOR, AccessRule, Operation, Resource
from bus.domain.grant import Grant
from bus.domain.names import (
    POLICY_TOPIC,
    ROUTER_STATE_TOPIC,
    group_prefix,
    provider_principal,
    subscription_principal,
)
from bus.errors import AccessDenied, BrokerUnavailable, DeliveryFailed
from bus.ports import Partition
from consumers import Subscriber
from producers import Publication, Publisher
from tests import builders
from tests.live_platform import LivePlatform, wait_until

DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError._FATAL,
}


def read_one(kafka: KafkaConnection, topic: str, group: str) -> bytes | int:
    """Return the first value on a topic, or the code of the error that comes instead."""
    consumer = Consumer(
        kafka.client(group_id=group, auto_offset_reset="earliest", enable_auto_commit=False)
    )
    try:
        consumer.subscribe([topic])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                return error.code()
            return message.value() or b""
    finally:
        consumer.close()
    raise AssertionError("neither a record nor a refusal")


def produce_one(kafka: KafkaConnection, topic: str, **settings: object) -> int | None:
    """Write a record; return the code of the error that comes, None if it is accepted."""
    outcome: list[int | None] = []

    def delivered(error: KafkaError | None, _message: object) -> None:
        outcome.append(None if error is None else error.code())

    producer = Producer(kafka.client(**{"message_timeout_ms": 15_000, **settings}))
    try:
        producer.produce(topic, b"value", b"key", on_delivery=delivered)
    except KafkaException as error:
        return int(error.args[0].code())
    producer.flush(20)
    assert outcome
    return outcome[0]


@pytest.fixture(scope="module")
def grants(platform: LivePlatform) -> tuple[Grant, Grant]:
    """Return two grants on one resource, each with a record in its view."""
    entry = platform.new_resource()
    east = platform.new_grant(entry, row_filter='district == "east"')
    west = platform.new_grant(entry, row_filter='district == "west"')
    with platform.publisher(entry) as publisher:
        for district in ("east", "west"):
            record = {"code": district, "name": "x", "district": district, "population": None}
            publisher.upsert(record)
    return east, west


def test_a_subscriber_reads_its_own_view(
    platform: LivePlatform, grants: tuple[Grant, Grant]
) -> None:
    east, _ = grants
    principal = subscription_principal(east.id)
    topic = platform.descriptor(east)["topic"]

    found = read_one(platform.kafka(principal), topic, f"{group_prefix(principal)}x")

    assert isinstance(found, bytes)
    assert b"east" in found


@pytest.mark.parametrize("what", ["view", "source", "state", "policy", "dead letters"])
def test_a_subscriber_reads_nothing_else(
    platform: LivePlatform, grants: tuple[Grant, Grant], what: str
) -> None:
    """R-110: not another's view, not the provider's topic, not what is the bus's own."""
    east, west = grants
    principal = subscription_principal(east.id)
    topics = {
        "view": platform.descriptor(west)["topic"],
        "source": f"os.src.cn.{builders.PROVIDER}.{east.resource}.1",
        "state": ROUTER_STATE_TOPIC,
        "policy": POLICY_TOPIC,
        "dead letters": f"os.dlq.cn.{east.resource}",
    }

    found = read_one(platform.kafka(principal), topics[what], f"{group_prefix(principal)}x")

    assert found == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_subscriber_uses_no_other_group(
    platform: LivePlatform, grants: tuple[Grant, Grant]
) -> None:
    east, west = grants
    kafka = platform.kafka(subscription_principal(east.id))
    other = f"{group_prefix(subscription_principal(west.id))}x"

    for group in (other, "os.router", "anything"):
        found = read_one(kafka, platform.descriptor(east)["topic"], group)
        assert found == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_a_subscriber_writes_nowhere(platform: LivePlatform, grants: tuple[Grant, Grant]) -> None:
    east, _ = grants
    kafka = platform.kafka(subscription_principal(east.id))
    source = f"os.src.cn.{builders.PROVIDER}.{east.resource}.1"

    for topic in (platform.descriptor(east)["topic"], source, POLICY_TOPIC):
        assert produce_one(kafka, topic, enable_idempotence=False) in DENIED


def test_an_organisation_writes_only_the_topics_it_is_the_source_of(
    platform: LivePlatform, grants: tuple[Grant, Grant]
) -> None:
    """R-150, invariant 5: one resource has one source."""
    east, _ = grants
    source = f"os.src.cn.{builders.PROVIDER}.{east.resource}.1"
    view = platform.descriptor(east)["topic"]
    stranger = platform.kafka(provider_principal("tourism"))
    provider = platform.kafka(provider_principal(builders.PROVIDER))

    assert produce_one(stranger, source, enable_idempotence=False) in DENIED
    assert produce_one(provider, view, enable_idempotence=False) in DENIED
    assert produce_one(provider, POLICY_TOPIC, enable_idempotence=False) in DENIED


def test_a_publisher_that_may_write_nowhere_says_so(
    platform: LivePlatform, grants: tuple[Grant, Grant]
) -> None:
    """R-118: what was handed over is told not to be accepted, and why, to the last record."""
    east, _ = grants
    publication = Publication.from_descriptor(
        platform.provider().control.publication(east.resource)
    )
    # Who may not see the topic is refused by record; who sees it and may write nowhere, at once.
    reader = platform.kafka(OPERATOR)

    # The interpreter, after some eight calls, calls the client's methods without looking at what
    # they left behind: each publisher has to tell the whole of it.
    for _ in range(12):
        publisher = Publisher(publication, reader)
        for number in range(3):
            publisher.delete_key(str(number).encode())
        report = publisher.flush()
        assert (report.accepted, report.unaccepted) == (0, 3)
        assert "AUTHORIZATION_FAILED" in report.examples[0].reason
        with pytest.raises(DeliveryFailed, match="AUTHORIZATION_FAILED"):
            publisher.delete_key(b"3")


def refused(ask: Callable[[], object]) -> bool:
    """Tell whether Kafka refuses this."""
    try:
        ask()
    except AccessDenied:
        return True
    return False


def test_what_was_refused_once_may_be_asked_for_again(
    platform: LivePlatform, grants: tuple[Grant, Grant]
) -> None:
    """A permission follows its decision; a client believes the refusal of before for long."""
    entry = platform.new_resource()
    other = Partition(platform.descriptor(platform.new_grant(entry))["topic"], 0)
    east, _ = grants
    kafka = platform.kafka(subscription_principal(east.id))
    readers = KafkaLogReaders(kafka, group=f"{group_prefix(kafka.username)}x")

    readers.beginnings([Partition(platform.descriptor(east)["topic"], 0)])
    assert refused(lambda: readers.beginnings([other]))
    KafkaAccessAdmin(platform.admin()).allow({kafka.username: reading(other.topic)})
    wait_until(lambda: not refused(lambda: readers.beginnings([other])), "the topic is shown")

    assert readers.ends([other]) == {other: 0}


def reading(topic: str) -> frozenset[AccessRule]:
    """Return the rules that allow to read a topic."""
    return frozenset([AccessRule(Resource.TOPIC, topic, Operation.READ)])


class MovedControl:
    """The control plane, as it answers when a subscription was moved to another topic."""

    def __init__(self, before: ControlClient, after: ControlClient) -> None:
        self._control, self._after = before, after
        self.topic: str | None = None
        self.asked = 0

    def subscription(self, subscription: str) -> dict[str, Any]:
        content = self._control.subscription(subscription)
        if self.topic is not None:
            self.asked += 1
            content["topic"] = self.topic
        return content

    def schema(self, schema_id: int) -> str:
        return (self._control if self.topic is None else self._after).schema(schema_id)


def test_a_subscriber_that_comes_before_its_permission_waits_for_it(
    platform: LivePlatform, grants: tuple[Grant, Grant]
) -> None:
    """The descriptor names a topic as soon as the decision stands, Kafka shows it after that."""
    east, _ = grants
    entry = platform.new_resource()
    other = platform.new_grant(entry)
    moved_to = platform.descriptor(other)["topic"]
    with platform.publisher(entry) as publisher:
        publisher.upsert({"code": "new", "name": "x", "district": "", "population": None})
    account = platform.subscriber(east)
    control = MovedControl(account.control, platform.subscriber(other).control)
    keys: list[str] = []
    ended = threading.Event()

    def receive() -> None:
        with Subscriber(east.id, kafka=account.kafka, control=cast("ControlClient", control)) as it:
            while not ended.is_set():
                keys.extend(change.key for change in it.poll(0.2))

    with ThreadPoolExecutor(1) as beside:
        receiving = beside.submit(receive)
        try:
            wait_until(lambda: receiving.done() or "east" in keys, "the record of its own view")
            control.topic = moved_to
            wait_until(
                lambda: receiving.done() or control.asked > 1, "it was refused and asks again"
            )
            assert "new" not in keys
            KafkaAccessAdmin(platform.admin()).allow({account.kafka.username: reading(moved_to)})
            wait_until(lambda: receiving.done() or "new" in keys, "the record of the other view")
        finally:
            ended.set()
        receiving.result()


_EVERYTHING = AclBinding(
    ResourceType.TOPIC,
    "os.",
    ResourcePatternType.PREFIXED,
    "User:*",
    "*",
    AclOperation.READ,
    AclPermissionType.ALLOW,
)
ATTEMPTS: dict[str, Callable[[AdminClient], Iterable[Future[object]]]] = {
    "creating a topic": lambda admin: admin.create_topics([NewTopic("os.mine", 1, 1)]).values(),
    "deleting a topic": lambda admin: admin.delete_topics([POLICY_TOPIC]).values(),
    "granting itself": lambda admin: admin.create_acls([_EVERYTHING]).values(),
}


def test_nobody_but_the_bus_reads_permissions(
    platform: LivePlatform, grants: tuple[Grant, Grant]
) -> None:
    """Librdkafka turns the refusal into an empty answer; ours must not take that for "none"."""
    east, _ = grants
    admin = KafkaAccessAdmin(platform.kafka(subscription_principal(east.id)))

    with pytest.raises(BrokerUnavailable, match="describe the cluster"):
        admin.rules()


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("who", ["subscriber", "provider"])
def test_nobody_but_the_bus_administers(
    platform: LivePlatform, grants: tuple[Grant, Grant], who: str, attempt: str
) -> None:
    east, _ = grants
    principal = (
        subscription_principal(east.id)
        if who == "subscriber"
        else provider_principal(builders.PROVIDER)
    )

    admin = AdminClient(platform.kafka(principal).client())

    outcomes = [future.exception() for future in ATTEMPTS[attempt](admin)]

    assert outcomes
    for outcome in outcomes:
        assert isinstance(outcome, KafkaException)
        assert outcome.args[0].code() in DENIED


def test_a_wrong_password_gets_in_nowhere(
    platform: LivePlatform, grants: tuple[Grant, Grant]
) -> None:
    east, _ = grants
    right = platform.kafka(subscription_principal(east.id))
    wrong = KafkaConnection(bootstrap=right.bootstrap, username=right.username, password="wrong")

    with pytest.raises(KafkaException):
        AdminClient(wrong.client()).list_topics(timeout=3)


def test_a_revoked_subscriber_gets_nothing_more_not_even_through_a_parked_fetch(
    platform: LivePlatform,
) -> None:
    """Invariant 6: what is written a second after the revocation, or later, is not seen."""
    entry = platform.new_resource()
    revoked = platform.new_grant(entry)
    # Another grant keeps the same view alive, so that records go on being written to it.
    platform.new_grant(entry)
    principal = subscription_principal(revoked.id)
    topic = platform.descriptor(revoked)["topic"]
    parked = Consumer(
        platform.kafka(principal).client(
            group_id=f"{group_prefix(principal)}parked",
            enable_auto_commit=False,
            auto_offset_reset="error",
            fetch_min_bytes=50_000_000,
            fetch_wait_max_ms=8_000,
            socket_timeout_ms=20_000,
        )
    )
    parked.assign([TopicPartition(topic, 0, 0)])
    parked.poll(1.0)

    platform.declare(revoke=(revoked.id,))
    time.sleep(1.0)
    with platform.publisher(entry) as publisher:
        for number in range(200):
            record = {"code": str(number), "name": "x", "district": "", "population": None}
            publisher.upsert(record)
    deadline = time.monotonic() + 12
    seen = 0
    while time.monotonic() < deadline:
        message = parked.poll(0.5)
        seen += message is not None and message.error() is None
    parked.close()

    assert seen == 0


def test_a_quota_can_be_set_and_taken_away(platform: LivePlatform) -> None:
    """The two private names of kafka-python that the adapter uses do what they must."""
    principal, other = platform.new_code("quota"), platform.new_code("quota")
    quotas = ClientQuotas(platform.admin())

    quotas.set_consumer_byte_rates({principal: 1.0, other: 2.0})
    wait_until(
        lambda: {principal: 1.0, other: 2.0}.items() <= quotas.consumer_byte_rates().items(),
        "the quotas are told",
    )
    # Longer than the broker keeps a connection that idles: the next call finds it closed.
    time.sleep(11)
    quotas.set_consumer_byte_rates({principal: None, other: None})
    wait_until(
        lambda: not {principal, other} & quotas.consumer_byte_rates().keys(),
        "the quotas are gone",
    )
    quotas.close()
