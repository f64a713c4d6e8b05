"""Unit tests of `bus.adapters.avro.codec`."""

from dataclasses import replace

import pytest
from hypothesis import given

from bus.adapters.avro.bus_events import decode_event, encode_event
from bus.adapters.avro.codec import AvroEventCodec
from bus.domain.dead_letter import MAX_VALUE_BYTES
from bus.domain.policy import PolicyHeartbeat, PolicyVersion
from bus.domain.router_state import Phase, RouterState
from bus.domain.view import Treatment
from bus.errors import ContractError
from bus.ports import BusEvent
from tests import builders
from tests.domain_strategies import bus_events

CODEC = AvroEventCodec()


@given(bus_events())
def test_every_event_says_again_what_it_was_made_of(event: BusEvent) -> None:
    """design.md §4: policy, router state and dead letters survive the topics they live on."""
    again = CODEC.decode(CODEC.encode(event))

    assert again == event
    assert type(again) is type(event)


@given(bus_events())
def test_equal_events_are_equal_bytes(event: BusEvent) -> None:
    """The relay publishes what differs; compaction and digests compare bytes."""
    again = CODEC.decode(CODEC.encode(event))

    assert CODEC.encode(again) == CODEC.encode(event)


def test_the_order_in_which_a_view_was_built_does_not_show_in_its_bytes() -> None:
    view = builders.view_policy(projections={1: 2, 3: 4})
    backwards = replace(
        view,
        view=replace(view.view, treatments={"name": Treatment.KEEP, "code": Treatment.KEEP}),
        projections={3: 4, 1: 2},
    )

    assert CODEC.encode(backwards) == CODEC.encode(view)


@pytest.mark.parametrize(
    "event",
    [
        builders.resource_policy(),
        builders.view_policy(),
        PolicyVersion(3),
        PolicyHeartbeat(3),
        RouterState(phase=Phase.FILLING, policy_version=3, start=10, next=12),
        builders.letter(),
        builders.letter(key=None, value=None),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_plain_event_of_each_kind_is_read_again(event: BusEvent) -> None:
    assert CODEC.decode(CODEC.encode(event)) == event


def test_the_largest_dead_letter_is_read_again() -> None:
    """design.md §4: at most the first 64 KiB of the bytes."""
    letter = builders.letter(value=bytes(2 * MAX_VALUE_BYTES))

    data = CODEC.encode(letter)

    assert CODEC.decode(data) == letter
    assert len(data) < MAX_VALUE_BYTES + 1024


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x00\x01", b"{}"])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ContractError):
        CODEC.decode(data)


def test_a_treatment_that_this_release_does_not_know_is_refused() -> None:
    """Invariant 2: what a newer control plane asks for must not be routed as something else."""
    data = encode_event(
        "policy_view",
        {
            "jurisdiction": "cn",
            "resource": "divisions",
            "generation": 1,
            "row_filter": None,
            "treatments": {"name": "blur"},
            "incarnation": 1,
            "topic": "os.view.cn.divisions.abc.1",
            "partitions": 1,
            "projections": [],
        },
    )

    with pytest.raises(ContractError, match="blur"):
        CODEC.decode(data)


PSEUDONYMOUS = builders.view(items={"code": Treatment.KEEP, "name": Treatment.HMAC})


def test_a_view_says_whose_pseudonyms_it_shows_and_other_views_are_the_bytes_they_were() -> None:
    """docs/adr/0024: what older releases wrote is on the topic, and is read with this schema."""
    view = builders.view_policy(builders.incarnation(PSEUDONYMOUS))
    name, written = decode_event(CODEC.encode(view))
    _, plain = decode_event(CODEC.encode(builders.view_policy()))

    assert name == "policy_view"
    assert written["treatments"] == {"code": "keep", "name": "hmac:tourism#1"}
    assert plain["treatments"] == {"code": "keep", "name": "keep"}
    assert CODEC.encode(builders.view_policy())[:10].hex() == "c30144497a2f0c1e28de"
    assert CODEC.decode(CODEC.encode(view)) == view


@pytest.mark.parametrize(
    "treatments",
    [
        {"name": "hmac"},
        {"name": "hmac:"},
        {"name": "hmac:tourism"},
        {"name": "hmac:tourism#0"},
        {"name": "keep:tourism#1"},
        {"name": "hmac:tourism#1", "phone": "hmac:housing#1"},
    ],
    ids=str,
)
def test_pseudonyms_of_nobody_or_of_two_are_refused(treatments: dict[str, str]) -> None:
    _, record = decode_event(CODEC.encode(builders.view_policy()))

    with pytest.raises(ContractError):
        CODEC.decode(encode_event("policy_view", {**record, "treatments": treatments}))
