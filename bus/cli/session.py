"""`onesource login | logout`: who acts at the control plane from this terminal."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.console import console, error_console

if TYPE_CHECKING:
    from bus.adapters.control_http.api import ControlApi
    from bus.settings import Settings

_FILE = "session.json"

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(login)
    app.command()(logout)


def login(
    account: Annotated[str, typer.Argument(help="The account, `admin` at first.")] = "admin",
) -> None:
    """
    Log in at the control plane, for one hour.

    The password is asked for. That of `admin` is in credentials/admin.json of the state folder
    after the first start, and taken from there.
    """
    from bus.errors import CredentialsMissing
    from bus.settings import load_credentials, load_settings

    settings = load_settings()
    try:
        password = load_credentials(settings, account).password.get_secret_value()
    except CredentialsMissing:
        password = typer.prompt("password", hide_input=True)
    with _connected(settings, None) as api:
        session = api.post("/sessions", {"account": account, "password": password})
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"account": account, "token": session["token"]}, file)
    error_console.print(f"{account} is logged in; the session is in {path}", soft_wrap=True)


def logout() -> None:
    """End the session of this terminal."""
    from bus.settings import load_settings

    settings = load_settings()
    token = _token(settings)
    if token is not None:
        with _connected(settings, token) as api:
            api.end_session()
    _path(settings).unlink(missing_ok=True)


@contextmanager
def acting() -> Iterator["ControlApi"]:
    """Yield the API as who ONESOURCE_TOKEN or the last `onesource login` says."""
    from bus.settings import load_settings

    settings = load_settings()
    with _connected(settings, _token(settings)) as api:
        yield api


def show(content: Any, *, as_json: bool, columns: tuple[str, ...] = ()) -> None:  # noqa: ANN401
    """Print an answer: a document, or a table of `columns` if it is a list."""
    from rich.table import Table

    if as_json or not columns:
        console.print_json(json.dumps(content, ensure_ascii=False))
        return
    table = Table()
    for number, column in enumerate(columns):
        # What names the row is needed for the next command: the others are shortened first.
        table.add_column(column, no_wrap=number == 0)
    for each in content["items"]:
        table.add_row(*(_cell(each, column) for column in columns))
    console.print(table)


def _cell(item: Any, column: str) -> str:  # noqa: ANN401 (JSON)
    for part in column.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return "" if item is None else str(item)


@contextmanager
def _connected(settings: "Settings", token: str | None) -> Iterator["ControlApi"]:
    from bus.adapters.control_http.api import ControlApi
    from bus.bootstrap.connections import control_url

    ca_file = None if settings.kafka is None else settings.kafka.ca_file
    api = ControlApi(control_url(settings), token, ca_file=ca_file)
    try:
        yield api
    finally:
        api.close()


def _token(settings: "Settings") -> str | None:
    if settings.token is not None:
        return settings.token.get_secret_value()
    try:
        content = json.loads(_path(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    token: str | None = content.get("token")
    return token


def _path(settings: "Settings") -> Path:
    return settings.state_folder / _FILE
