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
    minutes: int = 60
    """How long an endurance run lasts."""
    rate: int = 0
    """Records a second of an endurance run; 0: most of what is possible."""
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

    def percentile(self, percent: float) -> float:
        """Return what `percent` of the records did not exceed."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass(frozen=True, slots=True)
class Cost:
    """What it costs to refuse one record."""

    section: str
    name: str
    code: str
    size: int
    """Bytes of the record."""
    microseconds: tuple[float, ...]
    """By round."""

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.microseconds)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a contender takes of the processors: all threads of its process."""

    section: str
    name: str
    seconds: tuple[float, ...]
    """Of processor time for a million records, by round."""

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Course:
    """How something went over time."""

    section: str
    name: str
    unit: str
    samples: tuple[tuple[float, float], ...]
    """(seconds since the beginning, value), in order; at least one."""

    @property
    def first(self) -> float:
        """The median of the first tenth of the samples: one sample says little."""
        return statistics.median(value for _, value in self.samples[: self._tenth])

    @property
    def last(self) -> float:
        """The median of the last tenth."""
        return statistics.median(value for _, value in self.samples[-self._tenth :])

    @property
    def most(self) -> float:
        """The highest value."""
        return max(value for _, value in self.samples)

    @property
    def slope(self) -> float:
        """By how much it grows in an hour, by least squares; 0 if there is one sample."""
        times, values = zip(*self.samples, strict=True)
        if len(set(times)) == 1:
            return 0.0
        return statistics.linear_regression(times, values).slope * 3600

    @property
    def _tenth(self) -> int:
        return -(-len(self.samples) // 10)


Result: TypeAlias = Comparison | Latency | Cost | Usage | Course


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
