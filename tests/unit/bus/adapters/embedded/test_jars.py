"""Unit tests of `bus.adapters.embedded.jars`, against a repository on a real connection."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.embedded import jars as module
from bus.adapters.embedded.jars import (
    FETCH_TRIES,
    LockedJar,
    default_cache,
    fetch_jars,
    locked_jars,
    missing_jars,
    parse_lock,
)
from bus.adapters.embedded.processes import free_port
from bus.errors import ConfigError, DownloadFailed, JarRefused, TransientError
from tests.loopback_http import answer, serving

FIRST = b"first " * 1000
SECOND = b"second " * 30_000
Misbehaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


def locked(name: str, content: bytes) -> LockedJar:
    """Return the line of the lock list for a jar."""
    return LockedJar(f"org.example:{name}:1.0", hashlib.sha256(content).hexdigest(), len(content))


JARS = (locked("first", FIRST), locked("second", SECOND))


class Repository:
    """A Maven repository that counts what it is asked for, and misbehaves if told to."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.content = {"first": FIRST, "second": SECOND}
        #: By jar: how the next requests are answered; afterwards as they should be.
        self.misbehave: dict[str, list[Misbehaviour]] = {}

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request for a jar."""
        name = request.path.split("/")[-1].partition("-")[0]
        assert request.path == f"/maven/org/example/{name}/1.0/{name}-1.0.jar"
        self.asked[name] += 1
        waiting = self.misbehave.get(name)
        if waiting:
            waiting.pop(0)(request, self.content[name])
        else:
            answer(request, self.content[name])


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def repository() -> Iterator[Repository]:
    """Return a repository that works."""
    repository = Repository()
    with serving(repository.handle) as url:
        repository.url = f"{url}/maven"
        yield repository


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache folder that is not there yet."""
    return tmp_path / "shared" / "cache"


def cut_off(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Break the connection in the middle of a jar."""
    answer(request, content[: len(content) // 2], length=len(content))


def too_short(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Send half of a jar as if it were all."""
    answer(request, content[: len(content) // 2])


def unwell(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Fail inside."""
    answer(request, b"try later", status=503)


def silent(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Say nothing for as long as the client waits."""
    request.connection.recv(1)


def names(cache: Path) -> list[str]:
    """Return what is in the cache."""
    return sorted(path.name for path in cache.iterdir())


# --- Fetching -------------------------------------------------------------------------------------


def test_jars_are_fetched_into_a_new_cache_in_the_locks_order(
    repository: Repository, cache: Path
) -> None:
    paths = fetch_jars(reversed(JARS), cache, mirror=repository.url)

    assert [path.name for path in paths] == ["second-1.0.jar", "first-1.0.jar"]
    assert [path.read_bytes() for path in paths] == [SECOND, FIRST]
    assert names(cache) == ["first-1.0.jar", "second-1.0.jar"]


def test_what_is_cached_needs_no_network(repository: Repository, cache: Path) -> None:
    first = fetch_jars(JARS, cache, mirror=repository.url)

    again = fetch_jars(JARS, cache, mirror="http://127.0.0.1:1")

    assert again == first
    assert repository.asked == {"first": 1, "second": 1}
    assert missing_jars(JARS, cache) == []


@pytest.mark.parametrize(
    "damaged",
    [b"", FIRST[:-1], FIRST[:-1] + b"x", FIRST + b"x"],
    ids=["empty", "truncated", "corrupt", "too long"],
)
def test_a_damaged_jar_is_fetched_again_and_no_other(
    repository: Repository, cache: Path, damaged: bytes
) -> None:
    path, _ = fetch_jars(JARS, cache, mirror=repository.url)
    path.write_bytes(damaged)
    assert missing_jars(JARS, cache) == [JARS[0]]

    fetch_jars(JARS, cache, mirror=repository.url)

    assert path.read_bytes() == FIRST
    assert repository.asked == {"first": 2, "second": 1}


def test_a_folder_in_a_jars_place_is_no_jar(cache: Path) -> None:
    (cache / "first-1.0.jar").mkdir(parents=True)

    assert missing_jars(JARS, cache) == list(JARS)


@pytest.mark.parametrize("trouble", [cut_off, too_short, unwell], ids=lambda each: each.__name__)
def test_trouble_that_passes_is_not_noticed(
    repository: Repository, cache: Path, trouble: Misbehaviour
) -> None:
    repository.misbehave["second"] = [trouble] * (FETCH_TRIES - 1)

    paths = fetch_jars(JARS, cache, mirror=repository.url)

    assert [path.read_bytes() for path in paths] == [FIRST, SECOND]
    assert repository.asked == {"first": 1, "second": FETCH_TRIES}
    assert names(cache) == ["first-1.0.jar", "second-1.0.jar"]


@pytest.mark.parametrize("trouble", [cut_off, too_short, unwell], ids=lambda each: each.__name__)
def test_trouble_that_stays_ends_the_fetch_which_goes_on_later_where_it_was(
    repository: Repository, cache: Path, trouble: Misbehaviour
) -> None:
    repository.misbehave["second"] = [trouble] * FETCH_TRIES

    with pytest.raises(DownloadFailed, match=r"org\.example:second:1\.0"):
        fetch_jars(JARS, cache, mirror=repository.url)

    assert names(cache) == ["first-1.0.jar"]
    fetch_jars(JARS, cache, mirror=repository.url)
    assert repository.asked == {"first": 1, "second": FETCH_TRIES + 1}


def test_a_repository_that_hangs_is_given_up(
    repository: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_TIMEOUT_SECONDS", 0.05)
    repository.misbehave["first"] = [silent] * FETCH_TRIES

    with pytest.raises(DownloadFailed):
        fetch_jars(JARS, cache, mirror=repository.url)


def test_without_a_network_the_message_says_what_is_needed(cache: Path) -> None:
    with pytest.raises(DownloadFailed) as caught:
        fetch_jars(JARS, cache, mirror=f"http://127.0.0.1:{free_port()}")

    message = str(caught.value)
    assert "org.example:first:1.0" in message
    assert "needs the network" in message
    assert "ONESOURCE_MAVEN_MIRROR" in message
    assert "start again" in message
    assert isinstance(caught.value, TransientError)
    assert names(cache) == []


# --- Refusing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [b"x" * len(FIRST), FIRST + b"x", FIRST * 100],
    ids=["of the same size", "a little longer", "much longer"],
)
def test_another_jar_is_refused_and_not_kept(
    repository: Repository, cache: Path, other: bytes
) -> None:
    repository.content["first"] = other

    with pytest.raises(JarRefused, match=JARS[0].sha256) as caught:
        fetch_jars(JARS, cache, mirror=repository.url)

    assert "it was not used" in str(caught.value)
    assert isinstance(caught.value, ConfigError)
    assert repository.asked == {"first": 1}
    assert names(cache) == []


def test_a_jar_without_end_is_not_taken_in(repository: Repository, cache: Path) -> None:
    def endless(request: BaseHTTPRequestHandler, content: bytes) -> None:
        request.send_response(200)
        request.end_headers()
        # Until the client has had enough and goes away.
        while True:
            request.wfile.write(content)

    repository.misbehave["first"] = [endless]

    with pytest.raises(JarRefused):
        fetch_jars(JARS, cache, mirror=repository.url)

    assert names(cache) == []


def test_a_refused_jar_leaves_the_one_that_is_cached(repository: Repository, cache: Path) -> None:
    """What does not arrive whole and right never takes the place of anything."""
    fetch_jars(JARS, cache, mirror=repository.url)
    newer = LockedJar("org.example:first:1.0", "0" * 64, len(FIRST))

    with pytest.raises(JarRefused):
        fetch_jars([newer], cache, mirror=repository.url)

    assert (cache / "first-1.0.jar").read_bytes() == FIRST


# --- Progress -------------------------------------------------------------------------------------


@given(first=st.lists(st.sampled_from([cut_off, too_short, unwell]), max_size=FETCH_TRIES - 1))
def test_progress_ends_at_the_size_whatever_happened_on_the_way(
    tmp_path_factory: pytest.TempPathFactory, first: list[Misbehaviour]
) -> None:
    repository = Repository()
    repository.misbehave["second"] = list(first)
    seen: list[int] = []
    with serving(repository.handle) as url:
        fetch_jars(
            JARS,
            tmp_path_factory.mktemp("cache"),
            mirror=f"{url}/maven",
            on_bytes=seen.append,
        )

    assert sum(seen) == len(FIRST) + len(SECOND)


# --- The lock list --------------------------------------------------------------------------------


def test_the_lock_list_names_each_jar_once_with_digest_and_size() -> None:
    jars = locked_jars()

    assert len({jar.filename for jar in jars}) == len(jars)
    assert any(jar.coordinates.startswith("org.apache.kafka:kafka_2.13:") for jar in jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    assert all(jar.size > 0 for jar in jars)


def test_comments_and_empty_lines_of_a_lock_list_are_passed_over() -> None:
    text = f"# a comment\n\norg.example:first:1.0  {'0' * 64}  7\n"

    assert parse_lock(text) == (LockedJar("org.example:first:1.0", "0" * 64, 7),)


def test_the_cache_is_where_it_is_set_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ONESOURCE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "onesource"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == tmp_path / "xdg" / "onesource"

    monkeypatch.setenv("ONESOURCE_CACHE", str(tmp_path / "jars"))
    assert default_cache() == tmp_path / "jars"
