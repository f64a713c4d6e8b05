"""Unit tests of `bus.router.undo_log`, compiled and not."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.router.undo_log import UndoLog

_SOURCE = Path(__file__).parents[4] / "bus" / "router" / "undo_log.py"
_LONGEST = 65_535
KEYS = st.binary(max_size=300) | st.sampled_from([b"k" * 255, b"k" * 256, b"k" * _LONGEST])
BITS = st.integers(min_value=0, max_value=1 << 70)


def interpreted() -> Any:
    """Return the log as it runs without a C compiler."""
    spec = spec_from_file_location("interpreted_undo_log", _SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.UndoLog


each_build = pytest.mark.parametrize(
    "log_of", [UndoLog, interpreted()], ids=["installed", "interpreted"]
)


@each_build
@given(changes=st.lists(st.tuples(KEYS, BITS) | st.none()))
def test_what_was_noted_last_is_taken_first(
    log_of: Any, changes: list[tuple[bytes, int] | None]
) -> None:
    """A `None` takes one back, if there is one; a list is what it is compared with."""
    log, model = log_of(), list[tuple[bytes, int]]()
    for change in changes:
        if change is not None:
            log.note(*change)
            model.append(change)
        elif model:
            assert log.take() == model.pop()
    assert len(log) == len(model)

    assert [log.take() for _ in range(len(log))] == model[::-1]


@each_build
def test_what_was_cleared_is_forgotten_however_much_it_was(log_of: Any) -> None:
    log = log_of()
    for count in (3, 20_000):
        for at in range(count):
            log.note(b"key %d" % at, at)
        log.clear()
        assert len(log) == 0
        log.note(b"another", 5)
        assert log.take() == (b"another", 5)
