"""`onesource up | down | status | doctor`: the embedded platform."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bus.cli.console import console, download_bar, error_console
from bus.errors import ConfigError, PlatformNotRunning

_WATCH_SECONDS = 0.2
_DOWN_SECONDS = 90.0

StateFolderOption = Annotated[
    Path,
    typer.Option("--state", envvar="ONESOURCE_STATE_FOLDER", help="The platform's folder."),
]
_DEFAULT_STATE = Path(".onesource")
_NEED_PLATFORM = frozenset({"catalog", "publish", "tail", "sink", "verify", "dlq"})


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(doctor)


def up(state: StateFolderOption = _DEFAULT_STATE) -> None:
    """
    Start Kafka, Postgres, control and router on this machine, and keep them running.

    No Docker and no Java are needed. Ctrl-C stops everything in order; data stays in the state
    folder. If it runs already, say where.
    """
    from bus.adapters.embedded.state_folder import AlreadyRunning, StateFolder
    from bus.adapters.embedded.supervisor import Supervisor
    from bus.bootstrap.embedded_platform import EmbeddedPlatform
    from bus.logs import configure_logs
    from bus.settings import load_settings

    settings = load_settings(state_folder=state)
    configure_logs(level=settings.log_level, form=settings.log_format, process="up")
    folder = StateFolder(settings.state_folder)
    ended = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ended.set())
    try:
        with folder.locked():
            supervisor = Supervisor()
            platform = EmbeddedPlatform(folder, supervisor=supervisor, on_step=_say)
            start_with_progress(platform, settings.cache, settings.maven_mirror)
            _print_addresses(folder.platform())
            _say("running; Ctrl-C stops")
            try:
                while not ended.wait(_WATCH_SECONDS):
                    if supervisor.watch():
                        platform.save()
            finally:
                _say("stopping")
                supervisor.stop()
    except AlreadyRunning:
        _say("it runs already")
        _print_addresses(folder.platform())


def start_with_progress(platform: Any, cache: Path | None, mirror: str | None) -> None:  # noqa: ANN401
    """Start `platform` (an `EmbeddedPlatform`), with a bar if jars have to be fetched first."""
    from bus.adapters.embedded.jars import default_cache, locked_jars, missing_jars

    missing = missing_jars(locked_jars(), cache or default_cache())
    if not missing:
        platform.start(cache=cache, mirror=mirror)
        return
    with download_bar("fetching Kafka", sum(jar.size for jar in missing)) as on_bytes:
        platform.start(cache=cache, mirror=mirror, on_bytes=on_bytes)


def down(state: StateFolderOption = _DEFAULT_STATE) -> None:
    """Stop the platform that runs in the state folder, and wait until it has stopped."""
    from bus.adapters.embedded.processes import ProcessIdentity
    from bus.adapters.embedded.state_folder import StateFolder

    folder = StateFolder(state)
    known = folder.platform().get("supervisor")
    if not folder.is_held() or known is None:
        _say("it does not run")
        return
    process = ProcessIdentity(int(known["pid"]), float(known["created"])).process()
    if process is not None:
        process.terminate()
    deadline = time.monotonic() + _DOWN_SECONDS
    while folder.is_held():
        if time.monotonic() > deadline:
            raise ConfigError(f"it has not stopped after {_DOWN_SECONDS:.0f} s; see {state}/logs")
        time.sleep(_WATCH_SECONDS)
    _say("stopped")


def status(
    state: StateFolderOption = _DEFAULT_STATE,
    as_json: Annotated[bool, typer.Option("--json", help="Print for machines.")] = False,
) -> None:
    """Show what runs, where, and how far it is."""
    from bus.cli.health import platform_status

    parts = platform_status(state)
    if as_json:
        console.print_json(data=[part.as_dict() for part in parts])
        return
    table = Table("part", "state", "where", "what it says", box=None)
    for part in parts:
        colour = "green" if part.well else "red"
        table.add_row(
            part.name, f"[{colour}]{part.state}[/]", escape(part.where), escape(part.detail)
        )
    console.print(table)


def doctor(
    state: StateFolderOption = _DEFAULT_STATE,
    end_hanging_transactions: Annotated[
        bool,
        typer.Option(
            "--end-hanging-transactions",
            help="End the transactions that are found to hang. What they wrote is not given out.",
        ),
    ] = False,
) -> None:
    """Look for what is wrong, and say what to do about it. Exit status 1 if anything is."""
    from bus.cli.health import diagnose, end_hanging

    if end_hanging_transactions:
        for ended in end_hanging(state):
            console.print(f"ended: {escape(ended)}", highlight=False, soft_wrap=True)
    well = True
    for finding in diagnose(state):
        mark = "[green]ok[/]  " if finding.well else "[red]bad[/] "
        console.print(f"{mark} {escape(finding.what)}", highlight=False, soft_wrap=True)
        if not finding.well:
            well = False
            console.print(
                f"      [bold]do:[/] {escape(finding.remedy)}", highlight=False, soft_wrap=True
            )
    if not well:
        raise typer.Exit(1)


def look_for_platform(context: typer.Context) -> None:
    """
    Before a command that needs the platform: raise `PlatformNotRunning` if that here has stopped.

    Its addresses are still written down, and the command would wait for them in vain. A cluster
    elsewhere is named by the environment, and has no such file.
    """
    if (
        context.invoked_subcommand not in _NEED_PLATFORM
        or "ONESOURCE_KAFKA__BOOTSTRAP" in os.environ
    ):
        return
    from bus.adapters.embedded.state_folder import StateFolder

    state = Path(os.environ.get("ONESOURCE_STATE_FOLDER", _DEFAULT_STATE))
    folder = StateFolder(state)
    if folder.platform() and not folder.is_held():
        raise PlatformNotRunning(f"nothing runs in {state}; start it with `onesource up`")


def _print_addresses(content: dict[str, Any]) -> None:
    ports = content.get("ports", {})
    table = Table(box=None, show_header=False)
    table.add_row("Kafka (SCRAM-SHA-512)", content.get("kafka", {}).get("bootstrap", "?"))
    table.add_row("control, schema registry", content.get("control", {}).get("url", "?"))
    table.add_row("Postgres", f"127.0.0.1:{ports.get('postgres', '?')}")
    table.add_row("router metrics", f"http://127.0.0.1:{ports.get('router', '?')}/metrics")
    console.print(table)


def _say(step: str) -> None:
    error_console.print(f"[dim]·[/] {step}", highlight=False)
