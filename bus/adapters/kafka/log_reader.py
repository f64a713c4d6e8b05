"""Reading given partitions, and where logs begin and end."""

import time
from collections.abc import Collection, Mapping, Sequence

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from bus.adapters.kafka.bounded_call import in_time
from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.adapters.kafka.kafka_admin import KafkaAdmin
from bus.errors import AccessDenied, BrokerUnavailable
from bus.ports import Committed, Partition, Record

_REQUEST_SECONDS = 30.0
#: Ends and positions are asked for all the time, and answered at once.
_OFFSETS_SECONDS = 10.0
#: A commit has no time-out of its own.
_COMMIT_SECONDS = 10.0
#: A batch with one of these cannot be read, now or later (field-notes: compression bombs).
UNREADABLE = frozenset(
    {
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001 (librdkafka's local errors have an underscore)
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._UNDERFLOW,  # noqa: SLF001
        KafkaError.INVALID_MSG,
    }
)
#: The position is not in the log: going on would be a jump.
POSITION_LOST = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
#: What a client hears of a topic in the moments after it was made, or when there is none.
UNKNOWN = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    }
)
#: To ask again would not help: it is not allowed, or cannot be asked.
_FINAL = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError._INVALID_ARG,  # noqa: SLF001
        KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001
    }
)
#: A client that asks for offsets does not notice by itself that the leader has changed its epoch,
#: as it does when it comes back: only a new one does.
_EPOCH_UNKNOWN = frozenset({KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH})
#: How long a topic that has just been made may be unknown.
_LEADER_SECONDS = 10.0
_LEADER_PAUSE_SECONDS = 0.1
#: How long offsets may not be known. When one of several brokers dies or stands still, nine seconds
#: go by until its controller lets others lead in its place; and a question that it was asked first,
#: for the leaders and then for their offsets, is given up after twice ten. One more must follow.
_FAILOVER_SECONDS = 25.0
_END = KafkaError._PARTITION_EOF  # noqa: SLF001
#: After the first record of a batch, others that are on their way are waited for this long.
_LINGER_SECONDS = 0.005
#: How long one look at a position may take before it counts as readable or not.
_PROBE_SECONDS = 15.0


class KafkaLogReaders:
    """See `bus.ports.LogReaders`; the account must be allowed to use `group`."""

    def __init__(self, connection: KafkaConnection, *, group: str) -> None:
        self._connection = connection
        self._group = group
        self._admin = KafkaAdmin(connection, seconds=_OFFSETS_SECONDS)
        self._known: AdminClient | None = None

    def open(self, starts: Mapping[Partition, int]) -> "KafkaLogReader":
        return KafkaLogReader(self._connection, self._group, starts)

    def beginnings(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def group_positions(
        self, group: str, partitions: Collection[Partition]
    ) -> Mapping[Partition, int]:
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*each) for each in partitions])

        def request(client: AdminClient) -> list[TopicPartition]:
            futures = client.list_consumer_group_offsets(
                [asked], request_timeout=self._admin.seconds
            )
            found: list[TopicPartition] = self._admin.answer(futures[group]).topic_partitions
            return found

        try:
            answer = self._admin.ask(request)
        except KafkaException as error:
            raise BrokerUnavailable(f"positions of {group} are not known: {error}") from error
        return {
            Partition(each.topic, each.partition): each.offset
            for each in answer
            if each.offset >= 0
        }

    def _offsets(
        self, partitions: Collection[Partition], spec: OffsetSpec
    ) -> Mapping[Partition, int]:
        """Ask for offsets, again for a while: what was just made, or lost, has no leader yet."""
        deadline = time.monotonic() + _FAILOVER_SECONDS
        while True:
            try:
                return self._admin.ask(lambda client: self._ask(client, partitions, spec))
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    self._forget_refusals(partitions)
                    raise AccessDenied(f"{_names(partitions)} may not be read") from error
                if code == KafkaError._NOENT:  # noqa: SLF001
                    # No leader at all, which may be because of a refusal: `_ask` finds out.
                    self._known = None
                if code in _EPOCH_UNKNOWN:
                    self._admin.renew(self._admin.client)
                if code in _FINAL or time.monotonic() > deadline:
                    raise BrokerUnavailable(f"could not ask for offsets: {error}") from error
                time.sleep(_LEADER_PAUSE_SECONDS)

    def _forget_refusals(self, partitions: Collection[Partition]) -> None:
        """Let the next question be a new one: a client believes a refusal for 15 minutes."""
        # Looked at anew before it is asked about; with several topics, that is the first one only.
        self._known = None
        if len({each.topic for each in partitions}) > 1:
            self._admin.renew(self._admin.client)

    def _ask(
        self, client: AdminClient, partitions: Collection[Partition], spec: OffsetSpec
    ) -> Mapping[Partition, int]:
        if not partitions:
            return {}
        if client is not self._known:
            # While a client is still getting to know its first broker, its question for the leader
            # may get lost, and is asked again three seconds later.
            topic = next(iter(partitions)).topic
            found = client.list_topics(topic, timeout=self._admin.seconds).topics[topic]
            if found.error and found.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise KafkaException(found.error)
            self._known = client
        futures = client.list_offsets(
            {TopicPartition(topic, number): spec for topic, number in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=self._admin.seconds,
        )
        offsets = {
            Partition(where.topic, where.partition): int(self._admin.answer(future).offset)
            for where, future in futures.items()
        }
        if any(offset < 0 for offset in offsets.values()):
            # A request that failed as a whole, with its connection, comes back as an answer without
            # a fault and without an offset (-1001): librdkafka 2.16 merges what brokers answer and
            # forgets that one did not. Taken for an answer, a log that has records looks empty.
            raise KafkaException(KafkaError(KafkaError.OFFSET_NOT_AVAILABLE))
        return offsets


class KafkaLogReader:
    """See `bus.ports.LogReader`."""

    def __init__(
        self, connection: KafkaConnection, group: str, starts: Mapping[Partition, int]
    ) -> None:
        self._connection = connection
        self._group = group
        self._consumer = self._connect()
        self._positions = dict(starts)
        #: What the client says that there is not, and until when that is waited for.
        self._unknown: dict[Partition, float] = {}
        self._assign()

    def read(self, most: int, seconds: float) -> Sequence[Record]:
        try:
            # Asked for many at once, the client would wait for all of them.
            messages = self._consumer.consume(1 if seconds else most, seconds)
            if messages and seconds:
                messages += self._consumer.consume(most - 1, _LINGER_SECONDS)
        except KafkaException as error:
            raise BrokerUnavailable(f"could not read: {error}") from error
        records: list[Record] = []
        noted = 0
        for message in messages:
            fault = message.error()
            if fault is None:
                records.append(message)
                continue
            # In order: what a fault says of a partition holds after what was read of it.
            self._note_read(records[noted:])
            noted = len(records)
            partition = Partition(message.topic() or "", message.partition() or 0)
            offset = message.offset() or 0
            if fault.code() == _END:
                # Markers of transactions take offsets too; the end of the log is beyond them.
                self._positions[partition] = max(self._positions[partition], offset)
                self._unknown.pop(partition, None)
            elif fault.code() in UNKNOWN:
                self._unknown.setdefault(partition, time.monotonic() + _LEADER_SECONDS)
            elif fault.code() in UNREADABLE:
                self.seek(
                    partition, first_readable(self._connection, self._group, partition, offset)
                )
            elif fault.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise AccessDenied(f"{partition.topic} may not be read")
            elif fault.code() in POSITION_LOST or is_fatal(fault):
                raise BrokerUnavailable(f"{partition.topic}/{partition.number}: {fault.str()}")
        self._note_read(records[noted:])
        self._give_up_unknown()
        return records

    def _note_read(self, records: Sequence[Record]) -> None:
        """Note where the partitions of `records` stand; the last of each tells."""
        last: dict[tuple[str | None, int | None], Record] = {
            (record.topic(), record.partition()): record for record in records
        }
        for record in last.values():
            partition = Partition(record.topic() or "", record.partition() or 0)
            self._positions[partition] = (record.offset() or 0) + 1
            self._unknown.pop(partition, None)

    def position(self, partition: Partition) -> int:
        return self._positions[partition]

    def seek(self, partition: Partition, position: int) -> None:
        self._positions[partition] = position
        self._assign()

    def committed(self) -> Mapping[Partition, Committed]:
        """Return what the group has committed for these partitions, as far as it has."""
        asked = [TopicPartition(*each) for each in self._positions]
        try:
            answer = self._consumer.committed(asked, timeout=_REQUEST_SECONDS)
        except KafkaException as error:
            raise BrokerUnavailable(f"committed positions are not known: {error}") from error
        return {
            Partition(each.topic, each.partition): Committed(each.offset, each.metadata or "")
            for each in answer
            if each.offset >= 0
        }

    def commit(self, positions: Mapping[Partition, Committed]) -> None:
        """Commit positions in the group's name."""
        offsets = [
            TopicPartition(*where, committed.position, committed.note)
            for where, committed in positions.items()
        ]
        consumer = self._consumer
        try:
            in_time(lambda: consumer.commit(offsets=offsets, asynchronous=False), _COMMIT_SECONDS)
        except TimeoutError as error:
            # It waits for a coordinator that was gone from metadata for a moment, for ever.
            self._consumer = self._connect()
            self._assign()
            raise BrokerUnavailable(f"could not commit positions: {error}") from error
        except KafkaException as error:
            raise BrokerUnavailable(f"could not commit positions: {error}") from error

    def close(self) -> None:
        self._consumer.close()

    def _give_up_unknown(self) -> None:
        """Raise `BrokerUnavailable` if a partition has been unknown for too long."""
        for partition, until in self._unknown.items():
            if time.monotonic() > until:
                where = f"{partition.topic}/{partition.number}"
                raise BrokerUnavailable(f"{where} is not known to the broker")

    def _connect(self) -> Consumer:
        return Consumer(
            self._connection.client(
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="error",
                isolation_level="read_committed",
                check_crcs=True,
                enable_partition_eof=True,
                fetch_queue_backoff_ms=20,
            ),
            logger=LOGGER,
        )

    def _assign(self) -> None:
        # Assigning anew drops what was fetched ahead, and works before the client has connected,
        # when a seek would fail.
        self._consumer.assign(
            [TopicPartition(*where, start) for where, start in self._positions.items()]
        )


def _names(partitions: Collection[Partition]) -> str:
    """Name the topics, or the first and how many more."""
    topics = sorted({each.topic for each in partitions})
    return topics[0] if len(topics) == 1 else f"{topics[0]} or one of {len(topics) - 1} more"


def is_fatal(error: KafkaError) -> bool:
    """Tell whether the client is dead: the error says so, or is of the kind that points to one."""
    return bool(error.fatal()) or error.code() == KafkaError._FATAL  # noqa: SLF001


def first_readable(
    connection: KafkaConnection, group: str, partition: Partition, start: int
) -> int:
    """Return the first position at or after `start` behind the unreadable batch there."""
    consumer = Consumer(
        connection.client(
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="error",
            check_crcs=True,
            enable_partition_eof=True,
        ),
        logger=LOGGER,
    )
    try:
        return _end_of_batch(consumer, partition, start)
    finally:
        consumer.close()


def _end_of_batch(consumer: Consumer, partition: Partition, start: int) -> int:
    """
    Return the end of the unreadable batch that begins at or before `start`.

    The client does not say how many records a batch has that it cannot read. Fetches at ever
    larger positions find one beyond it, and bisection the first such.
    """
    batch = _unreadable_batch(consumer, partition, start)
    inside, step = start, 1
    while _unreadable_batch(consumer, partition, inside + step) == batch:
        inside += step
        step *= 2
    outside = inside + step
    while outside - inside > 1:
        middle = (inside + outside) // 2
        if _unreadable_batch(consumer, partition, middle) == batch:
            inside = middle
        else:
            outside = middle
    return outside


def _unreadable_batch(consumer: Consumer, partition: Partition, position: int) -> int | None:
    """Return where the unreadable batch at `position` begins; None: what is there can be read."""
    consumer.assign([TopicPartition(*partition, position)])
    deadline = time.monotonic() + _PROBE_SECONDS
    while time.monotonic() < deadline:
        message: Message | None = consumer.poll(0.5)
        if message is None:
            continue
        fault = message.error()
        if fault is None or fault.code() == _END or fault.code() in POSITION_LOST | UNKNOWN:
            return None
        if fault.code() in UNREADABLE:
            return message.offset()
    raise BrokerUnavailable(f"could not look at {partition.topic}/{partition.number}@{position}")
