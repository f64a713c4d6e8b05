"""
What `native_client` does for a client, where it was compiled and the client is one that it knows.

Otherwise each function returns None, and the client's own calls have to do (docs/adr/0026).
"""

from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer

if TYPE_CHECKING:
    from bus.adapters.kafka.native_client import RecordProducer, RecordQueues

try:
    from bus.adapters.kafka import native_client
except ImportError:
    COMPILED = False
else:
    COMPILED = True


def record_queues(consumer: Consumer, most: int) -> "RecordQueues | None":
    """Return queues for partitions of `consumer`, handing out up to `most` records at a time."""
    return native_client.queues_of(consumer, most) if COMPILED else None


def record_producer(producer: Producer) -> "RecordProducer | None":
    """Return what hands records to `producer`; it is closed before the producer is let go of."""
    return native_client.producer_of(producer) if COMPILED else None
