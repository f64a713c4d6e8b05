"""The secrets of pseudonyms: a folder with a file a key version, for its owner's eyes only."""

import os
import secrets
import stat
import uuid
from pathlib import Path

from bus.domain.pseudonyms import FIRST_VERSION, SECRET_BYTES
from bus.errors import ConfigError, PseudonymKeyUnusable

_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class PseudonymSecretFiles:
    """See `bus.ports.pseudonym_secrets`; a file is read when its version is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[int, bytes] = {}

    def secret(self, version: int) -> bytes:
        """See `PseudonymSecrets.secret`: the file is missing, not a secret, or others may read."""
        if version not in self._read:
            self._read[version] = _secret(secret_file(self._folder, version))
        return self._read[version]


def secret_file(folder: Path, version: int) -> Path:
    """Return where the secret of a version is."""
    return folder / f"{version}.key"


def ensure_first_secret(folder: Path) -> Path:
    """
    Return where the first secret is, made of 32 random bytes if there is none of any version.

    What is there is never replaced, and never made again beside a newer one: other bytes under the
    same version would be other pseudonyms in the same views. Raise `ConfigError` if the file
    cannot be made.
    """
    path = secret_file(folder, FIRST_VERSION)
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        if not any(folder.glob("*.key")):
            _write_once(path, secrets.token_bytes(SECRET_BYTES))
    except OSError as error:
        raise ConfigError(f"the secret of pseudonyms cannot be kept in {folder}: {error}") from None
    return path


def _secret(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY)
        with os.fdopen(handle, "rb") as file:
            if stat.S_IMODE(os.fstat(handle).st_mode) & _OF_OTHERS:
                raise PseudonymKeyUnusable(
                    f"others may read {path}, a secret of pseudonyms: let nobody but its owner "
                    "(chmod 600), and if anybody may have read it, take a new key version"
                )
            secret = file.read(SECRET_BYTES + 1)
    except OSError as error:
        raise PseudonymKeyUnusable(
            f"there is a view with pseudonyms, and their secret cannot be read at {path} "
            f"({error.strerror}): put it there from the backup; ONESOURCE_PSEUDONYMS__FOLDER says "
            "where secrets are"
        ) from None
    if len(secret) != SECRET_BYTES:
        raise PseudonymKeyUnusable(f"{path} is no secret of pseudonyms: not {SECRET_BYTES} bytes")
    return secret


def _write_once(path: Path, secret: bytes) -> None:
    """Write `path` whole, unless another process has done so meanwhile."""
    part = path.with_name(f"{path.name}.{uuid.uuid4()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, _PRIVATE)
            file.write(secret)
            file.flush()
            os.fsync(handle)
        # Unlike a move, a link never replaces what is there.
        path.hardlink_to(part)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)
