"""What the demo prints."""

from collections.abc import Iterable, Mapping

from rich.table import Table

from bus.cli.console import console
from bus.cli.demo.scenario import REVOKED, Dataset, Department
from bus.cli.demo.stage import Published, Revocation
from bus.cli.demo.verdict import Verdict


def opening(dataset: Dataset) -> None:
    """Say what is about to happen."""
    console.rule(f"[bold]OneSource[/] · {dataset.resource} · 一数一源")
    console.print(
        "The statistics bureau publishes five yearly editions; each department holds exactly what "
        "its grant allows.\n国家统计局发布五个年度版本；每个部门只得到授权范围内的数据。",
        highlight=False,
    )


def refusal(department: Department, by_kafka: str, by_control: str) -> None:
    """Say how a department without a grant is refused."""
    console.print(
        f"{department.title} has no grant: Kafka says [red]{by_kafka}[/], control says "
        f"[red]{by_control}[/]",
        highlight=False,
    )


def grants_changed(seconds: float, revocation: Revocation, *, flowing: bool) -> None:
    """Say that grants have changed, and how soon the revoked one delivered no more."""
    when = "while data flowed" if flowing else "after the data had flowed"
    console.print(
        f"[yellow]grants changed {when}[/] in {seconds:.1f} s: changzhou's filter changed, "
        f"{REVOKED}'s grant revoked, tourism asked and was granted",
        highlight=False,
    )
    last = revocation.last_delivery
    came = "no record came after the call" if last is None else f"last record after {last:.3f} s"
    console.print(
        f"[yellow]revocation[/] answered in {revocation.call_seconds:.3f} s; {came}",
        highlight=False,
    )


def edition(
    year: int,
    published: Published,
    verdicts: Iterable[tuple[Department, Verdict]],
    p50: float | None,
    p99: float | None,
) -> None:
    """Print what an edition was and what came of it."""
    console.print()
    console.print(
        f"[bold]{year}[/]  source: [green]{published.inserts} inserted[/], "
        f"[yellow]{published.updates} updated[/], [red]{published.deletes} deleted[/]"
        f"   accepted → academy's table: p50 {_seconds(p50)}, p99 {_seconds(p99)}",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("department", "rows", "upserts", "deletes", "entered", "left"):
        table.add_column(heading, justify="left" if heading == "department" else "right")
    table.add_column("verdict")
    for department, verdict in verdicts:
        received = verdict.received
        outcome = "[green]equal[/]" if verdict.well else f"[red]{'; '.join(verdict.faults)}[/]"
        table.add_row(
            department.title,
            *(str(verdict.rows), str(received.upserts), str(received.deletes)),
            *(str(received.entered), str(received.left)),
            outcome + (f" [dim]({verdict.note})[/]" if verdict.note else ""),
        )
    console.print(table)


def closing(
    rates: Mapping[str, float], peaks: Mapping[str, int], seconds: float, *, well: bool
) -> None:
    """Print the figures of the whole play, and the verdict on it."""
    console.print()
    shown = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    console.print(f"records per second while busy: {shown}", highlight=False)
    shown = ", ".join(f"{name} {peak / (1 << 20):,.0f}" for name, peak in peaks.items() if peak)
    console.print(f"peak memory in MiB: {shown}", highlight=False)
    verdict = "[bold green]every table equals the files[/]" if well else "[bold red]DIFFERENT[/]"
    console.rule(f"{verdict} · {seconds:.0f} s")


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value * 1000:.0f} ms"
