"""
What Kafka knows of open transactions, by kafka-python: confluent-kafka has no call for most of it.

See docs/adr/0006 for the library, and docs/adr/0022 for what this is for.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence

from kafka import IsolationLevel, TopicPartition
from kafka.admin import AbortTransactionSpec, KafkaAdminClient, OffsetSpec

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.python_admin import KeptAdmin
from bus.ports import Partition
from bus.ports.transactions import LogEnd, OpenTransaction

_WHAT = "the transactions"


class KafkaTransactions:
    """See `bus.ports.transactions.Transactions`; for several threads, one at a time."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._admin = KeptAdmin(connection, client="onesource-transactions")

    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, LogEnd]:
        if not partitions:
            return {}
        wanted = {TopicPartition(*each): OffsetSpec.LATEST for each in partitions}

        def ask(admin: KafkaAdminClient) -> Mapping[Partition, LogEnd]:
            # The stable ends first: what is written meanwhile is behind them, not before.
            stable = admin.list_partition_offsets(
                wanted, isolation_level=IsolationLevel.READ_COMMITTED
            )
            last = admin.list_partition_offsets(wanted)
            return {
                Partition(at.topic, at.partition): LogEnd(stable[at].offset, last[at].offset)
                for at in stable.keys() & last.keys()
            }

        return self._admin.ask(ask, what=_WHAT)

    def open_in(self, partitions: Collection[Partition]) -> Sequence[OpenTransaction]:
        if not partitions:
            return []
        wanted = [TopicPartition(*each) for each in partitions]
        answer = self._admin.ask(lambda admin: admin.describe_producers(wanted), what=_WHAT)
        return [
            OpenTransaction(
                partition=Partition(at.topic, at.partition),
                producer=producer.producer_id,
                epoch=producer.producer_epoch,
                coordinator_epoch=producer.coordinator_epoch,
                start=producer.current_transaction_start_offset,
                written_at=dt.datetime.fromtimestamp(producer.last_timestamp / 1000, dt.UTC),
            )
            for at, state in answer.items()
            for producer in state.active_producers
            if producer.current_transaction_start_offset >= 0
        ]

    def abort(self, transaction: OpenTransaction) -> None:
        spec = AbortTransactionSpec(
            TopicPartition(*transaction.partition),
            transaction.producer,
            transaction.epoch,
            # The broker refuses an older one than it has seen, and none counts as older.
            max(transaction.coordinator_epoch, 0),
        )
        # To end what has ended is nothing.
        self._admin.ask(lambda admin: admin.abort_transaction(spec), what=_WHAT)

    def close(self) -> None:
        """Let go of the connection."""
        self._admin.close()
