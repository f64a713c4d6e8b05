"""
Pseudonyms (化名): what stands in the place of a text that is for joining, and not for reading.

A pseudonym is keyed: without the key it can neither be undone nor tried out. The key is an
organisation's own, so that it can join what it is given of all resources, and nobody else can
compare (docs/adr/0024).
"""

import hmac
from dataclasses import dataclass
from itertools import count
from typing import Final

from typing_extensions import override

from bus.domain.names import is_code

#: Of the secrets that keys are derived from.
SECRET_BYTES: Final = 32
#: The version that organisations begin with.
FIRST_VERSION: Final = 1
#: 128 bits: that any two of a billion texts share one is less likely than one in 10^20.
_PSEUDONYM_BYTES: Final = 16
_KEY_BYTES: Final = 32
_HASH: Final = "sha256"
_HASH_BYTES: Final = 32
_PURPOSE: Final = "onesource pseudonyms"


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """Names the key of an organisation's pseudonyms; its text is `organisation#version`."""

    organisation: str
    version: int

    @classmethod
    def parse(cls, text: str) -> "PseudonymKey":
        """Return the key that `text` names; raise `ValueError` if it names none."""
        organisation, _, version = text.partition("#")
        if not (is_code(organisation) and version.isascii() and version.isdecimal()):
            raise ValueError(f"{text!r} does not name the key of an organisation's pseudonyms")
        key = cls(organisation, int(version))
        if str(key) != text or key.version < FIRST_VERSION:
            raise ValueError(f"{text!r} does not name the key of an organisation's pseudonyms")
        return key

    @override
    def __str__(self) -> str:
        return f"{self.organisation}#{self.version}"

    def derive(self, secret: bytes) -> bytes:
        """Return the key itself, from the platform's secret of this version."""
        return hkdf(secret, info=f"{_PURPOSE} {self}".encode(), length=_KEY_BYTES)


def pseudonym(key: bytes, text: bytes) -> str:
    """
    Return what stands in the place of `text`, UTF-8 bytes as they were published.

    Lower-case hexadecimal: it joins in whatever way a subscriber's database compares texts.
    """
    return hmac.digest(key, text, _HASH)[:_PSEUDONYM_BYTES].hex()


def hkdf(secret: bytes, *, info: bytes, length: int, salt: bytes = b"") -> bytes:
    """Return `length` bytes that are derived from `secret` (RFC 5869, SHA-256)."""
    extracted = hmac.digest(salt or bytes(_HASH_BYTES), secret, _HASH)
    block = derived = b""
    for number in count(1):
        if len(derived) >= length:
            break
        block = hmac.digest(extracted, block + info + bytes([number]), _HASH)
        derived += block
    return derived[:length]
