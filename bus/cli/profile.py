"""`onesource profile list | show`: what a jurisdiction's regulation says, and what it does not."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from bus.cli.console import console
from bus.errors import NotFound

if TYPE_CHECKING:
    from bus.domain.profile import Profile

FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", envvar="ONESOURCE_PROFILES", help="A folder with further profiles."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]

_COLOURS = {"own": "green", "parent": "cyan", "default": "yellow", "silent": "dim"}

group = typer.Typer(
    help="Jurisdiction profiles: what differs between regulations, as data.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(group, name="profile")


@group.command("list")
def list_profiles(folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """List the profiles there are."""
    from bus.adapters.definitions.profiles import load_profiles

    profiles = load_profiles(folder)
    rows = [
        {
            "name": profile.name,
            "version": profile.version,
            "parent": profile.parent,
            "status": profile.get("meta.status"),
            "effective_from": profile.get("meta.effective_from"),
            "issuer": profile.get("meta.issuer"),
            "title": profile.get("meta.title"),
        }
        for profile in profiles.values()
    ]
    if as_json:
        console.print_json(data=rows)
        return
    headings = ("profile", "version", "parent", "status", "effective", "issuer")
    table = Table(*(Column(heading, overflow="fold") for heading in headings))
    for row in rows:
        columns = ("name", "version", "parent", "status", "effective_from", "issuer")
        table.add_row(*(escape(_text(row[column])) for column in columns))
    console.print(table)


@group.command()
def show(
    name: Annotated[str, typer.Argument(help="The profile.", show_default=False)],
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """
    Print every value that holds, with its origin, and where nobody says anything.

    The origin is a clause of the profile's own regulation, a parent with its clause, or "default,
    not law".
    """
    from bus.adapters.definitions.profiles import load_profiles

    profiles = load_profiles(folder)
    profile = profiles.get(name)
    if profile is None:
        raise NotFound(f"there is no profile {name!r}; there are {', '.join(profiles)}")
    if as_json:
        console.print_json(data=profile.document())
        return
    _print(profile)


def _print(profile: "Profile") -> None:
    above = f", over {profile.parent}" if profile.parent else ""
    heading = f"# {profile.name}, version {profile.version}{above}"
    # One value a line, however narrow the terminal is: keys are searched for.
    console.print(heading, highlight=False, markup=False, soft_wrap=True)
    for entry in profile.entries():
        colour = _COLOURS[entry.origin.kind.value]
        origin = f"[{colour}]# {escape(str(entry.origin))}[/]"
        line = f"{entry.name}: {escape(_text(entry.value))}  {origin}"
        console.print(line, highlight=False, soft_wrap=True)


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case tuple():
            return ", ".join(map(str, value)) or "(none)"
        case _:
            return str(value)
