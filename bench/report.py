"""What was measured, for people and for machines."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import confluent_kafka
import fastavro
from rich.console import Console
from rich.table import Table

from bench.contest import Comparison, Latency, Options, Result

Facts: TypeAlias = Mapping[str, Any]


def machine_facts(options: Options) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "fastavro": fastavro.__version__,
        "seed": options.seed,
        "records": options.records,
        "rounds": options.rounds,
        "load at start": round(os.getloadavg()[0], 2),
    }


def print_results(console: Console, facts: Facts, results: Sequence[Result]) -> None:
    """Print tables of ratios and of latencies."""
    console.print("; ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)
    comparisons = [each for each in results if isinstance(each, Comparison)]
    latencies = [each for each in results if isinstance(each, Latency)]
    if comparisons:
        console.print(_ratios(comparisons))
    if latencies:
        console.print(_latencies(latencies))


def write_json(path: Path, facts: Facts, results: Sequence[Result]) -> None:
    """Write facts and results, with the figures of each round."""
    content = {"facts": dict(facts), "results": [_as_json(each) for each in results]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _ratios(comparisons: Iterable[Comparison]) -> Table:
    table = _table("measured ÷ beside", "ratio", "low", "high", "records/s", "beside")
    for each in comparisons:
        ratios = (each.ratio, min(each.ratios), max(each.ratios))
        rates = (each.measured.median, each.beside.median)
        table.add_row(
            each.name, *(f"{ratio:.2f}" for ratio in ratios), *(f"{rate:,.0f}" for rate in rates)
        )
    return table


def _latencies(latencies: Iterable[Latency]) -> Table:
    table = _table("on the way", "p50 ms", "p99 ms", "most ms", "records")
    for each in latencies:
        times = (each.percentile(50), each.percentile(99), max(each.milliseconds))
        table.add_row(each.name, *(f"{time:.1f}" for time in times), f"{len(each.milliseconds):,}")
    return table


def _table(what: str, *figures: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(what, no_wrap=True)
    for figure in figures:
        table.add_column(figure, justify="right", no_wrap=True)
    return table


def _as_json(result: Result) -> dict[str, Any]:
    if isinstance(result, Latency):
        return {
            "section": result.section,
            "name": result.name,
            "unit": "ms",
            "records": len(result.milliseconds),
            "p50": result.percentile(50),
            "p99": result.percentile(99),
            "most": max(result.milliseconds),
        }
    return {
        "section": result.section,
        "name": result.name,
        "measured": result.measured.name,
        "beside": result.beside.name,
        "unit": "records/s",
        "ratio": result.ratio,
        "ratios": result.ratios,
        "measured_rates": result.measured.rates,
        "beside_rates": result.beside.rates,
        "measured_median": result.measured.median,
        "beside_median": result.beside.median,
    }
