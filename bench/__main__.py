"""`python -m bench`."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from bench import (
    control_scale,
    endurance,
    fan_out,
    filling,
    hostile,
    kernel,
    latency,
    membership,
    peer_contest,
    processes,
    publisher,
    revocation,
    router,
    search,
    sink,
)
from bench.contest import Options, Result
from bench.report import append_json, machine_facts, print_results, write_json
from bench.stage import Stage, running_stage
from bus.cli.console import console, error_console
from bus.errors import BusError
from bus.logs import configure_logs

#: Options that are numbers: name, the least, the default, and what they say.
_COUNTS = (
    ("records", 1_000, 100_000, "records of a backlog, %(default)s by default"),
    ("rounds", 1, 5, "how often each contender runs, %(default)s by default"),
    ("revocations", 1, 200, "grants to revoke, %(default)s by default"),
    ("minutes", 1, 60, "how long an endurance run lasts, %(default)s by default"),
    ("rate", 1, 0, "records a second of an endurance run; by default 80 %% of what is possible"),
)
_SEED = 20261122
_FILE_WIDTH = 160
#: One line a run: what was measured here before.
_RUNS = Path(".onesource-bench/results.jsonl")

#: What needs no platform, and what does, in the order in which it runs: the router process is there
#: until the router in this process takes its place.
_ALONE: dict[str, Callable[[Options], Sequence[Result]]] = {
    "kernel": kernel.measure,
    "hostile": hostile.measure,
    "catalog-search": search.measure,
}
_ON_STAGE: dict[str, Callable[[Options, Stage], Sequence[Result]]] = {
    "latency": latency.measure_paced,
    "change": latency.measure_changes,
    "revocation": revocation.measure,
    "sink": sink.measure,
    "router": router.measure,
    "sizes": router.measure_sizes,
    "peers": peer_contest.measure,
    "publisher": publisher.measure,
    "fan-out": fan_out.measure,
    "filling": filling.measure,
    "processes": processes.measure,
    "endurance": endurance.measure,
    "membership": membership.measure,
    # The last: the platform is full afterwards.
    "control-scale": control_scale.measure,
}
#: What takes minutes, or fetches what the bus does not need, is measured when it is asked for.
_ONLY_ASKED_FOR = {
    "revocation",
    "sizes",
    "peers",
    "fan-out",
    "filling",
    "processes",
    "endurance",
    "membership",
    "control-scale",
}


def main() -> int:
    """Measure what was asked for, and print it."""
    arguments = _parser().parse_args()
    configure_logs(level="WARNING", form="console", process="bench")
    # So that whoever ends us ends the platform, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = Options(
        records=arguments.records,
        rounds=arguments.rounds,
        seed=arguments.seed,
        revocations=arguments.revocations,
        minutes=arguments.minutes,
        rate=arguments.rate,
        say=_say,
    )
    started = time.monotonic()
    facts = machine_facts(options)
    try:
        results = _measure(options, arguments.only)
    except BusError as error:
        error_console.print(f"error [{error.code}] {error}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    facts["load at end"] = round(os.getloadavg()[0], 2)
    facts["seconds"] = round(time.monotonic() - started)
    if not console.is_terminal:
        # A file has no edge that tables had to be cut at.
        console.width = max(console.width, _FILE_WIDTH)
    print_results(console, facts, results)
    append_json(_RUNS, facts, results)
    if arguments.json is not None:
        write_json(arguments.json, facts, results)
    return 0


def _measure(options: Options, wanted: Collection[str]) -> list[Result]:
    results: list[Result] = []
    for name, alone in _ALONE.items():
        if name in wanted:
            results += alone(options)
    if not _ON_STAGE.keys() & set(wanted):
        return results
    _say("starting Kafka, Postgres, control and router")
    with running_stage() as stage:
        for name, on_stage in _ON_STAGE.items():
            if name in wanted:
                results += on_stage(options, stage)
        _say("stopping")
    return results


def _say(sentence: str) -> None:
    error_console.print(f"[dim]·[/] {sentence}", highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the bus beside what the machine could do. Prints ratios.",
    )
    names = [*_ALONE, *_ON_STAGE]
    parser.add_argument(
        "--only",
        type=lambda text: _names(text, names),
        default=[name for name in names if name not in _ONLY_ASKED_FOR],
        metavar="NAME,…",
        help=f"of {', '.join(names)}; by default all but {', '.join(sorted(_ONLY_ASKED_FOR))}",
    )
    for name, least, default, meaning in _COUNTS:
        parser.add_argument(
            f"--{name}",
            type=partial(_at_least, least=least),
            default=default,
            metavar="N",
            help=meaning,
        )
    parser.add_argument("--seed", type=int, default=_SEED, help="of the records")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    return parser


def _names(text: str, known: Collection[str]) -> list[str]:
    named = [name.strip() for name in text.split(",")]
    unknown = [name for name in named if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such benchmark: {', '.join(unknown)}")
    return named


def _at_least(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"give a number of at least {least}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
