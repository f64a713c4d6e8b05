"""
Principals: who logs in, to Kafka and with the same secret to the control plane.

The password itself is never stored: the control plane keeps what SCRAM keeps (RFC 5802), from which
a password can be checked but not recovered.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum

#: Kafka's default is 4096; a generated secret of 160 bits needs no more to be safe.
SCRAM_ITERATIONS = 8192
_PASSWORD_BYTES = 20
_SALT_BYTES = 16


class PrincipalKind(StrEnum):
    """What a principal stands for."""

    SERVICE = "service"
    """A process of the bus."""
    ORGANISATION = "organisation"
    """An organisation as a provider."""
    SUBSCRIPTION = "subscription"
    """One subscription of a consumer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An account, with what is needed to check its password."""

    name: str
    kind: PrincipalKind
    owner: str
    """The organisation, the subscription, or the service's own name."""
    salt: bytes
    iterations: int
    stored_key: bytes
    enabled: bool = True

    def accepts(self, password: str) -> bool:
        """Tell whether `password` is this principal's; takes the same time either way."""
        stored = _stored_key(password, self.salt, self.iterations)
        return hmac.compare_digest(stored, self.stored_key) and self.enabled


def new_password() -> str:
    """Return a fresh random password, safe in URLs, shells and JAAS files."""
    return secrets.token_hex(_PASSWORD_BYTES)


def make_principal(name: str, kind: PrincipalKind, owner: str, password: str) -> Principal:
    """Return the principal `name` with `password`."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return Principal(
        name=name,
        kind=kind,
        owner=owner,
        salt=salt,
        iterations=SCRAM_ITERATIONS,
        stored_key=_stored_key(password, salt, SCRAM_ITERATIONS),
    )


def _stored_key(password: str, salt: bytes, iterations: int) -> bytes:
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha512")
    return hashlib.sha512(client_key).digest()
