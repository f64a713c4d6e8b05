"""How the topics of the bus are configured, and why (design.md §4, §6)."""

from collections.abc import Iterator, Mapping

from bus.domain.entry import CatalogEntry
from bus.domain.names import AUDIT_CHECKPOINT_TOPIC, POLICY_TOPIC, ROUTER_STATE_TOPIC
from bus.domain.subscription import Incarnation

_SECOND = 1000
_DAY = 24 * 3600 * _SECOND
#: How long a subscriber may stay away and still learn of every delete.
REPLAY_WINDOW_DAYS = 30
#: Larger than the largest record that the kernel lets through, with what the router adds.
_VIEW_RECORD_BYTES = 1_150_000
_SOURCE_BATCH_BYTES = 1_048_588
#: How many resources one bus routes: no member of a consumer group can follow more topics, and each
#: router follows all source topics (librdkafka's limit; docs/adr/0002).
MAX_RESOURCES = 10_000

_COMPACT: Mapping[str, object] = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": 0,
    "delete.retention.ms": REPLAY_WINDOW_DAYS * _DAY,
    "segment.bytes": 64 << 20,
}


def source_config() -> dict[str, str]:
    """Return the configuration of a source topic: acceptance is the broker's time."""
    return _text(
        {
            **_COMPACT,
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": _SOURCE_BATCH_BYTES,
        }
    )


def view_config() -> dict[str, str]:
    """
    Return the configuration of a view topic: compacted promptly, so that no history is handed out.

    Timestamps are the router's to set: each record carries the time of its acceptance.
    """
    return _text(
        {
            **_COMPACT,
            "max.compaction.lag.ms": 3600 * _SECOND,
            "segment.ms": 3600 * _SECOND,
            "message.timestamp.type": "CreateTime",
            "max.message.bytes": _VIEW_RECORD_BYTES,
        }
    )


def dead_letter_config() -> dict[str, str]:
    """Return the configuration of a dead-letter topic."""
    return _text({"cleanup.policy": "delete", "retention.ms": 90 * _DAY})


def base_topics() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (name, configuration) of the topics that exist before any resource does."""
    # A heartbeat every quarter of a second must not grow what a new reader has to go through.
    yield (
        POLICY_TOPIC,
        _text({**_COMPACT, "segment.ms": 600 * _SECOND, "segment.bytes": 8 << 20})
        | {"delete.retention.ms": str(_DAY)},
    )
    yield ROUTER_STATE_TOPIC, _text({**_COMPACT, "delete.retention.ms": _DAY})
    # Evidence: kept for ever, and stamped by the broker.
    yield (
        AUDIT_CHECKPOINT_TOPIC,
        _text(
            {
                "cleanup.policy": "delete",
                "retention.ms": -1,
                "retention.bytes": -1,
                "message.timestamp.type": "LogAppendTime",
            }
        ),
    )


def resource_topics(entry: CatalogEntry) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Yield (name, partitions, configuration) of the topics of a resource generation."""
    yield entry.source_topic, entry.partitions, source_config()
    yield entry.dead_letter_topic, 1, dead_letter_config()


def incarnation_topic(incarnation: Incarnation) -> tuple[str, int, dict[str, str]]:
    """Return (name, partitions, configuration) of the topic of a view incarnation."""
    return incarnation.topic, incarnation.partitions, view_config()


def _text(config: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in config.items()}
