"""
Follow a subscription from view topic to view topic.

This is what the SDK and the sinks have in common: read the topic that the descriptor names, look
at the descriptor again every second, move on to a new incarnation when there is one, and notice
when the whole view has been seen. Where to start, and what to do about it, is the caller's.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import structlog

from bus.adapters.control_http.client import ControlClient
from bus.adapters.kafka.log_reader import KafkaLogReader, KafkaLogReaders
from bus.errors import AccessDenied, ControlUnavailable
from bus.ports import Clock, Committed, Partition, Record
from consumers.descriptor import Descriptor, fetch_descriptor

log = structlog.get_logger(__name__)

#: How often to ask whether the subscription has changed.
DESCRIPTOR_SECONDS = 1.0
#: How long Kafka may refuse what the control plane says is ours: permissions follow decisions.
_ACCESS_SECONDS = 30.0
#: After a refusal Kafka is asked again no sooner than this.
_REFUSED_PAUSE_SECONDS = 0.2
#: So long without another, a refusal is over, whether records come or not.
_REFUSED_SECONDS = 10.0


class ViewFollower:
    """Reads a subscription's view, wherever it is."""

    def __init__(
        self, subscription: str, control: ControlClient, readers: KafkaLogReaders, clock: Clock
    ) -> None:
        """Look up the subscription; raise `SubscriptionEnded` or what `ControlClient` raises."""
        self._subscription = subscription
        self._control = control
        self._readers = readers
        self._clock = clock
        self._reader: KafkaLogReader | None = None
        self._asked_at = clock.monotonic()
        #: When Kafka refused first and last in the refusal that goes on; None: there is none.
        self._refused_since: float | None = None
        self._refused_at = 0.0
        #: Whether the reader that is there was refused, and is not to be trusted any more.
        self._refused = False
        self.descriptor: Descriptor = fetch_descriptor(control, subscription)

    def open(self, starts: Mapping[Partition, int] | None = None) -> KafkaLogReader:
        """
        Read the descriptor's topic from `starts` on, by default from its beginning.

        While Kafka does not show the topic, the descriptor is asked for again, and may be another
        afterwards. Raise `AccessDenied` if that goes on, and what `moved` raises.
        """
        return self._read_from(
            self._await_shown(self._readers.beginnings) if starts is None else starts
        )

    def open_at_end(self) -> KafkaLogReader:
        """Read what comes from now on; see `open`."""
        return self._read_from(self._await_shown(self._readers.ends))

    def moved(self) -> bool:
        """
        Look whether the subscription has moved to another topic; at most once a second.

        Raise `SubscriptionEnded` if it is over. If the control plane is away, nothing has changed:
        Kafka itself knows what is allowed.
        """
        now = self._clock.monotonic()
        if now - self._asked_at < DESCRIPTOR_SECONDS and self._refused_since is None:
            return False
        self._asked_at = now
        try:
            descriptor = fetch_descriptor(self._control, self._subscription)
        except ControlUnavailable as error:
            log.warning("the control plane is away", reason=str(error))
            return False
        before, self.descriptor = self.descriptor, descriptor
        return descriptor.topic != before.topic

    def read(self, most: int, seconds: float) -> Sequence[Record]:
        """
        Return up to `most` records, waiting at most `seconds` for the first.

        Raise `AccessDenied` if Kafka goes on refusing what the control plane allows.
        """
        try:
            records = self._present_reader(seconds).read(most, seconds)
        except AccessDenied as refusal:
            self._bear(refusal)
            return ()
        if self._refused_since is not None and (
            records or self._clock.monotonic() - self._refused_at > _REFUSED_SECONDS
        ):
            self._refused_since = None
        return records

    def positions(self) -> dict[Partition, int]:
        """Return the positions in the view topic."""
        if self._reader is None:
            return {}
        return {each: self._reader.position(each) for each in self.descriptor.topic_partitions}

    def commit(self, positions: Mapping[Partition, Committed]) -> None:
        """Remember positions in the subscription's consumer group."""
        if self._reader is not None:
            self._reader.commit(positions)

    def filled(self) -> bool:
        """Return whether the whole view has been read."""
        return self.descriptor.filled(self.positions())

    def close(self) -> None:
        """Let go of the topic."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _present_reader(self, seconds: float) -> KafkaLogReader:
        """Return the reader; after a refusal a new one, once the topic is shown, at its place."""
        if self._reader is None:
            return self.open()
        if not self._refused:
            return self._reader
        since = self._clock.monotonic() - self._refused_at
        self._clock.sleep(max(0.0, min(seconds, _REFUSED_PAUSE_SECONDS - since)))
        self._readers.beginnings(self.descriptor.topic_partitions)
        # A client believes for a quarter of an hour what it was told once of a topic.
        return self._read_from(self.positions())

    def _read_from(self, starts: Mapping[Partition, int]) -> KafkaLogReader:
        self.close()
        partitions = self.descriptor.topic_partitions
        self._reader = self._readers.open({each: starts.get(each, 0) for each in partitions})
        self._refused = False
        return self._reader

    def _await_shown(
        self, ask: Callable[[Collection[Partition]], Mapping[Partition, int]]
    ) -> Mapping[Partition, int]:
        """Ask for positions in the topic, of the newest descriptor, until Kafka shows it."""
        while True:
            try:
                return ask(self.descriptor.topic_partitions)
            except AccessDenied as refusal:
                self._bear(refusal)
            self._clock.sleep(_REFUSED_PAUSE_SECONDS)
            self.moved()

    def _bear(self, refusal: AccessDenied) -> None:
        """Note a refusal; raise it if it goes on for longer than permissions may take."""
        self._refused = True
        self._refused_at = self._clock.monotonic()
        if self._refused_since is None:
            self._refused_since = self._refused_at
        if self._refused_at - self._refused_since > _ACCESS_SECONDS:
            raise refusal
