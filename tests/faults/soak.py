"""
A soak: records, grants and faults for a while, all drawn from one seed; then rest, and judgement.

`make soak` (SOAK_SECONDS, SOAK_SEED, SOAK_BROKERS, SOAK_FOLDER) keeps the history, the report and
all logs, and ends with status 1 if anything is wrong. `python -m tests.faults.soak --judge
<folder>` judges a history that was kept again.
"""

import argparse
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.bootstrap.catalog import catalog
from bus.domain.names import ROUTER_GROUP
from bus.errors import BusError
from bus.ports import Partition
from bus.settings import require_own_platform
from tests.faults.broker_faults import broker_faults
from tests.faults.checker import Violation, check
from tests.faults.evidence import VIEWS, Evidence, view_ends
from tests.faults.hanging import HangingTransactions
from tests.faults.history import History, read_histories, write_histories
from tests.faults.nemesis import SECOND_SLOT, Nemesis
from tests.faults.routers import Routers
from tests.faults.soak_platform import SoakPlatform
from tests.faults.witness import Witness
from tests.faults.workload import Clerk, Publishing, soak_entry

HISTORY, REPORT = "history.ndjson.gz", "report.json"
FIRST_SLOT = "0"
_STEP_SECONDS = 0.02
#: No single fault takes more of a run than this.
_LONGEST_SHARE = 0.1
_TELL_SECONDS = 15.0
_QUIET_SECONDS = 240.0
_SHOWN = 20
_OWN_TOPICS = "os."
_DEFAULT_SECONDS = 1200
_BROKERS = (1, 3)
_DEFAULT_FOLDER = ".onesource-soak"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much happens, and how fast."""

    seconds: float
    records_per_second: float = 45.0
    """Of each resource."""
    seconds_per_act: float = 2.2
    seconds_per_decision: float = 5.0


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of a soak."""

    seed: int
    seconds: float
    brokers: int = 1
    kills: int = 0
    router_starts: int = 0
    strikes: dict[str, int] = field(default_factory=dict)
    own_ends: dict[str, int] = field(default_factory=dict)
    decisions: dict[str, int] = field(default_factory=dict)
    refused_by_control: dict[str, int] = field(default_factory=dict)
    published: int = 0
    not_accepted: dict[str, int] = field(default_factory=dict)
    view_incarnations: int = 0
    view_records: int = 0
    view_records_aborted: int = 0
    view_transactions: dict[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    reader_renewed: int = 0
    hanging_transactions: list[str] = field(default_factory=list)
    """What the broker left open for ever, and was ended by hand."""
    stuck: str | None = None
    """What did not come to rest in the end; nothing could be judged then."""
    violations: list[dict[str, str]] = field(default_factory=list)


class Stuck(AssertionError):
    """Nothing does it any harm any more, and still it does not come to rest."""


class Soak:
    """One run on one platform."""

    def __init__(self, platform: SoakPlatform, report: Report, *, pace: Pace, tell: Tell) -> None:
        self.report = report
        self._seed = seed = report.seed
        self._platform = platform
        self._pace = pace
        self._tell = tell
        self._entries = (
            soak_entry(platform.new_code("soak"), partitions=3),
            soak_entry(platform.new_code("soak"), partitions=1),
        )
        self._routers = Routers(platform, random.Random(f"{seed}/routers"), tell)
        longest = pace.seconds * _LONGEST_SHARE
        self._brokers = broker_faults(platform, random.Random(f"{seed}/brokers"), longest=longest)
        self._nemesis = Nemesis(
            self._routers,
            self._brokers,
            platform.proxies,
            random.Random(f"{seed}/nemesis"),
            pause=pace.seconds_per_act,
            longest=longest,
        )
        self._witness = Witness(platform.admin(), prefix=VIEWS)
        self._hanging = HangingTransactions(platform.admin(), prefix=_OWN_TOPICS)
        self._readers = KafkaLogReaders(platform.admin(), group="soak.readers")
        self._publishing: list[Publishing] = []
        self._clerk: Clerk

    def run(self) -> list[History]:
        """Let all of it happen, wait until it is quiet, return the histories; or raise `Stuck`."""
        self._begin()
        self._rage()
        self._rest()
        histories = self._gather()
        self._routers.close()
        return histories

    def close(self) -> None:
        """End whatever still runs."""
        self._brokers.stop()
        self._hanging.stop()
        self._witness.stop()
        self._routers.close()

    def _begin(self) -> None:
        platform, seed = self._platform, self._seed
        platform.declare(entries=self._entries, wait=False)
        self._publishing = [
            Publishing(
                platform,
                entry,
                random.Random(f"{seed}/{entry.partitions}"),
                rate=self._pace.records_per_second,
            )
            for entry in self._entries
        ]
        self._clerk = Clerk(
            platform,
            self._entries,
            random.Random(f"{seed}/clerk"),
            pause=self._pace.seconds_per_decision,
        )
        self._clerk.begin()
        self._witness.start()
        self._hanging.start()
        for publishing in self._publishing:
            publishing.start()
        self._routers.doomed = True
        self._routers.wanted = {FIRST_SLOT}
        self._brokers.start()

    def _rage(self) -> None:
        """Let the nemesis act until its time is over, and what belongs to each run has happened."""
        started = told = time.monotonic()
        while (now := time.monotonic()) < started + self._pace.seconds or not self._brokers.over:
            if now > started + self._pace.seconds + _QUIET_SECONDS:
                raise Stuck(f"the brokers are not well: {self._brokers.strikes}")
            self._nemesis.step()
            time.sleep(_STEP_SECONDS)
            if now > told + _TELL_SECONDS:
                told = now
                self._tell(
                    f"{now - started:5.0f} s: {self._sent()} records sent, {self._kills()} kills, "
                    f"{sum(self._clerk.acts.values())} decisions"
                )

    def _rest(self) -> None:
        """End all faults and all work, and wait until nothing is left to do."""
        self._nemesis.heal()
        self._routers.calm_down((FIRST_SLOT, SECOND_SLOT))
        self._look_until(self._brokers.well(), "the brokers are well")
        for publishing in self._publishing:
            publishing.stop()
            assert publishing.faults == []
        self._clerk.stop()
        self._look_until(self._has_caught_up, "the routers have caught up")
        self._look_until(self._has_filled, "all views are filled")
        self._look_until(lambda: not self._routers.zombies, "all zombies have ended")
        self._look_until(self._witness_is_there, "the reader has been given everything")
        self._hanging.stop()
        self._witness.stop()
        assert self._witness.faults == []

    def _look_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for `condition`, and look after the routers meanwhile."""
        self._tell(f"waiting: {what}")
        deadline = time.monotonic() + _QUIET_SECONDS
        look_again = 0.0
        while time.monotonic() < deadline:
            self._routers.look()
            if time.monotonic() >= look_again:
                try:
                    if condition():
                        return
                except BusError as error:
                    self._tell(f"not yet: {error}")
                look_again = time.monotonic() + 0.5
            time.sleep(_STEP_SECONDS)
        raise Stuck(f"not within {_QUIET_SECONDS:.0f} s: {what} ({self._routers.own_ends})")

    def _has_caught_up(self) -> bool:
        partitions = [
            Partition(entry.source_topic, number)
            for entry in self._entries
            for number in range(entry.partitions)
        ]
        ends = self._readers.ends(partitions)
        positions = self._readers.group_positions(ROUTER_GROUP, partitions)
        return all(positions.get(each, 0) >= end for each, end in ends.items())

    def _has_filled(self) -> bool:
        with (
            catalog(self._platform.settings) as parts,
            parts.store.transaction() as transaction,
        ):
            return all(each.live for each in transaction.incarnations())

    def _witness_is_there(self) -> bool:
        with (
            catalog(self._platform.settings) as parts,
            parts.store.transaction() as transaction,
        ):
            topics = [each.topic for each in transaction.incarnations()]
        return self._witness.has_reached(view_ends(self._platform, topics))

    def _gather(self) -> list[History]:
        self._tell("gathering the history")
        evidence = Evidence(self._platform, self._witness)
        histories = [evidence.history(publishing) for publishing in self._publishing]
        report, views = self.report, [view for each in histories for view in each.views]
        report.kills = self._kills()
        report.router_starts = self._routers.starts
        report.strikes = _sorted(
            self._routers.strikes + self._nemesis.strikes + self._brokers.strikes
        )
        report.own_ends = _sorted(self._routers.own_ends)
        report.decisions = _sorted(self._clerk.acts)
        report.refused_by_control = _sorted(self._clerk.refusals)
        report.published = sum(len(each.source) for each in histories)
        report.not_accepted = _sorted(sum((each.failed for each in self._publishing), Counter()))
        report.view_incarnations = len(views)
        report.view_records = sum(len(view.log) - len(view.aborted) for view in views)
        report.view_records_aborted = sum(len(view.aborted) for view in views)
        report.view_transactions = _sorted(evidence.transactions)
        report.dead_letters = sum(len(each.letters) for each in histories)
        report.hanging_transactions = self._hanging.ended
        report.reader_renewed = self._witness.renewed
        return histories

    def _sent(self) -> int:
        return sum(len(each.sent) for each in self._publishing)

    def _kills(self) -> int:
        return self._routers.kills + self._brokers.strikes["broker killed"]


def _sorted(counts: "Counter[str]") -> dict[str, int]:
    return dict(sorted(counts.items()))


def judge(histories: list[History], report: Report) -> list[Violation]:
    """Check all histories, and note in the report what is wrong."""
    found = [violation for history in histories for violation in check(history)]
    report.violations = [asdict(violation) for violation in found]
    return found


@contextmanager
def soaking(platform: SoakPlatform, report: Report, *, pace: Pace, tell: Tell) -> Iterator[Soak]:
    """Prepare a soak on a platform that runs; end everything at the end."""
    soak = Soak(platform, report, pace=pace, tell=tell)
    try:
        yield soak
    finally:
        soak.close()


@contextmanager
def running_soak_platform(root: Path, *, brokers: int = 1) -> Iterator[SoakPlatform]:
    """Start a platform for a soak, and stop it at the end."""
    platform = SoakPlatform(root, brokers=brokers)
    with platform.folder.locked():
        try:
            platform.start()
            yield platform
        finally:
            platform.stop()


def main() -> int:
    """Run a soak, or judge one again; return the exit status."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--judge", type=Path, help="the folder of a soak that was kept")
    parser.add_argument(
        "--seconds", type=float, default=float(os.environ.get("SOAK_SECONDS", _DEFAULT_SECONDS))
    )
    parser.add_argument("--seed", type=int, default=_seed())
    parser.add_argument(
        "--folder", type=Path, default=Path(os.environ.get("SOAK_FOLDER", _DEFAULT_FOLDER))
    )
    parser.add_argument(
        "--brokers",
        type=int,
        choices=_BROKERS,
        default=int(os.environ.get("SOAK_BROKERS", _BROKERS[0])),
    )
    given = parser.parse_args()
    if given.judge is not None:
        return _conclude(check_kept(given.judge))
    require_own_platform("the soak")
    folder = given.folder / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    folder.mkdir(parents=True)
    logging.basicConfig(filename=folder / "clients.log", format="%(asctime)s %(message)s")
    started = time.monotonic()

    def tell(what: str) -> None:
        print(f"[{time.monotonic() - started:6.1f}] {what}", flush=True)

    tell(
        f"SOAK_SEED={given.seed} SOAK_SECONDS={given.seconds:.0f} SOAK_BROKERS={given.brokers}, "
        f"kept in {folder}"
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="onesource-soak-") as name:
        report = Report(seed=given.seed, seconds=given.seconds, brokers=given.brokers)
        try:
            return _soak(Path(name), folder, report, tell)
        finally:
            keep(Path(name), folder, report)


def _soak(root: Path, folder: Path, report: Report, tell: Tell) -> int:
    try:
        histories = play(root, report, pace=Pace(seconds=report.seconds), tell=tell)
    except Stuck as stuck:
        tell(f"stuck: {stuck}")
        return 1
    write_histories(folder / HISTORY, histories)
    tell("judging")
    found = judge(histories, report)
    _print_report(asdict(report))
    return _conclude(found)


def play(root: Path, report: Report, *, pace: Pace, tell: Tell) -> list[History]:
    """Run a soak on a platform in `root`; return what happened, or raise `Stuck`."""
    with (
        running_soak_platform(root, brokers=report.brokers) as platform,
        soaking(platform, report, pace=pace, tell=tell) as soak,
    ):
        try:
            histories = soak.run()
        except BaseException as error:
            report.stuck = repr(error)
            raise
    return histories


def keep(root: Path, folder: Path, report: Report) -> None:
    """Keep the report and the logs; and what is on the brokers' disks, if something is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(report), ensure_ascii=False, indent=2)
    (folder / REPORT).write_text(text + "\n", encoding="utf-8")
    if (root / "logs").is_dir():
        shutil.copytree(root / "logs", folder / "logs", dirs_exist_ok=True)
    for broker in root.glob("kafka*"):
        if (broker / "logs").is_dir():
            shutil.copytree(broker / "logs", folder / "logs" / broker.name, dirs_exist_ok=True)
        if (report.stuck or report.violations) and (broker / "data").is_dir():
            shutil.copytree(broker / "data", folder / "data" / broker.name, dirs_exist_ok=True)


def check_kept(folder: Path) -> list[Violation]:
    """Judge the history in `folder` again."""
    return [each for history in read_histories(folder / HISTORY) for each in check(history)]


def _print_report(report: dict[str, Any]) -> None:
    for name, value in report.items():
        if name == "violations":
            continue
        if isinstance(value, dict):
            print(f"{name}:")
            for what, count in value.items():
                print(f"  {count:7}  {what}")
        elif isinstance(value, list):
            print(f"{name}: {len(value)}", *value, sep="\n    ")
        else:
            print(f"{name}: {value}")


def _conclude(found: list[Violation]) -> int:
    for violation in found[:_SHOWN]:
        print(f"{violation.kind}: {violation.where}: {violation.what}")
    by_kind = Counter(str(violation.kind) for violation in found)
    print(f"{len(found)} violations {dict(by_kind) if found else ''}".strip())
    return 1 if found else 0


def _seed() -> int:
    return int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1 << 32))


if __name__ == "__main__":
    sys.exit(main())
