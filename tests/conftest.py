"""What all tests share: markers follow from folders, and unit tests have no network."""

import shutil
import tempfile
from collections.abc import Iterator
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
_ON_PLATFORM = ("integration", "faults", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the platform; cut unit tests off from the network."""
    for item in items:
        folder = item.path.relative_to(_TESTS).parts[0]
        if folder in _ON_PLATFORM:
            item.add_marker(pytest.mark.platform)
        if folder == "unit" and not any(item.iter_markers("enable_socket")):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


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
