"""From the records of a view topic to changes."""

import datetime as dt
import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import fastavro

from bus.domain.names import META
from bus.errors import ContractError
from bus.ports import Record
from consumers.change import Change, ChangeKind, Meta
from consumers.descriptor import Descriptor

_PREFIX_BYTES = 5


class ViewDecoder:
    """Decodes with the schema that each record names; each schema is fetched and parsed once."""

    def __init__(self, schema_by_id: Callable[[int], str]) -> None:
        self._schema_by_id = schema_by_id
        self._parsed: dict[int, fastavro.types.Schema] = {}

    @property
    def schemas(self) -> frozenset[int]:
        """The ids of the schemas that have been met."""
        return frozenset(self._parsed)

    def change(self, record: Record, descriptor: Descriptor) -> Change:
        """Return the change that `record` is."""
        key = (record.key() or b"").decode()
        accepted_at = dt.datetime.fromtimestamp(record.timestamp()[1] / 1000, dt.UTC)
        value = record.value()
        if value is None:
            return Change(
                kind=ChangeKind.DELETE,
                key=key,
                record=None,
                meta=_tombstone_meta(record, descriptor, accepted_at),
                subscription=descriptor,
            )
        content = self._decode(value)
        said = content.pop(META)
        mark = said["mark"]
        return Change(
            kind=ChangeKind.UPSERT,
            key=key,
            record=content,
            meta=Meta(
                event_id=uuid.UUID(bytes=said["event_id"]),
                occurred_at=said["occurred_at"],
                accepted_at=accepted_at,
                source=said["source"],
                entry_version=said["entry_version"],
                generation=said["generation"],
                partition=said["partition"],
                position=said["position"],
                mark=None if mark is None else mark["state"],
            ),
            subscription=descriptor,
        )

    def _decode(self, value: bytes) -> dict[str, Any]:
        schema_id = int.from_bytes(value[1:_PREFIX_BYTES], "big")
        schema = self._parsed.get(schema_id)
        if schema is None:
            schema = fastavro.parse_schema(json.loads(self._schema_by_id(schema_id)))
            self._parsed[schema_id] = schema
        content = fastavro.schemaless_reader(io.BytesIO(value[_PREFIX_BYTES:]), schema, None)
        if not isinstance(content, dict):
            raise ContractError("a view record must be a record")
        return content


def _tombstone_meta(record: Record, descriptor: Descriptor, accepted_at: dt.datetime) -> Meta:
    headers = {
        name: value.decode() if isinstance(value, bytes) else value or ""
        for name, value in dict(record.headers() or ()).items()
    }
    return Meta(
        event_id=uuid.UUID(headers["os-event-id"]),
        occurred_at=dt.datetime.fromisoformat(headers["os-occurred-at"]),
        accepted_at=accepted_at,
        source=descriptor.provider,
        entry_version=descriptor.entry_version,
        generation=int(headers["os-generation"]),
        partition=int(headers["os-partition"]),
        position=int(headers["os-position"]),
        reason=headers["os-reason"],
    )
