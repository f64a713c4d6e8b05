"""Unit tests of `bus.audit.checkpoint`."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bus.audit import checkpoint as checkpoints
from bus.errors import ConfigError
from tests.audit_cases import AT, KEY, LOG, OTHER_KEY, audit_record, chained, signed

CHECKPOINT = signed(chained([audit_record(), audit_record()]), 2)


def test_a_checkpoint_names_log_row_time_and_key() -> None:
    assert (CHECKPOINT.log, CHECKPOINT.sequence) == (LOG, 2)
    assert CHECKPOINT.hash.hex() == chained([audit_record(), audit_record()])[1]["hash"]
    assert CHECKPOINT.key_id == checkpoints.key_id(KEY.public_key())
    assert CHECKPOINT.at > AT


@pytest.mark.parametrize(
    "change",
    [
        {"log": "other"},
        {"sequence": 3},
        {"hash": bytes(32)},
        {"at": AT},
        {"key_id": "other"},
        {"signature": bytes(64)},
        {"signature": b""},
    ],
)
def test_the_signature_covers_all_of_it(change: dict[str, Any]) -> None:
    assert checkpoints.is_signed(CHECKPOINT, KEY.public_key())
    assert not checkpoints.is_signed(replace(CHECKPOINT, **change), KEY.public_key())
    assert not checkpoints.is_signed(CHECKPOINT, OTHER_KEY.public_key())


def test_a_checkpoint_is_published_as_one_line_that_anyone_can_read() -> None:
    line = checkpoints.encode(CHECKPOINT)

    assert b"\n" not in line
    assert json.loads(line) == checkpoints.to_document(CHECKPOINT)
    assert checkpoints.decode(line) == CHECKPOINT


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"7",
        b"{}",
        b"[" * 100_000,
        checkpoints.encode(CHECKPOINT).replace(b'"sequence":2', b'"sequence":"2"'),
        checkpoints.encode(CHECKPOINT).replace(b'"sequence":2', b'"more":1,"sequence":2'),
        checkpoints.encode(CHECKPOINT).replace(b"Z", b""),
        checkpoints.encode(CHECKPOINT).replace(b'"signature":"', b'"signature":"x'),
        checkpoints.encode(CHECKPOINT).replace(b'"sequence":2', b'"sequence":1e999'),
    ],
)
def test_what_is_no_checkpoint_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        checkpoints.decode(line)


def test_keys_survive_their_files() -> None:
    private = checkpoints.read_private_key(checkpoints.private_pem(KEY))
    both = checkpoints.public_pem(KEY.public_key()) + checkpoints.public_pem(OTHER_KEY.public_key())

    assert checkpoints.key_id(private.public_key()) == checkpoints.key_id(KEY.public_key())
    assert list(checkpoints.read_public_keys(both)) == [
        checkpoints.key_id(KEY.public_key()),
        checkpoints.key_id(OTHER_KEY.public_key()),
    ]


def test_other_keys_are_refused_and_not_repeated() -> None:
    other = generate_private_key(SECP256R1())
    private = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    for pem in (private, "very-secret", private.replace("M", "N")):
        with pytest.raises(ConfigError) as caught:
            checkpoints.read_private_key(pem)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
    for pem in (public.decode(), "", "-----END PUBLIC KEY-----"):
        with pytest.raises(ConfigError):
            checkpoints.read_public_keys(pem)
