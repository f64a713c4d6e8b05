"""
Give a new view the present, not history (design.md §6).

A fill takes a position S. Pass one finds out which record is each key's last before S; pass two
hands those out; after that the fill hands out everything from S on, until it meets the live
position at a batch boundary and joins. It goes on in small steps between live batches.
"""

from collections import deque
from collections.abc import Iterator

from bus.ports import LogReaders, Partition, Record
from bus.views.plan import Delete, Outcome, Plan, Upsert

#: Records that are read, or looked at, in one step.
STEP_RECORDS = 5_000
#: Unless more than half as many records came since the last one: a fill that is no faster than they
#: come would never end. Then it looks at so many times as many, up to a bound.
_GAIN = 2
_MOST_RECORDS = 20_000
_NOTHING = frozenset[int]()


class Fill:
    """The fill of one or more views, from one source partition."""

    def __init__(
        self, readers: LogReaders, partition: Partition, *, beginning: int, start: int, next_: int
    ) -> None:
        """
        Prepare a fill at position `start`.

        `next_` is where pass two goes on after a restart; a new fill has `beginning` there.
        """
        self.start = start
        self.next = next_
        self.joined = False
        self._partition = partition
        self._settled_next = next_
        self._last: dict[bytes, int] = {}
        self._counting = next_ < start
        self._reader = readers.open({partition: beginning if self._counting else next_})
        self._ahead: deque[Record] = deque()
        #: Where live records stood at the last step, and how much the next one may look at.
        self._live_position: int | None = None
        self._size = 0

    def look_ahead(self, plan: Plan) -> None:
        """Read on, outside of any transaction: the counting of pass one, or the next records."""
        if self._counting:
            self._count(plan)
            return
        size = max(STEP_RECORDS, self._size)
        if len(self._ahead) < size:
            self._ahead.extend(self._reader.read(size, 0))

    def has_work(self, live_position: int) -> bool:
        """Tell whether the next `step` would do anything."""
        return not self._counting and (bool(self._ahead) or self._arrived(live_position))

    def step(
        self, plan: Plan, live_position: int, indexes: frozenset[int], most: int
    ) -> Iterator[tuple[Record, Outcome]]:
        """
        Yield what to write to the views `indexes`, then note where the next step goes on.

        About `most` records are looked at, and more if otherwise live records would run away from
        the fill. `live_position` is where they stand; once the fill is there, `joined` is true.
        """
        if self._counting:
            return
        came = 0 if self._live_position is None else live_position - self._live_position
        self._live_position = live_position
        self._size = min(_MOST_RECORDS, _GAIN * came)
        batch = self._take(live_position, max(min(most, STEP_RECORDS), self._size))
        raw = [(record.offset() or 0, record.key(), record.value()) for record in batch]
        for record, outcome in zip(
            batch, plan.apply(self._partition.number, raw, indexes), strict=True
        ):
            if self._wanted(record, outcome):
                yield record, outcome
        if batch:
            self.next = (batch[-1].offset() or 0) + 1
        if self._arrived(live_position):
            self.next = live_position
            self.joined = True

    def remaining(self, live_position: int) -> int:
        """Return how many source positions the fill has still to look at, at most."""
        to_count = self.start - self._reader.position(self._partition) if self._counting else 0
        return max(0, to_count) + max(0, live_position - self.next)

    def settle(self) -> None:
        """Keep what the last steps did."""
        self._settled_next = self.next
        if self.next >= self.start:
            self._last.clear()

    def undo(self) -> None:
        """Go back to where the last `settle` was."""
        self.joined = False
        if self.next != self._settled_next:
            self.next = self._settled_next
            self._ahead.clear()
            self._reader.seek(self._partition, self.next)

    def close(self) -> None:
        """Let go of the source."""
        self._reader.close()

    def _count(self, plan: Plan) -> None:
        """Pass one: note the position of each key's last valid record before the start."""
        records = self._reader.read(STEP_RECORDS, 0)
        raw = [(record.offset() or 0, record.key(), record.value()) for record in records]
        outcomes = plan.apply(self._partition.number, raw, _NOTHING)
        for (position, key, _), outcome in zip(raw, outcomes, strict=True):
            if position < self.start and key is not None and isinstance(outcome, Upsert | Delete):
                self._last[key] = position
        if self._reader.position(self._partition) >= self.start:
            self._counting = False
            self._reader.seek(self._partition, self.next)

    def _take(self, live_position: int, most: int) -> list[Record]:
        batch: list[Record] = []
        while self._ahead and (self._ahead[0].offset() or 0) < live_position and len(batch) < most:
            batch.append(self._ahead.popleft())
        return batch

    def _wanted(self, record: Record, outcome: Outcome) -> bool:
        # What live records made of a malformed one, or of an unknown schema, is done already.
        if not isinstance(outcome, Upsert | Delete):
            return False
        position = record.offset() or 0
        if position >= self.start:
            return True
        return isinstance(outcome, Upsert) and self._last.get(record.key() or b"") == position

    def _arrived(self, live_position: int) -> bool:
        if self._ahead:
            return (self._ahead[0].offset() or 0) >= live_position
        return self._reader.position(self._partition) >= live_position
