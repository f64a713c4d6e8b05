"""Unit tests of `bus.router.membership` and of the table that many keys are in."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.router import key_table
from bus.router.membership import Membership

_KEYS = [b"", b"a", b"ab", b"\0", b"\0\0", "\u738b".encode(), *(b"k%d" % at for at in range(40))]
KEYS = st.sampled_from(_KEYS)
BITS = st.sampled_from([0, 1, 2, 3, 1 << 70])
_SOURCE = Path(__file__).parents[4] / "bus" / "router" / "key_table.py"


def interpreted() -> Any:
    """Return the table as it runs without a C compiler."""
    spec = spec_from_file_location("interpreted_key_table", _SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.KeyTable


TABLES = [key_table.KeyTable, interpreted()]


@pytest.mark.parametrize("table_of", TABLES, ids=["installed", "interpreted"])
@given(changes=st.lists(st.tuples(KEYS, BITS)))
def test_a_table_is_a_dictionary(table_of: Any, changes: list[tuple[bytes, int]]) -> None:
    """design.md \u00a76: membership is known, never guessed."""
    table, model = table_of(), dict[bytes, int]()
    for key, bits in changes:
        table.expect(key)
        table.put(key, bits)
        model[key] = bits
    held = {key: bits for key, bits in model.items() if bits}

    assert {key: table.get(key) for key in _KEYS} == {key: model.get(key, 0) for key in _KEYS}
    assert dict(table.items()) == held
    assert len(table) == len(held)


@pytest.mark.parametrize("table_of", TABLES, ids=["installed", "interpreted"])
def test_a_table_grows_and_forgets_what_is_gone(table_of: Any) -> None:
    table = table_of()
    for at in range(20_000):
        table.put(b"%d" % at, 1 + at % 3)
        # Four of five are gone again: the table is built anew many times.
        if at % 5:
            table.put(b"%d" % at, 0)
    table.put(b"x" * 40_000, 7)

    assert len(table) == 4_001
    assert [table.get(b"%d" % at) for at in range(10)] == [1, 0, 0, 0, 0, 3, 0, 0, 0, 0]
    assert table.get(b"19995") == 1 + 19_995 % 3
    assert table.get(b"x" * 40_000) == 7
    assert table.get(b"x" * 39_999) == 0


def test_a_table_takes_a_fraction_of_a_dictionary() -> None:
    """Its arrays by their own account: no more than 70 bytes a key of 12 bytes."""
    table = interpreted()()
    for at in range(100_000):
        table.put(b"%012d" % at, 1)

    memory = sum(sys.getsizeof(each) for each in vars(table).values())
    assert memory < 100_000 * 70


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), KEYS, BITS),
            st.tuples(st.just("load"), KEYS, st.sampled_from([1, 2])),
            st.tuples(st.sampled_from(["settle", "undo", "forget"]), st.just(b""), BITS),
        )
    ),
    st.sampled_from([(3, 1_000), (3, 7), (5, 5), (1_000, 1_000)]),
)
def test_wherever_the_keys_are_they_are_the_same(
    steps: list[tuple[str, bytes, int]], sizes: tuple[int, int]
) -> None:
    """A dictionary, a table and a file behave alike, and what moves between them is all there."""
    membership = Membership(table_keys=sizes[0], memory_keys=sizes[1])
    now, settled = dict[bytes, int](), dict[bytes, int]()
    for what, key, bits in steps:
        membership.expect(key)
        match what:
            case "set":
                membership.set(key, bits)
                now[key] = bits
            case "load":
                membership.settle()
                membership.load(key, bits, held=len(key) % 2 == 0)
                before = now.get(key, 0)
                now[key] = before | bits if len(key) % 2 == 0 else before & ~bits
                settled = dict(now)
            case "settle":
                membership.settle()
                settled = dict(now)
            case "undo":
                membership.undo()
                now = dict(settled)
            case _:
                membership.settle()
                membership.forget(bits)
                now = {key: held & ~bits for key, held in now.items()}
                settled = dict(now)

    assert {key: membership.get(key) for key in _KEYS} == {key: now.get(key, 0) for key in _KEYS}
    assert len(membership) == sum(bool(bits) for bits in now.values())
    membership.close()
