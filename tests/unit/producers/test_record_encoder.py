"""Unit tests of `producers.record_encoder`, with fastavro and the router's gate as judges."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.cel.cel_cpp import compile_filter
from bus.domain.entry import CatalogEntry
from bus.domain.items import DataItem, EnumType, ItemType, Scalar
from bus.domain.record_key import KEY_MAX_BYTES, KEY_SCALARS, partition_of
from bus.errors import RecordInvalid
from bus.views.plan import MAX_VALUE_BYTES, Outcome, Reject, Upsert, compile_plan
from producers.record_encoder import RecordEncoder
from tests import builders, stream_builders
from tests.domain_strategies import item_types
from tests.item_cases import MOMENTS, anything, comparable, fitting
from tests.stream_builders import EVENT_ID, OCCURRED_AT

KEY_TYPES: list[ItemType] = [*sorted(KEY_SCALARS), EnumType("Kind", ("TOWN", "STREET"))]


def gate(of: CatalogEntry, key: bytes, value: bytes | None) -> Outcome:
    """Return what the router makes of a record in the partition where its key belongs."""
    plan = compile_plan(builders.resource_policy(of), [], compile_filter=compile_filter)
    (outcome,) = plan.apply(partition_of(key, of.partitions), [(0, key, value)])
    return outcome


def value_of(encoder: RecordEncoder, content: dict[str, Any]) -> bytes:
    """Return the whole value of a record, checked and encoded as the publisher does it."""
    items = encoder.items(encoder.check(content))
    return encoder.value(items, event_id=EVENT_ID, occurred_at=OCCURRED_AT)


@st.composite
def random_entries(draw: st.DrawFn) -> CatalogEntry:
    """Draw an entry with one to three key items among others, in any order."""
    keys = draw(st.lists(st.sampled_from(KEY_TYPES), min_size=1, max_size=3))
    others = draw(st.integers(0, 4))
    items: list[DataItem] = []
    for number, key_type in enumerate(keys):
        own = EnumType(f"Kind{number}", ("TOWN", "STREET"))
        items.append(
            builders.key_item(f"k{number}", own if isinstance(key_type, EnumType) else key_type)
        )
    items += [
        builders.item(f"i{number}", draw(item_types(f"i{number}"))) for number in range(others)
    ]
    partitions = draw(st.integers(1, 5))
    return builders.entry(items=draw(st.permutations(items)), partitions=partitions)


@given(st.data())
def test_fastavro_reads_what_is_encoded(data: st.DataObject) -> None:
    of = data.draw(random_entries())
    content = {each.name: data.draw(fitting(each.type)) for each in of.items}
    encoder = stream_builders.encoder(of, schema_id=77)
    event_id, occurred_at = data.draw(st.uuids()), data.draw(MOMENTS)

    items = encoder.items(encoder.check(content))
    value = encoder.value(items, event_id=event_id, occurred_at=occurred_at)

    read = stream_builders.decoded(builders.schema_of(of), value)
    assert value[:5] == b"\x00\x00\x00\x00\x4d"
    assert read.pop("meta") == {"event_id": event_id.bytes, "occurred_at": occurred_at}
    assert comparable(read) == comparable(content)


@given(st.data())
def test_what_is_encoded_passes_the_gate_of_the_router(data: st.DataObject) -> None:
    """R-120: what the publisher lets through never becomes a dead letter; the rest it refuses."""
    of = data.draw(random_entries())
    content = {each.name: data.draw(anything(each.type)) for each in of.items}
    encoder = stream_builders.encoder(of)

    try:
        key, value = encoder.key(content), value_of(encoder, content)
    except RecordInvalid:
        return

    assert gate(of, key, value) == Upsert(())


@given(st.data())
def test_every_fitting_record_with_a_good_key_is_encoded(data: st.DataObject) -> None:
    of = data.draw(random_entries())
    content = {each.name: data.draw(fitting(each.type)) for each in of.items}
    encoder = stream_builders.encoder(of)

    value = value_of(encoder, content)

    if len(of.key_items) > 1 or content[of.key_items[0].name] != "":
        assert gate(of, encoder.key(content), value) == Upsert(())


_EAST, _WEST = dt.timezone(dt.timedelta(hours=8)), dt.timezone(dt.timedelta(hours=-8))


@pytest.mark.parametrize(
    "occurred_at",
    [
        OCCURRED_AT.replace(tzinfo=None),
        dt.datetime(1, 1, 1, tzinfo=_EAST),
        dt.datetime(9999, 12, 31, 23, tzinfo=_WEST),
    ],
    ids=["without time zone", "before the calendar begins", "after the calendar ends"],
)
def test_a_time_of_the_event_that_the_router_would_refuse_is_refused(
    occurred_at: dt.datetime,
) -> None:
    encoder = stream_builders.encoder()

    with pytest.raises(RecordInvalid, match="occurred_at: a time with its time zone"):
        encoder.value(b"", event_id=EVENT_ID, occurred_at=occurred_at)


@pytest.mark.parametrize(
    ("items", "content", "key"),
    [
        ([builders.key_item("a")], {"a": "110101"}, b"110101"),
        ([builders.key_item("a")], {"a": "东城"}, "东城".encode()),
        ([builders.key_item("a", Scalar.LONG)], {"a": -7}, b"-7"),
        ([builders.key_item("a", Scalar.DATE)], {"a": dt.date(2026, 1, 5)}, b"2026-01-05"),
        (
            [builders.key_item("a", Scalar.UUID)],
            {"a": "6F6E65736F755263A500000000000000"},
            b"6f6e6573-6f75-5263-a500-000000000000",
        ),
        ([builders.key_item("a", EnumType("E", ("X", "Y")))], {"a": "Y"}, b"Y"),
        (
            [builders.key_item("a"), builders.item("b"), builders.key_item("c", Scalar.INT)],
            {"c": 7, "a": '一,"', "b": "no part of it"},
            '["一,\\"",7]'.encode(),
        ),
    ],
)
def test_the_key_is_the_text_of_the_key_items(
    items: list[DataItem], content: dict[str, object], key: bytes
) -> None:
    encoder = stream_builders.encoder(builders.entry(items=items))

    assert encoder.key(content) == key


def test_a_key_needs_nothing_but_the_key_items() -> None:
    assert stream_builders.encoder().key({"code": "110101"}) == b"110101"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"name": "东城"}, "code: the key item is missing"),
        ({"code": None}, "code: text is wanted"),
        ({"code": 110_101}, "code: text is wanted"),
        ({"code": ""}, "the key has 0 bytes"),
        ({"code": "东" * 342}, f"the key has 1026 bytes; 1 to {KEY_MAX_BYTES} are allowed"),
        ({"code": "a\0"}, "code: the text contains U"),
    ],
)
def test_a_record_without_a_usable_key_is_refused(
    content: dict[str, object], complaint: str
) -> None:
    with pytest.raises(RecordInvalid, match=complaint):
        stream_builders.encoder().key(content)


def test_a_record_as_large_as_the_router_takes_is_encoded_and_no_larger_one() -> None:
    encoder = stream_builders.encoder()
    empty = len(value_of(encoder, stream_builders.record(name="")))
    # The length of a text of this size is written in three bytes instead of one.
    room = MAX_VALUE_BYTES - empty - 2

    value = value_of(encoder, stream_builders.record(name="x" * room))

    assert len(value) == MAX_VALUE_BYTES
    assert gate(builders.entry(), b"110101", value) == Upsert(())
    with pytest.raises(RecordInvalid, match=f"the record has {MAX_VALUE_BYTES + 1} bytes"):
        value_of(encoder, stream_builders.record(name="x" * (room + 1)))


def test_the_items_are_found_again_in_a_value_of_the_same_schema() -> None:
    encoder = stream_builders.encoder()
    items = encoder.items(encoder.check(stream_builders.record()))
    value = encoder.value(items, event_id=EVENT_ID, occurred_at=dt.datetime(1, 1, 1, tzinfo=dt.UTC))

    assert encoder.items_of(value) == items


def test_a_value_of_another_schema_is_told_apart() -> None:
    mine, other = stream_builders.encoder(schema_id=1), stream_builders.encoder(schema_id=2)

    assert mine.items_of(value_of(other, stream_builders.record())) is None


def test_items_have_the_order_of_the_catalog() -> None:
    assert stream_builders.encoder().item_names == ["code", "name", "district", "population"]


def test_a_record_with_a_missing_item_is_refused_before_anything_is_encoded() -> None:
    with pytest.raises(RecordInvalid, match="name: the item is missing"):
        stream_builders.encoder().check({"code": "110101", "district": "1101"})


def test_the_gate_is_a_judge_that_refuses_something() -> None:
    """The properties above would prove nothing if the gate let everything through."""
    bad = stream_builders.source_value(json.loads('{"code":"1","name":"n","district":"d"}'))

    assert isinstance(gate(builders.entry(), b"110101", bad), Reject)
