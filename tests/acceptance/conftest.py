"""One government for all scenarios; each has a jurisdiction of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.government import Government, government


@pytest.fixture(scope="session")
def state() -> Iterator[Government]:
    """Return the government."""
    with (
        tempfile.TemporaryDirectory(prefix="onesource-acceptance-") as folder,
        government(Path(folder)) as running,
    ):
        yield running
