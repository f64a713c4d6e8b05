"""
Judge a history: lost, duplicated, aborted but seen, out of order, outside the grant, wrong.

After Jepsen's checks for logs, written for this bus. Each record of a view says of which source
record it is made, so nothing has to be guessed: the model gives the exact sequence for each view
and source partition, and each difference has a name. The checker is pure: it may judge a file.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.history import Copy, History, Row, Source, ViewLife, What
from tests.faults.model import ROW_FILTERS, Expected, sequence, shown


class Kind(StrEnum):
    """What can be wrong."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    ABORTED_SEEN = "aborted but seen"
    OUT_OF_ORDER = "out of order"
    OUTSIDE_GRANT = "outside the grant"
    ALTERED = "altered"
    WRONG_STATE = "wrong final state"
    UNFINISHED = "transaction left open"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be."""

    kind: Kind
    where: str
    what: str


def check(history: History) -> list[Violation]:
    """Return everything that is wrong with a history."""
    found = list(_check_source(history))
    found += _check_letters(history)
    by_partition: dict[int, list[Source]] = defaultdict(list)
    for record in history.source:
        by_partition[record.partition].append(record)
    for view in history.views:
        judged = _Judged(view, by_partition)
        found += _check_reader(view)
        found += judged.check_sequences()
        found += judged.check_nothing_forbidden()
        if not view.ended:
            found += judged.check_state()
    return found


def _check_source(history: History) -> Iterator[Violation]:
    """Check that what was accepted is there, once, in the order in which it was sent."""
    where = f"source of {history.resource}"
    standing: dict[int, Source] = {}
    newest: dict[tuple[int, str], int] = {}
    for record in history.source:
        at = f"{record.partition}@{record.position}"
        if record.number in standing:
            yield Violation(Kind.DUPLICATED, where, f"record {record.number} again at {at}")
        standing[record.number] = record
        before = newest.get((record.partition, record.key), -1)
        if record.number < before:
            yield Violation(Kind.OUT_OF_ORDER, where, f"{record.number} after {before} at {at}")
        newest[record.partition, record.key] = max(before, record.number)
    for sent in history.sent:
        if sent.position is None:
            continue
        found = standing.get(sent.number)
        if found is None or (found.partition, found.position) != (sent.partition, sent.position):
            at = f"{sent.partition}@{sent.position}"
            yield Violation(Kind.LOST, where, f"record {sent.number}, accepted at {at}")


def _check_letters(history: History) -> Iterator[Violation]:
    """Check that each refused record has one dead letter, and no other record has any."""
    where = f"dead letters of {history.resource}"
    refused = {
        (record.partition, record.position)
        for record in history.source
        if record.what is What.REFUSED
    }
    written = Counter(history.letters)
    for partition, position in sorted(refused - written.keys()):
        yield Violation(Kind.LOST, where, f"of {partition}@{position}")
    for (partition, position), count in sorted(written.items()):
        at = f"of {partition}@{position}"
        if (partition, position) not in refused:
            yield Violation(Kind.ALTERED, where, f"{at}, which is no bad record")
        elif count > 1:
            yield Violation(Kind.DUPLICATED, where, f"{at}: {count} letters")


def _check_reader(view: ViewLife) -> Iterator[Violation]:
    """Check that a reader of committed records was given exactly these, in their order."""
    committed = {copy.offset: copy for copy in view.log if _is_committed(copy, view)}
    last = -1
    given: set[int] = set()
    for copy in view.seen:
        at = f"offset {copy.offset}"
        if copy.offset in given:
            yield Violation(Kind.DUPLICATED, view.topic, f"{at} was given twice to the reader")
        elif copy.offset < last:
            yield Violation(Kind.OUT_OF_ORDER, view.topic, f"{at} was given after {last}")
        if not _is_committed(copy, view):
            yield Violation(Kind.ABORTED_SEEN, view.topic, f"{at}: {_said(copy)}")
        elif committed.get(copy.offset) != copy:
            yield Violation(Kind.ALTERED, view.topic, f"{at} is not what stands in the topic")
        given.add(copy.offset)
        last = max(last, copy.offset)
    for offset in sorted(committed.keys() - given):
        yield Violation(Kind.LOST, view.topic, f"offset {offset} was not given to the reader")
    for offset in sorted(view.unfinished):
        yield Violation(Kind.UNFINISHED, view.topic, f"offset {offset}")


class _Judged:
    """A view, its source, and what the model says of it."""

    def __init__(self, view: ViewLife, source: Mapping[int, Sequence[Source]]) -> None:
        self.view = view
        self._source = source
        self._records = {
            (record.partition, record.position): record
            for records in source.values()
            for record in records
        }
        self._expected: dict[int, dict[int, Expected]] = {}
        for partition, start in view.starts.items():
            gets = sequence(
                source.get(partition, ()),
                rows=view.rows,
                treatments=view.treatments,
                start=start,
            )
            self._expected[partition] = {each.position: each for each in gets}

    def check_sequences(self) -> Iterator[Violation]:
        """Check that what was committed is the model's sequence, for each source partition."""
        committed: dict[int, list[Copy]] = defaultdict(list)
        for copy in self.view.log:
            if _is_committed(copy, self.view):
                committed[copy.partition].append(copy)
        for partition in sorted(committed.keys() | self._expected.keys()):
            yield from self._check_sequence(partition, committed[partition])

    def _check_sequence(self, partition: int, copies: Sequence[Copy]) -> Iterator[Violation]:
        expected = self._expected.get(partition, {})
        last = -1
        found: set[int] = set()
        for copy in copies:
            if copy.position in found:
                yield self._wrong(Kind.DUPLICATED, copy)
            elif copy.position < last:
                yield self._wrong(Kind.OUT_OF_ORDER, copy)
            wanted = expected.get(copy.position)
            if wanted is None:
                yield self._wrong(self._why_unexpected(copy), copy)
            elif not _is(copy, wanted):
                kind = Kind.OUTSIDE_GRANT if self._shows_more(copy) else Kind.ALTERED
                yield self._wrong(kind, copy)
            found.add(copy.position)
            last = max(last, copy.position)
        for position, wanted in expected.items():
            # A view that has ended stopped somewhere; up to there nothing is missing.
            if position not in found and not (self.view.ended and position > last):
                at = f"{partition}@{position}"
                yield Violation(Kind.LOST, self.view.topic, f"{at}: {wanted}")

    def check_nothing_forbidden(self) -> Iterator[Violation]:
        """Check that nothing that was ever written, aborted or not, shows too much."""
        ever_held: set[str] = set()
        for copy in self.view.log:
            if copy.row is not None:
                ever_held.add(copy.key)
            # What was committed has been compared with the model, record by record.
            if _is_committed(copy, self.view):
                continue
            betrays = self.view.rows is not None and copy.key not in ever_held
            if self._shows_more(copy) or (copy.row is None and betrays):
                yield self._wrong(Kind.OUTSIDE_GRANT, copy)

    def check_state(self) -> Iterator[Violation]:
        """Check that the last value of each key is what the view must hold in the end."""
        last: dict[str, Row | None] = {copy.key: copy.row for copy in self.view.seen}
        held = {key: row for key, row in last.items() if row is not None}
        must: dict[str, Row] = {}
        for expected in self._expected.values():
            for each in expected.values():
                if each.row is None:
                    must.pop(each.key, None)
                else:
                    must[each.key] = each.row
        for partition in self._source.keys() - self._expected.keys():
            at = f"source partition {partition} was never routed to it"
            yield Violation(Kind.WRONG_STATE, self.view.topic, at)
        for key in sorted(held.keys() | must.keys()):
            if held.get(key) != must.get(key):
                what = f"{key}: holds {held.get(key)}, must hold {must.get(key)}"
                yield Violation(Kind.WRONG_STATE, self.view.topic, what)

    def _why_unexpected(self, copy: Copy) -> Kind:
        """Name the fault of a record that the view should not have got at all."""
        if self._shows_more(copy):
            return Kind.OUTSIDE_GRANT
        expected = self._expected.get(copy.partition, {})
        ever_held = any(
            each.key == copy.key and each.position <= copy.position for each in expected.values()
        )
        if copy.row is None and ever_held:
            return Kind.DUPLICATED
        # History instead of the present, or a tombstone that betrays a key.
        return Kind.OUTSIDE_GRANT

    def _shows_more(self, copy: Copy) -> bool:
        """Tell whether a record contains a row or an item outside the view, or is made up."""
        source = self._records.get((copy.partition, copy.position))
        if source is None or source.key != copy.key or source.what is What.REFUSED:
            return True
        if copy.row is None:
            return False
        if source.row is None or not ROW_FILTERS[self.view.rows](source.row):
            return True
        allowed = shown(source.row, self.view.treatments)
        return any(
            name not in allowed or (value != allowed[name] and value == source.row.get(name))
            for name, value in copy.row.items()
        )

    def _wrong(self, kind: Kind, copy: Copy) -> Violation:
        return Violation(kind, self.view.topic, _said(copy))


def _is(copy: Copy, wanted: Expected) -> bool:
    said = (copy.number, copy.key, copy.position, copy.row, copy.reason)
    return said == (wanted.number, wanted.key, wanted.position, wanted.row, wanted.reason)


def _is_committed(copy: Copy, view: ViewLife) -> bool:
    return copy.offset not in view.aborted and copy.offset not in view.unfinished


def _said(copy: Copy) -> str:
    what = copy.reason if copy.row is None else copy.row
    return f"offset {copy.offset}, of {copy.partition}@{copy.position}, {copy.key}: {what}"
