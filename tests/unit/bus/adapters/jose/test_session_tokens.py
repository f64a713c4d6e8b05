"""Unit tests of `bus.adapters.jose.session_tokens`: our own sessions and their key."""

import datetime as dt
import stat
import threading
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.adapters.jose.session_tokens import (
    ISSUER,
    SignedSessionTokens,
    derived_secret,
    ensure_session_key,
)
from bus.errors import ConfigError
from bus.ports.identity import Session, TokenRefused
from tests import builders
from tests.unit.bus.adapters.jose.signing import RSA_KEY, unsigned

HOUR = dt.timedelta(hours=1)
KEY = Ed25519PrivateKey.generate()
SESSION = Session(id="s1", account="ann", began_at=builders.NOW, expires_at=builders.NOW + HOUR)
TOKENS = SignedSessionTokens(KEY)
HEADER = jwt.get_unverified_header(TOKENS.issue(SESSION))
CLAIMS = jwt.decode(TOKENS.issue(SESSION), options={"verify_signature": False})


def signed(
    claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, key: Any = KEY
) -> str:
    """Return the token of SESSION with other claims, header or key."""
    head = {**HEADER, **(header or {})}
    content = {
        name: value for name, value in (CLAIMS | (claims or {})).items() if value is not None
    }
    return jwt.encode(content, key, algorithm=head["alg"], headers=head)


def test_a_session_comes_back_from_its_token() -> None:
    assert TOKENS.verify(TOKENS.issue(SESSION), builders.NOW) == SESSION
    assert TOKENS.verify(signed(), builders.NOW) == SESSION
    assert CLAIMS.keys() == {"iss", "aud", "sub", "jti", "iat", "exp"}


@pytest.mark.parametrize(
    "token",
    [
        signed(key=Ed25519PrivateKey.generate()),
        signed(header={"typ": "JWT"}),
        signed(header={"kid": "another"}),
        signed({"iss": "https://else.test"}),
        signed({"aud": "another"}),
        signed({"exp": builders.NOW.timestamp() - 60}),
        signed({"iat": builders.NOW.timestamp() + 60}),
        signed({"exp": None}),
        signed({"iat": None}),
        signed({"jti": None}),
        signed({"sub": None}),
        signed({"aud": None}),
        signed(header={"alg": "RS256"}, key=RSA_KEY),
        signed(header={"alg": "HS256"}, key=KEY.public_key().public_bytes_raw()),
        unsigned(CLAIMS, **{**HEADER, "alg": "none"}),
        unsigned(CLAIMS, **HEADER),
        "",
        "a.b.c",
    ],
)
def test_any_other_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        TOKENS.verify(token, builders.NOW)


def test_a_token_is_ours_by_name() -> None:
    assert CLAIMS["iss"] == CLAIMS["aud"] == ISSUER
    assert HEADER["alg"] == "EdDSA"


def test_the_key_is_made_once_for_its_owners_eyes_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key.pem"

    first = ensure_session_key(path)

    assert ensure_session_key(path).private_bytes_raw() == first.private_bytes_raw()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["key.pem"]


def test_processes_that_start_at_once_use_one_key(tmp_path: Path) -> None:
    found: list[bytes] = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        found.append(ensure_session_key(tmp_path / "key.pem").private_bytes_raw())

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_file_that_holds_no_such_key_is_a_wrong_setting(tmp_path: Path) -> None:
    rsa_key = RSA_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for content in (b"", b"nothing", rsa_key):
        path = tmp_path / "key.pem"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"key\.pem"):
            ensure_session_key(path)
    with pytest.raises(ConfigError):
        ensure_session_key(tmp_path)


def test_derived_secrets_differ_by_purpose_and_key_and_do_not_tell_it() -> None:
    secrets = {
        derived_secret(KEY, "a"),
        derived_secret(KEY, "b"),
        derived_secret(Ed25519PrivateKey.generate(), "a"),
    }

    assert len(secrets) == 3
    assert derived_secret(KEY, "a") in secrets
    assert KEY.private_bytes_raw().hex() not in secrets
