"""A reader of committed records that follows all view topics while everything else breaks."""

import threading
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.ports import Partition

_LOOK_SECONDS = 0.3
_LIST_SECONDS = 2.0
_LIST_EVERY = 5
_MOST = 5_000
_JOIN_SECONDS = 60.0
_END = KafkaError._PARTITION_EOF


class Witness:
    """Notes what it is given, in its order; topics are followed from their first record on."""

    def __init__(self, connection: KafkaConnection, *, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix
        self._seen: dict[str, list[Message]] = {}
        self._positions: dict[Partition, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness")
        self.faults: list[str] = []
        #: How often a client was dead and a new one went on where it had stood.
        self.renewed = 0

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._over.set()
        self._thread.join(_JOIN_SECONDS)

    def has_reached(self, ends: Mapping[Partition, int]) -> bool:
        """Tell whether everything before `ends` has been given to it."""
        return all(self._positions.get(each, 0) >= end for each, end in ends.items())

    def behind(self, ends: Mapping[Partition, int]) -> dict[Partition, tuple[int, int]]:
        """Return (where it stands, the end) where it has not reached the end."""
        stands = {each: self._positions.get(each, 0) for each in ends}
        return {each: (stands[each], end) for each, end in ends.items() if stands[each] < end}

    def seen(self, topic: str) -> list[Message]:
        """Return what it was given of a topic."""
        return self._seen.get(topic, [])

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                consumer = self._connect()
                try:
                    self._read(consumer)
                finally:
                    consumer.close()
        except BaseException as error:
            self.faults.append(repr(error))
            raise

    def _read(self, consumer: Consumer) -> None:
        """Read until it is over, or the client is dead."""
        rounds = 0
        followed: set[Partition] = set()
        while not self._over.is_set():
            if rounds % _LIST_EVERY == 0:
                self._follow(consumer, followed)
            rounds += 1
            for message in consumer.consume(_MOST, _LOOK_SECONDS):
                error = message.error()
                if error is None:
                    self._take(message)
                elif error.code() == _END:
                    # Markers of transactions take offsets, too.
                    where = Partition(message.topic() or "", message.partition() or 0)
                    self._positions[where] = max(self._positions[where], message.offset() or 0)
                elif error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:
                    self.renewed += 1
                    return

    def _take(self, message: Message) -> None:
        topic = message.topic() or ""
        where = Partition(topic, message.partition() or 0)
        self._seen.setdefault(topic, []).append(message)
        self._positions[where] = (message.offset() or 0) + 1

    def _follow(self, consumer: Consumer, followed: set[Partition]) -> None:
        """Follow topics that have come to be."""
        try:
            listed = consumer.list_topics(timeout=_LIST_SECONDS).topics
        except KafkaException:
            return
        there = {
            Partition(topic, number)
            for topic, described in listed.items()
            if topic.startswith(self._prefix)
            for number in described.partitions
        }
        new = there - followed
        if new:
            starts = {each: self._positions.setdefault(each, 0) for each in new}
            consumer.incremental_assign(
                [TopicPartition(*each, start) for each, start in starts.items()]
            )
            followed |= new

    def _connect(self) -> Consumer:
        return Consumer(
            self._connection.client(
                group_id="soak.witness",
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="error",
                enable_partition_eof=True,
                check_crcs=True,
            ),
            logger=LOGGER,
        )
