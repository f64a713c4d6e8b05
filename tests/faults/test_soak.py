"""
Short soaks: a few seconds of everything at once, judged record by record.

The long one is `make soak`. The seed is printed; SOAK_SEED repeats what was drawn.
"""

import os
import random
import tempfile
from pathlib import Path

import pytest

from tests.faults.replicas import KINDS, moved
from tests.faults.soak import Pace, Report, judge, keep, play

_KEPT = Path(__file__).parents[2] / ".pytest_cache" / "soak"


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_nothing_is_lost_doubled_or_shown_to_others_whatever_dies() -> None:
    """Invariants 1 to 4 of design.md §7, with a nemesis on routers, broker and network."""
    report = soak(brokers=1, seconds=20, seconds_per_act=2.0)

    assert report.kills > 0
    assert report.view_records > 0


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_nor_while_three_brokers_restart_one_after_the_other_and_leaders_move() -> None:
    """The same invariants on a cluster that an operator upgrades under load."""
    report = soak(brokers=3, seconds=1, seconds_per_act=4.0)

    assert report.strikes["rolling restart"] > 0
    assert report.strikes["broker restarted"] >= report.brokers
    for kind in KINDS:
        assert report.strikes[moved(kind)] > 0, kind
    assert report.view_records > 0


def soak(*, brokers: int, seconds: float, seconds_per_act: float) -> Report:
    """Run a soak, which must show no violation; keep what there is of one that does."""
    pace = Pace(seconds=seconds, seconds_per_act=seconds_per_act, seconds_per_decision=2.0)
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"\nSOAK_SEED={seed}")
    report = Report(seed=seed, seconds=seconds, brokers=brokers)
    with tempfile.TemporaryDirectory(prefix="onesource-soak-") as root:
        try:
            histories = play(Path(root), report, pace=pace, tell=print)
            assert judge(histories, report) == []
        except BaseException:
            keep(Path(root), _KEPT, report)
            raise
    print(report)
    return report
