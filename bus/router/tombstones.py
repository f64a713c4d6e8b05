"""
The headers of a delete (design.md §4).

A delete is a null value, so what an upsert says in `meta` stands in headers. Nothing that a
provider wrote there is passed on unless it is exactly an event id or a time.
"""

import datetime as dt
import uuid
from contextlib import suppress
from enum import StrEnum

from bus.ports import Partition, Record
from bus.ports.record_writer import Headers
from bus.views.plan import PREFIX_BYTES
from bus.views.walker import read_varint

EVENT_ID = "os-event-id"
OCCURRED_AT = "os-occurred-at"
GENERATION = "os-generation"
PARTITION = "os-partition"
POSITION = "os-position"
REASON = "os-reason"

_EVENT_ID_BYTES = 16
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: Event ids of deletes that their provider gave none.
_NAMESPACE = uuid.UUID("6f6e6573-6f75-5263-a500-000000000000")


class Reason(StrEnum):
    """Why a key is gone from a view."""

    DELETED = "deleted"
    LEFT_VIEW = "left-view"


def tombstone_headers(
    source: Record, partition: Partition, generation: int, reason: Reason
) -> Headers:
    """Return the headers of the tombstone that the source record `source` causes in a view."""
    value = source.value()
    position = source.offset() or 0
    if value is None:
        event_id, occurred_at = _said_in_headers(source, partition, position)
    else:
        event_id, occurred_at = _said_in_meta(value)
    return [
        (EVENT_ID, str(event_id).encode()),
        (OCCURRED_AT, occurred_at.isoformat().encode()),
        (GENERATION, str(generation).encode()),
        (PARTITION, str(partition.number).encode()),
        (POSITION, str(position).encode()),
        (REASON, reason.encode()),
    ]


def _said_in_meta(value: bytes) -> tuple[uuid.UUID, dt.datetime]:
    start = PREFIX_BYTES + _EVENT_ID_BYTES
    micros, _ = read_varint(value, start)
    return uuid.UUID(bytes=value[PREFIX_BYTES:start]), _EPOCH + dt.timedelta(microseconds=micros)


def _said_in_headers(
    source: Record, partition: Partition, position: int
) -> tuple[uuid.UUID, dt.datetime]:
    said = dict(source.headers() or ())
    event_id = uuid.uuid5(_NAMESPACE, f"{partition.topic}/{partition.number}/{position}")
    occurred_at = _EPOCH + dt.timedelta(milliseconds=source.timestamp()[1])
    with suppress(ValueError):
        event_id = uuid.UUID(_text(said.get(EVENT_ID)))
    with suppress(ValueError, OverflowError):
        parsed = dt.datetime.fromisoformat(_text(said.get(OCCURRED_AT)))
        if parsed.tzinfo is not None:
            occurred_at = parsed.astimezone(dt.UTC)
    return event_id, occurred_at


def _text(said: str | bytes | None) -> str:
    return said.decode() if isinstance(said, bytes) else said or ""
