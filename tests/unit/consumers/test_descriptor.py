"""Unit tests of `consumers.descriptor`, on what the control plane really answers."""

from dataclasses import replace

import pytest

from bus.domain.items import Nullable, Scalar
from bus.errors import NotFound, SubscriptionEnded
from bus.ports import Partition
from consumers.descriptor import Descriptor, fetch_descriptor
from tests import builders
from tests.subscriber_fakes import MemoryControl, Subscribed


def test_a_descriptor_says_where_how_and_under_which_grant() -> None:
    """R-123: grant, purpose and class belong to what is handed over."""
    subscribed = Subscribed(partitions=2)
    life = subscribed.incarnation

    descriptor = subscribed.descriptor()

    assert descriptor == Descriptor(
        id=builders.GRANT,
        state="LIVE",
        grant=builders.GRANT,
        grant_version=1,
        grant_state="ACTIVE",
        purpose="WORK_REFERENCE",
        share_class="UNCONDITIONAL",
        resource=builders.RESOURCE,
        jurisdiction=builders.JURISDICTION,
        provider=builders.PROVIDER,
        entry_version=1,
        items=descriptor.items,
        incarnation=1,
        topic=life.topic,
        partitions=2,
        subject=f"{life.topic}-value",
        principal="sub-divisions-housing",
        group_prefix="os.sub-divisions-housing.",
        fill_end={0: 0, 1: 0},
        replay_window_days=30,
    )
    assert [(item["name"], item["key"]) for item in descriptor.items] == [
        ("code", True),
        ("name", False),
    ]


def test_key_items_come_in_catalog_order() -> None:
    items = [
        builders.key_item("b"),
        builders.item("x", Nullable(Scalar.INT)),
        builders.key_item("a"),
    ]
    entry = builders.entry(items=items)
    grant = builders.grant(items=("a", "b", "x"))
    control = MemoryControl(builders.delivery(to=grant, on=entry))

    descriptor = fetch_descriptor(control.as_client(), grant.id)

    assert descriptor.key_items == ("b", "a")


def test_the_partitions_of_the_topic_are_named() -> None:
    descriptor = Subscribed(partitions=2).descriptor()

    assert descriptor.topic_partitions == (
        Partition(descriptor.topic, 0),
        Partition(descriptor.topic, 1),
    )


def test_a_view_is_seen_whole_once_every_partition_has_been_read_to_its_fill_end() -> None:
    """R-116: the snapshot ends at a marked position."""
    subscribed = Subscribed(partitions=2)
    for _ in range(3):
        subscribed.upsert("1", partition=1)
    subscribed.fill()
    descriptor = subscribed.descriptor()
    first, second = descriptor.topic_partitions

    assert not descriptor.filled({})
    assert not descriptor.filled({first: 5, second: 2})
    assert descriptor.filled({first: 0, second: 3})
    assert descriptor.filled({second: 4})


def test_a_view_that_is_still_being_filled_is_never_seen_whole() -> None:
    descriptor = Subscribed(live=False).descriptor()

    assert descriptor.state == "SNAPSHOTTING"
    assert descriptor.fill_end is None
    assert not descriptor.filled({Partition(descriptor.topic, 0): 1_000})


def test_the_subscription_of_a_grant_that_is_over_is_an_error() -> None:
    subscribed = Subscribed()
    subscribed.end()

    with pytest.raises(SubscriptionEnded, match=r"grant divisions-housing .* is revoked; nothing"):
        fetch_descriptor(subscribed.control.as_client(), builders.GRANT)


def test_a_subscription_that_is_not_ours_is_not_found() -> None:
    control = Subscribed().control

    with pytest.raises(NotFound):
        fetch_descriptor(control.as_client(), "somebody-else")


def test_an_item_without_a_share_rule_for_the_scope_leaves_the_class_open() -> None:
    entry = builders.entry(groups=(replace(builders.item_group(), rules={}),))
    control = MemoryControl(builders.delivery(on=entry))

    assert fetch_descriptor(control.as_client(), builders.GRANT).share_class is None
