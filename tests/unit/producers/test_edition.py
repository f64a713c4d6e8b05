"""Unit tests of `producers.edition`: whole files, good and bad."""

import gzip
import json
import lzma
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from bus.domain.entry import CatalogEntry
from bus.domain.items import (
    ArrayType,
    DecimalType,
    Nullable,
    RecordField,
    RecordType,
    Scalar,
)
from bus.errors import EditionInvalid
from producers import edition
from producers.edition import EditionRow, read_edition
from tests import builders, stream_builders
from tests.stream_builders import Row

FLAT = builders.entry()
NESTED = builders.entry(
    items=[
        builders.key_item("code"),
        builders.item("area", DecimalType(20, 2)),
        builders.item("streets", Nullable(ArrayType(Scalar.STRING))),
        builders.item("seat", Nullable(RecordType("Seat", (RecordField("x", Scalar.DOUBLE),)))),
    ]
)
HEADER = b"code,name,district,population\n"
LINE = "110101,东城,1101,708829\n".encode()
ROW = {"code": "110101", "name": "东城", "district": "1101", "population": 708_829}


def read(files: Sequence[Path], of: CatalogEntry = FLAT) -> list[EditionRow]:
    """Return the rows of an edition."""
    return list(read_edition(files, stream_builders.encoder(of).tree, lambda *_: None))


def records(files: Sequence[Path], of: CatalogEntry = FLAT) -> list[Row]:
    """Return the records of an edition."""
    return [row.record for row in read(files, of)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Return a function that writes a file of a name."""

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


# --- CSV ------------------------------------------------------------------------------------------


def test_a_csv_file_says_one_record_a_line(write: Callable[[str, bytes], Path]) -> None:
    path = write("towns.csv", HEADER + LINE + b"110102,West,1101,\n")

    rows = read([path])

    assert [row.record for row in rows] == [
        ROW,
        {"code": "110102", "name": "West", "district": "1101", "population": None},
    ]
    assert [(row.file, row.line) for row in rows] == [(path, 2), (path, 3)]


def test_columns_may_come_in_any_order(write: Callable[[str, bytes], Path]) -> None:
    path = write("towns.csv", "name, population ,district,code\n东城,708829,1101,110101\n".encode())

    assert records([path]) == [ROW]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["unix", "windows", "old mac"])
def test_every_kind_of_line_end_is_read(write: Callable[[str, bytes], Path], end: bytes) -> None:
    path = write("towns.csv", (HEADER + LINE).replace(b"\n", end))

    assert records([path]) == [ROW]


def test_a_byte_order_mark_is_no_part_of_the_first_column(
    write: Callable[[str, bytes], Path],
) -> None:
    path = write("towns.csv", b"\xef\xbb\xbf" + HEADER + LINE)

    assert records([path]) == [ROW]


@pytest.mark.parametrize(
    ("suffix", "compress"), [("gz", gzip.compress), ("xz", lzma.compress)], ids=["gz", "xz"]
)
def test_a_compressed_file_is_read(
    write: Callable[[str, bytes], Path], suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    path = write(f"towns.csv.{suffix}", compress(HEADER + LINE))

    assert records([path]) == [ROW]


def test_a_quoted_cell_may_hold_lines_and_the_next_row_knows_its_place(
    write: Callable[[str, bytes], Path],
) -> None:
    path = write("towns.csv", HEADER + b'1,"two\nlines, ""quoted""",d,\n\n2,n,d,\n')

    rows = read([path])

    assert rows[0].record["name"] == 'two\nlines, "quoted"'
    assert [row.line for row in rows] == [2, 5]


def test_several_files_are_one_edition(write: Callable[[str, bytes], Path]) -> None:
    first = write("north.csv", HEADER + LINE)
    second = write("south.csv", HEADER)
    third = write("west.ndjson", json.dumps({**ROW, "code": "110102"}).encode() + b"\n")

    rows = read([first, second, third])

    assert [(row.file, row.record["code"]) for row in rows] == [
        (first, "110101"),
        (third, "110102"),
    ]


def test_progress_ends_with_everything_read(write: Callable[[str, bytes], Path]) -> None:
    lines = b"".join(b"%d,n,d,\n" % number for number in range(2500))
    files = [write("a.csv", HEADER + lines), write("b.csv", HEADER + LINE)]
    told: list[tuple[int, int]] = []

    for _ in read_edition(
        files, stream_builders.encoder().tree, lambda *progress: told.append(progress)
    ):
        pass

    total = sum(file.stat().st_size for file in files)
    assert len(told) == 3
    assert told == sorted(told)
    assert told[-1] == (total, total)


def test_a_row_names_its_place_in_a_fault(write: Callable[[str, bytes], Path]) -> None:
    path = write("towns.csv", HEADER + LINE)

    (row,) = read([path])

    assert str(row.fault("it is wrong")) == f"{path}:2: it is wrong"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", ":1: the file is empty"),
        (b"\xef\xbb\xbf", ":1: the file is empty"),
        (HEADER, ":1: the edition has no records"),
        (b"code,name,district\n", ":1: the column 'population' is missing"),
        (b"\n" + HEADER, ":1: the column 'code' is missing"),
        (b"code,name,district,population,colour\n", ":1: column 5: there is no item 'colour'"),
        (b"code;name;district;population\n", ":1: column 1: there is no item 'code;name;"),
        (b"code,name,district,meta,population\n", ":1: column 4: there is no item 'meta'"),
        (b"code,name,code,district,population\n", ":1: column 3: 'code' stands twice"),
        (HEADER + b"1,n,d\n", ":2: 3 cells, but 4 columns"),
        (HEADER + LINE + b"1,n,d,5,6\n", ":3: 5 cells, but 4 columns"),
        (HEADER + LINE + b"1,n,d,many\n", ":3: column 4 (population): invalid literal"),
        (HEADER + b"1,n,d,1.5\n", ":2: column 4 (population): invalid literal"),
        (HEADER + b'1,"never ends,d,\n2,n,d,\n', ":2: not valid CSV: unexpected end of data"),
        (HEADER + b'1,"quoted"badly,d,\n', ":2: not valid CSV"),
        (HEADER + b"1,\xff\xfe,d,\n", ":2:3: not UTF-8 text"),
        (HEADER + "1,东城,d,\n".encode()[:-6] + b"\n", ":2:4: not UTF-8 text"),
        (HEADER + b"1,\xed\xa0\x80,d,\n", ":2:3: not UTF-8 text"),
        ("code,name\n".encode("utf-16"), ":1:1: not UTF-8 text"),
        (HEADER + LINE.rstrip(), ":2:22: the last line does not end: was the file cut off?"),
        (HEADER.rstrip(), ":1:30: the last line does not end"),
    ],
)
def test_a_bad_csv_file_is_refused_with_its_place(
    write: Callable[[str, bytes], Path], content: bytes, complaint: str
) -> None:
    """R-120: refused before anything is published, naming file, line and column."""
    path = write("towns.csv", content)

    with pytest.raises(EditionInvalid) as refused:
        read([path])

    assert str(refused.value).startswith(f"{path}{complaint}")


@pytest.mark.parametrize("name", ["towns.csv", "towns.ndjson"])
def test_a_line_that_no_record_could_have_is_refused_without_reading_it_whole(
    write: Callable[[str, bytes], Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(edition, "MAX_LINE_CHARACTERS", 100)
    header = HEADER if name.endswith("csv") else json.dumps(ROW).encode() + b"\n"
    path = write(name, header + b"x" * 101 + b"\n")

    with pytest.raises(EditionInvalid, match=f"{name}:2: the line is longer than a record may be"):
        read([path])


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"

    with pytest.raises(EditionInvalid, match=f"{missing}: there is no such file"):
        read([missing])
    with pytest.raises(EditionInvalid, match=f"{tmp_path}: this is a folder"):
        read([tmp_path])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("towns.csv.gz", gzip.compress(HEADER + LINE * 500)[:-9]),
        ("towns.csv.gz", gzip.compress(HEADER + LINE * 500)[:40]),
        ("towns.csv.gz", gzip.compress(HEADER + LINE)[:5]),
        ("towns.csv.gz", gzip.compress(HEADER + LINE)[:10] + b"\x07" + b"\0" * 40),
        ("towns.csv.gz", HEADER + LINE),
        ("towns.csv.gz", gzip.compress(HEADER + LINE) + b"junk"),
        ("towns.csv.xz", lzma.compress(HEADER + LINE * 500)[:-1]),
        ("towns.csv.xz", lzma.compress(HEADER + LINE * 500)[:60]),
        ("towns.csv.xz", HEADER + LINE),
        ("towns.csv.xz", b""),
    ],
    ids=[
        "gz without its end",
        "gz cut in the middle",
        "gz cut in its head",
        "gz with a broken block",
        "no gz",
        "gz with junk behind",
        "xz without its end",
        "xz cut in the middle",
        "no xz",
        "xz of nothing",
    ],
)
def test_a_compressed_file_that_cannot_be_read_to_its_end_is_refused(
    write: Callable[[str, bytes], Path], name: str, content: bytes
) -> None:
    path = write(name, content)

    with pytest.raises(EditionInvalid, match="cannot be read to its end"):
        read([path])


# --- NDJSON ---------------------------------------------------------------------------------------


def test_an_ndjson_file_says_one_record_a_line(write: Callable[[str, bytes], Path]) -> None:
    path = write(
        "towns.jsonl",
        b'{"code":"1","area":12.50,"streets":["a","b"],"seat":{"x":0.5}}\n'
        b"\n"
        b'{"area":"3","code":"2"}\n',
    )

    rows = read([path], NESTED)

    assert [(row.line, row.record) for row in rows] == [
        (1, {"code": "1", "area": Decimal("12.50"), "streets": ["a", "b"], "seat": {"x": 0.5}}),
        (3, {"code": "2", "area": Decimal(3)}),
    ]


def test_no_digit_of_a_decimal_is_lost(write: Callable[[str, bytes], Path]) -> None:
    path = write("towns.ndjson", b'{"code":"1","area":123456789012345678.91}\n')

    (record,) = records([path], NESTED)

    assert record["area"] == Decimal("123456789012345678.91")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", ":1: the file is empty"),
        (b"\n  \n", ":1: the file is empty"),
        (b"{}\n[1]\n", ":2: an object is wanted on each line"),
        (b'"text"\n', ":1: an object is wanted on each line"),
        (b"null\n", ":1: an object is wanted on each line"),
        (b'{"code":"1",}\n', ":1:13: Expecting property name"),
        (b'{"code":"1"\n', ":1:12: Expecting ',' delimiter"),
        (b'{"code":"1"} {"code":"2"}\n', ":1:14: Extra data"),
        (b'{"code":"1","area":1,"code":"2"}\n', ":1: the key 'code' stands twice"),
        (b'{"code":"1","seat":{"x":1,"x":2}}\n', ":1: the key 'x' stands twice"),
        (b'{"code":"1","area":NaN}\n', ":1: NaN is not JSON"),
        (b'{"code":"1","seat":{"x":-Infinity}}\n', ":1: -Infinity is not JSON"),
        (b'{"code":"1","seat":{"x":1e999}}\n', ":1: 1E+999 is too large"),
        (b'{"code":"1","area":"much"}\n', ":1: not a decimal: 'much'"),
        (b'{"code":"\xff"}\n', ":1:10: not UTF-8 text"),
        (b'{"code":"1","area":1}', ":1:22: the last line does not end"),
        (b'{"code":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", ":1: maximum recursion depth"),
        (b'{"code":"1","area":' + b"9" * 5000 + b"}\n", ":1: Exceeds the limit"),
    ],
)
def test_a_bad_ndjson_file_is_refused_with_its_place(
    write: Callable[[str, bytes], Path], content: bytes, complaint: str
) -> None:
    """R-120: refused before anything is published, naming file, line and column."""
    path = write("towns.ndjson", content)

    with pytest.raises(EditionInvalid) as refused:
        read([path], NESTED)

    assert str(refused.value).startswith(f"{path}{complaint}")
