"""Topics, accounts, permissions: one suite, held by Kafka and by memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bus.adapters.kafka.access_admin import KafkaAccessAdmin
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.memory.admin import MemoryAccessAdmin, MemoryTopicAdmin
from bus.adapters.memory.broker import MemoryBroker
from bus.domain.access import AccessRule, Operation, Resource
from bus.ports import AccessAdmin, TopicAdmin, TopicSpec
from tests.live_platform import LivePlatform, wait_until


@dataclass
class Administration:
    """The adapters under test, and a word that no other test uses."""

    topics: TopicAdmin
    access: AccessAdmin
    word: str


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.platform)])
def administration(request: pytest.FixtureRequest) -> Iterator[Administration]:
    """Return the adapters under test."""
    if request.param == "memory":
        yield Administration(MemoryTopicAdmin(MemoryBroker()), MemoryAccessAdmin(), "test-1")
        return
    platform: LivePlatform = request.getfixturevalue("platform")
    access = KafkaAccessAdmin(platform.admin())
    yield Administration(KafkaTopicAdmin(platform.admin()), access, platform.new_code("admin"))
    access.close()


def spec(name: str, partitions: int = 1) -> TopicSpec:
    """Return a topic as it must be."""
    return TopicSpec(name=name, partitions=partitions, config={"cleanup.policy": "compact"})


def rule(name: str, operation: Operation, *, prefixed: bool = False) -> AccessRule:
    """Return a rule about a topic."""
    return AccessRule(Resource.TOPIC, name, operation, prefixed)


def test_topics_are_made_once_and_left_as_they_are(administration: Administration) -> None:
    topics, prefix = administration.topics, f"{administration.word}."

    topics.ensure([spec(f"{prefix}a"), spec(f"{prefix}b", 3)])
    topics.ensure([spec(f"{prefix}a", 5)])

    wait_until(
        lambda: topics.existing(prefix) == {f"{prefix}a": 1, f"{prefix}b": 3}, "both are there"
    )


def test_topics_go_and_those_that_are_not_there_are_no_error(
    administration: Administration,
) -> None:
    topics, prefix = administration.topics, f"{administration.word}."
    topics.ensure([spec(f"{prefix}a")])

    topics.delete([f"{prefix}a", f"{prefix}never"])

    wait_until(lambda: topics.existing(prefix) == {}, "it is gone")


def test_permissions_are_given_and_taken(administration: Administration) -> None:
    access, word = administration.access, administration.word
    read, write = rule(word, Operation.READ), rule(word, Operation.WRITE)
    wide = rule(f"{word}.", Operation.READ, prefixed=True)
    group = AccessRule(Resource.GROUP, word, Operation.READ, prefixed=True)

    access.allow({f"{word}-a": frozenset({read, write, wide, group})})
    access.allow({f"{word}-b": frozenset({read})})
    given = access.rules()
    access.forbid({f"{word}-a": frozenset({write, wide})})
    left = access.rules()
    access.forbid({f"{word}-a": frozenset({read, group, write}), f"{word}-b": frozenset({read})})
    none = access.rules()

    assert given[f"{word}-a"] == {read, write, wide, group}
    assert given[f"{word}-b"] == {read}
    assert left[f"{word}-a"] == {read, group}
    assert f"{word}-a" not in none
    assert f"{word}-b" not in none


def test_accounts_and_throttles_can_be_set_and_removed_twice(
    administration: Administration,
) -> None:
    access, word = administration.access, administration.word

    access.set_password(word, "first")
    access.set_password(word, "second")
    access.throttle(word)
    access.throttle(word)
    access.unthrottle(word)
    access.unthrottle(word)
    access.remove_account(word)
    access.remove_account(word)


def test_permissions_go_and_throttles_come_in_one_step(administration: Administration) -> None:
    """What a revocation does to an account (design.md §10)."""
    access, word = administration.access, administration.word
    rules = {f"{word}-c": frozenset({rule(word, Operation.READ)})}
    access.allow(rules)

    access.forbid(rules, throttle=[f"{word}-c", f"{word}-d"])
    access.forbid({}, throttle=[f"{word}-c"])

    wait_until(
        lambda: {f"{word}-c", f"{word}-d"} <= access.throttled(), "both are throttled", seconds=10
    )
    assert access.rules([f"{word}-c"]) == {}
    access.unthrottle(f"{word}-c")
    wait_until(lambda: f"{word}-c" not in access.throttled(), "one is free", seconds=10)
    assert f"{word}-d" in access.throttled()
