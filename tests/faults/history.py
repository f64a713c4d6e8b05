"""
What happened to one resource in one run: all that the checker judges, and nothing else.

What was sent, what stands in the source topic, what stands in each view topic (also of aborted
transactions), and what a reader of committed records was given, in its order. A history is kept as
one JSON document a line, compressed, so that it can be judged again.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

#: The items of a record, of types that JSON has.
Row: TypeAlias = dict[str, Any]


class What(StrEnum):
    """What a source record is."""

    UPSERT = "upsert"
    DELETE = "delete"
    REFUSED = "refused"
    """Malformed: it belongs to the dead letters and is nothing to any view."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A record that the publisher handed over, and where it was told that it stands."""

    number: int
    key: str
    partition: int
    position: int | None
    """None: the broker never said that it accepted the record."""


@dataclass(frozen=True, slots=True)
class Source:
    """A record of the source topic."""

    number: int
    key: str
    partition: int
    position: int
    what: What
    row: Row | None


@dataclass(frozen=True, slots=True)
class Copy:
    """A record of a view topic, and the source record that it says it is made of."""

    offset: int
    key: str
    row: Row | None
    """None: a tombstone."""
    number: int
    partition: int
    position: int
    reason: str | None
    """Why the key is gone; only tombstones have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewLife:
    """One incarnation of a view."""

    topic: str
    rows: str | None
    """The row filter, in CEL."""
    treatments: dict[str, str]
    """By item; items that are not named must not be there."""
    starts: dict[int, int]
    """By source partition: the position whose present the view was filled with."""
    ended: bool
    """Nothing was written any more from some moment on."""
    log: tuple[Copy, ...]
    """All that stands in the topic, by offset."""
    aborted: frozenset[int]
    """The offsets in `log` of aborted transactions, as the segment files say."""
    unfinished: frozenset[int]
    """The offsets in `log` of transactions that were neither committed nor aborted."""
    seen: tuple[Copy, ...]
    """What a reader of committed records was given while all of it happened, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything about one resource."""

    resource: str
    sent: tuple[Sent, ...] = ()
    source: tuple[Source, ...] = ()
    letters: tuple[tuple[int, int], ...] = ()
    """(partition, position) of what has a dead letter."""
    views: tuple[ViewLife, ...] = field(default=())


def write_histories(path: Path, histories: Iterable[History]) -> None:
    """Write histories to a compressed file."""
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=5) as file:
        for history in histories:
            for line in _lines(history):
                file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_histories(path: Path) -> list[History]:
    """Return the histories that `write_histories` wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    names = [line["resource"] for line in lines if line["is"] == "resource"]
    return [_history(name, [line for line in lines if line["resource"] == name]) for name in names]


def _lines(history: History) -> Iterator[dict[str, Any]]:
    resource = {"resource": history.resource}
    yield {"is": "resource", **resource}
    for sent in history.sent:
        yield {"is": "sent", **resource, **asdict(sent)}
    for source in history.source:
        yield {"is": "source", **resource, **asdict(source)}
    for partition, position in history.letters:
        yield {"is": "letter", **resource, "partition": partition, "position": position}
    for view in history.views:
        yield {
            "is": "view",
            **resource,
            "topic": view.topic,
            "rows": view.rows,
            "treatments": view.treatments,
            "starts": view.starts,
            "ended": view.ended,
            "aborted": sorted(view.aborted),
            "unfinished": sorted(view.unfinished),
        }
        for kind, copies in (("log", view.log), ("seen", view.seen)):
            for copy in copies:
                yield {"is": kind, **resource, "topic": view.topic, **asdict(copy)}


def _history(resource: str, lines: list[dict[str, Any]]) -> History:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        said = {name: value for name, value in line.items() if name not in {"is", "resource"}}
        by_kind.setdefault(line["is"], []).append(said)
    copies: dict[tuple[str, str], list[Copy]] = {}
    for kind in ("log", "seen"):
        for said in by_kind.get(kind, []):
            copies.setdefault((kind, said.pop("topic")), []).append(Copy(**said))
    return History(
        resource=resource,
        sent=tuple(Sent(**said) for said in by_kind.get("sent", [])),
        source=tuple(
            Source(**{**said, "what": What(said["what"])}) for said in by_kind.get("source", [])
        ),
        letters=tuple((said["partition"], said["position"]) for said in by_kind.get("letter", [])),
        views=tuple(
            ViewLife(
                topic=said["topic"],
                rows=said["rows"],
                treatments=said["treatments"],
                starts={int(number): start for number, start in said["starts"].items()},
                ended=said["ended"],
                log=tuple(copies.get(("log", said["topic"]), [])),
                aborted=frozenset(said["aborted"]),
                unfinished=frozenset(said["unfinished"]),
                seen=tuple(copies.get(("seen", said["topic"]), [])),
            )
            for said in by_kind.get("view", [])
        ),
    )
