"""
What a static member of a consumer group left behind, and its end.

A static member that comes back within the session time-out gets the assignment of its former self,
whatever topics it follows now: the broker does not ask for a new one, and librdkafka does not
notice. A resource that was published meanwhile would have no reader, and one that was retired would
be waited for. And when the former self died after it had given partitions back for another member,
but before it had asked for the second half of that rebalance, nobody ever would: the partitions
would belong to no member of a group at rest. So a member that comes back with other topics, or
finds partitions that are nobody's, leaves in its former self's name first, and joins as a new one
(docs/adr/0002).
"""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import structlog
from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.errors import KafkaError

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.python_admin import python_admin
from bus.errors import BrokerUnavailable
from bus.ports import Partition

log = structlog.get_logger(__name__)

#: How long to ask for what a broker that is starting, or is loading its groups, does not know yet.
_ASK_SECONDS = 20.0
_PAUSE_SECONDS = 0.5


def leave_unless_it_follows(
    connection: KafkaConnection, *, group: str, instance: str, topics: Collection[str]
) -> None:
    """
    Remove the static member `instance` from `group` if its assignment cannot be gone on with.

    It cannot if the member followed other topics than `topics`, or if some of their partitions are
    nobody's. Raise `BrokerUnavailable` if that cannot be found out.
    """
    deadline = time.monotonic() + _ASK_SECONDS
    while True:
        try:
            _leave_unless(connection, group, instance, frozenset(topics))
        except KafkaError as error:
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"who is in {group} is not known: {error}") from error
            log.info("who is in the group is not known yet", reason=str(error))
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _leave_unless(
    connection: KafkaConnection, group: str, instance: str, topics: frozenset[str]
) -> None:
    admin = python_admin(connection, client="onesource-membership")
    try:
        members: list[dict[str, Any]] = admin.describe_groups([group])[group]["members"]
        former = [each for each in members if each["group_instance_id"] == instance]
        if not former:
            return
        if _followed(former[0]) != topics:
            log.info("the former self followed other topics: joining anew", instance=instance)
        elif orphans := _partitions(admin, topics) - _assigned(members):
            log.info("partitions are nobody's: joining anew", instance=instance, count=len(orphans))
        else:
            return
        admin.remove_group_members(group, [MemberToRemove(group_instance_id=instance)])
    finally:
        admin.close()


def _followed(member: Mapping[str, Any]) -> frozenset[str]:
    """Return what a member follows; the broker does not say while the group is rebalancing."""
    metadata = member["member_metadata"]
    return frozenset(metadata["topics"]) if metadata else frozenset()


def _assigned(members: Iterable[Mapping[str, Any]]) -> set[Partition]:
    """Return the partitions that are somebody's."""
    assignments = [each["member_assignment"] for each in members if each["member_assignment"]]
    return {
        Partition(of_topic["topic"], number)
        for assignment in assignments
        for of_topic in assignment["assigned_partitions"]
        for number in of_topic["partitions"]
    }


def _partitions(admin: KafkaAdminClient, topics: Collection[str]) -> set[Partition]:
    """Return the partitions of topics."""
    return {
        Partition(described["name"], partition["partition_index"])
        for described in admin.describe_topics(sorted(topics))
        for partition in described["partitions"]
    }
