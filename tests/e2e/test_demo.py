"""`make demo`: the real register, judged by its files, with the metrics that move meanwhile."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_platform import wait_until

ROOT = Path(__file__).parents[2]
#: What must be seen to grow while the editions flow, by process (design.md §11).
MOVING = {
    "router": (
        "onesource_router_records_read_total",
        "onesource_router_records_written_total",
        "onesource_router_transaction_seconds_count",
        "onesource_router_transaction_records_sum",
        "onesource_accepted_to_view_seconds_count",
        "onesource_policy_version",
        "onesource_router_membership_keys",
    ),
    "control": (
        "onesource_policy_version",
        "onesource_relay_records_total",
        "onesource_relay_leader",
        "onesource_http_requests_total",
    ),
    "sink-academy": (
        "onesource_sink_changes_total",
        "onesource_sink_flush_seconds_count",
        "onesource_accepted_to_subscriber_seconds_count",
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_the_demo_ends_with_every_table_equal_and_its_metrics_move() -> None:
    with tempfile.TemporaryDirectory(prefix="onesource-demo-") as folder:
        state = Path(folder) / "demo"
        said = Path(folder) / "said"
        with said.open("w", encoding="utf-8") as output:
            demo = subprocess.Popen(
                [sys.executable, "-m", "bus.cli.main", "demo", "--state", str(state)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "COLUMNS": "120"},
                cwd=ROOT,
            )
            try:
                seen = _watch(demo, state)
                status = demo.wait(60)
            finally:
                demo.kill()
                demo.wait()
        printed = said.read_text(encoding="utf-8")

    assert status == 0, printed
    assert printed.count("equal") > 25
    assert "DIFFERENT" not in printed
    assert "every table equals the files" in printed
    still = {
        f"{part} {name}"
        for part, names in MOVING.items()
        for name in names
        if len(seen.get((part, name), ())) < 2
    }
    assert still == set()


def _watch(demo: subprocess.Popen[bytes], state: Path) -> dict[tuple[str, str], set[float]]:
    """Scrape every /metrics until the demo ends; return the values that each metric has had."""
    seen: dict[tuple[str, str], set[float]] = {}

    def look() -> bool:
        for part, port in _ports(state).items():
            for name, value in _scrape(port):
                seen.setdefault((part, name), set()).add(value)
        return demo.poll() is not None

    wait_until(look, "the demo ends", seconds=360)
    return seen


def _ports(state: Path) -> dict[str, int]:
    try:
        content = json.loads((state / "platform.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {part: port for part, port in content["ports"].items() if part in MOVING}


def _scrape(port: int) -> Iterator[tuple[str, float]]:
    """Yield each metric of a process with the sum of its samples; nothing if it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            text = response.read().decode()
    except OSError:
        return
    sums: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            name = name.partition("{")[0]
            sums[name] = sums.get(name, 0.0) + float(value)
    yield from sums.items()
