"""
Checkpoints: the newest row, signed with Ed25519.

Whoever can alter the database can compute a new chain, but not a signature over it; and what has
been published names the row that was there.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from bus.audit.chain import canonical, timestamp
from bus.domain.audit_log import AuditHead, Checkpoint
from bus.errors import ConfigError

#: No signature over anything else is one over a checkpoint.
_CONTEXT = b"onesource audit checkpoint, version 1\n"
_KEY_ID_LENGTH = 16
_PEM_END = "-----END PUBLIC KEY-----"

PublicKeys = Mapping[str, Ed25519PublicKey]


def sign(head: AuditHead, at: dt.datetime, key: Ed25519PrivateKey) -> Checkpoint:
    """Return a checkpoint of `head`."""
    unsigned = Checkpoint(
        log=head.log,
        sequence=head.sequence,
        hash=head.hash,
        at=at,
        key_id=key_id(key.public_key()),
        signature=b"",
    )
    return replace(unsigned, signature=key.sign(_signed(unsigned)))


def is_signed(checkpoint: Checkpoint, key: Ed25519PublicKey) -> bool:
    """Tell whether `checkpoint` was signed with the other half of `key`."""
    try:
        key.verify(checkpoint.signature, _signed(checkpoint))
    except InvalidSignature:
        return False
    return True


def _signed(checkpoint: Checkpoint) -> bytes:
    document = to_document(checkpoint)
    del document["signature"]
    return _CONTEXT + canonical(document)


def to_document(checkpoint: Checkpoint) -> dict[str, object]:
    """Return `checkpoint` as the JSON document that is published."""
    return {
        "log": checkpoint.log,
        "sequence": checkpoint.sequence,
        "hash": checkpoint.hash.hex(),
        "at": timestamp(checkpoint.at),
        "key_id": checkpoint.key_id,
        "signature": checkpoint.signature.hex(),
    }


def encode(checkpoint: Checkpoint) -> bytes:
    """Return `checkpoint` as one line of JSON."""
    return canonical(to_document(checkpoint))


def decode(data: bytes | str) -> Checkpoint:
    """Return the checkpoint that `encode` made `data` of; raise `ValueError` if it did not."""
    try:
        return from_document(json.loads(data))
    except RecursionError as error:
        raise ValueError("this is no checkpoint") from error


def from_document(document: Any) -> Checkpoint:  # noqa: ANN401 (JSON)
    """Return the checkpoint of a document; raise `ValueError` if it is none."""
    try:
        checkpoint = Checkpoint(
            log=str(document["log"]),
            sequence=int(document["sequence"]),
            hash=bytes.fromhex(document["hash"]),
            at=dt.datetime.fromisoformat(document["at"]),
            key_id=str(document["key_id"]),
            signature=bytes.fromhex(document["signature"]),
        )
        if to_document(checkpoint) != document:
            raise ValueError("this is no checkpoint")
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("this is no checkpoint") from error
    return checkpoint


# --- keys -----------------------------------------------------------------------------------------


def key_id(key: Ed25519PublicKey) -> str:
    """Return the name of a key: the beginning of its SHA-256."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:_KEY_ID_LENGTH]


def private_pem(key: Ed25519PrivateKey) -> str:
    """Return a private key as its file holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: Ed25519PublicKey) -> str:
    """Return a public key as its file holds it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_private_key(pem: str) -> Ed25519PrivateKey:
    """Return the key in `pem`; raise `ConfigError`, which says nothing of it, if it is none."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ConfigError("the audit log's signing key cannot be read") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("the audit log's signing key must be an Ed25519 key")
    return key


def read_public_keys(pem: str) -> PublicKeys:
    """
    Return the keys in `pem` by their ids: several, one after the other, if the key has changed.

    Raise `ConfigError` if there is none, or one that is not of Ed25519.
    """
    keys = {}
    for block in pem.split(_PEM_END)[:-1]:
        try:
            key = load_pem_public_key(f"{block.lstrip()}{_PEM_END}\n".encode())
        except ValueError as error:
            raise ConfigError(f"a public key cannot be read: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError("a public key of the audit log must be an Ed25519 key")
        keys[key_id(key)] = key
    if not keys:
        raise ConfigError("there is no public key in the file")
    return keys
