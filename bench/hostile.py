"""How long the kernel takes to refuse a hostile record: of the corpus, small and large ones."""

import time
from collections.abc import Iterable

from bench.contest import Cost, Options
from bus.views.plan import Plan, Reject
from tests.hostile_avro import HOSTILE, KEY, Hostile, keep_plan, source_schema, value_of
from tests.hostile_avro_large import large

#: Small records are refused so often in a round that the clock's own time does not count.
_SMALL_RUNS = 200
_LARGE_BYTES = 100_000
_KEPT = ("id", "x")


def measure(options: Options) -> list[Cost]:
    """Refuse each record of the corpus, round by round; the slowest one comes first."""
    costs = [_cost(case, options.rounds) for case in [*HOSTILE, *large()]]
    costs.sort(key=lambda each: each.median, reverse=True)
    slowest = costs[0]
    options.say(
        f"hostile: of {len(costs)} records, the slowest is {slowest.name}, "
        f"{slowest.median:,.0f} µs for {slowest.size:,} bytes"
    )
    return costs


def _cost(case: Hostile, rounds: int) -> Cost:
    plan = keep_plan(source_schema(case.schema), _KEPT)
    value = value_of(case.data)
    # The plan is compiled when the first record comes.
    (outcome,) = plan.apply(0, [(0, KEY, value)])
    if not (isinstance(outcome, Reject) and outcome.code == case.code):
        raise ValueError(f"{case.name}: {outcome}")
    runs = 1 if len(value) > _LARGE_BYTES else _SMALL_RUNS
    times = tuple(_rounds(plan, value, rounds=rounds, runs=runs))
    return Cost("hostile", case.name, case.code, len(value), times)


def _rounds(plan: Plan, value: bytes, *, rounds: int, runs: int) -> Iterable[float]:
    """Yield the microseconds of processor time that one record took, round by round."""
    records = [(0, KEY, value)] * runs
    for _ in range(rounds):
        started = time.thread_time()
        plan.apply(0, records)
        yield (time.thread_time() - started) * 1e6 / runs
