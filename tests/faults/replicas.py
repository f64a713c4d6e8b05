"""
Who leads each partition and whether all replicas are in sync; and leaders moved, as operators do.

One thread looks again and again, since a look at a broker that stands still takes its time.
"""

import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.python_admin import python_admin
from bus.ports import Partition

#: Topics whose leaders move, by how their names begin.
KINDS: Mapping[str, str] = {
    "source": "os.src.",
    "view": "os.view.",
    "policy": "os.policy",
    "router state": "os.state.router",
    "offsets": "__consumer_offsets",
    "transactions": "__transaction_state",
}
_PREFERRED = 0
_LOOK_SECONDS = 0.3
_JOIN_SECONDS = 60.0
_MOST_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class _Replicas:
    leader: int
    all: tuple[int, ...]
    in_sync: frozenset[int]


class Replicas:
    """
    Looks at the partitions of a cluster of `brokers`, and moves leaders among those in sync.

    A move is counted in `strikes` if the leader was seen to lead afterwards.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        chance: random.Random,
        strikes: "Counter[str]",
        *,
        brokers: int,
    ) -> None:
        self.strikes = strikes
        self.refusals: Counter[str] = Counter()
        self._connection = connection
        self._chance = chance
        self._brokers = brokers
        self._wanted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        #: Of when everything was last found in sync.
        self._in_sync_at = 0.0
        #: When the last look began, and how much metadata it found that there was.
        self._looked_at = 0.0
        self._metadata_end = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replicas")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def in_sync_since(self, moment: float) -> bool:
        """Tell whether all replicas were found in sync, by nodes that know all until `moment`."""
        return self._in_sync_at > moment

    def move(self, kind: str) -> None:
        """Ask for some leaders of a kind to be moved; return at once."""
        self._wanted.put(kind)

    def elect_preferred(self) -> None:
        """Ask for each partition to be led by the broker that is to lead it; return at once."""
        self._wanted.put(None)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                admin = python_admin(self._connection, client="soak-replicas")
                try:
                    while not self._over.wait(_LOOK_SECONDS):
                        self._look(admin)
                        self._do_wanted(admin)
                finally:
                    admin.close()
            except KafkaError as error:
                # The broker that was asked is away: another is.
                self.refusals[type(error).__name__] += 1
                self._over.wait(_LOOK_SECONDS)

    def _look(self, admin: KafkaAdminClient) -> None:
        """
        See whether all is well, by what there was at the look before.

        A broker that has stood still does not know what came of that, and would say that all is
        well. So each node must have the metadata that there was then.
        """
        before, self._looked_at = self._looked_at, time.monotonic()
        end, self._metadata_end = self._metadata_end, 0
        described = admin.describe_metadata_quorum()
        [metadata] = [each for topic in described["topics"] for each in topic["partitions"]]
        ends = [int(voter["log_end_offset"]) for voter in metadata["current_voters"]]
        self._metadata_end = max(ends)
        everyone = set(range(1, self._brokers + 1))
        if (
            len(ends) == self._brokers
            and min(ends) >= end > 0
            and all(
                each.leader in everyone and each.in_sync == set(each.all) == everyone
                for each in _partitions(admin).values()
            )
        ):
            self._in_sync_at = before

    def _do_wanted(self, admin: KafkaAdminClient) -> None:
        while not self._over.is_set():
            try:
                kind = self._wanted.get_nowait()
            except queue.Empty:
                return
            if kind is None:
                admin.elect_leaders(_PREFERRED, raise_errors=False)
            else:
                self._move(admin, kind)

    def _move(self, admin: KafkaAdminClient, kind: str) -> None:
        """Put another replica that is in sync first, and let the first one lead."""
        found = {
            where: each
            for where, each in _partitions(admin).items()
            if where.topic.startswith(KINDS[kind]) and each.in_sync - {each.leader}
        }
        count = min(len(found), self._chance.randint(1, _MOST_AT_ONCE))
        targets: dict[Partition, int] = {}
        orders: dict[TopicPartition, list[int]] = {}
        elections: dict[str, list[int]] = {}
        for where in self._chance.sample(sorted(found), count):
            each = found[where]
            target = targets[where] = self._chance.choice(sorted(each.in_sync - {each.leader}))
            orders[TopicPartition(*where)] = [
                target,
                *(node for node in each.all if node != target),
            ]
            elections.setdefault(where.topic, []).append(where.number)
        if not targets:
            return
        admin.alter_partition_reassignments(orders)
        admin.elect_leaders(_PREFERRED, elections, raise_errors=False)
        now = _partitions(admin)
        for where, target in targets.items():
            if where in now and now[where].leader == target:
                self.strikes[moved(kind)] += 1


def moved(kind: str) -> str:
    """Return the name of the strike that a leader of a kind was moved."""
    return f"leader moved: {kind}"


def _partitions(admin: KafkaAdminClient) -> dict[Partition, _Replicas]:
    topics: list[dict[str, Any]] = admin.describe_topics()
    return {
        Partition(topic["name"], int(each["partition_index"])): _Replicas(
            int(each["leader_id"]), tuple(each["replica_nodes"]), frozenset(each["isr_nodes"])
        )
        for topic in topics
        for each in topic["partitions"]
    }
