"""
How long it takes until nothing more is read under a grant that was revoked (design.md §12).

Grants are revoked through the HTTP API while their provider publishes at a steady rate and other
grants on the same view go on. Each has three readers, plain clients of Kafka: one level with the
stream, one slow with a backlog, one whose fetch is parked on the broker. What counts is when the
last record came that was written after the call had begun.
"""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from bench.contest import Latency, Options
from bench.office import Office
from bench.records import ITEMS, Register
from bench.stage import Stage
from bus.adapters.kafka.connection import LOGGER
from bus.domain.names import group_prefix, provider_principal, subscription_principal
from producers import Publication, Publisher

#: Records a second, while grants are revoked.
RATE = 200
#: So many grants are revoked one after the other, then it is watched what still comes.
_WAVE = 10
_BACKLOG = 2_000
_PARKED_MILLISECONDS = 8_000
#: Longer than the fetch is parked.
_WATCH_SECONDS = 9.0
_SETTLE_SECONDS = 2.0
_PROVIDER, _CONSUMER, _RESOURCE = "rev-provider", "rev-consumer", "rev-addresses"


@dataclass
class _Reader:
    """A plain consumer in a thread: notes when what was written when has come."""

    consumer: Consumer
    pause: float = 0.0
    came: list[tuple[float, float]] = field(default_factory=list)
    """Seconds: when a record was written, when it came."""
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def last_after(self, start: float) -> float:
        """Return when the last record came that was written after `start`; `start` if none."""
        return max((came for written, came in self.came if written > start), default=start)

    def close(self) -> None:
        self.over.set()
        self._thread.join()
        self.consumer.close()

    def _read(self) -> None:
        while not self.over.is_set():
            message = self.consumer.poll(0.2)
            if message is not None and message.error() is None:
                self.came.append((message.timestamp()[1] / 1000, time.time()))
                if self.pause:
                    self.over.wait(self.pause)


def measure(options: Options, stage: Stage) -> list[Latency]:
    """Revoke grants, one after the other, while everything goes on."""
    calls: list[float] = []
    last: dict[str, list[float]] = {"level": [], "slow": [], "parked": []}
    with Office(stage) as office:
        office.open("rev", _PROVIDER, _CONSUMER)
        office.publish_entry("rev", _RESOURCE, _PROVIDER, ITEMS)
        provider = stage.account(provider_principal(_PROVIDER))
        publication = Publication.from_descriptor(provider.control.publication(_RESOURCE))
        contents = Register(options.seed).take(_BACKLOG)
        with Publisher(publication, provider.kafka) as publisher:
            for content in contents:
                publisher.upsert(content)
        office.await_published(_RESOURCE, _PROVIDER)
        # One that nobody revokes keeps the view.
        office.grant(_CONSUMER, _RESOURCE, ITEMS)
        with _publishing(publication, stage, contents):
            for start in range(0, options.revocations, _WAVE):
                count = min(_WAVE, options.revocations - start)
                grants = [office.grant(_CONSUMER, _RESOURCE, ITEMS) for _ in range(count)]
                _revoke_wave(office, stage, grants, calls, last)
                options.say(
                    f"{start + count} of {options.revocations} revoked; "
                    f"the slowest {max(itertools.chain(*last.values())):,.0f} ms"
                )
    every = tuple(map(max, zip(*last.values(), strict=True)))
    return [
        Latency("revocation", "the call", tuple(calls)),
        Latency("revocation", "call → last record, all readers", every),
        *(
            Latency("revocation", f"call → last record, {name} reader", tuple(found))
            for name, found in last.items()
        ),
    ]


def _revoke_wave(
    office: Office,
    stage: Stage,
    grants: Sequence[str],
    calls: list[float],
    last: dict[str, list[float]],
) -> None:
    readers = {grant: _readers(stage, grant) for grant in grants}
    time.sleep(_SETTLE_SECONDS)
    started: dict[str, float] = {}
    for grant in grants:
        started[grant] = time.time()
        office.revoke(_PROVIDER, grant)
        calls.append((time.time() - started[grant]) * 1000)
    time.sleep(_WATCH_SECONDS)
    for grant, of in readers.items():
        if not of["level"].came:
            raise ValueError(f"the level reader of {grant} has read nothing: nothing is measured")
        for name, reader in of.items():
            reader.close()
            last[name].append((reader.last_after(started[grant]) - started[grant]) * 1000)


def _readers(stage: Stage, grant: str) -> dict[str, _Reader]:
    topic = stage.account(subscription_principal(grant)).control.subscription(grant)["topic"]
    end = _reader_end(stage, grant, topic)

    def reader(name: str, at: int, pause: float = 0.0, **settings: object) -> _Reader:
        return _Reader(_consumer(stage, grant, topic, at, name, **settings), pause)

    return {
        "level": reader("level", end),
        "slow": reader("slow", 0, 0.02, queued_min_messages=1, max_partition_fetch_bytes=4096),
        "parked": reader(
            "parked",
            end,
            fetch_min_bytes=50_000_000,
            fetch_wait_max_ms=_PARKED_MILLISECONDS,
            socket_timeout_ms=60_000,
        ),
    }


def _consumer(
    stage: Stage, grant: str, topic: str, at: int, name: str, **settings: object
) -> Consumer:
    principal = subscription_principal(grant)
    consumer = Consumer(
        stage.account(principal).kafka.client(
            group_id=f"{group_prefix(principal)}{name}",
            enable_auto_commit=False,
            auto_offset_reset="error",
            isolation_level="read_committed",
            **settings,
        ),
        logger=LOGGER,
    )
    consumer.assign([TopicPartition(topic, 0, at)])
    return consumer


def _reader_end(stage: Stage, grant: str, topic: str) -> int:
    consumer = _consumer(stage, grant, topic, 0, "end")
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1])
    finally:
        consumer.close()


@contextmanager
def _publishing(
    publication: Publication, stage: Stage, contents: Sequence[dict[str, Any]]
) -> Iterator[None]:
    """Publish at a steady rate, in a thread."""
    over = threading.Event()
    kafka = stage.account(provider_principal(_PROVIDER)).kafka

    def publish() -> None:
        with Publisher(publication, kafka) as publisher:
            for content in itertools.cycle(contents):
                publisher.upsert(content)
                if over.wait(1 / RATE):
                    return

    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
