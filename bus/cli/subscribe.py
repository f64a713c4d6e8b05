"""`onesource tail | sink postgres`: the subscriber's side."""

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from bus.cli.console import console, error_console
from bus.cli.processes import CredentialsOption, stop_event

if TYPE_CHECKING:
    from consumers.change import Change

sink_group = typer.Typer(
    help="Keep a subscription in the subscriber's own store (前置库).", no_args_is_help=True
)
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0

SubscriptionArgument = Annotated[str, typer.Argument(help="The subscription's id.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(tail)
    app.add_typer(sink_group, name="sink")


def tail(
    subscription: SubscriptionArgument,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="The whole view first, then what comes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    most: Annotated[
        int | None, typer.Option("--max", min=1, help="Stop after this many changes.")
    ] = None,
    credentials: CredentialsOption = None,
) -> None:
    """
    Print the changes of a subscription as they come.

    Positions are not remembered: a tail never takes anything away from the subscriber's systems.
    """
    from bus.bootstrap.accounts import account
    from bus.domain.names import subscription_principal
    from bus.errors import SubscriptionEnded
    from bus.settings import load_settings
    from consumers import Subscriber

    mine = account(load_settings(credentials=credentials), subscription_principal(subscription))
    ended = stop_event()
    seen = 0
    listening = False
    with (
        closing(mine.control),
        Subscriber(
            subscription,
            kafka=mine.kafka,
            control=mine.control,
            name=f"tail-{time.time_ns()}",
            from_start=from_start,
            remember=False,
        ) as subscriber,
    ):
        try:
            while not ended.is_set() and (most is None or seen < most):
                for change in subscriber.poll(0.2):
                    _print_change(change, as_json=as_json)
                    seen += 1
                    if most is not None and seen >= most:
                        break
                if not listening:
                    # From here on nothing that is published is missed.
                    listening = True
                    error_console.print("[dim]·[/] listening; Ctrl-C stops", highlight=False)
        except SubscriptionEnded as error:
            error_console.print(str(error), highlight=False, markup=False, soft_wrap=True)


@sink_group.command("postgres")
def sink_postgres(
    subscription: SubscriptionArgument,
    dsn: Annotated[
        str,
        typer.Option(
            envvar="ONESOURCE_SINK_DSN",
            help="The subscriber's own database; better in the environment than on the line.",
        ),
    ],
    table: Annotated[
        str | None, typer.Option(help="The table's name; by default the resource's code.")
    ] = None,
    schema: Annotated[str, typer.Option(help="The table's schema.")] = "public",
    credentials: CredentialsOption = None,
) -> None:
    """
    Keep a typed table in step with a subscription, exactly once.

    The table is created from the view's schema. Rows and position are committed together; after a
    crash, or a change of the grant, the sink goes on by itself. It ends when the grant ends.
    """
    import structlog

    from bus.errors import SubscriptionEnded, TransientError
    from bus.health import serve_health
    from bus.logs import configure_logs
    from bus.metrics import SINK_REGISTRY
    from bus.settings import load_settings

    settings = load_settings(credentials=credentials)
    configure_logs(
        level=settings.log_level, form=settings.log_format, process=f"sink:{subscription}"
    )
    log = structlog.get_logger(__name__)
    ended = stop_event()
    trouble: list[str] = ["starting"]
    serve_health(
        settings.http.host,
        settings.http.port,
        registry=SINK_REGISTRY,
        not_ready=lambda: trouble[-1] if trouble else None,
    )
    pause = _FIRST_PAUSE_SECONDS
    while not ended.is_set():
        try:
            with _sink(settings, subscription, dsn, schema, table) as sink:
                trouble.clear()
                pause = _FIRST_PAUSE_SECONDS
                sink.run(ended=ended.is_set)
        except SubscriptionEnded as error:
            log.info("subscription ended", reason=str(error))
            return
        except TransientError as error:
            log.warning("waiting", code=error.code, reason=str(error), seconds=pause)
            trouble.append(str(error))
            ended.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _sink(settings: Any, subscription: str, dsn: str, schema: str, table: str | None) -> Any:  # noqa: ANN401
    from bus.adapters.kafka.log_reader import KafkaLogReaders
    from bus.adapters.system_clock import SystemClock
    from bus.bootstrap.accounts import account
    from bus.domain.names import group_prefix, subscription_principal
    from consumers.postgres_sink.sink import PostgresSink

    principal = subscription_principal(subscription)
    mine = account(settings, principal)
    return closing(
        PostgresSink(
            subscription,
            dsn=dsn,
            schema=schema,
            table=table,
            control=mine.control,
            readers=KafkaLogReaders(mine.kafka, group=f"{group_prefix(principal)}sink"),
            clock=SystemClock(),
        )
    )


def _print_change(change: "Change", *, as_json: bool) -> None:
    from consumers.change import ChangeKind

    if as_json:
        typer.echo(json.dumps(_as_json(change), ensure_ascii=False, default=str))
        return
    if change.meta is None:
        what = "whole view follows" if change.kind is ChangeKind.RESYNC_STARTED else "whole view"
        console.print(f"[dim]-- {what} --[/]")
        return
    when = change.meta.accepted_at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    if change.record is None:
        console.print(
            f"[dim]{when}[/] [red]- {escape(change.key)}[/] [dim]{change.meta.reason}[/]",
            highlight=False,
            soft_wrap=True,
        )
        return
    shown = "  ".join(f"{name}={value}" for name, value in change.record.items())
    console.print(
        f"[dim]{when}[/] [green]+ {escape(change.key)}[/] {escape(shown)}",
        highlight=False,
        soft_wrap=True,
    )


def _as_json(change: "Change") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "kind": change.kind,
        "key": change.key,
        "record": change.record,
        "meta": None if change.meta is None else asdict(change.meta),
        "grant": change.subscription.grant,
        "purpose": change.subscription.purpose,
        "class": change.subscription.share_class,
    }
