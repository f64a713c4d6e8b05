"""
The bus's own events (`schemas/*.avsc`) as Avro single-object encoding.

Marker bytes and the CRC-64-AVRO fingerprint of the schema come first (Avro specification, "Single
object encoding"), so a reader needs these schema files and no registry.
"""

import io
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form
from fastavro.types import Schema

from bus.errors import ContractError

_MARKER = b"\xc3\x01"
_PREFIX_BYTES = 10
_NAMES = (
    "policy_resource",
    "policy_view",
    "policy_version",
    "policy_heartbeat",
    "router_state",
    "dead_letter",
)


def encode_event(name: str, event: Mapping[str, Any]) -> bytes:
    """Return `event` as bytes of the schema `schemas/<name>.avsc`."""
    prefix, schema = _schemas()[name]
    out = io.BytesIO()
    out.write(prefix)
    fastavro.schemaless_writer(out, schema, dict(event), strict=True)
    return out.getvalue()


def decode_event(data: bytes) -> tuple[str, dict[str, Any]]:
    """Return (schema name, event); raise `ContractError` if these are no bytes of ours."""
    name = _by_prefix().get(data[:_PREFIX_BYTES])
    if name is None:
        raise ContractError("not an event of the bus, or written by a newer release")
    _, schema = _schemas()[name]
    body = io.BytesIO(data[_PREFIX_BYTES:])
    try:
        event = fastavro.schemaless_reader(body, schema, None)
    except (EOFError, IndexError, OverflowError, ValueError) as error:
        raise ContractError(f"these are no bytes of a {name}: {error!r}") from error
    if not isinstance(event, dict) or body.read(1):
        raise ContractError(f"these are more than the bytes of a {name}")
    return name, event


@cache
def _schemas() -> dict[str, tuple[bytes, Schema]]:
    folder = resources.files("schemas")
    found: dict[str, tuple[bytes, Schema]] = {}
    for name in _NAMES:
        written = json.loads(folder.joinpath(f"{name}.avsc").read_text(encoding="utf-8"))
        # The fingerprint is written least significant byte first.
        digest = bytes.fromhex(fingerprint(to_parsing_canonical_form(written), "CRC-64-AVRO"))
        found[name] = (_MARKER + digest, fastavro.parse_schema(written))
    return found


@cache
def _by_prefix() -> dict[bytes, str]:
    return {prefix: name for name, (prefix, _) in _schemas().items()}
