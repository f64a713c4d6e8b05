"""Passwords by Argon2id (RFC 9106)."""

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: Each takes 64 MiB while it runs: more at once would let strangers fill the memory.
_AT_ONCE = 4


class Argon2Passwords:
    """See `bus.ports.identity.PasswordHasher`."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._running = threading.BoundedSemaphore(_AT_ONCE)
        self._nobodys = self._hasher.hash(secrets.token_hex())

    def hashed(self, password: str) -> str:
        with self._running:
            return self._hasher.hash(password)

    def accepts(self, password_hash: str | None, password: str) -> bool:
        with self._running:
            try:
                self._hasher.verify(password_hash or self._nobodys, password)
            except (VerificationError, InvalidHashError):
                return False
        return password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)
