"""The command line in this process, as a user meets it: arguments in, text and status out."""

import io
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bus.cli.main import main

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command has said, and how it has ended."""

    status: int
    out: str
    err: str


class CommandLine:
    """Runs `onesource` in an empty folder, with nothing set in the environment."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        for name in [name for name in os.environ if name.startswith("ONESOURCE_")]:
            monkeypatch.delenv(name)
        monkeypatch.delenv("FORCE_COLOR", raising=False)
        self.width(80)

    def width(self, columns: int) -> None:
        """Make the terminal so many columns wide."""
        self._monkeypatch.setenv("COLUMNS", str(columns))

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        """Run a command to its end."""
        self._monkeypatch.setattr(sys, "argv", ["onesource", *arguments])
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        status: int | str | None = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code
        said = self._capsys.readouterr()
        assert isinstance(status, int | None)
        return Ran(status or 0, _COLOUR.sub("", said.out), _COLOUR.sub("", said.err))
