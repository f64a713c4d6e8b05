"""Unit tests of `bus.domain.topics`."""

from bus.domain import topics
from tests import builders

_DAY = 24 * 3600 * 1000


def test_a_source_topic_keeps_the_last_of_each_key_and_stamps_acceptance() -> None:
    """design.md §4: "accepted" is the broker's time."""
    config = topics.source_config()

    assert config["cleanup.policy"] == "compact"
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["delete.retention.ms"] == str(30 * _DAY)


def test_a_view_topic_is_compacted_promptly_and_keeps_deletes_for_the_replay_window() -> None:
    """design.md §6: no history is handed out, and nobody misses a delete for 30 days."""
    config = topics.view_config()

    assert config["cleanup.policy"] == "compact"
    assert config["min.compaction.lag.ms"] == "0"
    assert config["max.compaction.lag.ms"] == str(3600 * 1000)
    assert config["segment.ms"] == str(3600 * 1000)
    assert config["delete.retention.ms"] == str(topics.REPLAY_WINDOW_DAYS * _DAY)
    assert config["message.timestamp.type"] == "CreateTime"


def test_whatever_a_source_accepts_has_room_in_a_view_with_what_the_router_adds() -> None:
    accepted = int(topics.source_config()["max.message.bytes"])

    assert int(topics.view_config()["max.message.bytes"]) > accepted


def test_dead_letters_are_kept_for_90_days_whatever_their_keys() -> None:
    """design.md §4: `os.dlq` is deleted by age, not compacted."""
    assert topics.dead_letter_config() == {
        "cleanup.policy": "delete",
        "retention.ms": str(90 * _DAY),
    }


def test_policy_and_router_state_are_there_before_any_resource() -> None:
    """design.md §4: both are compacted."""
    found = dict(topics.base_topics())

    assert set(found) == {"os.policy", "os.state.router", "os.audit.checkpoints"}
    assert found["os.policy"]["cleanup.policy"] == "compact"
    assert found["os.state.router"]["cleanup.policy"] == "compact"


def test_checkpoints_of_the_audit_log_are_kept_for_ever() -> None:
    """R-193: they are the evidence that nobody who can alter the database can alter."""
    config = dict(topics.base_topics())["os.audit.checkpoints"]

    assert config["cleanup.policy"] == "delete"
    assert config["retention.ms"] == config["retention.bytes"] == "-1"


def test_a_resource_generation_has_a_source_topic_and_one_for_dead_letters() -> None:
    found = list(topics.resource_topics(builders.entry(generation=2, partitions=4)))

    assert found == [
        ("os.src.cn.statistics.divisions.2", 4, topics.source_config()),
        ("os.dlq.cn.divisions", 1, topics.dead_letter_config()),
    ]


def test_an_incarnation_has_a_topic_of_its_own() -> None:
    life = builders.incarnation(partitions=3)

    assert topics.incarnation_topic(life) == (life.topic, 3, topics.view_config())


def test_every_setting_is_text_as_kafka_takes_it() -> None:
    configs = [
        topics.source_config(),
        topics.view_config(),
        topics.dead_letter_config(),
        *dict(topics.base_topics()).values(),
    ]

    assert all(isinstance(value, str) for config in configs for value in config.values())
