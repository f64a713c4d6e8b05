"""The shell scripts of `docker/`, run for real where what they call is installed."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.docker_files import BROKERS, DOCKER, example

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


def run(*command: str, **environment: str) -> str:
    """Run a command that must succeed, and return what it prints."""
    result = subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("path", sorted(DOCKER.rglob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_posix_shell_that_stops_at_the_first_error(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert path.stat().st_mode & stat.S_IXUSR
    run("sh", "-n", str(path))
    if shutil.which("shellcheck"):
        run("shellcheck", str(path))


@needs_openssl
def test_certificates_are_made_once_and_again_for_another_public_host(tmp_path: Path) -> None:
    def make(public_host: str) -> str:
        return run("sh", str(DOCKER / "certificates.sh"), str(tmp_path), public_host, *BROKERS)

    def keystores() -> list[bytes]:
        return [(tmp_path / name / "keystore.pem").read_bytes() for name in BROKERS]

    make("bus.example")
    first = keystores()
    make("bus.example")
    assert keystores() == first
    make("192.0.2.7")
    assert not set(keystores()) & set(first)

    names = run(
        *("openssl", "x509", "-noout", "-ext", "subjectAltName"),
        *("-in", str(tmp_path / "kafka-2" / "keystore.pem")),
    )
    assert "DNS:kafka-2, DNS:localhost, IP Address:127.0.0.1, IP Address:192.0.2.7" in names
    authority = str(tmp_path / "public" / "authority.pem")
    for name in BROKERS:
        run("openssl", "verify", "-CAfile", authority, str(tmp_path / name / "keystore.pem"))


@needs_openssl
def test_keys_are_for_their_owner_and_the_authority_is_for_everybody(tmp_path: Path) -> None:
    run("sh", str(DOCKER / "certificates.sh"), str(tmp_path), "localhost", "kafka-1")

    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes["public"] == 0o755
    assert modes["public/authority.pem"] == 0o644
    assert modes["authority/key.pem"] == modes["kafka-1/keystore.pem"] == 0o600
    assert not [name for name in modes if "work" in name or name.endswith(".part")]


@needs_openssl
def test_the_environment_file_is_made_once_with_a_secret_in_every_gap(tmp_path: Path) -> None:
    for name in ("make-env.sh", ".env.example"):
        shutil.copy(DOCKER / name, tmp_path)

    run("sh", str(tmp_path / "make-env.sh"))

    written = tmp_path / ".env"
    content = written.read_text(encoding="utf-8")
    lines = [line for line in content.splitlines() if line and not line.startswith("#")]
    values = dict(line.split("=", 1) for line in lines)
    assert values.keys() == example().keys()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    secrets = [value for name, value in values.items() if not example()[name]]
    assert len(set(secrets)) == len(secrets)
    assert re.fullmatch("[0-9a-f]{22}", values["KAFKA_CLUSTER_ID"])
    assert re.fullmatch("[0-9a-f]{40}", values["KAFKA_ADMIN_PASSWORD"])

    run("sh", str(tmp_path / "make-env.sh"))
    assert written.read_text(encoding="utf-8") == content
