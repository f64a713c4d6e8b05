"""A peer's program as a process beside this one, which is given one job after the other."""

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: Longer than a program waits by itself.
_ANSWER_SECONDS = 180.0
_END_SECONDS = 20.0
_LAST_WORDS = 2_000

REPOSITORY = Path(__file__).resolve().parents[2]


class PeerFailed(Exception):
    """A peer has not done its job; the end of its log says why."""


class PeerProcess:
    """
    Starts the program when there is a job for it, and again if it has ended after the last.

    `log` gets what it says on its standard error.
    """

    def __init__(self, command: Sequence[str], *, log: Path) -> None:
        self._command = list(command)
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def seconds(self, job: Mapping[str, object], *, stays: bool) -> float:
        """
        Return how long a job took; `stays`: the program takes another job afterwards.

        Raise `PeerFailed` if there is no answer in time.
        """
        process = self._process = self._process or self._start()
        stalled = threading.Timer(_ANSWER_SECONDS, process.kill)
        stalled.start()
        try:
            answer = self._ask(process, job)
        finally:
            stalled.cancel()
        if not stays:
            self.close()
        return float(answer["seconds"])

    def close(self) -> None:
        """End the program: there are no more jobs."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def _ask(self, process: subprocess.Popen[str], job: Mapping[str, object]) -> dict[str, Any]:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the program was started without pipes")
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.close()
            said = self._log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:]
            raise PeerFailed(f"{self._command[0]} has not answered:\n{said}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> subprocess.Popen[str]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (the command is ours)
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                cwd=REPOSITORY,
            )
