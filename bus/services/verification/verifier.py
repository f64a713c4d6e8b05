"""Compare a view topic, and a subscriber's table, with what the oracle says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bus.domain.dead_letter import DeadLetter
from bus.domain.names import ROUTER_GROUP
from bus.domain.policy import Policy, ResourcePolicy, ViewPolicy
from bus.errors import ConfigError, NotFound
from bus.ports import Clock, EventCodec, LogReaders, Partition, Record
from bus.ports.pseudonym_secrets import PseudonymSecrets
from bus.services.verification.oracle import RowPredicate, ViewOracle
from bus.services.verification.rows import Comparison, RowDigests

_BATCH = 10_000
_LOOK_SECONDS = 0.1

#: Told what is being read, how far, and to where.
OnProgress = Callable[[str, int, int], None]


class ViewRows(Protocol):
    """Decodes view records."""

    def __call__(self, value: bytes) -> Mapping[str, Any]:
        """Return the items in the value of a view record."""
        ...


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found."""

    topic: str
    view: Comparison
    expected: RowDigests
    source_records: int
    refused: int
    wrongly_refused: tuple[int, ...]
    unexplained: tuple[int, ...]
    undecided: frozenset[bytes]
    """Keys that were left out: only refused records are left of them."""

    @property
    def well(self) -> bool:
        """Whether the view is what it must be."""
        return self.view.equal and not self.wrongly_refused


class Verifier:
    """Recomputes views; reads everything, writes nothing."""

    def __init__(
        self,
        readers: LogReaders,
        codec: EventCodec,
        clock: Clock,
        predicate: Callable[[str], RowPredicate],
        secrets: PseudonymSecrets | None = None,
    ) -> None:
        self._readers = readers
        self._codec = codec
        self._clock = clock
        self._predicate = predicate
        self._secrets = secrets

    def verify(
        self,
        policy: Policy,
        topic: str,
        rows: ViewRows,
        *,
        wait_seconds: float,
        on_progress: OnProgress,
    ) -> Verified:
        """
        Compare the view on `topic` with its source, as both are when the router has caught up.

        Raise `NotFound` if there is no such view, `ConfigError` if the router does not catch up
        within `wait_seconds` (data that flows meanwhile cannot be compared), `PseudonymKeyUnusable`
        if the view has pseudonyms that cannot be recomputed here.
        """
        view = policy.views.get(topic)
        if view is None:
            raise NotFound(f"the policy has no view {topic}")
        resource = self._resource(policy, view)
        partitions = [Partition(resource.topic, number) for number in range(resource.partitions)]
        ends = self._await_router(partitions, wait_seconds)
        letters = self._dead_letters(resource)
        row_filter = view.view.row_filter
        oracle = ViewOracle(
            resource,
            view.view,
            None if row_filter is None else self._predicate(row_filter),
            letters.values(),
            secrets=self._secrets,
        )
        expected = RowDigests()
        taken = 0

        def take(record: Record) -> None:
            nonlocal taken
            partition, position = record.partition() or 0, record.offset() or 0
            counts, row = oracle.row(
                partition,
                position,
                record.key() or b"",
                record.value(),
                dead_lettered=(partition, position) in letters,
            )
            taken += 1
            if counts:
                expected.put(record.key() or b"", row)

        self._read("source", ends, take, on_progress)
        found = self._view_rows(view, rows, on_progress)
        for compared in (expected, found):
            compared.leave_out(oracle.undecided)
        return Verified(
            topic=topic,
            view=expected.compare(found),
            expected=expected,
            source_records=taken,
            refused=len(letters),
            wrongly_refused=tuple(oracle.wrongly_refused),
            unexplained=tuple(oracle.unexplained),
            undecided=oracle.undecided,
        )

    @staticmethod
    def _resource(policy: Policy, view: ViewPolicy) -> ResourcePolicy:
        for resource in policy.resources.values():
            if view in policy.views_of(resource):
                return resource
        raise NotFound(f"the policy has no resource of the view {view.topic}")

    def _await_router(
        self, partitions: list[Partition], wait_seconds: float
    ) -> Mapping[Partition, int]:
        """Wait until the router has committed the present ends of the source; return them."""
        ends = self._readers.ends(partitions)
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            positions = self._readers.group_positions(ROUTER_GROUP, partitions)
            behind = {
                each: (positions.get(each, 0), end)
                for each, end in ends.items()
                if positions.get(each, 0) < end
            }
            # Markers of transactions take offsets too, and nobody's position passes the last one.
            if not behind or not self._any_record(behind):
                return ends
            if self._clock.monotonic() > deadline:
                lag = sum(end - position for position, end in behind.values())
                raise ConfigError(
                    f"the router is {lag} records behind and does not catch up: is it running? Is "
                    "data still being published?"
                )
            self._clock.sleep(_LOOK_SECONDS)

    def _any_record(self, spans: Mapping[Partition, tuple[int, int]]) -> bool:
        """Return whether there is a record between the two positions of any partition."""
        reader = self._readers.open({each: start for each, (start, _) in spans.items()})
        try:
            while any(reader.position(each) < end for each, (_, end) in spans.items()):
                if reader.read(1, _LOOK_SECONDS):
                    return True
        finally:
            reader.close()
        return False

    def _dead_letters(self, resource: ResourcePolicy) -> dict[tuple[int, int], bytes]:
        """Return the keys of refused records by (partition, position)."""
        where = Partition(resource.dead_letter_topic, 0)
        letters: dict[tuple[int, int], bytes] = {}

        def take(record: Record) -> None:
            event = self._codec.decode(record.value() or b"")
            if isinstance(event, DeadLetter) and event.topic == resource.topic:
                for position in range(event.position, event.position + event.positions):
                    letters[event.partition, position] = event.key or b""

        self._read("dead letters", self._readers.ends([where]), take, lambda *_: None)
        return letters

    def _view_rows(self, view: ViewPolicy, rows: ViewRows, on_progress: OnProgress) -> RowDigests:
        found = RowDigests()
        partitions = [Partition(view.topic, number) for number in range(view.partitions)]

        def take(record: Record) -> None:
            value = record.value()
            found.put(record.key() or b"", None if value is None else rows(value))

        self._read("view", self._readers.ends(partitions), take, on_progress)
        return found

    def _read(
        self,
        what: str,
        ends: Mapping[Partition, int],
        take: Callable[[Record], None],
        on_progress: OnProgress,
    ) -> None:
        """Give every record before `ends` to `take`, partition by partition in order."""
        beginnings = self._readers.beginnings(list(ends))
        open_ends = {each: end for each, end in ends.items() if end > beginnings[each]}
        if not open_ends:
            return
        total = sum(end - beginnings[each] for each, end in open_ends.items())
        reader = self._readers.open({each: beginnings[each] for each in open_ends})
        try:
            while any(reader.position(each) < end for each, end in open_ends.items()):
                for record in reader.read(_BATCH, 0.2):
                    where = Partition(record.topic() or "", record.partition() or 0)
                    if (record.offset() or 0) < open_ends[where]:
                        take(record)
                done = sum(reader.position(each) - beginnings[each] for each in open_ends)
                on_progress(what, min(done, total), total)
        finally:
            reader.close()
