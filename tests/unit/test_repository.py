"""What must stay true of the repository itself: its tree, its documents, its size."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import producers

ROOT = Path(__file__).parents[2]
_LONGEST_FILE = 600
_VAGUE = frozenset({"utils", "util", "helpers", "helper", "manager", "common", "misc"})
#: The folders of the design, in its order (docs/explanation says what each is for).
_FOLDERS = (
    "schemas",
    "topics",
    "producers",
    "bus/domain",
    "bus/views",
    "bus/services",
    "bus/router",
    "bus/control",
    "bus/supervision",
    "bus/audit",
    "bus/adapters/kafka",
    "bus/adapters/postgres",
    "bus/adapters/cel",
    "bus/adapters/calendars",
    "bus/adapters/embedded",
    "bus/adapters/memory",
    "bus/cli",
    "consumers",
    "profiles",
    "docker",
    "examples",
    "bench",
    "tests/unit",
    "tests/contract",
    "tests/integration",
    "tests/acceptance",
    "tests/property",
    "tests/faults",
    "tests/e2e",
    "docs/adr",
)
#: Nothing in the repository depends on where somebody keeps it or on where packages come from.
_MACHINE_WORDS = re.compile(
    r"(?<![\w.])/(?:work|root|home)/|pypi\.org|pythonhosted\.org|repo1?\.maven|registry\.npmjs"
)


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the repository that match."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = [name for name in listed.stdout.split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def in_repository(path: Path) -> str:
    """Return a path as the repository names it."""
    return str(path.relative_to(ROOT))


DOCUMENTS = tracked("*.md")


def test_no_source_file_is_longer_than_a_reader_bears() -> None:
    lengths = {
        in_repository(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in tracked("*.py", "*.sql", "*.sh")
    }
    assert len(lengths) > 100
    assert {name: length for name, length in lengths.items() if length > _LONGEST_FILE} == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [
        in_repository(path) for path in tracked("*.py") if _VAGUE & set(path.stem.split("_"))
    ] == []


def test_the_tree_is_that_of_the_design_and_the_roadmap_names_what_is_to_come() -> None:
    roadmap = (ROOT / "docs/roadmap.md").read_text(encoding="utf-8")
    to_come = roadmap.partition("Folders still to come")[2]
    present = {folder for folder in _FOLDERS if tracked(f"{folder}/*")}
    named = {folder for folder in _FOLDERS if f"`{folder}/`" in to_come}

    assert present | named == set(_FOLDERS)
    assert present & named == set()


@pytest.mark.parametrize("what", ["record", "decision"])
def test_one_thing_can_be_followed_file_by_file(what: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition(f"## Follow one {what}")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE)

    assert len(steps) > 10
    assert [step for step in steps if not (ROOT / step).is_file()] == []


def test_nothing_names_a_machine_or_a_package_registry() -> None:
    found = []
    for path in tracked():
        if path == Path(__file__) or path.suffix == ".xz":
            continue
        text = path.read_text(encoding="utf-8")
        found += [
            f"{in_repository(path)}: {match.group()}" for match in _MACHINE_WORDS.finditer(text)
        ]
    assert found == []


def test_lock_files_have_a_hash_for_everything_and_no_index() -> None:
    locks = tracked("*requirements*.lock")
    assert len(locks) == 5
    for path in locks:
        text = path.read_text(encoding="utf-8")
        entries = re.split(r"\n(?=[a-z0-9])", text)
        pinned = [entry for entry in entries if re.match(r"[a-z0-9][\w.\[\],-]*==", entry)]
        assert pinned
        assert [entry for entry in pinned if "--hash=sha256:" not in entry] == []
        assert re.search(r"index-url|find-links|https?://", text) is None


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=in_repository)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        if not path.exists() or (
            anchor and anchor not in _anchors(path.read_text(encoding="utf-8"))
        ):
            broken.append(target)
    assert broken == []


def _commands() -> set[str]:
    from bus.cli.main import app  # noqa: PLC0415 (only this test pays for it)

    found: set[str] = set()

    def add(group: TyperGroup, before: str) -> None:
        for name, command in group.commands.items():
            found.add(f"{before}{name}")
            if isinstance(command, TyperGroup):
                add(command, f"{before}{name} ")

    whole = typer.main.get_command(app)
    assert isinstance(whole, TyperGroup)
    add(whole, "")
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=in_repository)
def test_documents_name_commands_that_exist(document: Path) -> None:
    commands = _commands()
    groups = {name.split()[0] for name in commands if " " in name}
    wrong = []
    for first, second in re.findall(
        r"(?:^|[`$] ?)onesource ([a-z]+)(?: +([a-z]+))?",
        document.read_text(encoding="utf-8"),
        re.MULTILINE,
    ):
        name = f"{first} {second}" if first in groups and second else first
        if name not in commands:
            wrong.append(name)
    assert wrong == []


def test_every_command_is_in_the_reference() -> None:
    commands = _commands()
    groups = {name.partition(" ")[0] for name in commands if " " in name}
    reference = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `onesource ([a-z]+(?: [a-z]+)?)", reference, re.MULTILINE))
    assert commands - groups - documented == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=in_repository)
def test_documents_name_make_targets_that_exist(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)(?:\$ )?make ([a-z-]+)", text, re.MULTILINE))

    assert named - targets == set()


def test_importing_starts_nothing_and_opens_nothing() -> None:
    """design.md §2: nothing connects, starts a thread or reads a file at import time."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in tracked("bus/*.py", "producers/*.py", "consumers/*.py")
        if "migrations" not in path.parts and path.stem not in {"__init__", "__main__"}
    ]
    assert len(modules) > 80
    script = (
        "import importlib, socket, sys, threading\n"
        "def refuse(*_): raise AssertionError('a connection at import')\n"
        "socket.socket.connect = refuse\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print([thread.name for thread in threading.enumerate()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *modules],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("['MainThread']", "")


def test_the_public_names_of_the_providers_side_are_these() -> None:
    assert all(hasattr(producers, name) for name in producers.__all__)
    assert producers.__all__ == [
        "FlushReport",
        "Publication",
        "Publisher",
        "Unaccepted",
    ]
