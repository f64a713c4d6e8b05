"""`onesource audit verify | export | list | trace`: the evidence, and what it says."""

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bus.cli.console import console, error_console, record_bar

if TYPE_CHECKING:
    from bus.audit.verifier import Verdict

group = typer.Typer(
    help="The audit log (审计日志): who did what, and whether anybody has touched it since.",
    no_args_is_help=True,
)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
SinceOption = Annotated[
    dt.datetime | None, typer.Option(help="From this time on (this machine's time zone).")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(group, name="audit")


@group.command("verify")
def audit_verify(
    export: Annotated[
        Path | None, typer.Option(help="Verify this export instead of the database; asks nobody.")
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="Compare with the checkpoints of this file, too.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(help="The public key; by default the one of this installation.")
    ] = None,
    topic: Annotated[
        bool, typer.Option("--topic/--no-topic", help="Compare with the checkpoints on Kafka.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """
    Tell whether the log is as it was written; exit status 1, naming the first broken row, if not.

    Found are edits, deletions, insertions, another order, a cut tail, a chain computed anew.
    """
    from bus.bootstrap.audit import verify_database, verify_export
    from bus.settings import load_settings

    settings = load_settings()
    with record_bar("verifying") as progress:
        if export is not None:
            verdict = verify_export(
                settings,
                export,
                public_key=public_key,
                checkpoints=checkpoints,
                on_progress=progress,
            )
        else:
            verdict = verify_database(
                settings,
                public_key=public_key,
                checkpoints=checkpoints,
                topic=topic,
                on_progress=progress,
            )
    if as_json:
        typer.echo(json.dumps(_verdict_document(verdict)))
    else:
        _print_verdict(verdict)
    if not verdict.intact:
        raise typer.Exit(1)


def _verdict_document(verdict: "Verdict") -> dict[str, object]:
    broken = verdict.broken
    return {
        "intact": verdict.intact,
        "log": verdict.log,
        "rows": verdict.rows,
        "checkpoints": verdict.checkpoints,
        "signed_through": verdict.signed_through,
        "signed_at": verdict.signed_at or None,
        "broken": broken
        and {
            "sequence": broken.sequence,
            "fault": str(broken.fault),
            "reason": broken.reason,
        },
    }


def _print_verdict(verdict: "Verdict") -> None:
    said = "[green]intact[/]" if verdict.intact else "[red]BROKEN[/]"
    lines = [f"audit log {escape(verdict.log)}: {said}"]
    if verdict.broken is not None:
        broken = verdict.broken
        where = f"first broken row: [bold]{broken.sequence}[/]"
        lines.append(f"{where}: {escape(f'[{broken.fault}]')} {escape(broken.reason)}")
    lines.append(f"{verdict.rows} rows form an unbroken chain")
    if verdict.checkpoints:
        lines.append(
            f"{verdict.checkpoints} checkpoints agree; the newest vouches for the rows up to "
            f"{verdict.signed_through} (signed {verdict.signed_at})"
        )
    else:
        lines.append("[yellow]no checkpoint vouches for them: a new chain would look the same[/]")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


@group.command("export")
def audit_export(file: Annotated[Path, typer.Argument(help="Where to write it.")]) -> None:
    """Write the log with its checkpoints to a file, which `verify --export` takes anywhere."""
    from bus.bootstrap.audit import write_export
    from bus.settings import load_settings

    with record_bar("exporting") as progress:
        count = write_export(load_settings(), file, on_progress=progress)
    error_console.print(f"{count} rows in {file}", highlight=False, markup=False, soft_wrap=True)


@group.command("list")
def audit_list(
    jurisdiction: Annotated[str | None, typer.Option(help="Only of this jurisdiction.")] = None,
    organisation: Annotated[str | None, typer.Option(help="Only acts for this one.")] = None,
    account: Annotated[str | None, typer.Option(help="Only what this account did.")] = None,
    subject_kind: Annotated[str | None, typer.Option(help="Such as `grant`.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only what was done to this one.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as `request.approved`.")] = None,
    since: SinceOption = None,
    until: Annotated[dt.datetime | None, typer.Option(help="Before this time.")] = None,
    before: Annotated[int | None, typer.Option(help="Go on below this row.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List rows of the log, newest first; this look is itself written down."""
    from bus.audit.chain import to_document
    from bus.bootstrap.audit import LOCAL_OPERATOR, audit_log
    from bus.domain.audit_log import AuditFilter
    from bus.domain.identity import Role
    from bus.settings import load_settings

    wanted = AuditFilter(
        jurisdiction=jurisdiction,
        organisation=organisation,
        account=account,
        subject_kind=subject_kind,
        subject=subject,
        action=action,
        since=_aware(since),
        until=_aware(until),
    )
    with audit_log(load_settings()) as parts:
        rows = parts.queries.page(LOCAL_OPERATOR, Role.OPERATOR, wanted, before=before, limit=limit)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(to_document(row), ensure_ascii=False))
        return
    table = Table(
        "row", "at", "account", "organisation", "role", "action", "subject", "outcome", box=None
    )
    for row in rows:
        record = row.record
        table.add_row(
            str(row.sequence),
            _local(record.at),
            *(escape(text) for text in (record.account, record.organisation, record.role)),
            escape(record.action),
            escape(f"{record.subject_kind} {record.subject}".strip()),
            escape(record.outcome),
        )
    console.print(table)


@group.command("trace")
def audit_trace(
    resource: Annotated[str, typer.Argument(help="The code of the resource.")],
    since: SinceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who could read a resource, under which grant, for which purpose; noted down, too."""
    from dataclasses import asdict

    from bus.bootstrap.audit import LOCAL_OPERATOR, audit_log
    from bus.domain.identity import Role
    from bus.settings import load_settings

    with audit_log(load_settings()) as parts:
        found = parts.queries.trace(LOCAL_OPERATOR, Role.OPERATOR, resource, _aware(since))
    if as_json:
        for access in found:
            document = asdict(access)
            document["since"] = access.since.isoformat()
            document["until"] = access.until.isoformat() if access.until else None
            typer.echo(json.dumps(document, ensure_ascii=False))
        return
    table = Table("consumer", "grant", "version", "purpose", "items", "from", "until", box=None)
    for access in found:
        table.add_row(
            *(escape(text) for text in (access.consumer, access.grant, access.version)),
            *(escape(text) for text in (access.purpose, access.items)),
            _local(access.since),
            f"{_local(access.until)} {escape(access.ended_by)}" if access.until else "stands",
        )
    console.print(table)
    error_console.print(f"{len(found)} times of access", highlight=False, soft_wrap=True)


def _aware(moment: dt.datetime | None) -> dt.datetime | None:
    return moment.astimezone() if moment else None


def _local(moment: dt.datetime) -> str:
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")
