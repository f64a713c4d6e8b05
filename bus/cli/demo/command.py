"""`onesource demo`."""

from pathlib import Path
from typing import Annotated

import typer

from bus.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(demo)


def demo(
    dataset: Annotated[str, typer.Option(help="streets (in the repository) or villages.")] = (
        "streets"
    ),
    data: Annotated[
        Path | None, typer.Option(help="The folder of the editions, if not the repository's.")
    ] = None,
    state: Annotated[Path, typer.Option(help="Where the demo keeps its files; made afresh.")] = (
        Path(".onesource-demo")
    ),
) -> None:
    """
    Publish five yearly editions of a real register to departments, with a verdict after each.

    Everything is real: Kafka, Postgres, router, one sink a department. Grants change while data
    flows. Exit status 1 if any table or count differs from what the files say.
    """
    from bus.adapters.embedded.state_folder import AlreadyRunning, StateFolder
    from bus.cli.demo import report
    from bus.cli.demo.play import Play
    from bus.cli.demo.scenario import DATASETS, YEARS
    from bus.cli.demo.stage import Stage
    from bus.logs import configure_logs
    from bus.settings import load_settings, require_own_platform

    if dataset not in DATASETS:
        raise typer.BadParameter(f"{dataset!r} is not one of {', '.join(DATASETS)}")
    require_own_platform("the demo")
    settings = load_settings(state_folder=state)
    configure_logs(level="WARNING", form="console", process="demo")
    chosen = DATASETS[dataset]
    for year in YEARS:
        chosen.edition_file(data, year)
    folder = StateFolder(state)
    try:
        with folder.locked():
            Stage.clear(state)
            stage = Stage(state, chosen)
            try:
                report.opening(chosen)
                stage.start(settings)
                well = Play(stage, chosen, data).run()
            finally:
                stage.stop()
    except AlreadyRunning:
        raise ConfigError(f"a demo runs already in {state}") from None
    if not well:
        raise typer.Exit(1)
