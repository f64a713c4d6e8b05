"""`onesource init`: prepare a Kafka cluster and a Postgres server that somebody else runs."""

from pathlib import Path
from typing import Annotated

import typer

from bus.cli.console import error_console
from bus.cli.processes import CredentialsOption


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(init)


def init(
    secrets: Annotated[
        Path,
        typer.Option(
            "--secrets",
            file_okay=False,
            help="A folder with the credentials files of os-control, os-router and os-operator; "
            "missing ones are generated.",
        ),
    ],
    credentials: CredentialsOption = None,
) -> None:
    """
    Prepare a Kafka cluster and a Postgres server for the bus; doing it again changes nothing.

    It needs the credentials file of a super user of Kafka, and in ONESOURCE_POSTGRES__OWNER_DSN the
    connection string of a role that may create roles and databases.

    The platform of `onesource up` prepares itself.
    """
    from bus.bootstrap.initialise import initialise
    from bus.settings import load_settings

    initialise(load_settings(credentials=credentials), secrets, on_step=_say)
    _say("prepared")


def _say(step: str) -> None:
    error_console.print(f"[dim]·[/] {step}", highlight=False)
