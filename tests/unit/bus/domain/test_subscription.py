"""Unit tests of `bus.domain.subscription`."""

from tests import builders


def test_a_subscription_reads_the_topic_of_its_incarnation() -> None:
    subscription = builders.subscription(topic="os.view.cn.divisions.abc.1")

    assert subscription.topics() == ("os.view.cn.divisions.abc.1",)


def test_a_subscription_that_is_being_widened_may_read_the_next_topic_too() -> None:
    """design.md §9: it stays where it is until the new incarnation has been filled."""
    subscription = builders.subscription(topic="one", next_topic="two")

    assert subscription.topics() == ("one", "two")


def test_a_subscription_that_ended_may_read_nothing() -> None:
    """Invariant 6."""
    subscription = builders.subscription(topic="one", next_topic="two", ended=True)

    assert subscription.topics() == ()


def test_a_subscription_has_consumer_groups_of_its_own() -> None:
    subscription = builders.subscription("divisions-housing")

    assert subscription.group_prefix == "os.sub-divisions-housing."
