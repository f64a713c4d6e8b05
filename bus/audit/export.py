"""
The log as a file, one JSON object a line: what it is, its checkpoints, its rows.

The file holds what a verification needs but the public key, which must come by another way. A line
that cannot be read counts as a row that is wrong.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bus.audit import chain, checkpoint
from bus.domain.audit_log import AuditHead, AuditRow, Checkpoint

_FORMAT = 1
#: How lines begin that are no rows.
_LOG = '{"log":'
_CHECKPOINT = '{"checkpoint":'


def lines(
    head: AuditHead, checkpoints: Iterable[Checkpoint], rows: Iterable[AuditRow]
) -> Iterator[str]:
    """Yield the lines of the log as it was when its head was `head`."""
    yield _line(
        {
            "log": {
                "format": _FORMAT,
                "id": head.log,
                "sequence": head.sequence,
                "hash": head.hash.hex(),
            }
        }
    )
    for each in checkpoints:
        yield _line({"checkpoint": checkpoint.to_document(each)})
    for row in rows:
        yield _line({"row": chain.to_document(row)})


def _line(document: Mapping[str, object]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def read_head(text: Iterable[str]) -> AuditHead:
    """Return what the first of the lines says of the log; raise `ValueError` if it says nothing."""
    document: Any = _object(next(iter(text), "")).get("log")
    try:
        if document["format"] != _FORMAT:
            raise ValueError("the export has a format that this release does not know")
        return AuditHead(
            log=str(document["id"]),
            sequence=int(document["sequence"]),
            hash=bytes.fromhex(document["hash"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("this is no export of an audit log") from error


def read_checkpoints(text: Iterable[str]) -> Iterator[Checkpoint]:
    """Yield the checkpoints of an export; raise `ValueError` at one that cannot be read."""
    for line in text:
        if line.startswith(_CHECKPOINT):
            yield checkpoint.from_document(_object(line).get("checkpoint"))


def read_rows(text: Iterable[str]) -> Iterator[Mapping[str, object]]:
    """Yield the documents of all rows, as they are."""
    for line in text:
        if not line.startswith((_LOG, _CHECKPOINT)):
            row = _object(line).get("row")
            yield row if isinstance(row, dict) else {}


def _object(line: str) -> dict[str, Any]:
    """Return the object of a line; an empty one if it is none, or has a name twice."""
    try:
        document = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: other readers might see the other value."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name comes twice")
    return document
