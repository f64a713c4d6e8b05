"""
The state folder of `onesource up` (`.onesource/`).

`platform.json` says where things are, `secrets.json` holds what was generated at the first start,
`credentials/` one file a principal. All of them are readable by their owner only.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bus.adapters.credentials_files import save_credentials, write_private
from bus.domain.principal import new_password
from bus.errors import PlatformDamaged
from bus.settings import CREDENTIALS_FOLDER, PLATFORM_FILE

_SECRETS_FILE = "secrets.json"
_LOCK_FILE = "lock"


class AlreadyRunning(Exception):
    """Another supervisor holds the folder."""


class StateFolder:
    """Reads and writes the files of a state folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        Hold the folder; raise `AlreadyRunning` if somebody does.

        The lock goes with the process that holds it, so a crash leaves nothing to clean up.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / _LOCK_FILE).open("a+") as file:
            if not _try_lock(file):
                raise AlreadyRunning
            yield

    def is_held(self) -> bool:
        """Whether a supervisor holds the folder now."""
        try:
            with (self.root / _LOCK_FILE).open("a+") as file:
                return not _try_lock(file)
        except OSError:
            return False

    def platform(self) -> dict[str, Any]:
        """Return what is known of the platform; an empty document if there is none."""
        return _read(self.root / PLATFORM_FILE)

    def save_platform(self, content: Mapping[str, Any]) -> None:
        """Replace what is known of the platform."""
        write_private(self.root / PLATFORM_FILE, json.dumps(content, indent=2))

    def secret(self, name: str) -> str:
        """
        Return the secret `name`, generated the first time it is asked for.

        Raise `PlatformDamaged` if the file with the secrets cannot be read: new ones would not open
        what the old ones have locked.
        """
        path = self.root / _SECRETS_FILE
        secrets = _read(path)
        if not secrets and path.exists():
            raise PlatformDamaged(
                f"{path} cannot be read: put it back, or move the state folder away to start afresh"
            )
        if name not in secrets:
            secrets[name] = new_password()
            write_private(path, json.dumps(secrets, indent=2))
        found: str = secrets[name]
        return found

    def credentials_file(self, principal: str) -> Path:
        """Return where the credentials of `principal` are."""
        return self.root / CREDENTIALS_FOLDER / f"{principal}.json"

    def save_credentials(self, principal: str, password: str) -> Path:
        """Write a credentials file, readable by its owner only, and return where it is."""
        return save_credentials(self.root / CREDENTIALS_FOLDER, principal, password)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
