"""Who takes part in the demo, and what happens when."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bus.cli.demo.expectation import Row, Share
from bus.errors import ConfigError

_ROOT = Path(__file__).resolve().parents[3]
_TOPICS = _ROOT / "topics"
_DIVISIONS = _ROOT / "examples" / "divisions"

YEARS = (2019, 2020, 2021, 2022, 2023)
#: The edition during which grants change while data flows.
YEAR_OF_CHANGES = 2021
#: Whose grant is then revoked: the later editions change rows that it must not see.
REVOKED = "hainan"


@dataclass(frozen=True, slots=True)
class Department:
    """A subscriber of the demo."""

    code: str
    title: str
    share: Share
    """What it may have, in plain Python; the requests say the same in CEL."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One of the registers that the demo can run on."""

    name: str
    resource: str
    items: tuple[str, ...]
    urban_word: str
    """What the housing department's filter looks for in names."""

    @property
    def table(self) -> str:
        """The table that sinks keep."""
        return self.resource.replace("-", "_")

    def departments(self) -> tuple[Department, ...]:
        """Return the departments that have a grant from the start."""
        everything = self.items
        return (
            Department("hainan", "海南省 Hainan", Share(_equal("provinceCode", "46"), everything)),
            Department(
                "changzhou", "常州市 Changzhou", Share(_equal("cityCode", "3204"), everything)
            ),
            Department("yanjin", "延津县 Yanjin", Share(_equal("areaCode", "410726"), everything)),
            Department("academy", "研究院 academy", Share(lambda _: True, ("code", "name"))),
            Department(
                "housing",
                "住房 housing",
                Share(lambda row: self.urban_word in row["name"], everything),
            ),
        )

    def wider_changzhou(self) -> Share:
        """Return what Changzhou may have after its filter is changed: Suzhou, too."""
        return Share(lambda row: row["cityCode"] in ("3204", "3205"), self.items)

    def tourism(self) -> Department:
        """Return the department that is refused at first and granted later."""
        return Department(
            "tourism",
            "旅游 tourism",
            Share(lambda row: "旅游" in row["name"] or "景区" in row["name"], self.items),
        )

    def grant_file(self, folder: Path, department: str) -> Path:
        """Return the file that says what a department asks for."""
        return folder / "grants" / f"{self.name}-{department}.yaml"

    def prepare_definitions(self, folder: Path) -> None:
        """Copy to `folder` what the demo's departments catalogue and ask for."""
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "grants").mkdir(parents=True)
        shutil.copy(_TOPICS / "organisations.yaml", folder)
        source = _TOPICS if self.name == "streets" else _DIVISIONS / self.name
        shutil.copy(source / f"{self.resource}.yaml", folder)
        for path in sorted((source / "grants").glob("*.yaml")):
            shutil.copy(path, folder / "grants")

    def change_definitions(self, folder: Path) -> None:
        """Change what Changzhou may have, and say what the tourism department asks for."""
        grants = folder / "grants"
        changzhou = grants / f"{self.name}-changzhou.yaml"
        text = changzhou.read_text(encoding="utf-8")
        wider = text.replace('rows: cityCode == "3204"', 'rows: cityCode in ["3204", "3205"]')
        if wider == text:
            raise ConfigError(f"{changzhou} does not have the filter that the demo changes")
        changzhou.write_text(wider, encoding="utf-8")
        tourism = text.replace("changzhou", "tourism").replace(
            'rows: cityCode == "3204"', 'rows: name.contains("旅游") || name.contains("景区")'
        )
        (grants / f"{self.name}-tourism.yaml").write_text(tourism, encoding="utf-8")

    def edition_file(self, data: Path | None, year: int) -> Path:
        """Return the file of an edition; raise `ConfigError` if it is not there."""
        folder = data or _DIVISIONS / self.name
        candidates = (folder / str(year) / f"{self.name}.csv.xz", folder / f"{year}.csv.xz")
        for candidate in candidates:
            if candidate.is_file():
                return candidate
        raise ConfigError(
            f"there is no {candidates[0]}: give the folder of the data with --data "
            "(examples/divisions/README.md says where it comes from)"
        )


DATASETS: Mapping[str, Dataset] = {
    "streets": Dataset(
        "streets",
        "division-streets",
        ("code", "name", "areaCode", "provinceCode", "cityCode"),
        "街道",
    ),
    "villages": Dataset(
        "villages",
        "division-villages",
        ("code", "name", "streetCode", "areaCode", "provinceCode", "cityCode"),
        "社区",
    ),
}


def _equal(item: str, value: str) -> Callable[[Row], bool]:
    return lambda row: row[item] == value
