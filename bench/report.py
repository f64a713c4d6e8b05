"""What was measured, for people and for machines."""

import datetime as dt
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import confluent_kafka
import fastavro
from rich.console import Console
from rich.table import Table

from bench.contest import Comparison, Cost, Course, Latency, Options, Result, Usage
from bench.goals import Verdict, verdicts

Facts: TypeAlias = Mapping[str, Any]

#: Of records that are refused, the slowest small and large ones are shown; the file has them all.
_COSTS_SHOWN = 8
_SMALL_BYTES = 10_000


def machine_facts(options: Options) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
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
    """Print tables of ratios, of latencies and of the slowest refusals."""
    console.print("; ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)
    comparisons = [each for each in results if isinstance(each, Comparison)]
    latencies = [each for each in results if isinstance(each, Latency)]
    if comparisons:
        console.print(_ratios(comparisons))
    if latencies:
        console.print(_latencies(latencies))
    if usages := [each for each in results if isinstance(each, Usage)]:
        console.print(_usages(usages))
    costs = [each for each in results if isinstance(each, Cost)]
    small = [each for each in costs if each.size <= _SMALL_BYTES]
    for title, some in (("large", [each for each in costs if each not in small]), ("small", small)):
        if some:
            console.print(_costs(f"refused, {title}", some))
    courses = [each for each in results if isinstance(each, Course)]
    if courses:
        console.print(_courses(courses))
    if judged := verdicts(results):
        console.print(_goals(judged))


def write_json(path: Path, facts: Facts, results: Sequence[Result]) -> None:
    """Write facts and results, with the figures of each round."""
    path.write_text(json.dumps(_content(facts, results), indent=2) + "\n", encoding="utf-8")


def append_json(path: Path, facts: Facts, results: Sequence[Result]) -> None:
    """Append the same to a file of runs, as one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as runs:
        runs.write(json.dumps(_content(facts, results)) + "\n")


def _content(facts: Facts, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "facts": dict(facts),
        "results": [_as_json(each) for each in results],
        "goals": [asdict(each) for each in verdicts(results)],
    }


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
    table = _table("on the way", "p50 ms", "p99 ms", "p99.9 ms", "most ms", "records")
    for each in latencies:
        times = (*map(each.percentile, (50, 99, 99.9)), max(each.milliseconds))
        table.add_row(each.name, *(f"{time:.1f}" for time in times), f"{len(each.milliseconds):,}")
    return table


def _usages(usages: Iterable[Usage]) -> Table:
    table = _table("for a million records", "processor seconds", "low", "high")
    for each in usages:
        seconds = (each.median, min(each.seconds), max(each.seconds))
        table.add_row(each.name, *(f"{value:.2f}" for value in seconds))
    return table


def _costs(title: str, costs: Iterable[Cost]) -> Table:
    slowest = sorted(costs, key=lambda each: each.median, reverse=True)[:_COSTS_SHOWN]
    table = _table(title, "code", "bytes", "µs", "most µs")
    for each in slowest:
        times = (each.median, max(each.microseconds))
        table.add_row(each.name, each.code, f"{each.size:,}", *(f"{time:,.0f}" for time in times))
    return table


def _courses(courses: Iterable[Course]) -> Table:
    table = _table("over time", "first", "last", "most", "more an hour", "unit", "seconds")
    for each in courses:
        values = (each.first, each.last, each.most, each.slope)
        seconds = each.samples[-1][0]
        table.add_row(each.name, *(f"{v:,.1f}" for v in values), each.unit, f"{seconds:,.0f}")
    return table


def _goals(judged: Iterable[Verdict]) -> Table:
    table = _table("goal of", "goal", "measured", "")
    for each in judged:
        table.add_row(each.measure, each.goal, f"{each.measured:.2f}", "" if each.met else "missed")
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
            "p99.9": result.percentile(99.9),
            "most": max(result.milliseconds),
        }
    if isinstance(result, Cost):
        return {
            "section": result.section,
            "name": result.name,
            "code": result.code,
            "bytes": result.size,
            "unit": "µs",
            "median": result.median,
            "microseconds": result.microseconds,
        }
    if isinstance(result, Usage):
        return {
            "section": result.section,
            "name": result.name,
            "unit": "s per million records",
            "median": result.median,
            "seconds": result.seconds,
        }
    if isinstance(result, Course):
        return {
            "section": result.section,
            "name": result.name,
            "unit": result.unit,
            "first": result.first,
            "last": result.last,
            "most": result.most,
            "slope_per_hour": result.slope,
            "samples": result.samples,
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
