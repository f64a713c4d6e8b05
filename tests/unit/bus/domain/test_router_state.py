"""Unit tests of `bus.domain.router_state`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain import names
from bus.domain.router_state import parse_state_key, state_key
from tests.domain_strategies import CODES, INTS


@pytest.mark.parametrize(
    ("view_topic", "key"),
    [
        (None, "os.src.cn.statistics.divisions.1/3"),
        (
            "os.view.cn.divisions.abc.1",
            "os.src.cn.statistics.divisions.1/3/os.view.cn.divisions.abc.1",
        ),
    ],
)
def test_a_key_names_the_source_partition_and_the_view(view_topic: str | None, key: str) -> None:
    """design.md §4: `os.state.router` is keyed by source partition and view incarnation."""
    assert state_key("os.src.cn.statistics.divisions.1", 3, view_topic) == key


@given(CODES, CODES, CODES, INTS, INTS, st.none() | INTS)
def test_a_key_says_again_what_it_was_made_of(
    jurisdiction: str, provider: str, resource: str, number: int, partition: int, life: int | None
) -> None:
    topic = names.source_topic(jurisdiction, provider, resource, number)
    view = None if life is None else names.view_topic(jurisdiction, resource, "abcd", life)

    assert parse_state_key(state_key(topic, partition, view)) == (topic, partition, view)
