"""Keys and tokens of an issuer that a test is."""

import base64
import datetime as dt
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests import builders

AUDIENCE = "urn:onesource:test"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = Ed25519PrivateKey.generate()
KEYS: dict[str, Any] = {"RS256": RSA_KEY, "ES256": EC_KEY, "EdDSA": ED_KEY}
_ALGORITHMS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


def jwk(algorithm: str, key: Any = None, **members: Any) -> dict[str, Any]:
    """Return the public half of a key as issuers publish it, called after its algorithm."""
    public = (key or KEYS[algorithm]).public_key()
    found: dict[str, Any] = _ALGORITHMS[algorithm].to_jwk(public, as_dict=True)
    return {**found, "kid": algorithm, "use": "sig", **members}


def claims(issuer: str, **changes: Any) -> dict[str, Any]:
    """Return the claims of a token that is good for an hour; None takes a claim away."""
    now = builders.NOW.timestamp()
    told = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "42",
        "iat": now,
        "exp": now + dt.timedelta(hours=1).total_seconds(),
        **changes,
    }
    return {name: value for name, value in told.items() if value is not None}


def signed(
    content: dict[str, Any],
    algorithm: str = "RS256",
    key: Any = None,
    **header: Any,
) -> str:
    """Return a token, signed with the key that is called after its algorithm."""
    named = {"kid": algorithm, **header}
    return jwt.encode(
        content,
        key or KEYS[algorithm],
        algorithm=algorithm,
        headers={name: value for name, value in named.items() if value is not None},
    )


def unsigned(content: dict[str, Any], **header: Any) -> str:
    """Return a token by hand, without a signature."""
    parts = [json.dumps(part).encode() for part in ({"typ": "JWT", **header}, content)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."
