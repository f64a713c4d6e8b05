"""Credentials files: one a principal, `<principal>.json`, for its owner's eyes only."""

import json
import os
from pathlib import Path

from bus.domain.principal import new_password
from bus.errors import ConfigError
from bus.settings import Credentials, read_credentials

_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700


def save_credentials(folder: Path, principal: str, password: str) -> Path:
    """Write the credentials of `principal` to `folder`, and return where they are."""
    path = folder / f"{principal}.json"
    folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    write_private(path, json.dumps({"username": principal, "password": password}))
    return path


def ensure_credentials(folder: Path, principal: str) -> Credentials:
    """
    Return the credentials of `principal` in `folder`, generated the first time.

    Raise `ConfigError` if the file is somebody else's or none, or cannot be written.
    """
    path = folder / f"{principal}.json"
    try:
        if not path.exists():
            save_credentials(folder, principal, new_password())
    except OSError as error:
        raise ConfigError(f"the credentials of {principal} cannot be kept: {error}") from error
    found = read_credentials(path)
    if found.username != principal:
        raise ConfigError(f"{path} holds the credentials of {found.username}, not of {principal}")
    return found


def write_private(path: Path, content: str) -> None:
    """Write `path` whole or not at all, for its owner's eyes only."""
    part = path.with_name(f"{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        # A part that a crash has left keeps the permissions that it had.
        os.fchmod(handle, _PRIVATE)
        file.write(content)
    part.replace(path)
