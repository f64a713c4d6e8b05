"""Unit tests of `bus.services.policy_follower`."""

import pytest

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.memory.broker import MemoryBroker, MemoryLogReaders, MemoryTransactionalWriter
from bus.adapters.memory.clock import ManualClock
from bus.domain.names import POLICY_TOPIC
from bus.domain.policy import (
    Policy,
    PolicyHeartbeat,
    PolicyVersion,
    ResourcePolicy,
    ViewPolicy,
)
from bus.domain.router_state import Phase, RouterState
from bus.errors import ContractError
from bus.ports import Partition
from bus.services.policy_follower import SILENCE_SECONDS, PolicyFollower
from tests import builders
from tests.stream_builders import DeafReaders

CODEC = AvroEventCodec()
TOPIC = Partition(POLICY_TOPIC, 0)

RESOURCE = builders.resource_policy()
WIDE = builders.view_policy(builders.incarnation(builders.view(items=("code", "name"))))
NARROW = builders.view_policy(builders.incarnation(builders.view(items=("code",))))


class PolicyTopic:
    """The policy topic, written as the relay does."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.broker.create(POLICY_TOPIC, 1)
        self.clock = ManualClock()

    def put(self, *objects: ResourcePolicy | ViewPolicy) -> None:
        """Write objects of a version that is not closed yet."""
        for each in objects:
            self.broker.append(TOPIC, each.object_id.encode(), CODEC.encode(each))

    def remove(self, each: ResourcePolicy | ViewPolicy) -> None:
        self.broker.append(TOPIC, each.object_id.encode(), None)

    def close(self, version: int) -> None:
        """Close a version."""
        self.broker.append(TOPIC, b"version", CODEC.encode(PolicyVersion(version)))

    def beat(self, version: int) -> None:
        self.broker.append(TOPIC, b"heartbeat", CODEC.encode(PolicyHeartbeat(version)))

    def follower(self) -> PolicyFollower:
        return PolicyFollower(MemoryLogReaders(self.broker), CODEC, self.clock)


@pytest.fixture
def topic() -> PolicyTopic:
    return PolicyTopic()


def test_nothing_is_known_of_an_empty_topic(topic: PolicyTopic) -> None:
    """No complete policy: no routing (design.md §6)."""
    follower = topic.follower()

    assert follower.caught_up
    assert not follower.poll()
    assert follower.policy is None


def test_the_empty_policy_is_a_policy(topic: PolicyTopic) -> None:
    topic.close(0)
    follower = topic.follower()

    assert follower.poll()
    assert follower.policy == Policy(version=0)


def test_a_whole_version_is_found_by_its_topics(topic: PolicyTopic) -> None:
    topic.put(RESOURCE, WIDE)
    topic.close(1)
    follower = topic.follower()

    assert follower.poll()

    assert follower.policy == Policy(
        version=1, resources={RESOURCE.topic: RESOURCE}, views={WIDE.topic: WIDE}
    )


def test_objects_without_their_version_record_are_not_applied(topic: PolicyTopic) -> None:
    topic.put(RESOURCE, WIDE)
    follower = topic.follower()

    first = follower.poll()
    topic.close(1)
    second = follower.poll()

    assert (first, second) == (False, True)
    assert follower.policy is not None
    assert follower.policy.version == 1


def test_objects_of_the_next_version_in_the_same_batch_are_not_applied_early(
    topic: PolicyTopic,
) -> None:
    """Invariant 2: half a version may show what neither version allows."""
    topic.put(RESOURCE, NARROW)
    topic.close(1)
    topic.put(WIDE)
    topic.remove(NARROW)
    follower = topic.follower()

    follower.poll()
    before = follower.policy
    topic.close(2)
    follower.poll()

    assert before is not None
    assert (before.version, set(before.views)) == (1, {NARROW.topic})
    assert follower.policy is not None
    assert (follower.policy.version, set(follower.policy.views)) == (2, {WIDE.topic})


def test_the_newest_of_several_whole_versions_is_applied_at_once(topic: PolicyTopic) -> None:
    topic.put(RESOURCE, WIDE)
    topic.close(1)
    topic.remove(WIDE)
    topic.close(2)
    follower = topic.follower()

    assert follower.poll()
    assert follower.policy == Policy(version=2, resources={RESOURCE.topic: RESOURCE})
    assert not follower.poll()


def test_a_version_that_is_known_is_no_change(topic: PolicyTopic) -> None:
    topic.put(RESOURCE)
    topic.close(1)
    follower = topic.follower()
    follower.poll()

    assert not follower.poll()


def test_a_policy_that_was_handed_out_never_changes(topic: PolicyTopic) -> None:
    topic.put(RESOURCE, WIDE)
    topic.close(1)
    follower = topic.follower()
    follower.poll()
    first = follower.policy

    topic.remove(WIDE)
    topic.close(2)
    follower.poll()

    assert first is not None
    assert set(first.views) == {WIDE.topic}


def test_a_compacted_topic_gives_the_newest_version(topic: PolicyTopic) -> None:
    topic.put(RESOURCE, WIDE)
    topic.close(1)
    topic.put(NARROW)
    topic.remove(WIDE)
    topic.close(2)
    topic.beat(2)
    topic.broker.compact(POLICY_TOPIC)
    follower = topic.follower()

    follower.poll()

    assert follower.policy is not None
    assert follower.policy.version == 2
    assert set(follower.policy.views) == {NARROW.topic}


def test_a_version_record_before_the_end_of_a_compacted_topic_is_not_believed(
    topic: PolicyTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands before it may be a mixture: later versions have taken objects away."""
    monkeypatch.setattr("bus.services.policy_follower._BATCH", 2)
    topic.put(RESOURCE, WIDE, NARROW)
    topic.close(1)
    topic.put(WIDE)
    topic.broker.compact(POLICY_TOPIC)
    topic.close(2)
    follower = topic.follower()
    seen: list[Policy | None] = []

    while not follower.caught_up:
        follower.poll()
        seen.append(follower.policy)

    assert seen[:-1] == [None] * (len(seen) - 1)
    assert len(seen) > 1
    assert follower.policy is not None
    assert set(follower.policy.views) == {WIDE.topic, NARROW.topic}


def test_an_open_transaction_is_waited_for_and_an_aborted_one_never_seen(
    topic: PolicyTopic,
) -> None:
    topic.put(RESOURCE, NARROW)
    topic.close(1)
    writer = MemoryTransactionalWriter(topic.broker, transactional_id="os.relay")
    writer.begin()
    writer.write(POLICY_TOPIC, 0, WIDE.object_id.encode(), CODEC.encode(WIDE))
    writer.write(POLICY_TOPIC, 0, b"version", CODEC.encode(PolicyVersion(2)))
    follower = topic.follower()

    while_open = (follower.poll(), follower.caught_up, follower.policy)
    writer.abort()
    changed = follower.poll()

    assert while_open == (False, False, None)
    assert changed
    assert follower.policy is not None
    assert (follower.policy.version, set(follower.policy.views)) == (1, {NARROW.topic})


def test_a_heartbeat_is_heard_and_changes_nothing(topic: PolicyTopic) -> None:
    topic.put(RESOURCE)
    topic.close(1)
    follower = topic.follower()
    follower.poll()
    topic.clock.sleep(1)
    follower.poll()
    heard = [follower.heard_at]
    topic.beat(1)

    changed = follower.poll()
    heard.append(follower.heard_at)

    assert not changed
    assert heard == [0, 1]
    assert follower.policy is not None
    assert follower.policy.version == 1


def test_a_reader_that_hears_nothing_of_the_relay_is_replaced(
    topic: PolicyTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 6: a revocation must reach a router whose client has gone deaf without an error."""
    topic.put(RESOURCE, WIDE)
    topic.close(1)
    readers = DeafReaders(topic.broker)
    follower = PolicyFollower(readers, CODEC, topic.clock)
    follower.poll()
    readers.deafen(monkeypatch)
    topic.remove(WIDE)
    topic.close(2)

    topic.clock.sleep(SILENCE_SECONDS - 1)
    follower.poll()
    patient = len(readers.opened)
    topic.clock.sleep(1)
    follower.poll()

    assert (patient, len(readers.opened)) == (1, 2)
    assert follower.poll()
    assert follower.policy == Policy(version=2, resources={RESOURCE.topic: RESOURCE})


def test_a_relay_that_is_away_has_the_reader_replaced_now_and_then_only(
    topic: PolicyTopic,
) -> None:
    topic.close(1)
    readers = DeafReaders(topic.broker)
    follower = PolicyFollower(readers, CODEC, topic.clock)
    follower.poll()

    for _ in range(int(SILENCE_SECONDS) * 3):
        topic.clock.sleep(1)
        follower.poll()

    assert len(readers.opened) == 4
    assert follower.policy == Policy(version=1)


def test_removing_what_was_never_there_is_no_error(topic: PolicyTopic) -> None:
    topic.remove(WIDE)
    topic.close(1)
    follower = topic.follower()

    follower.poll()

    assert follower.policy == Policy(version=1)


def test_what_does_not_belong_on_the_policy_topic_is_an_error(topic: PolicyTopic) -> None:
    state = RouterState(phase=Phase.LIVE, policy_version=1)
    topic.broker.append(TOPIC, b"x", CODEC.encode(state))
    follower = topic.follower()

    with pytest.raises(ContractError, match="RouterState does not belong on the policy topic"):
        follower.poll()


def test_bytes_that_are_no_event_are_an_error(topic: PolicyTopic) -> None:
    topic.broker.append(TOPIC, b"x", b"\xc3\x01 not one of ours")
    follower = topic.follower()

    with pytest.raises(ContractError):
        follower.poll()
    follower.close()
