"""Unit tests of what is said about the goals of the benchmarks."""

from bench.contest import Comparison, Latency, Result, Series, Usage
from bench.goals import Verdict, verdicts


def comparison(measured: str, beside: str, ratio: float, where: str = "") -> Comparison:
    return Comparison("any", Series(measured, (ratio,)), Series(beside, (1.0,)), where)


def test_a_ratio_is_held_against_its_goal() -> None:
    results: list[Result] = [
        comparison("router", "Kafka Streams, 1 s", 1.4, "10 % pass"),
        comparison("router", "Kafka Streams, 100 ms", 1.2, "10 % pass"),
        comparison("publisher", "raw producer of bytes", 0.1),
    ]

    assert verdicts(results) == [
        Verdict("router ÷ Kafka Streams, 1 s, 10 % pass", "≥ 1.3", 1.4, met=True),
        Verdict("router ÷ Kafka Streams, 100 ms, 10 % pass", "≥ 1.3", 1.2, met=False),
    ]


def test_a_latency_is_held_against_both_of_its_goals() -> None:
    name = "accepted → readable in the view, 5,000/s, 20 views"
    measured = Latency("latency", name, tuple(float(each) for each in range(1, 101)))

    assert [(each.measured, each.met) for each in verdicts([measured])] == [
        (51.0, False),
        (100.0, True),
    ]


def test_larger_records_and_other_rates_have_no_goal() -> None:
    results: list[Result] = [
        comparison("router", "raw copy", 0.5, "100 % pass, 1 KB"),
        Latency("latency", "accepted → readable in the view, 1,000/s, 1 view", (500.0,)),
        Usage("router", "router, 10 % pass", (2.0,)),
    ]

    assert verdicts(results) == []
