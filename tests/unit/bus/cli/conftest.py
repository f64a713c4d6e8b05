"""What the tests of the command line share."""

from pathlib import Path

import pytest

from tests.command_line import CommandLine


@pytest.fixture
def onesource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """Return the command line in an empty folder."""
    return CommandLine(tmp_path, monkeypatch, capsys)
