"""
The subscriber SDK: a subscription as a stream of changes.

    with Subscriber.connect("streets-hainan", kafka=…, control=…) as subscriber:
        for change in subscriber:
            …

A change counts as done when the next one is asked for; after a restart the stream goes on behind
the last one that was done and remembered (at least once, in order). Whenever the whole view is
handed out, at the first start and after a change of the grant, the stream says so before and after:
what did not come in between is not in the view.
"""

import datetime as dt
import json
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from bus.adapters.control_http.client import ControlClient
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.system_clock import SystemClock
from bus.domain.names import group_prefix, subscription_principal
from bus.errors import BrokerUnavailable
from bus.ports import Clock, Committed, Partition, Record
from consumers.change import Change, ChangeKind
from consumers.descriptor import Descriptor
from consumers.view_decoder import ViewDecoder
from consumers.view_follower import ViewFollower

_BATCH = 1000
_WAIT_SECONDS = 0.2
#: How often positions are remembered while changes flow.
REMEMBER_SECONDS = 1.0


class Subscriber:
    """
    Iterates over the changes of one subscription.

    Not for several threads, and one process at a time under each `name`: two would both get
    everything. Iteration raises `SubscriptionEnded` when the grant is over.
    """

    def __init__(
        self,
        subscription: str,
        *,
        kafka: KafkaConnection,
        control: ControlClient,
        name: str = "main",
        from_start: bool = False,
        remember: bool = True,
        clock: Clock | None = None,
    ) -> None:
        """
        Look up `subscription` with its own credentials.

        `name` is where positions are remembered. With `from_start` the whole view comes first,
        whatever is remembered. Without `remember` the stream starts at the end, and forgets.
        """
        self._clock = clock or SystemClock()
        prefix = group_prefix(subscription_principal(subscription))
        readers = KafkaLogReaders(kafka, group=f"{prefix}{name}")
        self._follower = ViewFollower(subscription, control, readers, self._clock)
        self._decoder = ViewDecoder(control.schema)
        self._from_start = from_start
        self._remember = remember
        self._resyncing = False
        self._restarting = False
        self._remembered_at = self._clock.monotonic()
        self._done: dict[Partition, int] = {}
        self._read: deque[Record] = deque()
        self._begun = False

    @property
    def descriptor(self) -> Descriptor:
        """The subscription as it is now."""
        return self._follower.descriptor

    def __iter__(self) -> Iterator[Change]:
        """Yield changes as they come, for ever."""
        while True:
            yield from self.poll(_WAIT_SECONDS)

    def poll(self, seconds: float) -> Iterator[Change]:
        """
        Yield the changes that are there, waiting at most `seconds` for the first.

        It takes longer when the view is opened, at the start or after a move, and Kafka does not
        show its topic yet.
        """
        if not self._begun:
            self._begin()
            self._begun = True
        if self._follower.moved():
            self._restarting = True
        if self._restarting:
            self._restart()
            yield self._mark(ChangeKind.RESYNC_STARTED)
        if not self._read:
            self._read.extend(self._follower.read(_BATCH, seconds))
        while self._read:
            if self._follower.moved():
                # What was read ahead may not be ours any more (design.md §10).
                self._restarting = True
                return
            record = self._read[0]
            yield self._decoder.change(record, self.descriptor)
            # Only now, because the caller has asked for the next one; a caller that stops in the
            # middle gets the same one when it asks again.
            self._read.popleft()
            partition = Partition(record.topic() or "", record.partition() or 0)
            self._done[partition] = (record.offset() or 0) + 1
            self._remember_now_and_then()
        if self._resyncing and self._follower.filled():
            yield self._mark(ChangeKind.RESYNC_ENDED)
            self._resyncing = False
            self._commit()
        self._remember_now_and_then()

    def close(self) -> None:
        """Remember where we are, and let go."""
        if self._done:
            self._commit()
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> None:
        """Start where we stopped; from the beginning the first time; again after too long."""
        if not self._remember and not self._from_start:
            self._follower.open_at_end()
            return
        reader = self._follower.open()
        remembered = {} if self._from_start else reader.committed()
        # Positions that were committed by other means have no note: then nothing is known of them.
        noted = next((each.note for each in remembered.values()), "")
        note = json.loads(noted) if noted else {}
        # Deletes from before the replay window are gone from the topic: only the whole view tells.
        window = dt.timedelta(days=self.descriptor.replay_window_days)
        if not note or self._clock.now() - dt.datetime.fromisoformat(note["at"]) > window:
            self._restarting = True
            return
        self._resyncing = note["resyncing"]
        for partition, found in remembered.items():
            reader.seek(partition, found.position)
            # So that the next note stands at every partition.
            self._done[partition] = found.position

    def _restart(self) -> None:
        self._done.clear()
        self._read.clear()
        self._follower.open()
        self._resyncing = True
        # Not before, because opening may fail and be tried again.
        self._restarting = False

    def _mark(self, kind: ChangeKind) -> Change:
        return Change(kind=kind, key="", record=None, meta=None, subscription=self.descriptor)

    def _remember_now_and_then(self) -> None:
        if self._clock.monotonic() - self._remembered_at >= REMEMBER_SECONDS:
            self._commit()

    def _commit(self) -> None:
        self._remembered_at = self._clock.monotonic()
        if not self._remember or not self._done:
            return
        note = json.dumps({"at": self._clock.now().isoformat(), "resyncing": self._resyncing})
        committed = {each: Committed(position, note) for each, position in self._done.items()}
        try:
            self._follower.commit(committed)
        except BrokerUnavailable:
            # The next time will do: at least once is what is promised.
            return
