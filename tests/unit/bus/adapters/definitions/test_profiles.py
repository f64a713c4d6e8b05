"""Unit tests of `bus.adapters.definitions.profiles`: one more file, one more jurisdiction."""

import ast
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path

import pytest

from bus.adapters.definitions.profiles import load_profiles
from bus.domain.profile_layers import OriginKind
from bus.domain.profile_terms import ClockStart
from bus.domain.share import Scope, ShareClass
from bus.errors import DefinitionInvalid

ROOT = Path(__file__).parents[5]
BUNDLED = {"moa-2017", "changzhou-2018", "hainan-2014", "academy-2019", "yanjin-2019"}
COUNTY = """\
version: 3
parent: changzhou-2018
meta:
  level: county
  issuer: Fenghe county
  status: in_force
  effective_from: "2027-01-01"
roles:
  authority: 县大数据局
application:
  reply_deadline_wd: {external: 5}
base_libraries:
  builder: {population: authority}
rectification:
  sanctions: [public_criticism]
verification:
  continue_service: null
clauses:
  meta: notice of 2027
  application: notice of 2027, article 4
"""


def write(folder: Path, **files: str) -> Path:
    """Write profiles into a folder; `_` in a name stands for `-`."""
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.yaml").write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path) -> list[str]:
    """Return what loading the folder complains about, without the folder's own name."""
    with pytest.raises(DefinitionInvalid) as caught:
        load_profiles(folder)
    return [fault.removeprefix(f"{folder}/") for fault in caught.value.faults]


# --- One more jurisdiction ------------------------------------------------------------------------


def test_five_profiles_come_with_the_bus() -> None:
    """R-008."""
    assert load_profiles().keys() == BUNDLED


def test_a_county_under_a_city_is_one_more_file(tmp_path: Path) -> None:
    """R-266: what it does not say, its city says; what the city does not say, is a default."""
    profiles = load_profiles(write(tmp_path, fenghe_2027=COUNTY))

    assert profiles.keys() == BUNDLED | {"fenghe-2027"}
    county, city = profiles["fenghe-2027"], profiles["changzhou-2018"]
    assert (county.version, county.parent) == (3, "changzhou-2018")
    # Said by the county.
    assert county.reply_deadline_wd(Scope.EXTERNAL) == 5
    assert str(county.origin("application.reply_deadline_wd", "external")) == (
        "notice of 2027, article 4"
    )
    assert county.body("authority") == "县大数据局"
    assert str(county.origin("roles.authority")) == "fenghe-2027 (no clause recorded)"
    # A list replaces, a map merges.
    assert county.get("rectification.sanctions") == ("public_criticism",)
    assert county.base_library_builder("population") == "authority"
    assert county.base_library_builder("social_credit") == "lead_department"
    # Said by the city, also where the county writes null.
    assert county.reply_deadline_wd(Scope.INTERNAL) == 10
    assert str(county.origin("application.reply_deadline_wd", "internal")) == (
        "parent changzhou-2018: 001 §17"
    )
    assert county.clock_start(Scope.INTERNAL) is ClockStart.SUBMITTED
    assert county.enabled_classes == frozenset(ShareClass)
    assert county.verification.continue_service is True
    assert county.origin("verification.continue_service").kind is OriginKind.PARENT
    assert county.body("steering") == city.body("steering")
    # Said by nobody.
    assert county.origin("grant.period").kind is OriginKind.DEFAULT
    assert county.origin("application.agreement").kind is OriginKind.SILENT
    # The city is what it was.
    assert city.digest == load_profiles()["changzhou-2018"].digest


def test_a_profile_without_overrides_is_its_parent(tmp_path: Path) -> None:
    """R-266: a district that follows the city's rules by reference."""
    profiles = load_profiles(write(tmp_path, district="version: 1\nparent: changzhou-2018\n"))

    district, city = profiles["district"], profiles["changzhou-2018"]
    assert district.digest == city.digest
    for theirs, ours in zip(city.entries(), district.entries(), strict=True):
        assert (ours.key, ours.label, ours.value) == (theirs.key, theirs.label, theirs.value)
        if theirs.origin.kind is OriginKind.OWN:
            assert ours.origin.kind is OriginKind.PARENT
            assert ours.origin.profile == "changzhou-2018"
            assert ours.origin.clause == theirs.origin.clause
        else:
            assert ours.origin == theirs.origin


def test_parents_have_parents(tmp_path: Path) -> None:
    """R-266."""
    town = "version: 1\nparent: fenghe-2027\nreport: {due: '02-01'}\n"

    found = load_profiles(write(tmp_path, fenghe_2027=COUNTY, a_town=town))["a-town"]

    assert found.get("report.due") == "02-01"
    assert found.origin("roles.authority").profile == "fenghe-2027"
    assert found.origin("refusal.reason").profile == "changzhou-2018"


def test_a_profile_may_stand_alone(tmp_path: Path) -> None:
    alone = load_profiles(write(tmp_path, alone="version: 1\nrefusal: {reason: stated}\n"))["alone"]

    assert alone.get("refusal.reason") == "stated"
    assert alone.get("refusal.grounds") is None
    assert alone.get("grant.period") == "1y"


def test_no_rule_asks_for_the_name_of_a_profile() -> None:
    """R-008, R-266: what differs is data; a name may be given, but never compared or looked up."""
    for path in (ROOT / "bus").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert BUNDLED.isdisjoint(_compared(node)), path


def _compared(node: ast.AST) -> Iterator[object]:
    """Yield the constants that `node` chooses by."""
    chosen: list[ast.expr | None] = []
    match node:
        case ast.Compare():
            chosen = [node.left, *node.comparators]
        case ast.MatchValue():
            chosen = [node.value]
        case ast.Dict():
            chosen = [*node.keys]
    for expression in chosen:
        for each in ast.walk(expression) if expression else ():
            if isinstance(each, ast.Constant):
                yield each.value


def test_the_profiles_are_installed_with_the_bus() -> None:
    """They are found as data of the distribution, not by where the repository is."""
    names = {each.name for each in resources.files("profiles").iterdir()}
    assert names >= {"defaults.yaml", *(f"{name}.yaml" for name in BUNDLED)}
    assert metadata.version("onesource")
    packages = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"profiles"]' in packages


# --- What is refused ------------------------------------------------------------------------------


def test_every_fault_names_file_line_and_key(tmp_path: Path) -> None:
    """R-266: an unknown key, a wrong form, a wrong word, in one go."""
    text = """\
version: 1
aplication: {}
application:
  reply_deadline_wd: {outside: 5}
  clock_start: noon
classes:
  enabled: conditional
catalog:
  update_deadline_wd: "15"
clauses:
  refusals: article 4
"""
    assert faults(write(tmp_path, bad=text)) == [
        "bad.yaml:2: aplication: there is no such key",
        "bad.yaml:4: application.reply_deadline_wd.outside: there is no such key",
        (
            "bad.yaml:5: application.clock_start: 'noon' is not one of submitted, received, "
            "gateway_notice_received"
        ),
        "bad.yaml:7: classes.enabled: a list of texts is wanted here, not 'conditional'",
        (
            "bad.yaml:9: catalog.update_deadline_wd: a whole number, 0 or more is wanted here, "
            "not '15'"
        ),
        "bad.yaml:11: clauses.refusals: there is no such key",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("parent: changzhou-2018\n", "bad.yaml:1: version: this key is missing"),
        ("version: one\n", "bad.yaml:1: version: a whole number, 1 or more, not 'one'"),
        ("version: true\n", "bad.yaml:1: version: a whole number, 1 or more, not True"),
        ("version: 0\n", "bad.yaml:1: version: a whole number, 1 or more, not 0"),
        ("version: 1\nparent: 7\n", "bad.yaml:2: parent: a text is wanted here, not 7"),
        ("version: 1\nclauses: §1\n", "bad.yaml:2: clauses: a mapping is wanted here"),
        ("version: 1\nparent: atlantis\n", "bad.yaml:2: parent: there is no profile 'atlantis'"),
        ("version: 1\nparent: defaults\n", "bad.yaml:2: parent: there is no profile 'defaults'"),
        ("version: 1\nparent: bad\n", "bad.yaml:2: parent: a circle: bad > bad"),
        ("- version: 1\n", "bad.yaml:1: (file): a mapping is wanted here"),
        ("version: 1\nversion: 2\n", "bad.yaml:2: version: the key stands twice"),
        (
            "version: 1\nmeta:\n  effective_from: 2027-01-01\n",
            (
                'bad.yaml:3: meta.effective_from: a date like "2019-08-01", or on_issue is wanted '
                "here, not datetime.date(2027, 1, 1)"
            ),
        ),
        (
            "version: 1\nrefusal: {consent_by: authority}\n",
            (
                "bad.yaml:2: refusal.consent_by: 'authority' acts here, but roles.authority names "
                "no body"
            ),
        ),
    ],
)
def test_a_bad_profile_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    """R-266."""
    assert faults(write(tmp_path, bad=text)) == [fault]


def test_a_circle_is_named_by_each_of_its_members_only(tmp_path: Path) -> None:
    """R-266: who only leads into the circle has no fault of its own."""
    folder = write(
        tmp_path,
        a="version: 1\nparent: b\n",
        b="version: 1\nparent: c\n",
        c="version: 1\nparent: b\n",
    )

    assert faults(folder) == [
        "b.yaml:2: parent: a circle: b > c > b",
        "c.yaml:2: parent: a circle: c > b > c",
    ]


def test_a_missing_parent_is_named_once(tmp_path: Path) -> None:
    folder = write(tmp_path, a="version: 1\nparent: b\n", b="version: 1\nparent: atlantis\n")

    assert faults(folder) == ["b.yaml:2: parent: there is no profile 'atlantis'"]


def test_what_comes_with_the_bus_cannot_be_replaced(tmp_path: Path) -> None:
    """Neither a regulation nor the defaults change under those who rely on them."""
    found = faults(write(tmp_path, moa_2017="version: 2\n", defaults="free_of_charge: false\n"))

    assert len(found) == 2
    assert found[0].startswith("defaults.yaml:1: (file): 'defaults' is also in ")
    assert found[1].startswith("moa-2017.yaml:1: (file): 'moa-2017' is also in ")


def test_a_name_is_a_code(tmp_path: Path) -> None:
    (tmp_path / "My County.yaml").write_text("version: 1\n", encoding="utf-8")

    assert faults(tmp_path) == ["My County.yaml:1: (file): 'My County' is not a code"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert faults(tmp_path / "nowhere") == [f"{tmp_path}/nowhere: there is no such folder"]
