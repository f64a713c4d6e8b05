"""Unit tests of `bus.adapters.definitions.decrees`."""

from pathlib import Path

import pytest

from bus.adapters.definitions.decrees import load_decree
from bus.errors import DefinitionInvalid
from tests import decrees

AMENDMENT = """\
country: CN
ordinance: 国办发明电〔2019〕3号
decreed_on: 2019-03-22
days_off: [2019-05-01, 2019-05-02, 2019-05-03, 2019-05-04]
working_days: [2019-04-28, 2019-05-05]
"""


def write(folder: Path, text: str) -> Path:
    """Write a file."""
    path = folder / "decree.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_decree_is_read_from_a_file(tmp_path: Path) -> None:
    """R-083: the calendar is data."""
    decree = load_decree(write(tmp_path, AMENDMENT))

    assert list(decree.amendments()) == sorted(
        decrees.LABOUR_DAY_2019_AMENDED, key=lambda each: each.day
    )
    assert decree.year() is None


def test_a_whole_years_decree_says_so(tmp_path: Path) -> None:
    year = load_decree(write(tmp_path, AMENDMENT + "whole_year: 2019\n")).year()

    assert year is not None
    assert (year.country, year.year, year.ordinance) == ("CN", 2019, "国办发明电〔2019〕3号")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("country: CN", "country: china", "decree.yaml:1: country: "),
        ("decreed_on: 2019-03-22\n", "", "decree.yaml:1: decreed_on: "),
        ("decreed_on: 2019-03-22", "decreed_on: spring", "decree.yaml:3: decreed_on: "),
        ("working_days:", "off:", "decree.yaml:"),
        ("2019-05-03,", "2019-02-30,", "decree.yaml:4:"),
        ("2019-05-03,", "2019-05-02,", "decree.yaml:4: days_off: 2019-05-02 stands twice"),
        ("[2019-04-28", "[2019-05-01", "decree.yaml:5: working_days: 2019-05-01 is a day off, too"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert old in AMENDMENT
    path = write(tmp_path, AMENDMENT.replace(old, new))

    with pytest.raises(DefinitionInvalid) as refused:
        load_decree(path)

    assert any(fault in each for each in refused.value.faults)


def test_a_whole_year_is_one_that_the_decree_names(tmp_path: Path) -> None:
    with pytest.raises(DefinitionInvalid, match="the decree names no day of 2020"):
        load_decree(write(tmp_path, AMENDMENT + "whole_year: 2020\n"))


def test_a_decree_names_days(tmp_path: Path) -> None:
    path = write(tmp_path, "country: CN\nordinance: o\ndecreed_on: 2019-03-22\n")

    with pytest.raises(DefinitionInvalid, match="a decree names days"):
        load_decree(path)
