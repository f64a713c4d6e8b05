"""Unit tests of `bus.adapters.kafka.static_member`: whose former self has to leave first."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bus.adapters.kafka import static_member as module
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.static_member import leave_unless_it_follows

GROUP, MINE, OTHER = "os.router", "os.router.0", "os.router.1"
TOPICS = {"towns": 3, "roads": 1}


def member(
    instance: str, assigned: Mapping[str, Sequence[int]], *, topics: Sequence[str] = tuple(TOPICS)
) -> dict[str, Any]:
    """Return a member as the broker describes it."""
    parts = [{"topic": topic, "partitions": list(each)} for topic, each in assigned.items()]
    return {
        "group_instance_id": instance,
        "member_metadata": {"topics": list(topics)} if topics else None,
        "member_assignment": {"assigned_partitions": parts} if parts else None,
    }


class Admin:
    """A cluster with one group."""

    def __init__(self, members: Sequence[Mapping[str, Any]]) -> None:
        self.members = members
        self.removed: list[str] = []

    def describe_groups(self, groups: Sequence[str]) -> dict[str, Any]:
        return {group: {"members": self.members} for group in groups}

    def describe_topics(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": topic,
                "partitions": [{"partition_index": number} for number in range(TOPICS[topic])],
            }
            for topic in topics
        ]

    def remove_group_members(self, _group: str, members: Sequence[Any]) -> None:
        self.removed += [each.group_instance_id for each in members]

    def close(self) -> None:
        pass


def removed(monkeypatch: pytest.MonkeyPatch, *members: Mapping[str, Any]) -> list[str]:
    """Return who has to leave before `MINE` follows all topics."""
    admin = Admin(members)
    monkeypatch.setattr(module, "python_admin", lambda *_, **__: admin)
    connection = KafkaConnection(bootstrap="none:1", username="u", password="p")
    leave_unless_it_follows(connection, group=GROUP, instance=MINE, topics=TOPICS)
    return admin.removed


def test_who_comes_back_to_its_partitions_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = member(MINE, {"towns": [0, 1]})
    others = member(OTHER, {"towns": [2], "roads": [0]})

    assert removed(monkeypatch, mine, others) == []


def test_a_new_member_has_no_former_self(monkeypatch: pytest.MonkeyPatch) -> None:
    assert removed(monkeypatch, member(OTHER, {"towns": [0]})) == []


@pytest.mark.parametrize("topics", [[], ["towns"], ["towns", "roads", "rivers"]])
def test_who_followed_other_topics_joins_anew(
    monkeypatch: pytest.MonkeyPatch, topics: list[str]
) -> None:
    everything = {"towns": [0, 1, 2], "roads": [0]}

    assert removed(monkeypatch, member(MINE, everything, topics=topics)) == [MINE]


def test_who_died_in_the_middle_of_a_rebalance_joins_anew_so_that_it_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had given two partitions back, and nobody has asked to whom they go."""
    mine, others = member(MINE, {"towns": [2], "roads": [0]}), member(OTHER, {})

    assert removed(monkeypatch, mine, others) == [MINE]
