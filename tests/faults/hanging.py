"""
End transactions that hang: their records stand in partitions, and nobody will ever end them.

A broker that is killed at the wrong moment notes a transaction as aborted and never writes the
markers (KIP-664 is about these). Whoever reads committed records then waits for ever, until an
operator ends it by hand. So does this, and says so: each is a fault of the broker to look at.
"""

import contextlib
import threading
import time

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.kafka.transactions import KafkaTransactions
from bus.domain.names import OFFSETS_TOPIC
from bus.errors import BrokerUnavailable
from bus.ports import Partition

#: Coordinators end transactions after ten seconds, and look every 15; brokers restart meanwhile.
HANGS_AFTER_SECONDS = 60.0
_LOOK_SECONDS = 5.0
_JOIN_SECONDS = 60.0


class HangingTransactions:
    """Looks now and then, and aborts what has been open for longer than anything may be."""

    def __init__(self, connection: KafkaConnection, *, prefix: str) -> None:
        self.ended: list[str] = []
        self._transactions = KafkaTransactions(connection)
        self._topics = KafkaTopicAdmin(connection)
        self._prefix = prefix
        #: (topic, partition, producer, first offset) -> when it was seen first.
        self._open: dict[tuple[str, int, int, int], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hanging transactions")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            # Often the broker is away, which is what this is all about.
            with contextlib.suppress(BrokerUnavailable):
                self._look()
        self._transactions.close()

    def _look(self) -> None:
        where = [
            Partition(topic, number)
            for prefix in (self._prefix, OFFSETS_TOPIC)
            for topic, count in self._topics.existing(prefix).items()
            for number in range(count)
        ]
        now = time.monotonic()
        still_open: dict[tuple[str, int, int, int], float] = {}
        for each in self._transactions.open_in(where):
            known = (*each.partition, each.producer, each.start)
            since = still_open[known] = self._open.get(known, now)
            if now - since > HANGS_AFTER_SECONDS:
                self._transactions.abort(each)
                topic, _, producer, start = known
                self.ended.append(f"{topic}: producer {producer}, from offset {start}")
        self._open = still_open
