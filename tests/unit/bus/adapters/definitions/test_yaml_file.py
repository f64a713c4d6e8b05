"""Unit tests of `bus.adapters.definitions.yaml_file`."""

import datetime as dt
from pathlib import Path

import pytest

from bus.adapters.definitions.yaml_file import YamlFile, read_yaml
from bus.errors import DefinitionInvalid

TEXT = """\
# A comment comes first.
a: 1

b:
  c: [x, y]
  d:
    - e: 2
      f: 3
    - 2026-01-05
"""


def read(folder: Path, text: str) -> YamlFile:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


def test_every_key_and_list_entry_has_its_line(tmp_path: Path) -> None:
    file = read(tmp_path, TEXT)

    assert file.lines == {
        ("a",): 2,
        ("b",): 4,
        ("b", "c"): 5,
        ("b", "c", "0"): 5,
        ("b", "c", "1"): 5,
        ("b", "d"): 6,
        ("b", "d", "0"): 7,
        ("b", "d", "0", "e"): 7,
        ("b", "d", "0", "f"): 8,
        ("b", "d", "1"): 9,
    }


def test_the_content_is_what_yaml_means(tmp_path: Path) -> None:
    file = read(tmp_path, TEXT)

    assert file.content == {
        "a": 1,
        "b": {"c": ["x", "y"], "d": [{"e": 2, "f": 3}, dt.date(2026, 1, 5)]},
    }


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (("a",), "2: a"),
        (("b", "d", 0, "f"), "8: b.d.0.f"),
        (("b", "d", 0, "missing"), "7: b.d.0.missing"),
        (("b", "missing", "more"), "4: b.missing.more"),
        (("missing",), "1: missing"),
        ((), "1: (file)"),
    ],
)
def test_a_fault_is_at_the_nearest_line_that_is_there(
    tmp_path: Path, key: tuple[str | int, ...], place: str
) -> None:
    file = read(tmp_path, TEXT)

    assert file.fault(key, "wrong") == f"{tmp_path}/file.yaml:{place}: wrong"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffa: 1\n").content == {"a": 1}


def test_an_alias_means_what_it_points_to(tmp_path: Path) -> None:
    file = read(tmp_path, "a: &titles {zh: 甲}\nb: *titles\n")

    assert file.content == {"a": {"zh": "甲"}, "b": {"zh": "甲"}}


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: 1\n'a': 2\n", "1: x\n'1': y\n"])
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DefinitionInvalid, match=r"file\.yaml:2: .: the key stands twice"):
        read(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionInvalid, match="No such file or directory"):
        read_yaml(tmp_path / "none.yaml")
