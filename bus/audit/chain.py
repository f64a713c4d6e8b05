"""
The chain: each row's hash covers the row and the hash of the row before (docs/adr/0016).

What is hashed is the row as a JSON document in canonical form (RFC 8785), so that anyone can
compute it with other software. Changing this form makes every log that exists look broken.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace

from bus.domain.audit_log import AuditHead, AuditRow
from bus.domain.audit_record import AuditRecord

_GENESIS = "onesource audit log, version 1\n"
_TEXTS = tuple(field.name for field in fields(AuditRecord) if field.name not in {"at", "details"})
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def genesis(log: str) -> bytes:
    """Return what the first row of the log with the id `log` follows."""
    return hashlib.sha256(f"{_GENESIS}{log}".encode()).digest()


def next_row(head: AuditHead, record: AuditRecord) -> AuditRow:
    """Return `record` as the row that follows `head`, its texts as `storable` leaves them."""
    row = AuditRow(
        sequence=head.sequence + 1, record=storable(record), previous=head.hash, hash=b""
    )
    return replace(row, hash=document_hash(to_document(row)))


def storable(record: AuditRecord) -> AuditRecord:
    """
    Return `record` as every store can give it back: its time in UTC, no NUL, no lone surrogate.

    What is asked of the bus by somebody hostile must not keep its refusal out of the log.
    """
    if record.at.tzinfo is None:
        raise ValueError("the time of an audit record names its zone")
    texts = {name: storable_text(getattr(record, name)) for name in _TEXTS}
    details = {storable_text(name): storable_text(text) for name, text in record.details.items()}
    return replace(record, at=record.at.astimezone(dt.UTC), details=details, **texts)


def storable_text(text: str) -> str:
    """Return `text` without what no store can hold."""
    kept = text.replace("\0", _REPLACEMENT)
    return kept.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def to_document(row: AuditRow) -> dict[str, object]:
    """Return `row` as the JSON document that is exported, and hashed without its `hash`."""
    record = row.record
    return {
        "sequence": row.sequence,
        "at": timestamp(record.at),
        **{name: getattr(record, name) for name in _TEXTS},
        "details": dict(record.details),
        "previous": row.previous.hex(),
        "hash": row.hash.hex(),
    }


def document_hash(document: Mapping[str, object]) -> bytes:
    """Return the hash that a row's document must have: of all that it holds but its `hash`."""
    content = {name: value for name, value in document.items() if name != "hash"}
    return hashlib.sha256(canonical(content)).digest()


def timestamp(at: dt.datetime) -> str:
    """Return an aware time in the one form of the log: UTC, microseconds, `Z`."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def canonical(value: object) -> bytes:
    """
    Return a JSON value in the canonical form of RFC 8785.

    Floating-point numbers are beyond it: the log has none. They get a form of their own, as do
    lone surrogates, so that a document that somebody made up has a hash, too: a wrong one.
    """
    text = json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _ordered(value: object) -> object:
    if isinstance(value, Mapping):
        # The standard orders names by UTF-16, which differs from Python's order beyond U+FFFF.
        names = sorted(value, key=lambda name: str(name).encode("utf-16-be", "surrogatepass"))
        return {name: _ordered(value[name]) for name in names}
    if isinstance(value, list):
        return [_ordered(each) for each in value]
    return value
