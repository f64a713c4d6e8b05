"""Unit tests of `bus.cli.catalog`, with the repository's own definitions on a store in memory."""

import json
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from bus.bootstrap import catalog as wiring
from tests.command_line import CommandLine
from tests.stream_builders import ControlPlane

TOPICS = Path(__file__).parents[4] / "topics"


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> ControlPlane:
    """Return the control plane that commands connect to."""
    plane = ControlPlane()

    @contextmanager
    def catalog(_settings: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(changes=plane.changes)

    monkeypatch.setattr(wiring, "catalog", catalog)
    return plane


@pytest.fixture
def topics(onesource: CommandLine) -> Path:
    """Return a copy of the repository's definitions."""
    return Path(shutil.copytree(TOPICS, onesource.folder / "topics"))


def grants(plane: ControlPlane) -> set[str]:
    """Return the grants in force."""
    with plane.store.transaction() as transaction:
        return {grant.id for grant, _ in transaction.live().active_grants()}


def declared(topics: Path) -> set[str]:
    """Return the grants that the files give."""
    return {path.stem for path in (topics / "grants").glob("*.yaml")}


@pytest.mark.usefixtures("topics")
def test_plan_shows_what_apply_would_do_and_changes_nothing(
    onesource: CommandLine, plane: ControlPlane
) -> None:
    ran = onesource("catalog", "plan")

    assert ran.status == 0
    assert "+ resource division-streets, version 1" in ran.out.splitlines()
    assert "+ grant streets-hainan: division-streets to hainan" in ran.out.splitlines()
    assert all(line.startswith("+ ") for line in ran.out.splitlines())
    assert plane.store.state.version == 0
    assert not (onesource.folder / ".onesource").exists()


def test_apply_does_it_and_writes_credentials_for_their_owner_only(
    onesource: CommandLine, plane: ControlPlane, topics: Path
) -> None:
    planned = onesource("catalog", "plan").out

    ran = onesource("catalog", "apply")

    assert ran.status == 0
    assert ran.out == planned
    assert "policy version 1" in ran.err
    assert grants(plane) == declared(topics)
    written = list((onesource.folder / ".onesource" / "credentials").iterdir())
    assert {path.stem for path in written} == plane.admin.passwords.keys()
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    for path in written:
        found = json.loads(path.read_text(encoding="utf-8"))
        assert plane.admin.passwords[path.stem] == found["password"]
        assert found["password"] not in ran.out + ran.err
        assert f"credentials of {path.stem}: " in ran.err


@pytest.mark.usefixtures("plane", "topics")
def test_applying_again_changes_nothing(onesource: CommandLine) -> None:
    onesource("catalog", "apply")

    ran = onesource("catalog", "apply")

    assert (ran.status, ran.out, ran.err) == (0, "nothing to change\n", "")


@pytest.fixture
def in_force(onesource: CommandLine, plane: ControlPlane, topics: Path) -> Path:
    """Return definitions that are in force, but for one grant that was deleted since."""
    onesource("catalog", "apply")
    (topics / "grants" / "streets-hainan.yaml").unlink()
    return topics


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "nothing", "nobody there"])
def test_nothing_is_taken_away_unless_somebody_says_yes(
    onesource: CommandLine, plane: ControlPlane, in_force: Path, answer: str
) -> None:
    before = plane.store.state

    ran = onesource("catalog", "apply", stdin=answer)

    assert ran.status == 1
    assert "- grant streets-hainan (revoked): division-streets to hainan" in ran.out
    assert "for good" in ran.out + ran.err
    assert "Aborted" in ran.err
    assert plane.store.state == before
    assert "streets-hainan" in grants(plane)


@pytest.mark.parametrize(
    ("options", "answer"), [([], "y\n"), (["--yes"], ""), (["-y"], "")], ids=["asked", "long", "-y"]
)
def test_who_says_yes_takes_it_away(
    onesource: CommandLine,
    plane: ControlPlane,
    in_force: Path,
    options: list[str],
    answer: str,
) -> None:
    ran = onesource("catalog", "apply", *options, stdin=answer)

    assert ran.status == 0
    assert ("for good" in ran.out + ran.err) is not bool(options)
    assert grants(plane) == declared(in_force)


def test_what_only_adds_is_not_asked_about(
    onesource: CommandLine, plane: ControlPlane, topics: Path
) -> None:
    kept = topics / "grants" / "streets-hainan.yaml"
    text = kept.read_text(encoding="utf-8")
    kept.unlink()
    onesource("catalog", "apply")
    kept.write_text(text, encoding="utf-8")

    ran = onesource("catalog", "apply")

    assert (ran.status, len(ran.out.splitlines())) == (0, 1)
    assert "streets-hainan" in grants(plane)


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_what_the_rules_forbid_is_told_with_file_line_and_code(
    onesource: CommandLine, plane: ControlPlane, topics: Path, command: str
) -> None:
    path = topics / "grants" / "streets-hainan.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("resource: division-streets", "resource: nothing"), "utf-8")
    assert path.read_text(encoding="utf-8") != text

    ran = onesource("catalog", command)

    assert ran.status == 3
    code, fault = ran.err.splitlines()
    assert code.startswith("error [")
    assert fault.startswith("topics/grants/streets-hainan.yaml:")
    assert code.removeprefix("error ") in fault
    assert ran.out == ""
    assert plane.store.state.version == 0


@pytest.mark.usefixtures("plane")
def test_another_folder_may_be_named(onesource: CommandLine, topics: Path) -> None:
    other = topics.rename(topics.with_name("other"))

    assert onesource("catalog", "plan").status == 3
    assert onesource("catalog", "plan", str(other)).status == 0


@pytest.mark.usefixtures("topics")
def test_a_new_password_is_written_to_the_accounts_file(
    onesource: CommandLine, plane: ControlPlane
) -> None:
    onesource("catalog", "apply")
    path = onesource.folder / ".onesource" / "credentials" / "org-hainan.json"
    old = json.loads(path.read_text(encoding="utf-8"))["password"]

    ran = onesource("catalog", "credentials", "org-hainan")

    new = json.loads(path.read_text(encoding="utf-8"))["password"]
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == f"credentials of org-hainan: {path}\n"
    assert new != old
    assert plane.admin.passwords["org-hainan"] == new


@pytest.mark.usefixtures("topics")
def test_a_new_password_can_be_shown_once_instead(
    onesource: CommandLine, plane: ControlPlane
) -> None:
    onesource("catalog", "apply")
    path = onesource.folder / ".onesource" / "credentials" / "org-hainan.json"
    before = path.read_bytes()

    ran = onesource("catalog", "credentials", "org-hainan", "--show")

    assert (ran.out, ran.err) == (plane.admin.passwords["org-hainan"] + "\n", "")
    assert path.read_bytes() == before


def test_an_account_that_there_is_not_gets_no_password(
    onesource: CommandLine, plane: ControlPlane
) -> None:
    ran = onesource("catalog", "credentials", "org-nobody")

    assert ran.status == 3
    assert ran.err == "error [NOT_FOUND]\nthere is no account 'org-nobody'\n"
    assert plane.admin.passwords == {}
