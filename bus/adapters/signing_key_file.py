"""
The file of the audit log's signing key, for its owner's eyes only, and its public half beside it.

Of a key that was replaced the public half stays in the file: what it has signed can be verified.
"""

import os
import uuid
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.audit.checkpoint import (
    key_id,
    private_pem,
    public_pem,
    read_private_key,
    read_public_keys,
)
from bus.errors import ConfigError

log = structlog.get_logger(__name__)

FILE_NAME = "audit-signing-key.pem"
_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700


def public_key_file(path: Path) -> Path:
    """Return where the public half of the key at `path` is."""
    return path.with_name(f"{path.stem}.pub.pem")


def ensure_signing_key(path: Path) -> Ed25519PrivateKey:
    """
    Return the key at `path`, generated the first time; several processes may do so at once.

    Raise `ConfigError` if the file holds none, or cannot be read or made.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            _write_once(path, private_pem(Ed25519PrivateKey.generate()))
        key = read_private_key(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the audit log's signing key cannot be kept at {path}; name another file with "
            "ONESOURCE_AUDIT__KEY_FILE"
        ) from error
    _publish(path, key)
    return key


def _write_once(path: Path, content: str) -> None:
    """Write `path` whole, unless another process has done so meanwhile."""
    part = path.with_name(f"{path.name}.{uuid.uuid4()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, _PRIVATE)
            file.write(content)
            file.flush()
            os.fsync(handle)
        if not path.exists():
            # Unlike a move, a link never replaces what is there.
            path.hardlink_to(part)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)


def _publish(path: Path, key: Ed25519PrivateKey) -> None:
    public = public_key_file(path)
    pem = public_pem(key.public_key())
    try:
        before = public.read_text(encoding="utf-8") if public.exists() else ""
        if not before or key_id(key.public_key()) not in read_public_keys(before):
            part = public.with_name(f"{public.name}.{uuid.uuid4()}.part")
            part.write_text(before + pem, encoding="utf-8")
            part.replace(public)
    except OSError as error:
        # A folder of secrets is often read-only; the public key is no secret.
        log.warning("the public key cannot be kept", path=str(public), reason=str(error), key=pem)
