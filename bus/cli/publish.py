"""`onesource publish file | record`: the provider's side."""

import decimal
import json
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.console import console, record_bar
from bus.cli.processes import CredentialsOption
from bus.errors import RecordInvalid

if TYPE_CHECKING:
    from producers.file_diff import Difference

group = typer.Typer(
    help="Publish to a resource, as its provider.",
    no_args_is_help=True,
)
_MAX_RECORD_CHARACTERS = 2_000_000

ResourceArgument = Annotated[str, typer.Argument(help="The resource's code.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(group, name="publish")


@group.command("file")
def publish_file(
    resource: ResourceArgument,
    files: Annotated[
        list[Path], typer.Argument(help="CSV (also .gz, .xz) or NDJSON; together one edition.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")
    ] = False,
    confirm_deletes: Annotated[
        bool,
        typer.Option("--confirm-deletes", help="Yes, the edition deletes that many records."),
    ] = False,
    delete_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Ask for confirmation above this share of deletes."),
    ] = 0.2,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="At most so many records a second.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result for machines.")] = False,
    credentials: CredentialsOption = None,
) -> None:
    """
    Publish a full edition: compare it with what is published, send only what differs.

    Everything is checked before anything is sent. Running it twice sends nothing the second time;
    running it again after a failure sends what is missing.
    """
    from bus.adapters.kafka.log_reader import KafkaLogReaders
    from bus.bootstrap.accounts import provider_account
    from bus.domain.names import group_prefix
    from bus.settings import load_settings
    from producers import Publication, Publisher
    from producers.file_diff import FileDiff
    from producers.record_encoder import RecordEncoder

    account = provider_account(load_settings(credentials=credentials), resource)
    with ExitStack() as stack:
        control = stack.enter_context(closing(account.control))
        publication = Publication.from_descriptor(control.publication(resource))
        readers = KafkaLogReaders(account.kafka, group=f"{group_prefix(publication.principal)}diff")
        diff = stack.enter_context(FileDiff(RecordEncoder(publication)))
        with record_bar("reading the edition") as progress:
            diff.read_edition(files, progress)
        with record_bar("reading what is published") as progress:
            diff.read_current(readers, control.schema, progress)
        if dry_run:
            difference = diff.difference()
        else:
            with record_bar("publishing") as progress:
                difference = diff.publish(
                    Publisher(publication, account.kafka),
                    progress,
                    delete_share=delete_share,
                    confirmed=confirm_deletes,
                    rate=rate,
                )
        sending_seconds = diff.sending_seconds
    if as_json:
        _print_json(difference, dry_run=dry_run, sending_seconds=sending_seconds)
    else:
        _print_difference(difference, dry_run=dry_run)


@group.command("record")
def publish_record(
    resource: ResourceArgument,
    record: Annotated[
        str, typer.Argument(help="The record as JSON, or - to read it from standard input.")
    ] = "-",
    delete: Annotated[
        bool, typer.Option("--delete", help="The record with these key items is gone.")
    ] = False,
    credentials: CredentialsOption = None,
) -> None:
    """Publish one record, or that one is gone."""
    from bus.bootstrap.accounts import provider_account
    from bus.settings import load_settings
    from producers import Publication, Publisher
    from producers.item_values import from_json

    content = _object(sys.stdin.read(_MAX_RECORD_CHARACTERS) if record == "-" else record)
    account = provider_account(load_settings(credentials=credentials), resource)
    with closing(account.control) as control:
        publication = Publication.from_descriptor(control.publication(resource))
    with Publisher(publication, account.kafka) as publisher:
        try:
            values = from_json(publisher.encoder.tree, content)
        except ValueError as error:
            raise RecordInvalid(str(error)) from error
        if delete:
            publisher.delete(values)
        else:
            publisher.upsert(values)
    console.print("accepted", highlight=False, soft_wrap=True)


def _object(text: str) -> dict[str, Any]:
    try:
        # A float would lose digits of a decimal item.
        content = json.loads(text, parse_float=decimal.Decimal)
    except (ValueError, RecursionError) as error:
        raise RecordInvalid(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise RecordInvalid("a JSON object is wanted")
    return content


def _print_json(difference: "Difference", *, dry_run: bool, sending_seconds: float) -> None:
    console.print_json(
        data={
            "before": difference.before,
            "inserts": difference.inserts,
            "updates": difference.updates,
            "deletes": difference.deletes,
            "unchanged": difference.unchanged,
            "sent": 0 if dry_run else difference.to_send,
            "sending_seconds": round(sending_seconds, 3),
        }
    )


def _print_difference(difference: "Difference", *, dry_run: bool) -> None:
    verb = "would send" if dry_run else "sent"
    console.print(
        f"{verb} {difference.to_send} records: {difference.inserts} inserts, "
        f"{difference.updates} updates, {difference.deletes} deletes; "
        f"{difference.unchanged} unchanged",
        highlight=False,
        soft_wrap=True,
    )
