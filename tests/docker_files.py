"""What the files of `docker/` say, for the tests that hold them to the code."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BROKERS = ("kafka-1", "kafka-2", "kafka-3")

#: A variable of Compose; a secret is required, an address has a default.
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


@cache
def compose() -> dict[str, Any]:
    """Return the compose file as it stands."""
    content: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return content


@cache
def services() -> dict[str, dict[str, Any]]:
    """Return the services, with their variables filled in from `.env.example`."""
    values = {name: value or f"value-of-{name}" for name, value in example().items()}
    filled: dict[str, dict[str, Any]] = interpolate(compose()["services"], values)
    return filled


def example() -> dict[str, str]:
    """Return what `.env.example` names, with its values."""
    lines = (DOCKER / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolate(content: Any, values: Mapping[str, str]) -> Any:
    """Return `content` with its variables replaced as Compose does it."""
    if isinstance(content, dict):
        return {key: interpolate(value, values) for key, value in content.items()}
    if isinstance(content, list):
        return [interpolate(each, values) for each in content]
    if isinstance(content, str):
        return VARIABLE.sub(lambda found: values[found["name"]], content)
    return content


def mounts() -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Yield (service, source, target, mount in its long form) of every mount."""
    for name, service in services().items():
        for mount in service.get("volumes", ()):
            if isinstance(mount, str):
                source, target, *mode = mount.split(":")
                yield name, source, target, {"read_only": mode == ["ro"]}
            else:
                yield name, mount["source"], mount["target"], mount


def instructions() -> list[tuple[str, str]]:
    """Return (instruction, arguments) of the Dockerfile."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    whole = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", text))
    lines = (line.partition(" ") for line in whole.splitlines() if line)
    return [(name, arguments) for name, _, arguments in lines]


def pins(path: Path) -> dict[str, str]:
    """Return the versions that a lock file pins."""
    return dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8")))


def properties(text: str) -> dict[str, str]:
    """Return what a file of Java properties says."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def image_environment() -> dict[str, str]:
    """Return the settings of ours that the image has by itself."""
    given = " ".join(arguments for name, arguments in instructions() if name == "ENV")
    return dict(re.findall(r"(ONESOURCE_\w+)=(\S+)", given))
