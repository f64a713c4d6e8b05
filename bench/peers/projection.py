"""
The router's work in plain Python, for peers that leave decoding to the application.

This runs in the environments of the peers, where the bus is not installed.
"""

import gc
import io
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import fastavro

_PREFIX_BYTES = 5
#: As the router's process: looking through records that go by themselves finds nothing.
_GARBAGE_THRESHOLD = 100_000


def read_job() -> dict[str, Any]:
    """Return the job that this process was started for; it looks for garbage as a router does."""
    gc.set_threshold(_GARBAGE_THRESHOLD, 10, 10)
    job: dict[str, Any] = json.loads(sys.stdin.readline())
    return job


class Clock:
    """Runs from the first record that the peer sees to the commit of all positions."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.last: int = job["end"] - 1
        self.started = 0.0
        self._ended = 0.0

    def start(self) -> None:
        """Take the time, once."""
        self.started = self.started or time.perf_counter()

    def stop(self) -> None:
        """Take the time: the last position is committed."""
        self._ended = time.perf_counter()

    def tell(self) -> None:
        """Answer the job."""
        if not self.started or not self._ended:
            raise RuntimeError("the backlog was not cleared")
        sys.stdout.write(json.dumps({"seconds": self._ended - self.started}) + "\n")
        sys.stdout.flush()


class Projection:
    """Row filter and omitted items, by the fastest Avro codec."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._source = _plain(job["source_schema"])
        self._view = _plain(job["view_schema"])
        self._kept = [field["name"] for field in self._view["fields"]][1:]
        self._schema_id: int = job["source_schema_id"]
        self._prefix = b"\x00" + job["view_schema_id"].to_bytes(4, "big")
        self._highest_tier: int = job["highest_tier"]
        self._said = {
            "source": job["provider"],
            "entry_version": job["entry_version"],
            "generation": job["generation"],
            "partition": 0,
            "mark": None,
        }

    def decode(self, value: bytes) -> Any:  # noqa: ANN401 (what fastavro returns)
        """Return the record in a value in Confluent wire format."""
        if value[0] or int.from_bytes(value[1:_PREFIX_BYTES], "big") != self._schema_id:
            raise ValueError("a record of another schema")
        body = io.BytesIO(value)
        body.seek(_PREFIX_BYTES)
        return fastavro.schemaless_reader(body, self._source, None)

    def passes(self, record: Mapping[str, Any]) -> bool:
        """Tell whether the row filter lets a record through."""
        passed: bool = record["tier"] <= self._highest_tier
        return passed

    def encode(self, record: Mapping[str, Any], position: int) -> bytes:
        """Return the view of a record as the router writes it."""
        view = {name: record[name] for name in self._kept}
        view["meta"] = {**record["meta"], **self._said, "position": position}
        written = io.BytesIO()
        written.write(self._prefix)
        fastavro.schemaless_writer(written, self._view, view)
        return written.getvalue()


def _plain(schema: str) -> dict[str, Any]:
    """Parse a schema without its logical types: dates and times pass through as numbers."""
    written = json.loads(schema, object_hook=_without_logical_type)
    parsed: Any = fastavro.parse_schema(written)
    return dict(parsed)


def _without_logical_type(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "logicalType"}
