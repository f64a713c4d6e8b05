"""The routers of a run: started, doomed, killed, stopped and resumed, and looked after."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bus.adapters.embedded.processes import spawn
from tests.faults.doomed_router import DOOM, OFTEN, POINTS
from tests.faults.soak_platform import SoakPlatform

ROOT = Path(__file__).parents[2]
#: Of the routers that are started, so many die, or stand still, at a point of their own work.
_DOOMED = 0.9
_STANDING_STILL = 0.08
_PASSES = 3
_PASSES_OFTEN = 150
#: A router that somebody has taken the place of ends when it goes on; after this it is ended.
_ZOMBIE_SECONDS = 90.0
_LAST_BYTES = 2_000


@dataclass(slots=True)
class _Router:
    slot: str
    process: "subprocess.Popen[bytes]"
    log: Path
    doom: str
    stands_still: bool = False
    go_on_at: float = 0.0
    end_at: float = 0.0
    """Of a zombie: when it is given up that it ends by itself."""


class Routers:
    """Keeps a router in each wanted slot, and counts how they ended."""

    def __init__(
        self, platform: SoakPlatform, chance: random.Random, tell: Callable[[str], None]
    ) -> None:
        self._platform = platform
        self._chance = chance
        self._tell = tell
        self._running: dict[str, _Router] = {}
        self._zombies: list[_Router] = []
        self._start_at: dict[str, float] = {}
        self.wanted: set[str] = set()
        #: Whether routers are doomed at all.
        self.doomed = False
        #: Violent ends and standstills, by kind.
        self.strikes: Counter[str] = Counter()
        #: Ends that the router itself decided on, by what it said last.
        self.own_ends: Counter[str] = Counter()
        self.starts = 0

    @property
    def kills(self) -> int:
        """How many routers were killed."""
        return sum(
            count for kind, count in self.strikes.items() if kind.startswith("router killed")
        )

    def look(self) -> None:
        """See what has become of everyone; start who is wanted and is not there."""
        now = time.monotonic()
        for slot, router in list(self._running.items()):
            self._look_at(slot, router, now)
        for zombie in list(self._zombies):
            self._look_at_zombie(zombie, now)
        for slot in self.wanted - self._running.keys():
            if now >= self._start_at.get(slot, 0.0):
                self._start(slot)

    def kill(self) -> None:
        """Kill one of those that run, if any does."""
        if slot := self._any_running():
            self.strikes["router killed: at random"] += 1
            # Its own end is not what it dies of.
            self._running[slot].doom = ""
            self._running[slot].process.kill()

    def stand_still(self) -> None:
        """Let one of those that run do nothing."""
        if slot := self._any_running():
            self.strikes["router stopped: at random"] += 1
            self._running[slot].doom = ""
            self._running[slot].process.send_signal(signal.SIGSTOP)

    def leave(self, slot: str) -> None:
        """Ask the router in `slot` to end in order; nobody takes its place."""
        self.wanted.discard(slot)
        router = self._running.get(slot)
        if router is not None and not router.stands_still:
            self.strikes["router left"] += 1
            router.process.terminate()

    def calm_down(self, slots: Sequence[str]) -> None:
        """Let those in `slots` run, and nobody come to harm any more."""
        self.doomed = False
        self.wanted = set(slots)
        for router in list(self._running.values()):
            if router.slot not in self.wanted or router.doom or router.stands_still:
                self._end(router)
                del self._running[router.slot]
        for zombie in self._zombies:
            zombie.go_on_at = 0.0

    @property
    def zombies(self) -> int:
        """How many there still are that others have taken the place of."""
        return len(self._zombies)

    def close(self) -> None:
        """End them all, in order where that is possible."""
        self.wanted.clear()
        for router in (*self._running.values(), *self._zombies):
            self._end(router)
        self._running.clear()
        self._zombies.clear()

    # ----------------------------------------------------------------------------------------------

    def _start(self, slot: str) -> None:
        doom = self._draw_doom()
        self.starts += 1
        log = self._platform.folder.root / "logs" / f"router-{slot}-{self.starts:04}.log"
        process = spawn(
            [sys.executable, "-m", "tests.faults.doomed_router", "router"],
            log=log,
            environment={
                **self._platform.router_environment,
                "ONESOURCE_SLOT": slot,
                "PYTHONPATH": str(ROOT),
                DOOM: doom,
            },
            cwd=ROOT,
            on_orphaned=signal.SIGKILL,
        )
        self._running[slot] = _Router(slot, process, log, doom)

    def _draw_doom(self) -> str:
        if not self.doomed or self._chance.random() > _DOOMED:
            return ""
        point = self._chance.choice(POINTS)
        count = self._chance.randint(1, _PASSES_OFTEN if point in OFTEN else _PASSES)
        stops = self._chance.random() < _STANDING_STILL
        return f"{point}:{count}:{'SIGSTOP' if stops else 'SIGKILL'}"

    def _look_at(self, slot: str, router: _Router, now: float) -> None:
        if router.process.poll() is not None:
            del self._running[slot]
            self._start_at[slot] = now + self._chance.uniform(0.0, 0.5)
            self._note_end(router)
        elif router.stands_still:
            if now >= router.go_on_at:
                router.stands_still = False
                router.process.send_signal(signal.SIGCONT)
        elif _stands_still(router.process.pid):
            self._found_standing(slot, router, now)

    def _found_standing(self, slot: str, router: _Router, now: float) -> None:
        """Decide what becomes of a router that stands still, of its own doom or by force."""
        if router.doom:
            self.strikes[f"router stopped: {router.doom.split(':')[0]}"] += 1
            router.doom = ""
        router.stands_still = True
        if self._chance.random() < 0.5:
            router.go_on_at = now + self._chance.uniform(0.3, 4.0)
            return
        # Longer than transactions and sessions last, with another in its place.
        self.strikes["router replaced while it stood still"] += 1
        router.go_on_at = now + self._chance.uniform(11.0, 22.0)
        router.end_at = router.go_on_at + _ZOMBIE_SECONDS
        self._zombies.append(router)
        del self._running[slot]

    def _look_at_zombie(self, zombie: _Router, now: float) -> None:
        if zombie.process.poll() is not None:
            self._zombies.remove(zombie)
            self._note_end(zombie)
        elif zombie.stands_still and now >= zombie.go_on_at:
            zombie.stands_still = False
            zombie.process.send_signal(signal.SIGCONT)
        elif now >= zombie.end_at:
            self.own_ends["none: a router that was replaced ran on, and was ended"] += 1
            self._end(zombie)
            self._zombies.remove(zombie)

    def _note_end(self, router: _Router) -> None:
        status = router.process.returncode
        if status == -signal.SIGKILL:
            if router.doom:
                self.strikes[f"router killed: {router.doom.split(':')[0]}"] += 1
        elif status not in {0, -signal.SIGTERM}:  # SIGTERM: asked to leave before it could listen
            said = _last_words(router.log)
            self._tell(f"{router.log.stem} ended by itself with status {status}: {said}")
            self.own_ends[said] += 1

    def _any_running(self) -> str | None:
        slots = sorted(slot for slot, each in self._running.items() if not each.stands_still)
        return self._chance.choice(slots) if slots else None

    def _end(self, router: _Router) -> None:
        if router.process.poll() is None:
            router.process.send_signal(signal.SIGCONT)
            router.process.terminate()
            try:
                router.process.wait(30)
            except subprocess.TimeoutExpired:
                router.process.kill()
                router.process.wait()


def _stands_still(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def _last_words(log: Path) -> str:
    said = log.read_bytes()[-_LAST_BYTES:].decode(errors="replace").strip()
    return said.splitlines()[-1][:200] if said else "nothing"
