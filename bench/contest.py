"""Contenders take turns, and what comes of it is compared round by round."""

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

#: Does the work once, and returns how many records a second that was.
Run: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much to measure."""

    records: int
    """The records of a backlog; what is slower than the router takes a part of them."""
    rounds: int
    """How often each contender runs, besides one round that warms up and does not count."""
    seed: int
    revocations: int = 200
    """How many grants are revoked."""
    say: Callable[[str], None]
    """Takes a sentence about progress."""


@dataclass(frozen=True, slots=True)
class Series:
    """What one contender has done, round by round."""

    name: str
    rates: tuple[float, ...]
    """Records a second."""

    @property
    def median(self) -> float:
        """The median rate."""
        return statistics.median(self.rates)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One contender beside another, in the same rounds."""

    section: str
    measured: Series
    beside: Series
    where: str = ""
    """What is particular to these rounds."""

    @property
    def name(self) -> str:
        """What is compared."""
        return f"{self.measured.name} ÷ {self.beside.name}{self.where and ', '}{self.where}"

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times as fast as the other the measured one was, by round."""
        return tuple(
            ours / theirs
            for ours, theirs in zip(self.measured.rates, self.beside.rates, strict=True)
        )

    @property
    def ratio(self) -> float:
        """The median of the ratios: each compares two runs that followed one another."""
        return statistics.median(self.ratios)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long single records were on their way."""

    section: str
    name: str
    milliseconds: tuple[float, ...]

    def percentile(self, percent: int) -> float:
        """Return what `percent` of the records did not exceed."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


Result: TypeAlias = Comparison | Latency


def take_turns(
    contenders: Mapping[str, Run],
    options: Options,
    *,
    what: str,
    before_round: Callable[[], None] = lambda: None,
) -> dict[str, Series]:
    """
    Run `contenders` A B A B …, and return what each has done.

    `before_round` prepares what all of them work on; it is not measured.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(options.rounds + 1):
        before_round()
        for name, run in contenders.items():
            # Garbage of one must not be collected at the cost of another.
            gc.collect()
            rate = run()
            if number:
                rates[name].append(rate)
            label = f"round {number} of {options.rounds}" if number else "warming up"
            options.say(f"{what}, {label}: {name}, {rate:,.0f} records/s")
    return {name: Series(name, tuple(found)) for name, found in rates.items()}


def compare(
    section: str,
    series: Mapping[str, Series],
    pairs: Sequence[tuple[str, str]],
    where: str = "",
) -> list[Comparison]:
    """Return the comparisons of `pairs` of contenders, by name."""
    return [
        Comparison(section, series[measured], series[beside], where) for measured, beside in pairs
    ]
