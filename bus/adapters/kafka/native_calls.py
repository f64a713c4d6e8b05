"""
What `native_client` does for a client, where it was compiled and the client is one that it knows.

Otherwise each function returns None, and the client's own calls have to do (docs/adr/0026).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from confluent_kafka import Consumer, Producer

from bus.ports.record_writer import Written

if TYPE_CHECKING:
    from bus.adapters.kafka.native_client import RecordQueues

#: Hands records to a producer, in order, and returns how many it took.
ProduceAll: TypeAlias = Callable[[Producer, Sequence[Written]], int]

try:
    from bus.adapters.kafka import native_client
except ImportError:
    COMPILED = False
else:
    COMPILED = True


def record_queues(consumer: Consumer, most: int) -> "RecordQueues | None":
    """Return queues for partitions of `consumer`, handing out up to `most` records at a time."""
    return native_client.queues_of(consumer, most) if COMPILED else None


def produce_all(producer: Producer) -> ProduceAll | None:
    """Return what hands records to `producer`, and to those that are made as it was."""
    return native_client.produce_all if COMPILED and native_client.knows(producer) else None
