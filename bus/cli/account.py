"""`onesource account list | create | password | token`, on the platform's own machine."""

import datetime as dt
import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bus.cli.console import console
from bus.domain.accounts import AccountKind, ApiScope
from bus.domain.identity import Role

_DAYS = 90

group = typer.Typer(
    help="Accounts (账号) of people and services, on the platform's own machine.",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(group, name="account")


@group.command("list")
def list_accounts(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List all accounts."""
    from bus.bootstrap.identity import local_accounts
    from bus.settings import load_settings

    with local_accounts(load_settings()) as (accounts, administrator):
        found = accounts.all(administrator.actor)
    if as_json:
        console.print_json(
            data=[
                {
                    "name": each.name,
                    "organisation": each.organisation,
                    "jurisdiction": each.jurisdiction,
                    "kind": each.kind,
                    "roles": sorted(each.roles),
                    "active": each.active,
                }
                for each in found
            ]
        )
        return
    table = Table("name", "organisation", "jurisdiction", "kind", "roles", "active")
    for each in found:
        table.add_row(
            escape(each.name),
            each.organisation,
            each.jurisdiction,
            each.kind,
            ", ".join(sorted(each.roles)),
            "yes" if each.active else "no",
        )
    console.print(table)


@group.command()
def create(
    name: Annotated[str, typer.Argument(help="The account.", show_default=False)],
    organisation: Annotated[str, typer.Option("--organisation", help="For which it acts.")],
    jurisdiction: Annotated[str, typer.Option("--jurisdiction", help="Where.")],
    role: Annotated[list[Role] | None, typer.Option("--role", help="May be given again.")] = None,
    service: Annotated[bool, typer.Option("--service", help="A program's: no password.")] = False,
) -> None:
    """Add an account; a person's password is asked for, or read from standard input."""
    from bus.bootstrap.identity import local_accounts
    from bus.domain.accounts import Account
    from bus.settings import load_settings

    account = Account(
        name=name,
        organisation=organisation,
        jurisdiction=jurisdiction,
        kind=AccountKind.SERVICE if service else AccountKind.PERSON,
        roles=frozenset(role or ()),
    )
    password = None if service else _password()
    with local_accounts(load_settings()) as (accounts, administrator):
        accounts.create(administrator.actor, account, password)
    console.print(f"account {escape(name)} made")


@group.command("password")
def set_password(
    name: Annotated[str, typer.Argument(help="The person's account.", show_default=False)],
) -> None:
    """Give a person another password, who has forgotten it; that ends all sessions."""
    from bus.bootstrap.identity import local_accounts
    from bus.settings import load_settings

    password = _password()
    with local_accounts(load_settings()) as (accounts, administrator):
        accounts.set_password(administrator, name, password)
    console.print(f"the password of {escape(name)} is another now")


@group.command()
def token(
    name: Annotated[str, typer.Argument(help="The service's account.", show_default=False)],
    scope: Annotated[list[ApiScope], typer.Option("--scope", help="May be given again.")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Good for.")] = _DAYS,
    title: Annotated[str, typer.Option("--title", help="What it is for.")] = "",
) -> None:
    """Print a new API token of a service; it is shown this once."""
    from bus.bootstrap.identity import local_accounts
    from bus.settings import load_settings

    expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=days) - dt.timedelta(minutes=1)
    with local_accounts(load_settings()) as (accounts, administrator):
        issued = accounts.issue_token(
            administrator, name, scope, expires_at=expires_at, title=title
        )
    # Nothing but the token: it may be on its way into a file.
    typer.echo(issued.text)


def _password() -> str:
    """Ask for a new password, or take it from a pipe; never from the command line's arguments."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    return sys.stdin.readline().rstrip("\n")
