"""
The life cycles of the domain and the page that is made from them.

`python tests/unit/test_states.py` writes `docs/reference/states.md` anew.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bus.domain
from bus.domain.life_cycle import LifeCycle, Step

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference" / "states.md"
INDEX = ROOT / "docs" / "README.md"


def life_cycles() -> Iterator[tuple[str, LifeCycle[Any]]]:
    """Yield each life cycle of the domain with the module that defines it, by name."""
    found: dict[str, tuple[str, LifeCycle[Any]]] = {}
    for info in pkgutil.iter_modules(bus.domain.__path__, "bus.domain."):
        module = importlib.import_module(info.name)
        for key, value in vars(module).items():
            if isinstance(value, LifeCycle) and f"\n{key}: LifeCycle" in inspect.getsource(module):
                found[value.name] = (info.name, value)
    for name in sorted(found):
        yield found[name]


CYCLES = tuple(life_cycles())


def test_every_life_cycle_has_a_name_of_its_own() -> None:
    """requirements.md §6: one table for each kind of thing."""
    assert {
        "Agreement",
        "Catalog entry",
        "Demand",
        "Disagreement",
        "Filing",
        "Onboarding",
        "Source assignment",
    } <= {cycle.name for _, cycle in CYCLES}


@pytest.mark.parametrize("cycle", [cycle for _, cycle in CYCLES], ids=lambda each: each.name)
def test_every_state_can_be_reached_by_the_table(cycle: LifeCycle[Any]) -> None:
    reached = {cycle.initial}
    while more := {
        step.next for step in cycle.steps if step.state in reached and step.next not in reached
    }:
        reached |= more

    assert reached == frozenset(cycle.states.__members__.values())


def test_the_reference_is_what_the_code_says() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), (
        "run `python tests/unit/test_states.py` and commit what it writes"
    )


def test_the_index_leads_to_the_reference() -> None:
    assert "](reference/states.md)" in INDEX.read_text(encoding="utf-8")


def reference() -> str:
    """Return the reference page."""
    return _PAGE.format(sections="\n".join(_section(*each) for each in CYCLES))


def _section(module: str, cycle: LifeCycle[Any]) -> str:
    ends = [state for state in cycle.states if all(step.state is not state for step in cycle.steps)]
    return _SECTION.format(
        name=cycle.name,
        module=module,
        initial=cycle.initial,
        ends=", ".join(f"`{state}`" for state in ends) or "none",
        rows="\n".join(_row(step) for step in _in_order(cycle)),
    )


def _in_order(cycle: LifeCycle[Any]) -> list[Step[Any]]:
    states = list(cycle.states.__members__.values())
    return sorted(cycle.steps, key=lambda step: states.index(step.state))


def _row(step: Step[Any]) -> str:
    return f"| `{step.state}` | `{step.trigger}` | `{step.next}` | {step.condition or '-'} |"


_PAGE = """\
# States

What may happen to what, and when. A trigger that is not listed for a state is refused with
`STATE_CONFLICT`, and the message names the state; a condition that does not hold is refused with
its own code and changes nothing. What differs between jurisdictions is the profile's: "where the
profile asks" means [its keys](profiles.md).

This page is generated from the tables in `bus/domain` by `python tests/unit/test_states.py`; a test
compares them.

{sections}"""
_SECTION = """\
## {name}

`{module}`. Begins as `{initial}`; ends: {ends}.

| State | Trigger | Next | Condition |
| --- | --- | --- | --- |
{rows}
"""

if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
