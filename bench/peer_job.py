"""What peers are told of their work, and how it is read what they have made of it."""

import io
import json
import time
from typing import Any

import fastavro

from bench.records import Encoded
from bench.stage import Stage
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.domain.access import OPERATOR
from bus.domain.names import META, ROUTER_GROUP
from bus.ports import Committed, Partition
from bus.views.plan import PREFIX_BYTES

_READ_RECORDS = 10_000
_READ_SECONDS = 1.0
#: Of a thousand partitions, some take their time.
_STILL_SECONDS = 60.0


class PeerJobs:
    """Jobs on one resource, with the broker's own account."""

    def __init__(self, stage: Stage, resource: str) -> None:
        self._stage = stage
        self._resource = resource
        self._connection: KafkaConnection = stage.broker_admin
        self._source = stage.source(resource)
        self._readers = KafkaLogReaders(self._connection, group=f"{ROUTER_GROUP}.bench")
        self._facts: dict[str, object] = {}

    def begin_at(self, group: str, start: int) -> None:
        """Let a group begin at a position of the source."""
        reader = KafkaLogReaders(self._connection, group=group).open({self._source: start})
        try:
            reader.commit({self._source: Committed(start, "")})
        finally:
            reader.close()

    def facts(self, value: bytes) -> dict[str, object]:
        """Return what is the same for all jobs; the schemas are those of the router's `value`."""
        if not self._facts:
            publication = self._stage.publication(self._resource)
            schema_id = written_with(value)
            schema = self._stage.account(OPERATOR).control.schema(schema_id)
            meta = _decoded(schema, value)[META]
            self._facts = {
                "bootstrap": self._connection.bootstrap,
                "username": self._connection.username,
                "password": self._connection.password,
                "folder": str(self._stage.root / "peers" / "state"),
                "source": self._source.topic,
                "source_schema_id": publication.schema_id,
                "source_schema": publication.schema,
                "view_schema_id": schema_id,
                "view_schema": schema,
                "provider": meta["source"],
                "entry_version": meta["entry_version"],
                "generation": meta["generation"],
            }
        return self._facts

    def end(self, partition: Partition) -> int:
        """Return where a partition ends."""
        return self._readers.ends([partition])[partition]

    def ends(self, partitions: list[Partition]) -> dict[Partition, int]:
        """Return where partitions end."""
        return dict(self._readers.ends(partitions))

    def read(self, starts: dict[Partition, int]) -> dict[Partition, list[Encoded]]:
        """Return what is committed in partitions, from these positions on."""
        ends = self._readers.ends(list(starts))
        reader = self._readers.open(starts)
        found: dict[Partition, list[Encoded]] = {partition: [] for partition in starts}
        deadline = time.monotonic() + _STILL_SECONDS
        try:
            while left := [at for at in starts if reader.position(at) < ends[at]]:
                records = reader.read(_READ_RECORDS, _READ_SECONDS)
                for each in records:
                    at = Partition(each.topic() or "", each.partition() or 0)
                    found[at].append((each.key() or b"", each.value() or b""))
                if records:
                    deadline = time.monotonic() + _STILL_SECONDS
                elif time.monotonic() > deadline:
                    raise TimeoutError(f"{left[0].topic} cannot be read up to {ends[left[0]]}")
        finally:
            reader.close()
        return found


def written_with(value: bytes) -> int:
    """Return the id of the schema that a record was written with."""
    return int.from_bytes(value[1:PREFIX_BYTES], "big")


def _decoded(schema: str, value: bytes) -> dict[str, Any]:
    parsed = fastavro.parse_schema(json.loads(schema))
    record: Any = fastavro.schemaless_reader(io.BytesIO(value[PREFIX_BYTES:]), parsed, None)
    return dict(record)
