"""
What a static member of a consumer group left behind, and its end.

A static member that comes back within the session time-out gets the assignment of its former self,
whatever topics it follows now: the broker does not ask for a new one, and librdkafka does not
notice. A resource that was published meanwhile would have no reader, and one that was retired would
be waited for. So a member that comes back with other topics leaves in its former self's name first,
and joins as a new one (docs/adr/0002).
"""

import time
from collections.abc import Collection
from typing import Any

import structlog
from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.errors import KafkaError

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.python_admin import python_admin
from bus.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

#: How long to ask for what a broker that is starting, or is loading its groups, does not know yet.
_ASK_SECONDS = 20.0
_PAUSE_SECONDS = 0.5


def leave_unless_it_follows(
    connection: KafkaConnection, *, group: str, instance: str, topics: Collection[str]
) -> None:
    """
    Remove the static member `instance` from `group` if it follows other topics than `topics`.

    Raise `BrokerUnavailable` if that cannot be found out.
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
        followed = _followed(admin, group, instance)
        if followed is None or followed == topics:
            return
        log.info("the former self followed other topics: joining anew", instance=instance)
        admin.remove_group_members(group, [MemberToRemove(group_instance_id=instance)])
    finally:
        admin.close()


def _followed(admin: KafkaAdminClient, group: str, instance: str) -> frozenset[str] | None:
    """Return what a member follows; None if there is no such member."""
    described: dict[str, Any] = admin.describe_groups([group])[group]
    for member in described["members"]:
        if member["group_instance_id"] == instance:
            metadata = member["member_metadata"]
            return frozenset(metadata["topics"]) if metadata else frozenset()
    return None
