"""What `onesource status` shows and `onesource doctor` explains."""

import http.client
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_READ_SECONDS = 2.0
_LOW_DISK_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One line of `onesource status`."""

    name: str
    state: str
    well: bool
    where: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of `onesource doctor`."""

    what: str
    well: bool
    remedy: str = ""


def platform_status(state: Path) -> list[PartStatus]:
    """Return the state of every part of the platform in `state`."""
    from bus.adapters.embedded.processes import ProcessIdentity
    from bus.adapters.embedded.state_folder import StateFolder

    folder = StateFolder(state)
    content = folder.platform()
    if not content:
        return [PartStatus("platform", "never started", False, str(state), "onesource up")]
    ports = content.get("ports", {})
    parts = []
    held = folder.is_held()
    parts.append(PartStatus("supervisor", "running" if held else "stopped", held, str(state), ""))
    for name, identity in content.get("processes", {}).items():
        alive = ProcessIdentity(int(identity["pid"]), float(identity["created"])).process()
        well, detail = _health(ports.get(name)) if name not in _NO_HEALTH_PAGE else (True, "")
        running = alive is not None
        parts.append(
            PartStatus(
                name,
                "running" if running else "stopped",
                running and well,
                f"127.0.0.1:{ports.get(name, '?')}",
                detail,
            )
        )
    return parts


_NO_HEALTH_PAGE = ("kafka", "postgres")


def _health(port: int | None) -> tuple[bool, str]:
    """Return (ready, why not) as the health page on `port` says."""
    url = f"http://127.0.0.1:{port}/readyz"
    # It is on this machine: no proxy that the environment names can reach it.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=_READ_SECONDS) as response:
            response.read()
    except urllib.error.HTTPError as error:
        with error:
            return False, _reason(error)
    except (http.client.HTTPException, OSError, ValueError):
        return False, "does not answer"
    return True, ""


def _reason(error: urllib.error.HTTPError) -> str:
    """Return why a process is not ready, as far as what answers is one of ours."""
    try:
        content = json.loads(error.read())
    except (http.client.HTTPException, OSError, ValueError):
        content = None
    return str(content.get("reason", "not ready")) if isinstance(content, dict) else "not ready"


def diagnose(state: Path) -> Iterator[Finding]:
    """Yield findings, good and bad, with what to do about the bad ones."""
    from bus.adapters.embedded.jars import default_cache, locked_jars, missing_jars

    free = shutil.disk_usage(state if state.exists() else state.absolute().parent).free
    yield Finding(
        f"{free / (1 << 30):.1f} GiB of disk are free",
        free > _LOW_DISK_BYTES,
        f"free some: Kafka and Postgres stop when the disk of {state} is full",
    )
    missing = missing_jars(locked_jars(), default_cache())
    yield Finding(
        f"{len(locked_jars()) - len(missing)} of {len(locked_jars())} jars of Kafka are cached",
        not missing,
        "`onesource up` fetches them; it needs the network for that, once",
    )
    parts = platform_status(state)
    for part in parts:
        yield Finding(
            f"{part.name} is {part.state}" + (f" ({part.detail})" if part.detail else ""),
            part.well,
            _remedy(part, state),
        )

    if any(part.name == "kafka" and part.state == "running" for part in parts):
        yield from _transactions(state)


def end_hanging(state: Path) -> Iterator[str]:
    """End the transactions that hang on the platform in `state`; yield what each was."""
    from bus.bootstrap.hanging_transactions import hanging

    with hanging(state) as found:
        for transaction in found.transactions:
            found.end(transaction)
            yield found.name(transaction)


def _transactions(state: Path) -> Iterator[Finding]:
    from bus.bootstrap.hanging_transactions import hanging
    from bus.errors import BrokerUnavailable

    try:
        with hanging(state) as found:
            names = [found.name(each) for each in found.transactions]
    except BrokerUnavailable as error:
        yield Finding(f"whether transactions hang is not known: {error}", False, "wait for Kafka")
        return
    if not names:
        yield Finding("no transaction hangs", True)
    for name in names:
        yield Finding(
            f"a transaction hangs: {name}",
            False,
            "read docs/how-to/operate.md, “A transaction hangs”, then "
            "`onesource doctor --end-hanging-transactions`",
        )


def _remedy(part: PartStatus, state: Path) -> str:
    if part.name in ("platform", "supervisor"):
        return "start it with `onesource up`"
    if "stopped:" in part.detail:
        return "read docs/how-to/operate.md, “A partition has stopped”: going on would lose records"
    if part.state == "stopped":
        return f"the supervisor restarts it; if it stays down, read {state}/logs/{part.name}.log"
    return f"read {state}/logs/{part.name}.log"
