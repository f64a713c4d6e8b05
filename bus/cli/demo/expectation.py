"""
What the files say: the rows that each department must hold, and how two editions differ.

Plain Python over the CSV files. Nothing of the bus is used here, so that it can judge the bus.
"""

import csv
import hashlib
import json
import lzma
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Row: TypeAlias = dict[str, str]
#: Key -> row.
Edition: TypeAlias = dict[str, Row]


def read_file(path: Path) -> Edition:
    """Return the records of one edition by their code."""
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        return {row["code"]: dict(row) for row in csv.DictReader(file)}


@dataclass(frozen=True, slots=True)
class Share:
    """What one department may have, in plain Python."""

    matches: Callable[[Row], bool]
    items: tuple[str, ...]

    def of(self, edition: Edition) -> Edition:
        """Return the rows and items of `edition` that the department must hold."""
        return {
            key: {item: row[item] for item in self.items}
            for key, row in edition.items()
            if self.matches(row)
        }


@dataclass(frozen=True, slots=True)
class EditionChange:
    """How one edition differs from the one before, at the source."""

    inserted: frozenset[str]
    updated: frozenset[str]
    deleted: frozenset[str]

    @classmethod
    def between(cls, old: Edition, new: Edition) -> "EditionChange":
        """Return the difference of two editions."""
        both = old.keys() & new.keys()
        return cls(
            inserted=frozenset(new.keys() - old.keys()),
            updated=frozenset(key for key in both if old[key] != new[key]),
            deleted=frozenset(old.keys() - new.keys()),
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """What a department receives of an edition."""

    upserts: int
    deletes: int
    entered: int
    """Existed at the source before, and is in the department's view only now."""
    left: int
    """Exists at the source still, and is in the department's view no more."""


def expected_counts(share: Share, change: EditionChange, old: Edition, new: Edition) -> Counts:
    """Return what `share` must receive when `old` becomes `new`, record by record."""
    was = {key for key in change.updated | change.deleted if share.matches(old[key])}
    becomes = {key for key in change.updated | change.inserted if share.matches(new[key])}
    return Counts(
        upserts=len(becomes),
        deletes=len(was & change.deleted),
        entered=len((becomes & change.updated) - was),
        left=len((was & change.updated) - becomes),
    )


def digest(rows: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """Return a digest of rows given in the order of their keys."""
    whole = hashlib.sha256()
    for key, row in rows:
        whole.update(json.dumps([key, sorted(row.items())], ensure_ascii=False).encode())
    return whole.hexdigest()[:16]
