"""Unit tests of `bus.adapters.definitions.loader`: every fault has a file, a line and a key."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bus.adapters.definitions.loader import load_definitions
from bus.domain.catalog import CatalogFault, catalog_faults
from bus.domain.changes import GiveGrant, PublishEntry, SaveOrganisation, difference
from bus.domain.entry import DeliveryMode
from bus.domain.organisation import Level
from bus.domain.share import Scope, ShareClass
from bus.domain.view import Treatment
from bus.errors import DefinitionInvalid
from tests import builders

ORGANISATIONS = """\
jurisdiction: cn
organisations:
  - code: statistics
    titles: {zh: 统计局, en: Bureau of Statistics}
    level: city
    zone: external
  - code: housing
    titles: {zh: 住房局, en: Housing}
    level: county
    zone: external
"""
RESOURCE = """\
resource: divisions
titles: {zh: 区划, en: Divisions}
provider: statistics
category: base
classification: 基础信息/区划
format: one record a division
update_limit_days: 30
usage_requirement: for government work
delivery_modes: [kafka]
groups:
  base:
    titles: {zh: 基础信息项, en: Base items}
    share:
      internal: {class: UNCONDITIONAL}
      external:
        class: CONDITIONAL
        condition: within the requester's district
        audience: departments of the city
        purposes: [WORK_REFERENCE]
items:
  - name: code
    titles: {zh: 代码, en: Code}
    type: string
    group: base
    key: true
  - name: name
    titles: {zh: 名称, en: Name}
    type: string
    group: base
    element: place-name
"""
GRANT = """\
grant: divisions-housing
resource: divisions
consumer: housing
scope: internal
purpose: WORK_REFERENCE
duty: urban housing support
rows: name == "海口"
items: [code, name]
mode: kafka
valid_from: 2026-01-01
valid_until: 2026-12-31
"""
FILES = {
    "organisations.yaml": ORGANISATIONS,
    "divisions.yaml": RESOURCE,
    "grants/housing.yaml": GRANT,
}

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[4]


def cases(name: str) -> list[Any]:
    written = yaml.safe_load((HERE / name).read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["what"]) for case in written]


def folder_of(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def spoilt(root: Path, case: dict[str, Any]) -> Path:
    sound = FILES[case["file"]]
    replaced = case.get("replace", sound)
    assert replaced in sound
    return folder_of(root, {**FILES, case["file"]: sound.replace(replaced, case["by"], 1)})


def form_faults(folder: Path) -> list[str]:
    with pytest.raises(DefinitionInvalid) as refused:
        load_definitions(folder)
    return [fault.replace(f"{folder}/", "") for fault in refused.value.faults]


def meaning_faults(folder: Path) -> list[str]:
    definitions = load_definitions(folder)
    faults = catalog_faults(definitions.catalog)
    return [definitions.locate(fault).replace(f"{folder}/", "") for fault in faults]


@pytest.mark.parametrize("case", cases("bad_form.yaml"))
def test_a_fault_of_form_is_reported_with_file_line_and_key(
    case: dict[str, Any], tmp_path: Path
) -> None:
    """R-011, R-020, R-050, R-052, R-057: named in the error, and nothing is published."""
    assert form_faults(spoilt(tmp_path, case)) == case["faults"]


@pytest.mark.parametrize("case", cases("bad_meaning.yaml"))
def test_a_fault_of_meaning_is_located_in_its_file(case: dict[str, Any], tmp_path: Path) -> None:
    """R-001, R-005, R-023, R-053, R-056, R-057, R-065."""
    assert meaning_faults(spoilt(tmp_path, case)) == case["faults"]


def test_a_sound_folder_has_no_fault_and_means_what_it_says(tmp_path: Path) -> None:
    """R-022: the catalog is composed from the files; no entry is typed twice."""
    definitions = load_definitions(folder_of(tmp_path, FILES))

    catalog = definitions.catalog
    assert list(catalog_faults(catalog)) == []
    assert catalog.organisations["housing"] == builders.organisation(
        "housing", title_zh="住房局", title_en="Housing", level=Level.COUNTY
    )
    entry = catalog.entries["divisions"]
    assert (entry.provider, entry.generation, entry.partitions) == ("statistics", 1, 1)
    assert entry.delivery_modes == {DeliveryMode.KAFKA}
    assert [item.name for item in entry.items] == ["code", "name"]
    assert entry.items[1].element == "place-name"
    external = entry.groups[0].rules[Scope.EXTERNAL]
    assert external.share_class is ShareClass.CONDITIONAL
    assert catalog.grants["divisions-housing"] == builders.grant(row_filter='name == "海口"')


def test_every_fault_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    """R-020."""
    files = {
        **FILES,
        "organisations.yaml": ORGANISATIONS.replace("level: county", "level: 3"),
        "divisions.yaml": RESOURCE.replace("category: base", "category: x"),
        "grants/housing.yaml": GRANT.replace("mode: kafka", "mode: post"),
    }

    faults = form_faults(folder_of(tmp_path, files))

    assert [fault.partition(": ")[0] for fault in faults] == [
        "organisations.yaml:9",
        "divisions.yaml:4",
        "grants/housing.yaml:9",
    ]


def test_a_folder_without_organisations_is_no_catalog(tmp_path: Path) -> None:
    assert form_faults(tmp_path) == [
        "organisations.yaml: there is no such file; it names the organisations"
    ]


def test_without_organisations_the_other_files_are_judged_all_the_same(tmp_path: Path) -> None:
    files = {name: text for name, text in FILES.items() if name != "organisations.yaml"}
    files["divisions.yaml"] = RESOURCE.replace("category: base", "category: x")

    faults = form_faults(folder_of(tmp_path, files))

    assert [fault.partition(": ")[0] for fault in faults] == [
        "organisations.yaml",
        "divisions.yaml:4",
    ]


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, FILES)
    (folder / "divisions.yaml").write_bytes(RESOURCE.encode("gb18030"))

    assert form_faults(folder) == [
        "divisions.yaml:1: not UTF-8 text (invalid continuation byte)",
    ]


def test_a_code_belongs_to_one_resource(tmp_path: Path) -> None:
    """R-022."""
    folder = folder_of(tmp_path, {**FILES, "second.yaml": RESOURCE})

    assert form_faults(folder) == [
        "second.yaml:1: (file): entry 'divisions' is also in divisions.yaml"
    ]


def test_a_code_belongs_to_one_grant_in_whatever_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {**FILES, "grants/city/again.yaml": GRANT})

    assert form_faults(folder) == [
        "grants/housing.yaml:1: (file): grant 'divisions-housing' is also in grants/city/again.yaml"
    ]


def test_a_second_source_is_located_at_the_item_that_claims_it(tmp_path: Path) -> None:
    """R-150: registering a second source is rejected and names the first."""
    second = RESOURCE.replace("resource: divisions", "resource: streets")
    folder = folder_of(tmp_path, {**FILES, "streets.yaml": second})

    (fault,) = meaning_faults(folder)
    assert fault == (
        "streets.yaml:30: items.1.element: divisions is the one source of element 'place-name'; "
        "mark the item `reference: true` if it only points to it [ONE_SOURCE_CONFLICT]"
    )


def test_a_fault_that_another_part_finds_is_located_too(tmp_path: Path) -> None:
    """A row filter is checked where there is a compiler for it."""
    definitions = load_definitions(folder_of(tmp_path, FILES))

    fault = CatalogFault("grant", "divisions-housing", ("rows",), "FILTER_INVALID", "no")

    assert (
        definitions.locate(fault) == f"{tmp_path}/grants/housing.yaml:7: rows: no [FILTER_INVALID]"
    )


def test_a_fault_of_what_no_file_defines_is_said_without_a_line(tmp_path: Path) -> None:
    definitions = load_definitions(folder_of(tmp_path, FILES))

    fault = CatalogFault("grant", "elsewhere", ("rows",), "FILTER_INVALID", "no")

    assert definitions.locate(fault) == "grant elsewhere: rows: no [FILTER_INVALID]"


@pytest.mark.parametrize("level", ["[" * 3000, "{a: " * 3000])
def test_a_file_of_brackets_is_refused(tmp_path: Path, level: str) -> None:
    files = {**FILES, "divisions.yaml": f"resource: {level}"}

    assert form_faults(folder_of(tmp_path, files)) == ["divisions.yaml:1: nested too deeply"]


def test_aliases_of_aliases_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )

    assert form_faults(folder_of(tmp_path, {**FILES, "divisions.yaml": bomb})) == [
        "divisions.yaml:1: more than 100000 keys and list entries"
    ]


def test_a_file_of_more_than_a_megabyte_is_refused(tmp_path: Path) -> None:
    long = RESOURCE + "#" * (1 << 20)

    assert form_faults(folder_of(tmp_path, {**FILES, "divisions.yaml": long})) == [
        "divisions.yaml:1: larger than 1048576 bytes"
    ]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, FILES)
    (folder / "broken.yaml").mkdir()

    assert form_faults(folder) == ["broken.yaml: cannot be read (Is a directory)"]


def test_the_definitions_in_the_repository_are_sound() -> None:
    """R-022, R-023: what `onesource catalog apply` publishes on the first day."""
    definitions = load_definitions(REPOSITORY / "topics")

    assert [definitions.locate(fault) for fault in catalog_faults(definitions.catalog)] == []
    found = list(
        difference(
            builders.live_catalog(organisations=[], entries=[], grants=[]),
            definitions.catalog,
            builders.TODAY,
        )
    )
    assert {type(each) for each in found} == {SaveOrganisation, PublishEntry, GiveGrant}


def test_the_order_in_which_the_items_of_a_grant_are_written_does_not_matter(
    tmp_path: Path,
) -> None:
    """design.md §5: grants with equal views share them."""
    other = GRANT.replace("divisions-housing", "other").replace("[code, name]", "[name, code]")
    folder = folder_of(tmp_path, {**FILES, "grants/other.yaml": other})

    catalog = load_definitions(folder).catalog

    entry = catalog.entries["divisions"]
    one, two = (grant.view(entry) for grant in catalog.grants.values())
    assert one.id == two.id
    assert one.treatments == {"code": Treatment.KEEP, "name": Treatment.KEEP}
