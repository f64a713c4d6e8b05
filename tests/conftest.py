"""What all tests share: markers follow from folders, and unit tests have no network."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)
settings.load_profile("default")

_TESTS = Path(__file__).parent
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
