"""The router's work by Quix Streams: row filter, omitted items, exactly once."""

from typing import Any

from quixstreams import Application, message_context
from quixstreams.checkpointing import Checkpoint
from quixstreams.kafka.configuration import ConnectionConfig

from bench.peers.projection import Clock, Projection, read_job

#: The router's, too: what a transaction takes at most, and for how long.
_TRANSACTION_RECORDS = 200_000
_GATHER_SECONDS = 1.0


def main() -> None:
    """Do one job."""
    job = read_job()
    clock = Clock(job)
    application = _application(job, clock)
    _route(application, job, clock)
    application.run()
    clock.tell()


def _route(application: Application, job: dict[str, Any], clock: Clock) -> None:
    projection = Projection(job)
    source = application.topic(job["source"], value_deserializer="bytes")
    target = application.topic(job["target"], value_serializer="bytes")

    def decode(value: bytes) -> object:
        clock.start()
        return projection.decode(value)

    def encode(record: dict[str, Any]) -> bytes:
        return projection.encode(record, message_context().offset)

    frame = application.dataframe(source)
    frame = frame.apply(decode).filter(projection.passes).apply(encode)
    frame.to_topic(target)

    commit = Checkpoint.commit

    def commit_and_look(checkpoint: Checkpoint, **options: bool) -> None:
        commit(checkpoint, **options)
        clock.stop()

    Checkpoint.commit = commit_and_look


def _application(job: dict[str, Any], clock: Clock) -> Application:
    def processed(_topic: str, _partition: int, offset: int) -> None:
        if offset == clock.last:
            # Nobody waits for the rest of the commit interval.
            application.stop()

    application = Application(
        ConnectionConfig(
            bootstrap_servers=job["bootstrap"],
            security_protocol="sasl_plaintext",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username=job["username"],
            sasl_password=job["password"],
        ),
        consumer_group=job["group"],
        processing_guarantee="exactly-once",
        commit_interval=_GATHER_SECONDS,
        commit_every=_TRANSACTION_RECORDS,
        auto_offset_reset="error",
        auto_create_topics=False,
        use_changelog_topics=False,
        state_dir=job["folder"],
        loglevel="WARNING",
        on_message_processed=processed,
        consumer_extra_config={
            "check.crcs": True,
            "fetch.queue.backoff.ms": 20,
            "fetch.wait.max.ms": 250,
            "queued.min.messages": 300_000,
            "queued.max.messages.kbytes": 65_536,
        },
        producer_extra_config={
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 1 << 20,
            "message.max.bytes": 1_100_000,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 256 << 10,
        },
    )
    return application


if __name__ == "__main__":
    main()
