"""Unit tests of `bus.domain.life_cycle`, and what holds of every life cycle."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bus.domain.life_cycle import LifeCycle, Step
from bus.errors import Refused, StateConflict
from tests.life_cycle_cases import PLAYS, Play


class Light(StrEnum):
    RED = "RED"
    GREEN = "GREEN"
    BROKEN = "BROKEN"


LIGHTS = LifeCycle(
    name="Light",
    states=Light,
    initial=Light.RED,
    steps=(
        Step(Light.RED, "switch", Light.GREEN),
        Step(Light.GREEN, "switch", Light.RED),
        Step(Light.RED, "hit", Light.BROKEN),
        Step(Light.BROKEN, "repair", Light.RED),
        Step(Light.BROKEN, "repair", Light.GREEN),
    ),
)
#: A step that another trigger's function takes with it: the draft's `publish` moves the live entry.
TAKEN_ALONG = {"replace"}


def named(play: Play) -> str:
    return play.cycle.name


def pairs() -> Iterator[Any]:
    for play in PLAYS:
        for state in play.cycle.states:
            for trigger in play.triggers:
                yield pytest.param(play, state, trigger, id=f"{named(play)} {state} {trigger}")


# --- the table -----------------------------------------------------------------------------------


def test_a_listed_trigger_leads_to_its_state() -> None:
    assert LIGHTS.move("l-1", Light.RED, "switch") is Light.GREEN


def test_what_is_not_listed_is_refused_and_names_the_state() -> None:
    """requirements.md §6: anything not listed is refused with the current state in the error."""
    with pytest.raises(StateConflict, match="Light l-1 is GREEN; `repair` is not possible"):
        LIGHTS.move("l-1", Light.GREEN, "repair")


def test_one_of_several_states_has_to_be_chosen_and_only_among_the_listed() -> None:
    assert LIGHTS.move("l-1", Light.BROKEN, "repair", to=Light.GREEN) is Light.GREEN
    with pytest.raises(LookupError, match="BROKEN --repair--> BROKEN is not listed"):
        LIGHTS.move("l-1", Light.BROKEN, "repair", to=Light.BROKEN)
    with pytest.raises(LookupError, match="is not listed"):
        LIGHTS.move("l-1", Light.BROKEN, "repair")


def test_a_trigger_that_nobody_knows_is_a_fault_of_the_program() -> None:
    with pytest.raises(LookupError, match="Light has no trigger 'dim'"):
        LIGHTS.require("l-1", Light.RED, "dim")


# --- every life cycle ----------------------------------------------------------------------------


@pytest.mark.parametrize("play", PLAYS, ids=named)
def test_every_trigger_of_the_table_is_a_function(play: Play) -> None:
    assert set(play.cycle.triggers) - TAKEN_ALONG == set(play.triggers)


@pytest.mark.parametrize("play", PLAYS, ids=named)
def test_every_state_is_reached_from_the_first(play: Play) -> None:
    """requirements.md §6: no state is there that nothing leads to."""
    assert play.state_of(play.begin) is play.cycle.initial
    assert play.reached().keys() == frozenset(play.cycle.states.__members__.values())


@pytest.mark.parametrize("play", PLAYS, ids=named)
def test_no_step_stands_twice(play: Play) -> None:
    keys = [(step.state, step.trigger, step.next) for step in play.cycle.steps]

    assert sorted(set(keys)) == sorted(keys)


@pytest.mark.parametrize(("play", "state", "trigger"), list(pairs()))
def test_in_every_state_a_trigger_does_what_the_table_says_or_is_refused(
    play: Play, state: Any, trigger: str
) -> None:
    """requirements.md §6: anything not listed is refused and names the current state."""
    value = play.reached()[state]
    listed = play.cycle.follow(state, trigger)

    if listed:
        assert play.state_of(play.triggers[trigger](value)) in listed
    else:
        with pytest.raises(StateConflict, match=rf"\b{state}\b") as refused:
            play.triggers[trigger](value)
        assert refused.value.code == "STATE_CONFLICT"


@pytest.mark.parametrize("play", PLAYS, ids=named)
@given(data=st.data())
def test_no_sequence_of_triggers_leaves_the_table(play: Play, data: st.DataObject) -> None:
    value = play.begin
    for trigger in data.draw(st.lists(st.sampled_from(sorted(play.triggers)), max_size=25)):
        before = play.state_of(value)
        try:
            value = play.triggers[trigger](value)
        except Refused:
            continue
        after = play.state_of(value)
        listed = {*play.cycle.follow(before, trigger), *play.cycle.follow(before, "replace")}
        beside = getattr(value, "draft_state", None) is not None
        assert after in listed or (beside and after is before)


@pytest.mark.parametrize("play", PLAYS, ids=named)
def test_a_value_in_any_state_is_stored_and_read_as_it_was(play: Play) -> None:
    for value in play.reached().values():
        adapter: TypeAdapter[Any] = TypeAdapter(type(value))

        assert adapter.validate_json(adapter.dump_json(value)) == value
