"""Unit tests of `bus.adapters.kafka.log_reader`: what does not come back, or not yet."""

import functools
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata, TopicMetadata
from typing_extensions import override

from bus.adapters.kafka import log_reader as module
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.kafka_admin import KafkaAdmin
from bus.adapters.kafka.log_reader import KafkaLogReader, KafkaLogReaders
from bus.errors import AccessDenied, BrokerUnavailable, BusError
from bus.ports import Committed, Partition

WHERE = Partition("t", 0)
#: For how long a controller waits for a broker that it does not hear of (Kafka's default).
_SESSION_SECONDS = 9.0


class HungConsumer:
    """A consumer of which the first waits without end for a coordinator when it commits."""

    made: list["HungConsumer"]
    released: threading.Event

    def __init__(self, _config: dict[str, Any], *, logger: object) -> None:
        self.number = len(self.made)
        self.made.append(self)
        self.assigned: list[tuple[str, int, int]] = []
        self.commits = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = [(each.topic, each.partition, each.offset) for each in partitions]

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert offsets
        assert not asynchronous
        if self.number == 0:
            self.released.wait()
        self.commits += 1


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaLogReader]:
    """Return a reader of which the first consumer hangs; it is let go at the end."""
    HungConsumer.made, HungConsumer.released = [], threading.Event()
    monkeypatch.setattr(module, "Consumer", HungConsumer)
    monkeypatch.setattr(module, "_COMMIT_SECONDS", 0.1)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    yield KafkaLogReader(connection, "group", {WHERE: 5})
    HungConsumer.released.set()


def test_a_commit_that_never_ends_is_given_up_and_the_reader_goes_on(
    reader: KafkaLogReader,
) -> None:
    """A subscriber whose coordinator is gone reads on from where it is, and commits later."""
    reader.seek(WHERE, 7)

    with pytest.raises(BrokerUnavailable, match="no answer and no error"):
        reader.commit({WHERE: Committed(7, "")})
    reader.commit({WHERE: Committed(7, "")})

    first, second = HungConsumer.made
    assert (first.commits, second.commits) == (0, 1)
    assert second.assigned == [("t", 0, 7)]


class Said:
    """What a consumer returns: a record, or an error."""

    def __init__(self, code: int | None = None) -> None:
        self.code = code

    def error(self) -> KafkaError | None:
        return None if self.code is None else KafkaError(self.code)

    def topic(self) -> str:
        return WHERE.topic

    def partition(self) -> int:
        return WHERE.number

    def offset(self) -> int:
        return 5


class TellingConsumer(HungConsumer):
    """A consumer that returns what it was told to, one at a time."""

    says: list[Said]

    def consume(self, _most: int, _seconds: float) -> list[Said]:
        return [self.says.pop(0)] if self.says else []


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> KafkaLogReader:
    """Return a reader with a consumer that says what the test wants; its patience is over."""
    HungConsumer.made, TellingConsumer.says = [], []
    monkeypatch.setattr(module, "Consumer", TellingConsumer)
    monkeypatch.setattr(module, "_LEADER_SECONDS", -1.0)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    return KafkaLogReader(connection, "group", {WHERE: 5})


UNKNOWN_TOPIC = KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_topic_that_was_just_made_may_be_unknown_at_first(
    telling: KafkaLogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEADER_SECONDS", 3600.0)
    TellingConsumer.says = [Said(UNKNOWN_TOPIC), Said()]

    assert list(telling.read(1, 0)) == []
    assert len(telling.read(1, 0)) == 1
    assert telling.position(WHERE) == 6


def test_a_topic_that_stays_unknown_is_told(telling: KafkaLogReader) -> None:
    TellingConsumer.says = [Said(UNKNOWN_TOPIC)]

    with pytest.raises(BrokerUnavailable, match="t/0 is not known"):
        telling.read(1, 0)
    # The client says it only once.
    with pytest.raises(BrokerUnavailable, match="t/0 is not known"):
        telling.read(1, 0)


def test_a_position_outside_the_log_is_told_at_once(telling: KafkaLogReader) -> None:
    TellingConsumer.says = [Said(KafkaError._AUTO_OFFSET_RESET)]

    with pytest.raises(BrokerUnavailable, match="t/0"):
        telling.read(1, 0)


class AskedAdmin:
    """An admin client whose answers are errors until it has none left."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.seconds = 1.0
        self.client = object()

    def ask(self, _request: object) -> dict[Partition, int]:
        if self.codes:
            raise KafkaException(KafkaError(self.codes.pop(0)))
        return {WHERE: 9}

    def renew(self, _used: object) -> None:
        pass


def asking(monkeypatch: pytest.MonkeyPatch, *codes: int) -> KafkaLogReaders:
    """Return readers whose questions for offsets are first answered with errors."""
    monkeypatch.setattr(module, "KafkaAdmin", lambda *_, **__: AskedAdmin(*codes))
    monkeypatch.setattr(module, "_LEADER_PAUSE_SECONDS", 0.0)
    return KafkaLogReaders(
        KafkaConnection(bootstrap="none:1", username="u", password="p"), group="g"
    )


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN,
        KafkaError._TRANSPORT,
        KafkaError._DESTROY,
    ],
)
def test_offsets_are_asked_for_again_while_that_may_help(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    assert asking(monkeypatch, code, code).ends([WHERE]) == {WHERE: 9}


class Clock:
    """A clock that goes on when it is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        # It is dead: everybody is told so at once, until others lead.
        (0.0, KafkaError.LEADER_NOT_AVAILABLE),
        # It stands still: who has asked it for the leaders, and then for the offsets, waits.
        (20.0, KafkaError.OFFSET_NOT_AVAILABLE),
    ],
)
def test_one_broker_of_several_may_be_away_until_others_lead_in_its_place(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, seconds: float, code: int
) -> None:
    """A router that is starting, or whose group is rebalanced, would end."""

    class AwayAdmin(AskedAdmin):
        @override
        def ask(self, _request: object) -> dict[Partition, int]:
            if clock.now < _SESSION_SECONDS:
                clock.now += seconds
                raise KafkaException(KafkaError(code))
            return {WHERE: 9}

    monkeypatch.setattr(module, "KafkaAdmin", lambda *_, **__: AwayAdmin())
    readers = KafkaLogReaders(
        KafkaConnection(bootstrap="none:1", username="u", password="p"), group="g"
    )

    assert readers.ends([WHERE]) == {WHERE: 9}


def test_offsets_that_nobody_knows_are_given_up(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    readers = asking(monkeypatch, *[KafkaError.LEADER_NOT_AVAILABLE] * 1_000)
    monkeypatch.setattr(module, "_LEADER_PAUSE_SECONDS", 1.0)

    with pytest.raises(BrokerUnavailable, match="could not ask for offsets"):
        readers.ends([WHERE])
    assert clock.now > _SESSION_SECONDS


def described(topic: str, fault: int | None) -> ClusterMetadata:
    """Return what a client answers that was asked for a topic."""
    found, cluster = TopicMetadata(), ClusterMetadata()
    found.error = None if fault is None else KafkaError(fault)
    cluster.topics = {topic: found}
    return cluster


class LosingAdmin:
    """An admin client that answers with no offset at first, as librdkafka does now and then."""

    def __init__(self, *offsets: int) -> None:
        self.offsets = list(offsets)

    def list_topics(self, topic: str, *, timeout: float) -> ClusterMetadata:
        assert timeout
        return described(topic, None)

    def list_offsets(
        self, asked: dict[TopicPartition, object], **_: object
    ) -> dict[TopicPartition, "Future[LosingAdmin]"]:
        done: Future[LosingAdmin] = Future()
        done.set_result(self)
        return dict.fromkeys(asked, done)

    @property
    def offset(self) -> int:
        return self.offsets.pop(0)


def test_an_answer_without_an_offset_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that has records would look empty: fills would fail, memberships be forgotten."""
    client = LosingAdmin(-1001, -1001, 9)
    connect = functools.partial(KafkaAdmin, connect=lambda _: cast("AdminClient", client))
    monkeypatch.setattr(module, "KafkaAdmin", connect)
    monkeypatch.setattr(module, "_LEADER_PAUSE_SECONDS", 0.0)
    readers = KafkaLogReaders(
        KafkaConnection(bootstrap="none:1", username="u", password="p"), group="g"
    )

    assert readers.ends([WHERE]) == {WHERE: 9}


@pytest.mark.parametrize(
    ("code", "fault", "says"),
    [
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, BrokerUnavailable, "could not ask for offsets"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AccessDenied, "t may not be read"),
    ],
)
def test_what_is_not_allowed_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, code: int, fault: type[BusError], says: str
) -> None:
    readers = asking(monkeypatch, code)

    with pytest.raises(fault, match=says):
        readers.ends([WHERE])
    assert readers.ends([WHERE]) == {WHERE: 9}


class BelievingAdmin(LosingAdmin):
    """An admin client that believes what it was told of topics, until it lists them again."""

    def __init__(self, refused: set[str]) -> None:
        super().__init__()
        #: What the broker says, and what the client believes.
        self.refused = refused
        self.believed: dict[str, bool] = {}

    @override
    def list_topics(self, topic: str, *, timeout: float) -> ClusterMetadata:
        self.believed[topic] = topic in self.refused
        fault = KafkaError.TOPIC_AUTHORIZATION_FAILED if self.believed[topic] else None
        return described(topic, fault)

    @override
    def list_offsets(
        self, asked: dict[TopicPartition, object], **_: object
    ) -> dict[TopicPartition, "Future[LosingAdmin]"]:
        believed = [
            self.believed.setdefault(each.topic, each.topic in self.refused) for each in asked
        ]
        answers: dict[TopicPartition, Future[LosingAdmin]] = {each: Future() for each in asked}
        for (where, answer), known in zip(answers.items(), believed, strict=True):
            if all(believed):
                answer.set_exception(KafkaException(KafkaError(KafkaError._NOENT)))
            elif known or where.topic in self.refused:
                code = KafkaError.TOPIC_AUTHORIZATION_FAILED
                answer.set_exception(KafkaException(KafkaError(code)))
            else:
                answer.set_result(LosingAdmin(9))
        return answers


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Let clients be made of a broker that refuses these topics."""
    topics: set[str] = set()
    connect = functools.partial(
        KafkaAdmin, connect=lambda _: cast("AdminClient", BelievingAdmin(topics))
    )
    monkeypatch.setattr(module, "KafkaAdmin", connect)
    monkeypatch.setattr(module, "_LEADER_PAUSE_SECONDS", 0.0)
    return topics


@pytest.mark.parametrize("others", [(), ("u",), ("u", "v")])
def test_a_topic_that_was_refused_is_looked_at_anew(
    refused: set[str], others: tuple[str, ...]
) -> None:
    readers = KafkaLogReaders(
        KafkaConnection(bootstrap="none:1", username="u", password="p"), group="g"
    )
    asked = [Partition(topic, 0) for topic in ("t", *others)]

    for where in asked:
        refused.add(where.topic)
        with pytest.raises(AccessDenied, match="may not be read"):
            readers.ends(asked)
        refused.clear()
        assert set(readers.ends(asked)) == set(asked)


def test_a_topic_that_is_refused_while_it_is_known_is_told(refused: set[str]) -> None:
    """The client says only that no leader is known."""
    readers = KafkaLogReaders(
        KafkaConnection(bootstrap="none:1", username="u", password="p"), group="g"
    )
    readers.ends([WHERE])
    refused.add("u")

    with pytest.raises(AccessDenied, match="u may not be read"):
        readers.ends([Partition("u", 0)])
