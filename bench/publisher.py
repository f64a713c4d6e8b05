"""The provider's SDK beside the client that it stands on, which is handed bytes."""

import time
from collections.abc import Sequence

from confluent_kafka import Producer

from bench.contest import Comparison, Options, compare, take_turns
from bench.records import Content, Encoded, Register
from bench.stage import PUBLISHED, Stage
from bus.adapters.kafka.connection import LOGGER
from producers.publisher import QUEUE_KIBIBYTES, QUEUE_RECORDS, Publisher

_PART = 2
_FLUSH_SECONDS = 120.0
_SDK = "publisher"
_RAW = "raw producer of bytes"


def measure(options: Options, stage: Stage) -> list[Comparison]:
    """Compare publishing records with producing their bytes."""
    register = Register(options.seed)
    publication = stage.publication(PUBLISHED)
    contents = register.take(options.records // _PART)
    encoded = register.encode(publication, contents)
    connection = stage.provider.kafka
    # The settings of the SDK's producer.
    raw = Producer(
        connection.client(
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            partitioner="murmur2_random",
            linger_ms=5,
            queue_buffering_max_messages=QUEUE_RECORDS,
            queue_buffering_max_kbytes=QUEUE_KIBIBYTES,
        ),
        logger=LOGGER,
    )
    with Publisher(publication, connection) as publisher:
        runs = {
            _SDK: lambda: _publish(publisher, contents),
            _RAW: lambda: _produce(raw, publication.topic, encoded),
        }
        series = take_turns(runs, options, what="publisher")
    return compare("publisher", series, [(_SDK, _RAW)])


def _publish(publisher: Publisher, contents: Sequence[Content]) -> float:
    started = time.perf_counter()
    for content in contents:
        publisher.upsert(content)
    accepted = publisher.flush().accepted
    if accepted != len(contents):
        raise ValueError(f"{accepted} of {len(contents)} records were accepted")
    return len(contents) / (time.perf_counter() - started)


def _produce(producer: Producer, topic: str, encoded: Sequence[Encoded]) -> float:
    started = time.perf_counter()
    for key, value in encoded:
        while True:
            try:
                producer.produce(topic, value, key)
            except BufferError:
                producer.poll(0.1)
            else:
                break
    if producer.flush(_FLUSH_SECONDS):
        raise ValueError("the broker has not taken everything")
    return len(encoded) / (time.perf_counter() - started)
