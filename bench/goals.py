"""What the benchmarks are to reach (design.md §12), and whether they did."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.contest import Comparison, Latency, Result


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for one measure of the results whose names match."""

    name: str
    """A regular expression for the whole name of a result."""
    bound: float
    at_least: bool = True
    percent: int = 0
    """Of a latency; 0: the goal is about a ratio."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal beside what was measured."""

    measure: str
    goal: str
    measured: float
    met: bool


GOALS = (
    Goal(r"router ÷ Kafka Streams, .*", 1.3),
    Goal(r"router ÷ raw copy, 10+ % pass", 0.9),
    Goal(r"raw copy ÷ idempotent copy, .*", 0.9),
    # The time of one view is at most two thirds of that of a thousand.
    Goal(r"kernel, 1000 views ÷ kernel, 1 view", 1 / 1.5),
    Goal(r"router ÷ Quix Streams, .*", 4),
    Goal(r"router ÷ Faust, .*", 20),
    Goal(r"accepted → readable in the view, 5,000/s.*", 25, at_least=False, percent=50),
    Goal(r"accepted → readable in the view, 5,000/s.*", 100, at_least=False, percent=99),
    Goal(r"call → last record, all readers", 1_000, at_least=False, percent=99),
)


def verdicts(results: Iterable[Result], goals: Sequence[Goal] = GOALS) -> list[Verdict]:
    """Return what there is to say of `results`; nothing of those that have no goal."""
    return [
        _verdict(goal, each)
        for each in results
        for goal in goals
        if re.fullmatch(goal.name, each.name) and isinstance(each, _kind(goal))
    ]


def _kind(goal: Goal) -> type[Comparison] | type[Latency]:
    return Latency if goal.percent else Comparison


def _verdict(goal: Goal, result: Result) -> Verdict:
    measured, measure = 0.0, result.name
    if isinstance(result, Comparison):
        measured = result.ratio
    elif isinstance(result, Latency):
        measured = result.percentile(goal.percent)
        measure = f"{result.name}, p{goal.percent} in ms"
    met = measured >= goal.bound if goal.at_least else measured <= goal.bound
    return Verdict(measure, f"{'≥' if goal.at_least else '≤'} {goal.bound:.3g}", measured, met)
