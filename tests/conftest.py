"""What all tests share: markers follow from folders, and unit tests have no network."""

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.live_platform import LivePlatform, running_platform

settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)
settings.load_profile("default")

_TESTS = Path(__file__).parent
_KEPT_LOGS = _TESTS.parent / ".pytest_cache" / "platform-logs"
#: These run on the embedded Kafka and Postgres.
_ON_PLATFORM = ("integration", "faults", "e2e", "acceptance")


def pytest_configure() -> None:
    """Refuse to test a compiled module that is not what its sources say."""
    for built in (_TESTS.parent / "bus").glob("**/*.so"):
        name = built.name.partition(".")[0]
        sources = [built.with_name(f"{name}.{suffix}") for suffix in ("py", "pxd", "pyx")]
        if any(each.exists() and each.stat().st_mtime > built.stat().st_mtime for each in sources):
            pytest.exit(f"{built.name} is older than its source: make setup", returncode=4)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the platform; cut unit tests off from the network; put in order."""
    _tell_stories_in_order(items)
    # Its control plane runs in this process, with threads and metrics that unit tests look at.
    items.sort(key=lambda item: item.path.is_relative_to(_TESTS / "acceptance"))
    for item in items:
        folder = item.path.relative_to(_TESTS).parts[0]
        if folder in _ON_PLATFORM:
            item.add_marker(pytest.mark.platform)
        if folder == "unit" and not any(item.iter_markers("enable_socket")):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


def _tell_stories_in_order(items: list[pytest.Item]) -> None:
    """
    Undo the shuffling within each module of `e2e/`.

    There, as in a terminal, one command goes on where another stopped.
    """
    places: dict[Path, list[int]] = {}
    for place, item in enumerate(items):
        if item.path.is_relative_to(_TESTS / "e2e"):
            places.setdefault(item.path, []).append(place)
    for of_module in places.values():
        story = sorted((items[place] for place in of_module), key=_line)
        for place, item in zip(of_module, story, strict=True):
            items[place] = item


def _line(item: pytest.Item) -> int:
    return item.location[1] or 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failure on the platform say how the platform was: its logs may be out of reach."""
    report = yield
    # Some modules have a platform of their own, under the same name.
    running = getattr(item, "funcargs", {}).get("platform")
    if report.failed and isinstance(running, LivePlatform):
        report.sections.append(("platform", running.condition()))
    return report


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator[LivePlatform]:
    """
    Start one embedded platform for the whole session.

    Not below pytest's own temporary folder: each session of pytest closes that for other users,
    and Postgres, started by root, runs as another user. After a failure the logs are kept.
    """
    with tempfile.TemporaryDirectory(prefix="onesource-tests-") as folder:
        with running_platform(Path(folder)) as running:
            yield running
        if request.session.testsfailed:
            shutil.rmtree(_KEPT_LOGS, ignore_errors=True)
            shutil.copytree(Path(folder) / "logs", _KEPT_LOGS)
