"""
Read a full edition of a resource: CSV (also .gz, .xz) or NDJSON.

Everything is checked before anything is published; what is wrong is named with file, line and
column. A file that was cut off is refused rather than taken for an edition with fewer records.
"""

import csv
import decimal
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from bus.errors import EditionInvalid
from bus.views.schema_tree import Node
from producers.item_values import from_json, from_text

MAX_LINE_CHARACTERS: Final = 1_000_000

#: Told how many bytes of how many have been read.
OnRead: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class EditionRow:
    """One record of an edition, with where it stands."""

    file: Path
    line: int
    record: dict[str, object]

    def fault(self, message: str) -> EditionInvalid:
        """Return an error that names where this row stands."""
        return EditionInvalid(f"{self.file}:{self.line}: {message}")


def read_edition(files: Sequence[Path], schema: Node, on_read: OnRead) -> Iterator[EditionRow]:
    """
    Yield the records of `files`, which together are one edition.

    `schema` is the tree of the items. Raise `EditionInvalid` at the first thing that is wrong.
    """
    total = sum(path.stat().st_size for path in files if path.is_file())
    before = 0
    rows = 0
    for path in files:
        reader = _read_ndjson if _bare_suffix(path) in {".ndjson", ".jsonl"} else _read_csv
        with _opened(path) as (text, raw):
            for row in reader(path, text, schema):
                rows += 1
                if rows % 1000 == 0:
                    on_read(before + raw.tell(), total)
                yield row
        before += path.stat().st_size
    on_read(total, total)
    if rows == 0:
        raise EditionInvalid(f"{files[0]}:1: the edition has no records")


def _bare_suffix(path: Path) -> str:
    suffixes = [each for each in path.suffixes if each not in {".gz", ".xz"}]
    return suffixes[-1].lower() if suffixes else ""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[str], IO[bytes]]]:
    """Open `path` as text, decompressed; also give the raw file, for progress."""
    try:
        with path.open("rb") as raw:
            stream: Any = raw
            if path.suffix == ".gz":
                stream = gzip.GzipFile(fileobj=raw)
            elif path.suffix == ".xz":
                stream = lzma.LZMAFile(raw)  # noqa: SIM115 (closed with `raw`)
            # Bytes that are no UTF-8 become lone surrogates, so that their line can be named.
            text = io.TextIOWrapper(
                stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
            )
            yield text, raw
    except FileNotFoundError:
        raise EditionInvalid(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise EditionInvalid(f"{path}: this is a folder") from None
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise EditionInvalid(f"{path}: the file cannot be read to its end ({error})") from error


def _lines(path: Path, text: IO[str]) -> Iterator[tuple[int, str]]:
    """Yield (number, line); refuse what is too long, cut off, or no UTF-8."""
    number = 0
    while True:
        line = text.readline(MAX_LINE_CHARACTERS)
        if not line:
            return
        number += 1
        if len(line) >= MAX_LINE_CHARACTERS:
            raise EditionInvalid(f"{path}:{number}: the line is longer than a record may be")
        if not line.endswith(("\n", "\r")):
            raise EditionInvalid(
                f"{path}:{number}:{len(line) + 1}: the last line does not end: was the file cut "
                "off? If it is whole, add a line end"
            )
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise EditionInvalid(f"{path}:{number}:{error.start + 1}: not UTF-8 text") from None
        yield number, line


def _read_csv(path: Path, text: IO[str], schema: Node) -> Iterator[EditionRow]:
    started = [1]

    def lines() -> Iterator[str]:
        for number, line in _lines(path, text):
            started[0] = number
            yield line

    csv.field_size_limit(MAX_LINE_CHARACTERS)
    cells = csv.reader(lines(), strict=True)
    nodes = dict(zip(schema.field_names, schema.children, strict=True))
    header: list[str] | None = None
    first_line = 1
    try:
        for row in cells:
            if header is None:
                header = _header(path, row, schema)
            elif row:
                yield EditionRow(path, first_line, _row(path, first_line, header, row, nodes))
            first_line = started[0] + 1
    except csv.Error as error:
        raise EditionInvalid(f"{path}:{first_line}: not valid CSV: {error}") from error
    if header is None:
        raise EditionInvalid(f"{path}:1: the file is empty")


def _header(path: Path, row: Sequence[str], schema: Node) -> list[str]:
    header = [name.strip() for name in row]
    for column, name in enumerate(header, start=1):
        if name not in schema.field_names:
            raise EditionInvalid(f"{path}:1: column {column}: there is no item {name!r}")
        if header.index(name) != column - 1:
            raise EditionInvalid(f"{path}:1: column {column}: {name!r} stands twice")
    missing = [name for name in schema.field_names if name not in header]
    if missing:
        raise EditionInvalid(f"{path}:1: the column {missing[0]!r} is missing")
    return header


def _row(
    path: Path, line: int, header: Sequence[str], row: Sequence[str], nodes: dict[str, Node]
) -> dict[str, object]:
    if len(row) != len(header):
        raise EditionInvalid(f"{path}:{line}: {len(row)} cells, but {len(header)} columns")
    record: dict[str, object] = {}
    for column, (name, cell) in enumerate(zip(header, row, strict=True), start=1):
        try:
            record[name] = from_text(nodes[name], cell)
        except ValueError as error:
            raise EditionInvalid(f"{path}:{line}: column {column} ({name}): {error}") from error
    return record


def _read_ndjson(path: Path, text: IO[str], schema: Node) -> Iterator[EditionRow]:
    empty = True
    for number, line in _lines(path, text):
        if not line.strip():
            continue
        empty = False
        try:
            content = json.loads(
                # Behind the line end a column would be one of the next line.
                line.rstrip(),
                # A float would lose digits of a decimal item.
                parse_float=decimal.Decimal,
                parse_constant=_no_constant,
                object_pairs_hook=_no_duplicates,
            )
            if not isinstance(content, dict):
                raise EditionInvalid(f"{path}:{number}: an object is wanted on each line")
            record = from_json(schema, content)
        except json.JSONDecodeError as error:
            raise EditionInvalid(f"{path}:{number}:{error.colno}: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise EditionInvalid(f"{path}:{number}: {error}") from error
        yield EditionRow(path, number, record)
    if empty:
        raise EditionInvalid(f"{path}:1: the file is empty")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return found
