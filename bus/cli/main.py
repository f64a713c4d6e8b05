"""The command `onesource`."""

import sys

import typer

from bus.cli import (
    account,
    audit,
    calendar,
    catalog,
    government,
    initialise,
    operate,
    platform,
    processes,
    profile,
    publish,
    session,
    subscribe,
)
from bus.cli.console import error_console
from bus.cli.demo import command as demo_command
from bus.errors import BusError, ConfigError, Refused, TransientError

EXIT_FAILED = 1
EXIT_REFUSED = 3
EXIT_UNAVAILABLE = 4
EXIT_CONFIG = 5
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="onesource",
    help="政务信息资源共享交换总线 · An exchange bus for government information resources.\n\n"
    "Start with [bold]onesource up[/bold] in one terminal, then [bold]onesource catalog apply"
    "[/bold] in another.",
    epilog="Exit status: 0 done; 1 a check failed; 2 usage; 3 refused by a rule; 4 something does "
    "not answer, try again; 5 wrong settings.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.callback()(platform.look_for_platform)
platform.add_to(app)
initialise.add_to(app)
processes.add_to(app)
catalog.add_to(app)
profile.add_to(app)
calendar.add_to(app)
session.add_to(app)
government.add_to(app)
publish.add_to(app)
subscribe.add_to(app)
operate.add_to(app)
audit.add_to(app)
account.add_to(app)

demo_command.add_to(app)


def main() -> None:
    """Run the command line; errors of ours become one message and an exit status."""
    try:
        app(prog_name="onesource")
    except BusError as error:
        error_console.print(f"[bold red]error[/] [{error.code}]", highlight=False, markup=True)
        # Whole lines, however narrow the terminal is: they hold paths and addresses.
        error_console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        sys.exit(_exit_status(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _exit_status(error: BusError) -> int:
    match error:
        case Refused():
            return EXIT_REFUSED
        case TransientError():
            return EXIT_UNAVAILABLE
        case ConfigError():
            return EXIT_CONFIG
        case _:
            return EXIT_FAILED


if __name__ == "__main__":
    main()
