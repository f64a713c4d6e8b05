"""The router's side of a consumer group."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.adapters.kafka.log_reader import UNREADABLE, first_readable, is_fatal
from bus.adapters.kafka.missing_topics import MissingTopics
from bus.adapters.kafka.native_calls import record_queues
from bus.adapters.kafka.static_member import leave_unless_it_follows
from bus.errors import BrokerUnavailable, ConfigError
from bus.ports import (
    Committed,
    GroupListener,
    LostPosition,
    Partition,
    ReadFault,
    Record,
    UnreadableBatch,
)

if TYPE_CHECKING:
    from bus.adapters.kafka.native_client import RecordQueues

log = structlog.get_logger(__name__)

#: How long to wait for committed positions to be stable before the caller is asked to try again.
_COMMITTED_SECONDS = 2.0
#: The leader of a group of the classic protocol takes no member's word for more topics: it leaves
#: the member out, and, when there is no other, crashes (librdkafka 2.16; docs/adr/0002).
MAX_TOPICS = 10_000
#: Of how many partitions one call asks for the ends.
_ENDS_AT_ONCE = 500
#: After the first record of a batch, others that are on their way are waited for this long.
_LINGER_SECONDS = 0.005
#: One call returns no more records than this.
_MOST_AT_ONCE = 10_000
#: Errors of the client that are taken at once: they are few.
_MOST_ERRORS = 100


class _Message(Record, Protocol):
    """A record, or what is wrong where one should be."""

    def error(self) -> KafkaError | None: ...


class KafkaGroupConsumer:
    """
    See `bus.ports.GroupConsumer`.

    Membership is static (KIP-345): `instance` comes back after a crash under the same name, takes
    its partitions back at once, and fences whatever is left of its former self.
    """

    def __init__(self, connection: KafkaConnection, *, group: str, instance: str) -> None:
        self._connection = connection
        self._group = group
        self._instance = f"{group}.{instance}"
        #: Whether this process has been given partitions, and not its former self.
        self._joined = False
        #: What the group has given it, what of that was started, and what of that rests.
        self._mine: set[Partition] = set()
        self._started: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._missing = MissingTopics()
        self._subscribe: Callable[[], None] = lambda: None
        self._ends: dict[Partition, int] = {}
        self._to_ask: list[Partition] = []
        self._consumer = Consumer(
            connection.client(
                group_id=group,
                group_instance_id=self._instance,
                partition_assignment_strategy="cooperative-sticky",
                session_timeout_ms=10_000,
                heartbeat_interval_ms=2_000,
                max_poll_interval_ms=120_000,
                enable_auto_commit=False,
                auto_offset_reset="error",
                isolation_level="read_committed",
                check_crcs=True,
                fetch_queue_backoff_ms=20,
                fetch_wait_max_ms=250,
                # A partition of which more is queued is left out of a fetch, and that waits so long
                # if the others have nothing: what is queued has to last for it.
                queued_min_messages=300_000,
                queued_max_messages_kbytes=65_536,
            ),
            logger=LOGGER,
        )
        #: Where records come, apart from what else the client has to say; None: together with it.
        self._queues = record_queues(self._consumer, _MOST_AT_ONCE)

    @property
    def client(self) -> Consumer:
        """The client, for the transactional writer to speak in its membership's name."""
        return self._consumer

    def follow(self, topics: Collection[str], listener: GroupListener) -> None:
        if len(topics) > MAX_TOPICS:
            raise ConfigError(
                f"{len(topics):,} topics cannot be followed by one group, {MAX_TOPICS:,} can"
            )

        def assigned(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            self._joined = True
            # Nothing is read before the state of a partition is known, so the client gets none of
            # them before `start`: only the rebalance is acknowledged.
            consumer.incremental_assign([])
            ours = [Partition(each.topic, each.partition) for each in partitions]
            self._missing.found([each.topic for each in ours])
            self._mine.update(ours)
            listener.assigned(ours)

        def revoked(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            ours = [Partition(each.topic, each.partition) for each in partitions]
            listener.revoked(ours)
            started = self._started.intersection(ours)
            consumer.incremental_unassign(_places(started))
            if self._queues is not None:
                for each in started:
                    self._queues.release(*each)
            for held in (self._mine, self._started, self._paused):
                held.difference_update(ours)

        try:
            if not topics:
                self._missing.keep(())
                self._consumer.unsubscribe()
                return
            if not self._joined:
                leave_unless_it_follows(
                    self._connection, group=self._group, instance=self._instance, topics=topics
                )
            self._missing.keep(topics)
            self._subscribe = partial(
                self._consumer.subscribe,
                sorted(topics),
                on_assign=assigned,
                on_revoke=revoked,
                on_lost=revoked,
            )
            self._subscribe()
        except KafkaException as error:
            # The member may have been fenced: by its own former self, if joining took too long.
            raise BrokerUnavailable(f"could not follow the topics: {error}") from error

    def consume(self, most: int, seconds: float) -> tuple[Sequence[Record], Sequence[ReadFault]]:
        errors: list[_Message] = []
        try:
            if self._missing.ask_again(time.monotonic()):
                self._subscribe()
            if self._queues is None:
                records = self._consume(most, seconds, errors)
            else:
                records = self._consume_natively(self._queues, most, seconds, errors)
        except KafkaException as error:
            raise BrokerUnavailable(f"could not consume: {error}") from error
        faults: dict[Partition, ReadFault] = {}
        for each in errors:
            said = each.error()
            if said is not None and (fault := self._fault(each, said)):
                faults.setdefault(fault.partition, fault)
        return records, list(faults.values())

    def _consume(self, most: int, seconds: float, errors: list[_Message]) -> list[Record]:
        messages = self._consumer.consume(1, seconds)
        if messages and most > 1:
            messages += self._consumer.consume(most - 1, _LINGER_SECONDS)
        errors += [each for each in messages if each.error() is not None]
        return [each for each in messages if each.error() is None]

    def _consume_natively(
        self, queues: "RecordQueues", most: int, seconds: float, errors: list[_Message]
    ) -> list[Record]:
        records = self._look(queues, most, errors)
        if not records and not errors:
            queues.wait(seconds)
            records = self._look(queues, most, errors)
        until = time.monotonic() + _LINGER_SECONDS
        while records and len(records) < most and (left := until - time.monotonic()) > 0:
            queues.wait(left)
            records += self._look(queues, most - len(records), errors)
        return records

    def _look(self, queues: "RecordQueues", most: int, errors: list[_Message]) -> list[Record]:
        queues.forget_wakes()
        # Rebalances happen in here, before records are taken: none is of a partition that is gone.
        said = self._consumer.consume(_MOST_ERRORS, 0)
        errors += [each for each in said if each.error() is not None]
        # No record should come this way, since `start` takes partitions before the client gets
        # them; if one did, it would not be lost.
        strays: list[Record] = [each for each in said if each.error() is None]
        found = queues.consume(most, errors)
        return strays + found if strays else found

    def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        if not partitions:
            return {}
        asked = [TopicPartition(*partition) for partition in partitions]
        try:
            answer = self._consumer.committed(asked, timeout=_COMMITTED_SECONDS)
        except KafkaException as error:
            raise BrokerUnavailable(f"committed positions are not known: {error}") from error
        for each in answer:
            if each.error is not None:
                raise BrokerUnavailable(f"committed positions are not known: {each.error}")
        return {
            Partition(each.topic, each.partition): Committed(each.offset, each.metadata or "")
            for each in answer
            if each.offset != OFFSET_INVALID
        }

    def ends(self) -> Mapping[Partition, int]:
        # The client looks a topic up by going through all of them, so with thousands each call asks
        # for some; the others are as they were when it was their turn.
        if not self._to_ask:
            self._ends = {each: end for each, end in self._ends.items() if each in self._started}
            self._to_ask = list(self._started)
        now, self._to_ask = self._to_ask[:_ENDS_AT_ONCE], self._to_ask[_ENDS_AT_ONCE:]
        for each in self._started.intersection(now):
            try:
                _, end = self._consumer.get_watermark_offsets(TopicPartition(*each), cached=True)
            except KafkaException:
                continue
            if end >= 0:
                self._ends[each] = end
        return self._ends

    def start(self, positions: Mapping[Partition, int]) -> None:
        mine = self._mine.intersection(positions)
        if not mine:
            return
        # Giving the partition back and taking it again sets the position without a round trip and
        # drops whatever was fetched before; a seek can fail while the client is still connecting.
        # It needs a number to start at: for a logical offset librdkafka asks the broker, and an
        # answer that arrives later moves the partition there, past unread records.
        if again := mine & self._started:
            self._consumer.incremental_unassign(_places(again))
        if self._queues is not None:
            for each in mine:
                self._queues.take(*each)
        self._consumer.incremental_assign([TopicPartition(*each, positions[each]) for each in mine])
        if rested := mine & self._paused:
            self._consumer.resume(_places(rested))
        self._started |= mine
        self._paused -= mine

    def pause(self, partitions: Collection[Partition]) -> None:
        resting = self._started.intersection(partitions) - self._paused
        if resting:
            self._consumer.pause(_places(resting))
            self._paused |= resting

    def close(self) -> None:
        if self._queues is not None:
            # The client waits for whoever holds on to something of it.
            self._queues.close()
            self._queues = None
        self._consumer.close()

    def _fault(self, message: _Message, error: KafkaError) -> ReadFault | None:
        partition = Partition(message.topic() or "", message.partition() or 0)
        if is_fatal(error):
            raise BrokerUnavailable(f"the consumer cannot go on: {error.str()}")
        if error.code() in UNREADABLE:
            start = message.offset() or 0
            self.pause([partition])
            end = first_readable(self._connection, f"{self._group}.probe", partition, start)
            return UnreadableBatch(partition, start, end, f"{error.name()}: {error.str()}")
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            self.pause([partition])
            return LostPosition(partition, f"{error.name()}: {error.str()}")
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            self._missing.note(partition.topic, time.monotonic())
        # librdkafka goes on by itself after everything else (broker away, leader moved, …).
        log.warning("consumer error", code=error.name(), reason=error.str())
        return None


def _places(partitions: Iterable[Partition]) -> list[TopicPartition]:
    return [TopicPartition(*each) for each in partitions]
