"""`make demo`: the real register, judged by its files, with the metrics that move meanwhile."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bus.adapters.embedded.state_folder import StateFolder
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
@pytest.mark.timeout(600)
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
        _verify_the_audit_log(state)

    assert printed.count("equal") > 25
    assert "DIFFERENT" not in printed
    assert "every table equals the files" in printed
    assert "revocation answered in" in printed
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


def _verify_the_audit_log(state: Path) -> None:
    """S-18.2: the demo's log is intact; a row that is changed in the database is named."""
    environment = {**os.environ, "ONESOURCE_STATE_FOLDER": str(state), "COLUMNS": "200"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "bus.cli.main", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    platform = subprocess.Popen(
        [sys.executable, "-m", "bus.cli.main", "up"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _all_well(run("status", "--json").stdout), "the platform runs again")
        intact = run("audit", "verify", "--json")
        assert intact.returncode == 0, intact.stdout + intact.stderr
        assert json.loads(intact.stdout)["rows"] > 50

        with psycopg.connect(_superuser(state), autocommit=True) as connection:
            connection.execute("ALTER TABLE onesource.audit_record DISABLE TRIGGER ALL")
            connection.execute(
                "UPDATE onesource.audit_record SET organisation = 'nobody' WHERE sequence = 17"
            )
        broken = run("audit", "verify", "--json")
        assert broken.returncode == 1, broken.stdout + broken.stderr
        assert json.loads(broken.stdout)["broken"]["sequence"] == 17
    finally:
        run("down")
        platform.kill()
        platform.wait()


def _all_well(status: str) -> bool:
    try:
        parts = json.loads(status)
    except ValueError:
        return False
    return len(parts) > 3 and all(part["well"] for part in parts)


def _superuser(state: Path) -> str:
    settings = json.loads((state / "platform.json").read_text(encoding="utf-8"))
    password = StateFolder(state).secret("postgres-superuser")
    return make_conninfo(
        settings["postgres"]["dsn"], user="postgres", password=password, dbname="onesource"
    )
