"""Audit records for tests, and logs made of them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.audit.chain import genesis, next_row, to_document
from bus.audit.checkpoint import key_id, sign
from bus.domain.audit_log import AuditHead, AuditRow, Checkpoint
from bus.domain.audit_record import AuditRecord

AT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
LOG = "11111111-2222-3333-4444-555555555555"
KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
PUBLIC_KEYS = {key_id(KEY.public_key()): KEY.public_key()}

Document = dict[str, Any]


def audit_record(**changes: Any) -> AuditRecord:
    """Return a record."""
    content: dict[str, Any] = {
        "at": AT,
        "jurisdiction": "cn",
        "account": "wang",
        "organisation": "statistics",
        "role": "department",
        "action": "request.submitted",
        "subject_kind": "request",
        "subject": "r-1",
    }
    return AuditRecord(**(content | changes))


def chained(records: Sequence[AuditRecord], log: str = LOG) -> list[Document]:
    """Return the documents of a log that holds these records."""
    head = AuditHead(log=log, sequence=0, hash=genesis(log))
    documents = []
    for record in records:
        row = next_row(head, record)
        documents.append(to_document(row))
        head = AuditHead(log=log, sequence=row.sequence, hash=row.hash)
    return documents


def head_at(documents: Sequence[Document], sequence: int, log: str = LOG) -> AuditHead:
    """Return the head of the log when row `sequence` was its newest."""
    newest = bytes.fromhex(documents[sequence - 1]["hash"]) if sequence else genesis(log)
    return AuditHead(log=log, sequence=sequence, hash=newest)


def signed(
    documents: Sequence[Document],
    sequence: int,
    *,
    key: Ed25519PrivateKey = KEY,
    log: str = LOG,
) -> Checkpoint:
    """Return a checkpoint of row `sequence`."""
    return sign(head_at(documents, sequence, log), AT + dt.timedelta(seconds=sequence), key)


def grant_rows(*actions: tuple[str, str, dict[str, str]]) -> list[AuditRow]:
    """Return rows of (action without its "grant.", grant, details), an hour between each."""
    head = AuditHead(log=LOG, sequence=0, hash=genesis(LOG))
    rows = []
    for hours, (action, grant, details) in enumerate(actions):
        record = audit_record(
            action=f"grant.{action}",
            subject_kind="grant",
            subject=grant,
            at=AT + dt.timedelta(hours=hours),
            details={"grant": grant, **details},
        )
        row = next_row(head, record)
        head = AuditHead(log=LOG, sequence=row.sequence, hash=row.hash)
        rows.append(row)
    return rows
