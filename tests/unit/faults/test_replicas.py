"""Unit tests of `tests.faults.replicas`: when a cluster counts as well."""

import random
import time
from collections import Counter
from typing import Any

import pytest

from bus.adapters.kafka.connection import KafkaConnection
from tests.faults.replicas import Replicas


class FakeAdmin:
    """Says of a cluster of three what it is told to say."""

    def __init__(self) -> None:
        self.in_sync = [1, 2, 3]
        self.leader = 1
        self.ends = [10, 10, 10]

    def describe_metadata_quorum(self) -> dict[str, Any]:
        voters = [{"log_end_offset": end} for end in self.ends]
        return {"topics": [{"partitions": [{"current_voters": voters}]}]}

    def describe_topics(self) -> list[dict[str, Any]]:
        partition = {
            "partition_index": 0,
            "leader_id": self.leader,
            "replica_nodes": [1, 2, 3],
            "isr_nodes": self.in_sync,
        }
        return [{"name": "os.policy", "partitions": [partition]}]


@pytest.fixture
def admin() -> FakeAdmin:
    return FakeAdmin()


@pytest.fixture
def replicas(admin: FakeAdmin) -> Replicas:
    nowhere = KafkaConnection(bootstrap="127.0.0.1:1", username="admin", password="x")
    replicas = Replicas(nowhere, random.Random(1), Counter(), brokers=3)
    # Against the first look nothing can be held.
    replicas._look(admin)
    assert not replicas.in_sync_since(0.0)
    return replicas


def test_well_is_where_all_are_in_sync_and_know_it(replicas: Replicas, admin: FakeAdmin) -> None:
    replicas._look(admin)

    assert replicas.in_sync_since(0.0)
    assert not replicas.in_sync_since(float("inf"))


def test_a_replica_out_of_sync_is_not_well(replicas: Replicas, admin: FakeAdmin) -> None:
    admin.in_sync = [1, 3]
    replicas._look(admin)

    assert not replicas.in_sync_since(0.0)


def test_a_partition_without_a_leader_is_not_well(replicas: Replicas, admin: FakeAdmin) -> None:
    admin.leader = -1
    replicas._look(admin)

    assert not replicas.in_sync_since(0.0)


def test_a_broker_that_has_stood_still_cannot_say_that_all_is_well(
    replicas: Replicas, admin: FakeAdmin
) -> None:
    """It would say so of the time before it stood still."""
    went_on = time.monotonic()
    for admin.ends in ([20, 10, 20], [20, 10, 20], [20, 12, 20]):
        replicas._look(admin)
        assert not replicas.in_sync_since(went_on)

    admin.ends = [21, 20, 21]
    replicas._look(admin)
    assert replicas.in_sync_since(went_on)
