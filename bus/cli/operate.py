"""`onesource verify | dlq`: what operators check and mend."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bus.cli.console import console, error_console, record_bar
from bus.cli.processes import CredentialsOption
from bus.cli.publish import ResourceArgument
from bus.cli.subscribe import SubscriptionArgument

if TYPE_CHECKING:
    from bus.services.dead_letters import StoredLetter
    from bus.services.verification.rows import Comparison

dlq_group = typer.Typer(
    help="Dead letters: records that no subscriber may have, with the reason.",
    no_args_is_help=True,
)

LimitOption = Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(verify)
    app.add_typer(dlq_group, name="dlq")


def verify(
    subscription: SubscriptionArgument,
    dsn: Annotated[
        str | None,
        typer.Option(envvar="ONESOURCE_SINK_DSN", help="Compare the sink's table here, too."),
    ] = None,
    table: Annotated[str | None, typer.Option(help="The table, if it is not the default.")] = None,
    schema: Annotated[str, typer.Option(help="The table's schema.")] = "public",
    wait: Annotated[float, typer.Option(help="Seconds to wait for the router.")] = 60.0,
    credentials: CredentialsOption = None,
) -> None:
    """
    Recompute a view from its source and compare: by count, by digest, key by key.

    The oracle shares no code with the router. Exit status 1 if anything differs.
    """
    from bus.bootstrap.verification import verification
    from bus.settings import load_settings

    with verification(load_settings(credentials=credentials)) as parts:
        with record_bar("verifying") as progress:
            found = parts.verify(subscription, wait_seconds=wait, on_progress=progress)
        _print_comparison("view topic", found.view)
        console.print(
            f"{found.source_records} source records; {found.refused} dead letters",
            highlight=False,
            soft_wrap=True,
        )
        well = found.well
        for position in found.wrongly_refused:
            console.print(
                f"[red]a clean record has a dead letter: position {position}[/]", soft_wrap=True
            )
        for position in found.unexplained:
            console.print(
                f"[yellow]a bad record has no dead letter: position {position}[/]", soft_wrap=True
            )
        if found.undecided:
            console.print(
                f"{len(found.undecided)} keys left out: only refused records are left of them",
                highlight=False,
                soft_wrap=True,
            )
        if dsn is not None:
            compared = parts.compare_table(
                subscription, found, dsn=dsn, schema=schema, table=table, wait_seconds=wait
            )
            _print_comparison("table", compared)
            well = well and compared.equal
    if not well:
        raise typer.Exit(1)


def _print_comparison(what: str, found: "Comparison") -> None:
    verdict = "[green]equal[/]" if found.equal else "[red]DIFFERENT[/]"
    console.print(
        f"{what}: {verdict}: {found.found} rows, digest {found.found_digest}",
        highlight=False,
        soft_wrap=True,
    )
    if found.equal:
        return
    console.print(
        f"  must be {found.expected} rows, digest {found.expected_digest}: "
        f"{found.missing} missing, {found.extra} not granted, {found.different} different",
        highlight=False,
        soft_wrap=True,
    )
    for example in found.examples:
        console.print(f"  {example}", highlight=False, markup=False, soft_wrap=True)


@dlq_group.command("list")
def dlq_list(
    resource: ResourceArgument,
    limit: LimitOption = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    credentials: CredentialsOption = None,
) -> None:
    """List the dead letters of a resource, newest last."""
    letters = list(_letters(resource, credentials))[-limit:]
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(letter.as_dict(), ensure_ascii=False))
        return
    table = Table("letter", "accepted", "code", "position", "bytes", "reason", box=None)
    for letter in letters:
        held = letter.letter
        table.add_row(
            str(letter.number),
            held.accepted_at.isoformat(timespec="seconds"),
            escape(held.code),
            f"{held.partition}/{held.position}",
            str(held.size),
            escape(held.reason),
        )
    console.print(table)
    error_console.print(f"{len(letters)} dead letters", highlight=False, soft_wrap=True)


@dlq_group.command("show")
def dlq_show(
    resource: ResourceArgument,
    number: Annotated[int, typer.Argument(help="The letter's number.")],
    credentials: CredentialsOption = None,
) -> None:
    """Show one dead letter with its bytes (at most 64 KiB of them)."""
    for letter in _letters(resource, credentials):
        if letter.number == number:
            console.print_json(data=letter.as_dict())
            console.print(
                _hex(letter.letter.value or b""), highlight=False, soft_wrap=True, markup=False
            )
            return
    raise typer.BadParameter(f"{resource} has no dead letter {number}")


@dlq_group.command("redrive")
def dlq_redrive(
    resource: ResourceArgument,
    numbers: Annotated[list[int] | None, typer.Argument(help="Letters; by default all.")] = None,
    code: Annotated[str | None, typer.Option(help="Only letters with this code.")] = None,
    credentials: CredentialsOption = None,
) -> None:
    """
    Publish dead letters again, in the provider's name, once their cause is mended.

    A letter whose key has a newer record since, or that does not hold the whole record, is left.
    """
    from bus.bootstrap.accounts import provider_account
    from bus.bootstrap.dead_letters import redrive
    from bus.settings import load_settings

    wanted = [
        letter
        for letter in _letters(resource, credentials)
        if (not numbers or letter.number in numbers) and code in (None, letter.letter.code)
    ]
    account = provider_account(load_settings(credentials=credentials), resource)
    with closing(account.control):
        result = redrive(account, resource, wanted)
    console.print(
        f"published again: {result.published}; superseded by a newer record: {result.superseded}; "
        f"not whole: {result.not_whole}",
        highlight=False,
        soft_wrap=True,
    )


def _letters(resource: str, credentials: Any) -> Iterator["StoredLetter"]:  # noqa: ANN401
    from bus.bootstrap.accounts import account
    from bus.bootstrap.dead_letters import dead_letters
    from bus.domain.access import OPERATOR
    from bus.settings import load_settings

    operator = account(load_settings(credentials=credentials), OPERATOR)
    with closing(operator.control):
        return dead_letters(operator, resource)


def _hex(data: bytes) -> str:
    lines = []
    for start in range(0, min(len(data), 4096), 16):
        row = data[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)  # noqa: PLR2004
        lines.append(f"{start:08x}  {row.hex(' '):<47}  {shown}")
    return "\n".join(lines)
