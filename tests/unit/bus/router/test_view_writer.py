"""Unit tests of `bus.router.view_writer`, compiled and not."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from bus.ports import Partition
from bus.ports.record_sink import RecordSink
from bus.ports.record_writer import Written
from bus.router.membership import Membership
from bus.router.view_writer import ViewWriter
from bus.views.outcome import DELETE, NOWHERE, Outcome, Reject, Upsert

_FOLDER = Path(__file__).parents[4] / "bus" / "router"
_SOURCE = Partition("os.src.cn.somebody.something.1", 0)
#: A view of all rows, and two with a row filter.
_TARGETS = [(0, "all", 0), (1, "some", 0), (2, "others", 3)]
_ALL = frozenset(range(len(_TARGETS)))
KEYS = st.sampled_from([b"a", b"b", "\u738b".encode()])
OUTCOMES = st.one_of(
    st.just(DELETE),
    st.sets(st.sampled_from([1, 2])).map(
        lambda views: Upsert(tuple((view, b"%d" % view) for view in sorted({0, *views})))
    ),
)


def interpreted(name: str, wanted: str) -> Any:
    """Return a class as it runs without a C compiler."""
    spec = spec_from_file_location(f"interpreted_{name}", _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, wanted)


BUILDS = [
    (ViewWriter, Membership),
    (interpreted("view_writer", "ViewWriter"), interpreted("membership", "Membership")),
]
each_build = pytest.mark.parametrize(
    ("writer_of", "membership_of"), BUILDS, ids=["installed", "interpreted"]
)


class _Sink(RecordSink):
    """Takes all but each third record, which is to be handed to the writer itself then."""

    def __init__(self, written: list[Written]) -> None:
        self._written = written
        self._asked = 0

    @override
    def put(self, topic: str, partition: int, key: bytes, value: bytes, timestamp: int) -> bool:
        self._asked += 1
        if self._asked % 3 == 0:
            return False
        self._written.append((topic, partition, key, value, None, timestamp))
        return True


class _Lots:
    """What a transaction is given."""

    def __init__(self, *, one_by_one: bool = False) -> None:
        self.written: list[Written] = []
        self.lots = 0
        self._sink = _Sink(self.written) if one_by_one else None

    def write(
        self, topic: str, partition: int, key: bytes, value: bytes, *, timestamp: int
    ) -> None:
        self.written.append((topic, partition, key, value, None, timestamp))

    def write_all(self, records: list[Written]) -> None:
        self.written += records
        self.lots += 1

    def sink(self) -> _Sink | None:
        return self._sink


LOTS = st.builds(_Lots, one_by_one=st.booleans())


def _record(position: int, key: bytes) -> Message:
    # A value as far as a tombstone looks into it: prefix, event id, time.
    value = bytes(5) + bytes(16) + b"\x02"
    return Message(
        topic=_SOURCE.topic, partition=0, offset=position, key=key, value=value, timestamp=(1, 7)
    )


def _begun(writer_of: Any, membership_of: Any) -> tuple[Any, Any]:
    membership = membership_of()
    writer = writer_of(_SOURCE, membership)
    writer.aim(_TARGETS, 1)
    return writer, membership


@each_build
@given(outcomes=st.lists(st.tuples(KEYS, OUTCOMES), max_size=20), lots=LOTS)
def test_topics_fold_to_what_the_outcomes_say(
    writer_of: Any, membership_of: Any, outcomes: list[tuple[bytes, Outcome]], lots: _Lots
) -> None:
    """Invariants 1 and 2: each view holds what it was last said to, and is told of no other key."""
    writer, membership = _begun(writer_of, membership_of)
    changes = [(_record(at, key), outcome) for at, (key, outcome) in enumerate(outcomes)]

    assert writer.write_until_refused(iter(changes), _ALL, lots) is None

    expected: dict[str, dict[bytes, bytes]] = {topic: {} for _, topic, _ in _TARGETS}
    for key, outcome in outcomes:
        views: dict[int, bytes] = dict(outcome.projections) if isinstance(outcome, Upsert) else {}
        for at, (_, topic, _) in enumerate(_TARGETS):
            if at in views:
                expected[topic][key] = views[at]
            else:
                expected[topic].pop(key, None)
    found: dict[str, dict[bytes, bytes]] = {topic: {} for _, topic, _ in _TARGETS}
    for topic, number, named, written, headers, timestamp in lots.written:
        key = named or b""
        assert key
        assert (number, timestamp) == (3 if topic == "others" else 0, 7)
        assert (headers is None) is (written is not None)
        if written is not None:
            found[topic][key] = written
        elif topic == "all":
            found[topic].pop(key, None)
        else:
            # Only who holds a key is told that it is gone.
            del found[topic][key]
    assert found == expected
    bits = {"some": 1, "others": 2}
    for key in {key for key, _ in outcomes}:
        assert membership.get(key) == sum(bits[t] for t in bits if key in expected[t])
    counted = writer.take_counts()
    assert sum(counted.values()) == len(lots.written)
    assert writer.take_counts() == {}


@each_build
def test_what_no_view_may_have_is_given_back_in_its_turn(
    writer_of: Any, membership_of: Any
) -> None:
    writer, _ = _begun(writer_of, membership_of)
    lots = _Lots()
    refused = Reject("BAD_MAGIC", "no schema id")
    one, two, three = (_record(at, b"k") for at in range(3))
    changes = iter([(one, Upsert(((0, b"x"),))), (two, refused), (three, DELETE)])

    assert writer.write_until_refused(changes, _ALL, lots) == (two, refused)
    assert [value for *_, value, _, _ in lots.written] == [b"x"]
    assert writer.write_until_refused(changes, _ALL, lots) is None
    assert [value for *_, value, _, _ in lots.written] == [b"x", None]


@each_build
def test_lots_are_handed_on_while_others_are_made(writer_of: Any, membership_of: Any) -> None:
    writer, _ = _begun(writer_of, membership_of)
    lots = _Lots()
    changes = [(_record(at, b"k"), Upsert(((0, b"x"),))) for at in range(2500)]

    writer.write_until_refused(iter(changes), _ALL, lots)

    assert (len(lots.written), lots.lots) == (2500, 3)


@each_build
def test_a_record_of_no_view_is_nothing_to_write(writer_of: Any, membership_of: Any) -> None:
    writer, membership = _begun(writer_of, membership_of)
    lots = _Lots()

    writer.write_until_refused(iter([(_record(0, b"k"), NOWHERE)]), _ALL, lots)

    assert lots.written == []
    assert membership.get(b"k") == 0
