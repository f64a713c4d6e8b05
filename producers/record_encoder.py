"""From a record to the key and the bytes that go to the source topic (design.md §4)."""

import datetime as dt
import io
import json
import uuid
from collections.abc import Mapping

import fastavro

from bus.domain.names import META
from bus.domain.record_key import KEY_MAX_BYTES, KeyPart, record_key
from bus.errors import RecordInvalid
from bus.views.plan import MAX_VALUE_BYTES, PREFIX_BYTES
from bus.views.schema_tree import Kind, Node, parse_schema
from bus.views.walker import read_varint, write_varint
from producers.item_values import check_record, check_value
from producers.publication import Publication

_EVENT_ID_BYTES = 16
_OCCURRED_AT = Node(Kind.LONG, logical="timestamp-micros")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class RecordEncoder:
    """Encodes records of one publication; checks them against its schema first."""

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        written = json.loads(publication.schema)
        items = [field for field in written["fields"] if field["name"] != META]
        self._schema = fastavro.parse_schema({**written, "fields": items})
        self.tree = parse_schema(json.dumps({**written, "fields": items}))
        self._prefix = b"\x00" + publication.schema_id.to_bytes(4, "big")
        self._by_name = dict(zip(self.tree.field_names, self.tree.children, strict=True))

    @property
    def item_names(self) -> list[str]:
        """The names of the items, in catalog order."""
        return list(self.tree.field_names)

    def check(self, record: Mapping[str, object]) -> dict[str, object]:
        """Return `record` with values as they are encoded; raise `RecordInvalid` naming an item."""
        return check_record(self.tree, "", record)

    def key(self, record: Mapping[str, object]) -> bytes:
        """Return the key of a record, of which only the key items need to be there."""
        parts = [self._part(name, record) for name in self.publication.key_items]
        key = record_key(parts)
        if not key or len(key) > KEY_MAX_BYTES:
            raise RecordInvalid(f"the key has {len(key)} bytes; 1 to {KEY_MAX_BYTES} are allowed")
        return key

    def items(self, checked: Mapping[str, object]) -> bytes:
        """Return the bytes of the items of a checked record: all of the value but `meta`."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._schema, dict(checked))
        return out.getvalue()

    def value(self, items: bytes, *, event_id: uuid.UUID, occurred_at: dt.datetime) -> bytes:
        """Return the value of a record in Confluent wire format."""
        check_value(_OCCURRED_AT, "occurred_at", occurred_at)
        meta = event_id.bytes + write_varint((occurred_at - _EPOCH) // _MICROSECOND)
        value = b"".join((self._prefix, meta, items))
        if len(value) > MAX_VALUE_BYTES:
            raise RecordInvalid(f"the record has {len(value)} bytes; {MAX_VALUE_BYTES} are allowed")
        return value

    def items_of(self, value: bytes) -> bytes | None:
        """Return the items in a value of this very schema; None if it is of another one."""
        if not value.startswith(self._prefix):
            return None
        _, start = read_varint(value, PREFIX_BYTES + _EVENT_ID_BYTES)
        return value[start:]

    def _part(self, name: str, record: Mapping[str, object]) -> KeyPart:
        if name not in record:
            raise RecordInvalid(f"{name}: the key item is missing")
        value = check_value(self._by_name[name], name, record[name])
        if isinstance(value, uuid.UUID):
            return str(value)
        if isinstance(value, str | int | dt.date):
            return value
        raise RecordInvalid(f"{name}: this cannot be part of a key")
