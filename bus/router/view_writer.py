"""
What source records mean for the topics of their views: records, tombstones, and membership.

The module is compiled where there is a C compiler: `view_writer.pxd` has the types.
"""

from collections.abc import Iterator, Sequence

from bus.ports import Partition, Record
from bus.ports.read_record import key_of, time_of
from bus.ports.record_sink import RecordSink
from bus.ports.record_writer import RecordWriter, Written
from bus.router.membership import Membership
from bus.router.tombstones import Reason, tombstone_headers
from bus.views.kernel import Changes
from bus.views.outcome import DELETE, Outcome, Upsert

#: View records are handed on in lots, so that they are on their way while others are made.
_LOT = 1000


class ViewWriter:
    """Writes for the views of one source partition. What it notes, the membership can undo."""

    def __init__(self, partition: Partition, membership: Membership) -> None:
        self._partition = partition
        self._membership = membership
        self._generation = 0
        self._targets: list[tuple[int, str, int]] = []
        #: What is written to, and who takes records one by one, if anybody does.
        self._writer: RecordWriter
        self._sink: RecordSink | None = None
        self._lot: list[Written] = []
        #: Records and tombstones written since `take_counts`, by what they say.
        self._counts: dict[str, int] = {}
        self._upserts = 0

    def aim(self, targets: Sequence[tuple[int, str, int]], generation: int) -> None:
        """
        Write to `targets` from now on: bit in the membership, topic and partition of each view.

        The bit of a view of all rows is 0: every key is a member of it.
        """
        self._targets = list(targets)
        self._generation = generation

    def write_until_refused(
        self,
        changes: Iterator[tuple[Record, Outcome]],
        indexes: frozenset[int],
        writer: RecordWriter,
    ) -> tuple[Record, Outcome] | None:
        """
        Write what `changes` mean for the views `indexes`, up to the first that no view may have.

        Return that one, or None if they are all written.
        """
        refused = None
        self._writer = writer
        self._sink = writer.sink()
        # Of a transaction that ended before its time, something may be left.
        self._lot = []
        if isinstance(changes, Changes):
            refused = self._write(changes, indexes)
        else:
            for record, outcome in changes:
                if _is_refused(outcome):
                    refused = record, outcome
                    break
                self._note(record, outcome, indexes)
        self._hand_on()
        return refused

    def _write(self, changes: Changes, indexes: frozenset[int]) -> tuple[Record, Outcome] | None:
        """Do the same with what need not make a pair for each."""
        while changes.advance():
            if _is_refused(changes.outcome):
                return changes.record, changes.outcome
            self._note(changes.record, changes.outcome, indexes)
        return None

    def take_counts(self) -> dict[str, int]:
        """Return how many records were written since it was called last, by what they say."""
        counts = self._counts
        if self._upserts:
            counts["upsert"] = self._upserts
        self._counts = {}
        self._upserts = 0
        return counts

    def _hand_on(self) -> None:
        if self._lot:
            lot = self._lot
            self._lot = []
            self._writer.write_all(lot)

    def _note(self, record: Record, outcome: Outcome, indexes: frozenset[int]) -> None:
        key = key_of(record) or b""
        members = self._membership.get(key)
        matched = 0
        if isinstance(outcome, Upsert):
            upsert = outcome
            timestamp = time_of(record)
            if upsert.value is not None:
                # Most often it is the only one.
                matched = self._put(upsert.index, key, upsert.value, timestamp)
            else:
                for index, value in upsert.projections:
                    matched |= self._put(index, key, value, timestamp)
        deleted = outcome is DELETE
        if not (members or deleted):
            # It was nowhere, so nobody has to be told that it is gone.
            if matched:
                self._membership.change(key, 0, matched)
        # Most often it is in the views that it was in.
        elif deleted or members != matched:
            gone = members & ~matched
            if gone or deleted:
                reason = Reason.DELETED if deleted else Reason.LEFT_VIEW
                gone = self._note_tombstones(record, indexes, gone, reason)
            self._membership.change(key, members, members & ~gone | matched)

    def _put(self, index: int, key: bytes, value: bytes, timestamp: int) -> int:
        """Write a record for the view `index`; return its bit."""
        target = self._targets[index]
        bit, topic, number = target
        self._upserts += 1
        if self._sink is None:
            self._add((topic, number, key, value, None, timestamp))
            return bit
        if self._lot:
            # Of tombstones, which this must not overtake.
            self._hand_on()
        if not self._sink.put(topic, number, key, value, timestamp):
            self._writer.write(topic, number, key, value, timestamp=timestamp)
        return bit

    def _add(self, written: Written) -> None:
        self._lot.append(written)
        if len(self._lot) >= _LOT:
            self._hand_on()

    def _note_tombstones(
        self, record: Record, indexes: frozenset[int], gone: int, reason: Reason
    ) -> int:
        """Note tombstones for those of the views `indexes` that lose the key; return their bits."""
        headers = None
        bits = 0
        for index in indexes:
            bit, topic, number = self._targets[index]
            # A view of all rows has every key; of the others, only members are told.
            loses = bit & gone if bit else reason is Reason.DELETED
            if not loses:
                continue
            if headers is None:
                headers = tombstone_headers(record, self._partition, self._generation, reason)
            timestamp = time_of(record)
            self._add((topic, number, record.key(), None, headers, timestamp))
            bits |= bit
            self._counts[reason] = self._counts.get(reason, 0) + 1
        return bits


def _is_refused(outcome: Outcome) -> bool:
    return not isinstance(outcome, Upsert) and outcome is not DELETE
