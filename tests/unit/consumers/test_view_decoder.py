"""Unit tests of `consumers.view_decoder`."""

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any

import pytest

from bus.adapters.memory.broker import MemoryBroker, MemoryRecord
from bus.domain.avro_schema import view_schema
from bus.domain.items import Nullable, Scalar
from bus.errors import ContractError, ControlUnavailable
from bus.ports import Partition
from bus.ports.record_writer import Headers
from consumers.change import Change, ChangeKind, Meta
from consumers.view_decoder import ViewDecoder
from tests import builders
from tests.stream_builders import (
    EVENT_ID,
    OCCURRED_AT,
    encoded,
    record,
    tombstone_headers,
    view_value,
)
from tests.subscriber_fakes import Subscribed

DESCRIPTOR = Subscribed().descriptor()
ACCEPTED_AT = dt.datetime(2026, 1, 5, 9, 0, 0, 250_000, tzinfo=dt.UTC)
SCHEMA = view_schema(builders.schema_of(builders.entry()), {"code", "name"})


def view_record(
    value: bytes | None, *, key: bytes = b"110101", headers: Headers | None = None
) -> MemoryRecord:
    """Return a record as it is read from a view topic."""
    broker = MemoryBroker()
    where = Partition(DESCRIPTOR.topic, 0)
    broker.create(where.topic, 1)
    broker.append(where, key, value, headers=headers, timestamp=int(ACCEPTED_AT.timestamp() * 1000))
    (found,) = broker.all_records(where.topic)
    return found


def decoder(schemas: dict[int, str] | None = None) -> ViewDecoder:
    """Return a decoder that knows schemas by id."""
    return ViewDecoder((schemas or {2: SCHEMA}).__getitem__)


def test_an_upsert_becomes_the_items_with_where_they_come_from() -> None:
    """R-123: source, entry version, times and the grant's subscription travel with each record."""
    value = view_value(record(name="东城"), entry_version=3, generation=2, partition=1, position=77)

    change = decoder().change(view_record(value), DESCRIPTOR)

    assert change == Change(
        kind=ChangeKind.UPSERT,
        key="110101",
        record={"code": "110101", "name": "东城"},
        meta=Meta(
            event_id=EVENT_ID,
            occurred_at=OCCURRED_AT,
            accepted_at=ACCEPTED_AT,
            source=builders.PROVIDER,
            entry_version=3,
            generation=2,
            partition=1,
            position=77,
        ),
        subscription=DESCRIPTOR,
    )


def test_a_mark_says_its_state() -> None:
    value = view_value(mark={"sequence": 5, "state": "UNDER_VERIFICATION"})

    change = decoder().change(view_record(value), DESCRIPTOR)

    assert change.meta is not None
    assert change.meta.mark == "UNDER_VERIFICATION"


@pytest.mark.parametrize("reason", ["deleted", "left-view"])
def test_a_tombstone_becomes_a_delete_with_its_reason(reason: str) -> None:
    """R-134: a withdrawal reaches the holder, without payload."""
    event_id = uuid.UUID(int=9)
    headers = tombstone_headers(reason=reason, position=78, event_id=event_id)

    change = decoder().change(view_record(None, headers=headers), DESCRIPTOR)

    assert change == Change(
        kind=ChangeKind.DELETE,
        key="110101",
        record=None,
        meta=Meta(
            event_id=event_id,
            occurred_at=OCCURRED_AT,
            accepted_at=ACCEPTED_AT,
            source=DESCRIPTOR.provider,
            entry_version=DESCRIPTOR.entry_version,
            generation=1,
            partition=0,
            position=78,
            reason=reason,
        ),
        subscription=DESCRIPTOR,
    )


def test_headers_may_come_as_text_and_as_a_mapping() -> None:
    headers = tombstone_headers(reason="left-view")
    said: Any = {name: value.decode() for name, value in headers}
    found = replace(view_record(None), the_headers=said)

    change = decoder().change(found, DESCRIPTOR)

    assert change.meta is not None
    assert change.meta.reason == "left-view"


def test_every_record_is_read_with_the_schema_that_it_names() -> None:
    """Entry versions mix in one view topic (design.md §5)."""
    items = [*builders.entry().items, builders.item("mayor", Nullable(Scalar.STRING))]
    newer = builders.schema_of(builders.entry(items=items))
    kept = ("code", "name", "mayor")
    schemas = {2: SCHEMA, 5: view_schema(newer, set(kept))}
    reader = decoder(schemas)

    old = reader.change(view_record(view_value()), DESCRIPTOR)
    new = reader.change(
        view_record(view_value(record(mayor="李"), kept=kept, schema=newer, schema_id=5)),
        DESCRIPTOR,
    )

    assert set(old.record or ()) == {"code", "name"}
    assert (new.record or {})["mayor"] == "李"
    assert reader.schemas == {2, 5}


def test_a_schema_is_asked_for_once() -> None:
    asked: list[int] = []

    def schema_by_id(schema_id: int) -> str:
        asked.append(schema_id)
        return SCHEMA

    reader = ViewDecoder(schema_by_id)
    for _ in range(3):
        reader.change(view_record(view_value()), DESCRIPTOR)

    assert asked == [2]


def test_a_schema_that_could_not_be_had_is_asked_for_again() -> None:
    answers: list[str] = []

    def schema_by_id(_: int) -> str:
        if not answers:
            raise ControlUnavailable("away")
        return answers[0]

    reader = ViewDecoder(schema_by_id)
    with pytest.raises(ControlUnavailable):
        reader.change(view_record(view_value()), DESCRIPTOR)
    answers.append(SCHEMA)

    assert reader.change(view_record(view_value()), DESCRIPTOR).kind is ChangeKind.UPSERT


def test_a_value_that_is_no_record_is_no_record_of_a_view() -> None:
    reader = decoder({2: '"string"'})
    value = b"\x00\x00\x00\x00\x02\x02x"

    with pytest.raises(ContractError, match="must be a record"):
        reader.change(view_record(value), DESCRIPTOR)


def test_items_keep_their_types() -> None:
    items = [
        builders.key_item("code", Scalar.LONG),
        builders.item("at", Scalar.TIMESTAMP_MICROS),
        builders.item("on", Scalar.DATE),
        builders.item("id", Scalar.UUID),
    ]
    schema = view_schema(
        builders.schema_of(builders.entry(items=items)), {"code", "at", "on", "id"}
    )
    said = {
        "event_id": EVENT_ID.bytes,
        "occurred_at": OCCURRED_AT,
        "source": "s",
        "entry_version": 1,
        "generation": 1,
        "partition": 0,
        "position": 0,
        "mark": None,
    }
    content = {"code": 7, "at": OCCURRED_AT, "on": OCCURRED_AT.date(), "id": EVENT_ID}

    change = decoder({2: schema}).change(
        view_record(encoded(schema, 2, {"meta": said, **content})), DESCRIPTOR
    )

    assert change.record == content
