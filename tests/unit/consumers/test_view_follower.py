"""Unit tests of `consumers.view_follower`."""

import pytest

from bus.errors import AccessDenied, ControlUnavailable, SubscriptionEnded
from bus.ports import Committed, Partition
from consumers.view_follower import DESCRIPTOR_SECONDS, ViewFollower
from tests import builders
from tests.subscriber_fakes import Subscribed


def follower(subscribed: Subscribed) -> ViewFollower:
    """Return a follower of the subscription."""
    return ViewFollower(
        builders.GRANT,
        subscribed.control.as_client(),
        subscribed.readers.as_kafka(),
        subscribed.clock,
    )


def keys(following: ViewFollower) -> list[bytes | None]:
    """Return the keys of what there is to read."""
    return [record.key() for record in following.read(100, 0)]


def test_the_topic_is_read_from_its_beginning_by_default() -> None:
    subscribed = Subscribed()
    subscribed.upsert("1")
    subscribed.upsert("2")

    assert keys(follower(subscribed)) == [b"1", b"2"]


def test_the_topic_is_read_from_given_positions() -> None:
    subscribed = Subscribed(partitions=2)
    subscribed.upsert("1")
    subscribed.upsert("2")
    subscribed.upsert("3", partition=1)
    following = follower(subscribed)

    following.open({Partition(following.descriptor.topic, 0): 1})

    assert keys(following) == [b"2", b"3"]


def test_a_subscription_that_is_over_cannot_be_followed() -> None:
    subscribed = Subscribed()
    subscribed.end()

    with pytest.raises(SubscriptionEnded):
        follower(subscribed)


def test_the_descriptor_is_asked_for_once_a_second() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.control.asked.clear()

    for _ in range(10):
        following.moved()
        subscribed.clock.sleep(DESCRIPTOR_SECONDS / 4)

    assert len(subscribed.control.asked) == 2


def test_a_subscription_has_moved_when_its_topic_is_another() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)
    stayed = following.moved()
    subscribed.move("code")

    too_early = following.moved()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)
    moved = following.moved()

    assert (stayed, too_early, moved) == (False, False, True)
    assert following.descriptor.topic == subscribed.incarnation.topic


def test_a_new_version_of_the_grant_on_the_same_topic_is_no_move() -> None:
    subscribed = Subscribed(live=False)
    following = follower(subscribed)
    subscribed.fill()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)

    assert not following.moved()
    assert following.descriptor.fill_end == {0: 0}


def test_the_end_of_the_grant_is_noticed() -> None:
    """Invariant 6: nothing more is handed out after the grant has ended."""
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.end()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)

    with pytest.raises(SubscriptionEnded):
        following.moved()


def test_a_control_plane_that_is_away_changes_nothing() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.upsert("1")
    subscribed.control.failure = ControlUnavailable("away")
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)

    assert not following.moved()
    assert keys(following) == [b"1"]


def test_a_refusal_by_kafka_is_checked_with_the_control_plane_at_once() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.readers.failures["read"] = AccessDenied("no")
    subscribed.control.asked.clear()

    records = following.read(100, 0)
    following.moved()

    assert records == ()
    assert subscribed.control.asked == [f"subscription {builders.GRANT}"]


def test_a_refusal_that_goes_on_is_raised() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.readers.failures["read"] = AccessDenied("no")
    following.read(100, 0)
    subscribed.clock.sleep(30)
    following.read(100, 0)
    subscribed.clock.sleep(0.1)

    with pytest.raises(AccessDenied):
        following.read(100, 0)


def test_a_refusal_that_passes_is_forgotten() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.upsert("1")
    subscribed.readers.failures["read"] = AccessDenied("no")
    following.read(100, 0)
    subscribed.clock.sleep(20)
    subscribed.readers.failures.clear()
    following.read(100, 0)
    subscribed.clock.sleep(20)
    subscribed.readers.failures["read"] = AccessDenied("no")

    assert following.read(100, 0) == ()


def test_a_topic_that_is_not_shown_yet_is_waited_for() -> None:
    subscribed = Subscribed()
    subscribed.upsert("1")
    following = follower(subscribed)
    subscribed.readers.hidden = lambda _topic: subscribed.clock.monotonic() < 20

    assert keys(following) == [b"1"]
    assert 20 <= subscribed.clock.monotonic() < 21


def test_another_topic_is_read_if_that_of_before_is_shown_no_more() -> None:
    """The subscription was moved between the answers of the control plane and of Kafka."""
    subscribed = Subscribed()
    following = follower(subscribed)
    cut = following.descriptor.topic
    subscribed.readers.hidden = lambda topic: topic == cut
    subscribed.move("code")
    subscribed.upsert("2")

    following.open()

    assert following.descriptor.topic == subscribed.incarnation.topic != cut
    assert keys(following) == [b"2"]
    assert not following.moved()


def test_a_topic_that_is_never_shown_is_told() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.readers.hidden = lambda _topic: True

    with pytest.raises(AccessDenied):
        following.open()

    assert 30 < subscribed.clock.monotonic() < 31


def test_the_end_of_the_grant_ends_the_wait_for_a_topic() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    subscribed.readers.hidden = lambda _topic: True
    subscribed.end()

    with pytest.raises(SubscriptionEnded):
        following.open_at_end()

    assert subscribed.clock.monotonic() < 1


def test_after_a_refusal_a_new_reader_goes_on_where_the_old_one_was() -> None:
    """The client of the old one believes what it was told for a quarter of an hour."""
    subscribed = Subscribed()
    subscribed.upsert("1")
    following = follower(subscribed)
    refused = following.open()
    keys(following)
    subscribed.upsert("2")
    subscribed.readers.hidden = lambda _topic: True
    assert [keys(following), keys(following)] == [[], []]

    subscribed.readers.hidden = lambda _topic: False

    assert keys(following) == [b"2"]
    with pytest.raises(KeyError):
        refused.position(Partition(following.descriptor.topic, 0))


def test_a_refusal_is_over_when_a_quiet_topic_has_been_readable_for_a_while() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    following.open()
    for _ in range(3):
        subscribed.readers.hidden = lambda _topic: True
        assert keys(following) == []
        subscribed.clock.sleep(10.1)
        subscribed.readers.hidden = lambda _topic: False
        assert keys(following) == []
    subscribed.control.asked.clear()
    following.moved()
    following.moved()

    assert len(subscribed.control.asked) == 1


@pytest.mark.parametrize("opened", [True, False])
def test_kafka_is_asked_again_with_pauses(*, opened: bool) -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    if opened:
        following.open()
    subscribed.readers.hidden = lambda _topic: True

    def read_on() -> None:
        while True:
            following.moved()
            following.read(100, 1.0)

    with pytest.raises(AccessDenied):
        read_on()
    asked = len([each for each in subscribed.control.asked if each.startswith("subscription")])

    assert subscribed.clock.monotonic() > 30
    assert asked <= 30 / 0.2 + 2


def test_the_whole_view_has_been_read_at_the_fill_end() -> None:
    subscribed = Subscribed(live=False)
    subscribed.upsert("1")
    following = follower(subscribed)
    following.read(100, 0)
    unknown = following.filled()
    subscribed.fill()
    subscribed.clock.sleep(DESCRIPTOR_SECONDS)
    following.moved()

    assert not unknown
    assert following.filled()
    assert following.positions() == {Partition(following.descriptor.topic, 0): 1}


def test_positions_are_remembered_in_the_group_of_the_subscription() -> None:
    subscribed = Subscribed()
    following = follower(subscribed)
    where = Partition(following.descriptor.topic, 0)

    following.commit({where: Committed(1, "before anything is open")})
    following.open()
    following.commit({where: Committed(2, "note")})

    assert subscribed.committed() == {0: Committed(2, "note")}


def test_nothing_is_known_of_positions_before_the_topic_is_open_and_after_it_is_closed() -> None:
    following = follower(Subscribed())
    before = following.positions()
    following.open()
    following.close()
    following.close()

    assert before == following.positions() == {}
