"""Tokens of our own sessions, signed with an Ed25519 key that is made at the first start."""

import base64
import datetime as dt
import hashlib
import os
import secrets
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bus.adapters.jose.claims import header, time_of, verified
from bus.errors import ConfigError
from bus.ports.identity import Session, TokenRefused

ISSUER = "urn:onesource:control"
KEY_FILE_NAME = "session-signing-key.pem"
_ALGORITHM = "EdDSA"
#: No token of another kind is taken for a session's.
_TYPE = "onesource-session+jwt"
_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700


class SignedSessionTokens:
    """See `bus.ports.identity.SessionTokens`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key()
        raw = self._public.public_bytes_raw()
        self._key_id = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()[:12]).decode()

    def issue(self, session: Session) -> str:
        return jwt.encode(
            {
                "iss": ISSUER,
                "aud": ISSUER,
                "sub": session.account,
                "jti": session.id,
                "iat": session.began_at.timestamp(),
                "exp": session.expires_at.timestamp(),
            },
            self._key,
            algorithm=_ALGORITHM,
            headers={"kid": self._key_id, "typ": _TYPE},
        )

    def verify(self, token: str, now: dt.datetime) -> Session:
        named = header(token)
        if (named.get("typ"), named.get("kid")) != (_TYPE, self._key_id):
            raise TokenRefused("it is no session of ours")
        claims = verified(
            token,
            self._public,
            algorithms=[_ALGORITHM],
            issuer=ISSUER,
            audience=ISSUER,
            now=now,
        )
        session_id = claims.get("jti")
        if not isinstance(session_id, str):
            raise TokenRefused("it has no id")
        return Session(
            id=session_id,
            account=claims["sub"],
            began_at=time_of(claims, "iat"),
            expires_at=time_of(claims, "exp"),
        )


def derived_secret(key: Ed25519PrivateKey, purpose: str) -> str:
    """Return a secret for another purpose that changes with the key and does not tell it."""
    derive = HKDF(hashes.SHA256(), length=32, salt=None, info=f"onesource {purpose}".encode())
    return derive.derive(key.private_bytes_raw()).hex()


def ensure_session_key(path: Path) -> Ed25519PrivateKey:
    """
    Return the key in the file at `path`, made the first time, for its owner's eyes only.

    Raise `ConfigError` if it can be neither read nor made.
    """
    try:
        if not path.exists():
            _make(path)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} holds no key to sign sessions with: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} holds no Ed25519 key")
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    try:
        # Of two processes that start at once one makes the key, and both use it.
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
