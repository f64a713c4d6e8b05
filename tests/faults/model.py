"""
What a view must hold, said once more in plain Python: no code of the router, the kernel or CEL.

For each source record the model says what the view gets of it: the record as the view shows it, a
tombstone, or nothing. So it knows the exact sequence, not the last state alone.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.faults.history import Row, Source, What

#: A treatment that says the key, too: the history has to be judged without the platform.
PSEUDONYM = "hmac:"
DELETED = "deleted"
LEFT_VIEW = "left-view"

#: Row filters of the soak's views: their text in CEL, and what it means.
ROW_FILTERS: Mapping[str | None, Callable[[Row], bool]] = {
    None: lambda _: True,
    'district == "east"': lambda row: row["district"] == "east",
    'district != "east"': lambda row: row["district"] != "east",
    'district in ["west", "north"]': lambda row: row["district"] in {"west", "north"},
    "population > 5": lambda row: row["population"] is not None and row["population"] > 5,
    "population == null || population <= 2": lambda row: (
        row["population"] is None or row["population"] <= 2
    ),
    'name.contains("镇")': lambda row: "镇" in row["name"],
    'name.startsWith("a") && population > 3': lambda row: (
        row["name"].startswith("a") and row["population"] is not None and row["population"] > 3
    ),
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a view gets of one source record."""

    number: int
    key: str
    position: int
    row: Row | None
    """None: a tombstone."""
    reason: str | None


def shown(row: Row, treatments: Mapping[str, str]) -> Row:
    """Return what a view with these treatments shows of a record."""
    return {name: _treated(row[name], treatments[name]) for name in row if name in treatments}


def sequence(
    records: Iterable[Source], *, rows: str | None, treatments: Mapping[str, str], start: int
) -> Iterator[Expected]:
    """
    Yield what a view that was filled at `start` gets of one source partition, in order.

    Before `start` it gets the present: each key's last record, if that is there and matches. From
    there on it gets history: records that match, a tombstone when a member is deleted or leaves. A
    view of all rows has every key for a member.
    """
    matches = ROW_FILTERS[rows]
    held = list(records)
    last = {
        record.key: record.position
        for record in held
        if record.position < start and record.what is not What.REFUSED
    }
    members: set[str] = set()
    for record in held:
        fits = record.what is What.UPSERT and record.row is not None and matches(record.row)
        if record.position < start:
            if not fits or last[record.key] != record.position:
                continue
        elif record.what is What.REFUSED:
            continue
        if fits and record.row is not None:
            members.add(record.key)
            view_row = shown(record.row, treatments)
            yield Expected(record.number, record.key, record.position, view_row, None)
        elif record.key in members or (rows is None and record.what is What.DELETE):
            members.discard(record.key)
            reason = DELETED if record.what is What.DELETE else LEFT_VIEW
            yield Expected(record.number, record.key, record.position, None, reason)


def _treated(value: Any, how: str) -> Any:
    match how:
        case "keep":
            return value
        case "null":
            return None
        case "fixed":
            return "***"
        case "partial":
            return _masked(value)
        case _ if how.startswith(PSEUDONYM):
            key = bytes.fromhex(how.removeprefix(PSEUDONYM))
            return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:32]
        case _:
            raise ValueError(f"the model does not know the treatment {how}")


def _masked(text: str) -> str:
    length = len(text)
    first, last = 0, 0
    if length >= 11:
        first, last = 3, 4
    elif length >= 7:
        first, last = 2, 2
    elif length >= 3:
        first, last = 1, 1
    elif length == 2:
        first = 1
    return text[:first] + "*" * (length - first - last) + text[length - last :]
