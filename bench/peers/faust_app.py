"""
The router's work by Faust: row filter and omitted items, at least once.

At least once is in its favour, and is what it is used with: its exactly-once is known to end in
errors and duplicates when partitions move.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import faust
import uvloop

from bench.peers.projection import Clock, Projection, read_job

_WAIT_SECONDS = 120.0


class _Watch(faust.Monitor):  # type: ignore[misc] # not installed where types are checked
    """Sees which positions are committed."""

    def __init__(self, clock: Clock, done: asyncio.Event) -> None:
        super().__init__()
        self._clock = clock
        self._done = done

    def on_tp_commit(self, tp_offsets: Mapping[Any, int]) -> None:
        if max(tp_offsets.values()) > self._clock.last:
            self._clock.stop()
            self._done.set()


async def main() -> None:
    """Do one job."""
    job = read_job()
    clock = Clock(job)
    done = asyncio.Event()
    application = _application(job)
    application.monitor = _Watch(clock, done)
    _route(application, job, clock)
    await application.start()
    try:
        await asyncio.wait_for(done.wait(), _WAIT_SECONDS)
    finally:
        await application.stop()
    clock.tell()


def _route(application: faust.App, job: dict[str, Any], clock: Clock) -> None:
    projection = Projection(job)
    raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw"}
    source = application.topic(job["source"], value_serializer="raw", **raw)
    target = application.topic(job["target"], value_serializer="raw", **raw)
    commits: set[asyncio.Task[Any]] = set()

    async def route(stream: faust.Stream) -> None:
        async for event in stream.events():
            message = event.message
            if message.offset > clock.last:
                continue
            clock.start()
            record = projection.decode(event.value)
            if projection.passes(record):
                await target.send(
                    key=event.key,
                    value=projection.encode(record, message.offset),
                    timestamp=message.timestamp,
                )
            if message.offset == clock.last:
                # Nobody waits for the rest of the commit interval.
                commits.add(asyncio.create_task(application.consumer.commit()))

    application.agent(source)(route)


def _application(job: dict[str, Any]) -> faust.App:
    return faust.App(
        job["group"],
        broker=f"kafka://{job['bootstrap']}",
        broker_credentials=faust.SASLCredentials(
            username=job["username"], password=job["password"], mechanism="SCRAM-SHA-512"
        ),
        loop=asyncio.get_running_loop(),
        datadir=job["folder"],
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_max_poll_records=10_000,
        broker_check_crcs=True,
        consumer_auto_offset_reset="none",
        consumer_max_fetch_size=8 << 20,
        stream_buffer_maxsize=16_384,
        producer_acks=-1,
        producer_compression_type="lz4",
        producer_linger=0.02,
        producer_max_batch_size=1 << 20,
    )


if __name__ == "__main__":
    uvloop.run(main())
