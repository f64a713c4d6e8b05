"""`onesource catalog plan | apply`: from reviewed files to the live catalog."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bus.cli.console import console, error_console
from bus.errors import Refused

if TYPE_CHECKING:
    from bus.adapters.definitions.loader import Definitions
    from bus.services.catalog_changes import CatalogPlan

FolderArgument = Annotated[
    Path, typer.Argument(help="The folder of definitions.", show_default=True)
]
_DEFAULT_FOLDER = Path("topics")

group = typer.Typer(
    help="Organisations, catalog entries and grants: from reviewed files to the live catalog.",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(group, name="catalog")


@group.command()
def plan(folder: FolderArgument = _DEFAULT_FOLDER) -> None:
    """Show what `apply` would change; change nothing. Exit status 3 if it would be refused."""
    from bus.adapters.definitions.loader import load_definitions
    from bus.bootstrap.catalog import catalog
    from bus.settings import load_settings

    definitions = load_definitions(folder)
    with catalog(load_settings()) as parts:
        planned = parts.changes.plan(definitions.catalog)
    _refuse_faults(definitions, planned)
    _print_changes(planned)


@group.command()
def apply(
    folder: FolderArgument = _DEFAULT_FOLDER,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before something is taken away.")
    ] = False,
) -> None:
    """
    Make the live catalog what the files say.

    Grants whose file is gone are revoked, resources whose file is gone are retired: the plan is
    shown and confirmed first. New accounts get credentials files, readable by you only.
    """
    from bus.adapters.definitions.loader import load_definitions
    from bus.adapters.embedded.state_folder import StateFolder
    from bus.bootstrap.catalog import catalog
    from bus.domain.changes import EndGrant, RetireEntry
    from bus.settings import load_settings

    definitions = load_definitions(folder)
    settings = load_settings()
    with catalog(settings) as parts:
        planned = parts.changes.plan(definitions.catalog)
        _refuse_faults(definitions, planned)
        _print_changes(planned)
        takes_away = any(isinstance(each, EndGrant | RetireEntry) for each in planned.changes)
        if takes_away and not yes:
            typer.confirm("This takes something away for good. Go on?", abort=True)
        applied = parts.changes.apply(definitions.catalog)
    _refuse_faults(definitions, applied.plan)
    if applied.policy_version is not None:
        error_console.print(f"policy version {applied.policy_version}", highlight=False)
    folder_of_secrets = StateFolder(settings.state_folder)
    for principal, password in sorted(applied.passwords.items()):
        path = folder_of_secrets.save_credentials(principal, password)
        _say_credentials(principal, path)


@group.command()
def credentials(
    principal: Annotated[str, typer.Argument(help="org-<organisation> or sub-<subscription>.")],
    show: Annotated[
        bool, typer.Option("--show", help="Print the password once instead of writing a file.")
    ] = False,
) -> None:
    """Give an account a new password; the old one ends at once."""
    from bus.adapters.embedded.state_folder import StateFolder
    from bus.bootstrap.catalog import catalog
    from bus.settings import load_settings

    settings = load_settings()
    with catalog(settings) as parts:
        password = parts.changes.reissue(principal)
    if show:
        console.print(password, highlight=False)
        return
    path = StateFolder(settings.state_folder).save_credentials(principal, password)
    _say_credentials(principal, path)


def _say_credentials(principal: str, path: Path) -> None:
    text = f"credentials of {principal}: {path}"
    error_console.print(text, highlight=False, markup=False, soft_wrap=True)


def _refuse_faults(definitions: "Definitions", planned: "CatalogPlan") -> None:
    if planned.faults:
        faults = [definitions.locate(fault) for fault in planned.faults]
        raise Refused("\n".join(faults), code=planned.faults[0].code)


def _print_changes(planned: "CatalogPlan") -> None:
    from bus.domain.changes import describe

    if not planned.changes:
        console.print("nothing to change", highlight=False)
    for change in planned.changes:
        line = describe(change)
        colour = {"+": "green", "~": "yellow", "-": "red"}[line[0]]
        console.print(f"[{colour}]{escape(line)}[/]", highlight=False, soft_wrap=True)
