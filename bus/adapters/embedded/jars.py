"""
Fetch the broker's jars from a lock list into a cache that all checkouts share.

Each jar is checked against its sha256 before it is used. A jar that is missing, truncated or
corrupt in the cache is fetched again; one that arrives with another digest than the lock's is
refused. An interrupted fetch goes on with the jars that are still missing.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from maven_artifact.artifact import Artifact
from maven_artifact.downloader import Downloader
from maven_artifact.requestor import RequestException

from bus.errors import DownloadFailed, JarRefused

#: One read timeout; a stalled mirror must not hang the start for ever.
FETCH_TIMEOUT_SECONDS = 60
#: Tries per jar before giving up: a registry may reset a connection now and then.
FETCH_TRIES = 3
_CHUNK_BYTES = 1 << 16

#: Called with the number of bytes that have just become available in the cache.
OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of the lock list."""

    coordinates: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The jar's name in the cache: unique per artifact and version."""
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


def locked_jars() -> tuple[LockedJar, ...]:
    """Return the lock list shipped with this package."""
    text = resources.files(__package__).joinpath("jars.lock").read_text(encoding="utf-8")
    return parse_lock(text)


def parse_lock(text: str) -> tuple[LockedJar, ...]:
    """Parse a lock list: `group:artifact:version  sha256  bytes` a line, `#` starts a comment."""
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256, size = line.split()
            jars.append(LockedJar(coordinates, sha256, int(size)))
    return tuple(jars)


def default_cache() -> Path:
    """Return the shared cache folder (`ONESOURCE_CACHE`, else the XDG cache home)."""
    if configured := os.environ.get("ONESOURCE_CACHE"):
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onesource"


def missing_jars(jars: Iterable[LockedJar], cache: Path) -> list[LockedJar]:
    """Return the jars that are not in `cache` with the right digest."""
    return [jar for jar in jars if _digest(cache / jar.filename) != jar.sha256]


def fetch_jars(
    jars: Iterable[LockedJar],
    cache: Path,
    *,
    mirror: str | None = None,
    on_bytes: OnBytes = lambda _: None,
) -> list[Path]:
    """
    Make every one of `jars` available in `cache` and return their paths, in lock order.

    `mirror` is the base URL of a Maven repository; by default maven-artifact's own.
    Raise `DownloadFailed` if a jar cannot be had, `JarRefused` if it is not the locked one.
    """
    jars = tuple(jars)
    cache.mkdir(parents=True, exist_ok=True)
    downloader = Downloader(base=mirror) if mirror else Downloader()
    wanted = {jar.coordinates for jar in missing_jars(jars, cache)}
    for jar in jars:
        if jar.coordinates in wanted:
            _fetch(downloader, jar, cache, on_bytes)
    return [cache / jar.filename for jar in jars]


def _fetch(downloader: Downloader, jar: LockedJar, cache: Path, on_bytes: OnBytes) -> None:
    url = downloader.resolver.uri_for_artifact(Artifact.parse(jar.coordinates))
    for left in reversed(range(FETCH_TRIES)):
        received = 0
        # The final name appears only with the right content: another checkout may be reading.
        handle, part = tempfile.mkstemp(dir=cache, prefix=jar.filename, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in _stream(downloader, url):
                    file.write(chunk)
                    received += len(chunk)
                    on_bytes(len(chunk))
                    if received > jar.size:
                        # It is another jar already; what else would come could fill the disk.
                        break
            if received < jar.size:
                raise OSError(f"the connection ended after {received} of {jar.size} bytes")
            if (digest := _digest(Path(part))) != jar.sha256:
                raise JarRefused(jar.coordinates, expected=jar.sha256, got=digest)
            Path(part).replace(cache / jar.filename)
        except (OSError, RequestException) as error:
            on_bytes(-received)
            if not left:
                raise DownloadFailed(jar.coordinates, url, error) from error
        else:
            return
        finally:
            Path(part).unlink(missing_ok=True)


def _stream(downloader: Downloader, url: str) -> Iterable[bytes]:
    def failed(uri: str, error: Exception) -> None:
        raise RequestException(f"{uri}: {error}") from error

    with downloader.requestor.request(
        url, failed, stream=True, timeout=FETCH_TIMEOUT_SECONDS
    ) as response:
        yield from response.iter_content(chunk_size=_CHUNK_BYTES)


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
