"""Unit tests of `Plan.changes`: what the router is told of the records that it has read."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from bus.adapters.memory.broker import MemoryRecord
from bus.ports import Partition, Record
from bus.ports.read_record import ReadRecord
from bus.views.held import Held
from bus.views.plan import Outcome, Plan, Upsert
from tests.unit.bus.views.test_plan import PEOPLE, encode, person, plan, resource, view

Parts: TypeAlias = tuple[bytes | None, bytes | None]

_MILLISECONDS = 1_700_000_000_000
_KEYS = [b"p1", b"p2", b"p3"]
_VALUES = st.one_of(
    st.none(),
    st.just(b"\x00\x00\x00\x00\x63?"),  # of a schema that nobody knows
    st.just(b"rubbish"),
    st.integers(25, 35).map(lambda age: encode(person(age=age))),
)
_PARTS = st.tuples(st.none() | st.sampled_from(_KEYS), _VALUES)


class HeldBy(Held):
    """Holds some keys in the first view."""

    def __init__(self, *keys: bytes) -> None:
        self._keys = keys

    @override
    def get(self, key: bytes) -> int:
        return int(key in self._keys)


def read(position: int, key: bytes | None, value: bytes | None) -> Record:
    """Return a record as compiled code reads it."""
    return ReadRecord("t", 0, position, key, value, time_kind=2, time=_MILLISECONDS)


def other(position: int, key: bytes | None, value: bytes | None) -> Record:
    """Return a record of another kind."""
    return MemoryRecord(Partition("t", 0), position, key, value, None, _MILLISECONDS, None)


def found_in(
    compiled: Plan, made: Callable[..., Record], parts: Sequence[Parts], held: Iterable[bytes]
) -> dict[int | None, Outcome]:
    """Return what `compiled` tells of records of a kind, by position."""
    records = [made(at, *each) for at, each in enumerate(parts)]
    everything = frozenset(range(len(compiled.views)))
    changes = compiled.changes(0, records, everything, HeldBy(*held))
    return {record.offset(): outcome for record, outcome in changes}


@given(st.lists(_PARTS, max_size=8), st.sets(st.sampled_from(_KEYS)))
def test_it_is_the_same_of_whatever_kind_the_records_are(
    parts: list[Parts], held: set[bytes]
) -> None:
    compiled = plan(resource(PEOPLE), view("id", rows="age > 30"), view("id", rows="age < 28"))

    found = found_in(compiled, read, parts, held)

    assert found == found_in(compiled, other, parts, held)
    applied = compiled.apply(0, [(at, *each) for at, each in enumerate(parts)])
    for at, (outcome, (key, _)) in enumerate(zip(applied, parts, strict=True)):
        if isinstance(outcome, Upsert) and not outcome.projections and key not in held:
            assert at not in found
        else:
            assert found[at] == outcome


@pytest.mark.parametrize("made", [read, other])
def test_what_belongs_to_no_view_and_was_in_none_is_left_out(made: Callable[..., Record]) -> None:
    compiled = plan(resource(PEOPLE), view("id", rows="age > 30"))
    records = [(key, encode(person(id=key.decode()))) for key in _KEYS]

    assert list(found_in(compiled, made, records, [b"p2"])) == [1]
