"""Unit tests of `bus.adapters.jose`: which tokens of an outside issuer are believed."""

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.jose.bearer_issuer import OutsideBearerIssuer
from bus.adapters.jose.fetch import IssuerClient
from bus.adapters.jose.issuer_keys import IssuerKeys
from bus.adapters.memory.clock import ManualClock
from bus.errors import ConfigError, IssuerUnavailable
from bus.ports.identity import TokenRefused
from tests import builders
from tests.loopback_http import answer, serving
from tests.unit.bus.adapters.jose.signing import (
    AUDIENCE,
    RSA_KEY,
    claims,
    jwk,
    signed,
    unsigned,
)

ALGORITHMS = ("RS256", "ES256", "EdDSA")
NOW = builders.NOW
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """An issuer on loopback whose documents a test can change, and a checker of its tokens."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [jwk(name) for name in ALGORITHMS]
        self.metadata: dict[str, Any] = {}
        self.body: bytes | None = None
        self.status = 200
        self.asked = 0

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        self.asked += 1
        if self.body is not None:
            answer(request, self.body, status=self.status)
            return
        document: Any = {"keys": self.keys}
        if request.path.endswith("openid-configuration"):
            document = {
                "issuer": self.address,
                "jwks_uri": f"{self.address}/keys",
                **self.metadata,
            }
        answer(request, json.dumps(document).encode(), status=self.status)

    def connect(self, address: str) -> None:
        """Begin to check tokens."""
        self.address = address
        self.clock = ManualClock()
        self.client = IssuerClient(address, seconds=2)
        self.checker = OutsideBearerIssuer(
            IssuerKeys(self.client, self.clock, ALGORITHMS), audience=AUDIENCE
        )

    def token(self, algorithm: str = "RS256", **changes: Any) -> str:
        """Return a good token, but for changes of its claims."""
        return signed(claims(self.address, **changes), algorithm)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Return an issuer that answers."""
    issuer = Issuer()
    with serving(issuer) as address:
        issuer.connect(address)
        yield issuer
        issuer.client.close()


def refused(issuer: Issuer, token: str) -> bool:
    """Tell whether a token is refused."""
    try:
        issuer.checker.verify(token, NOW)
    except TokenRefused:
        return True
    return False


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_the_issuer_for_us_is_believed(issuer: Issuer, algorithm: str) -> None:
    subject = issuer.checker.verify(issuer.token(algorithm), NOW)

    assert (subject.issuer, subject.subject) == (issuer.address, "42")


def test_documents_are_fetched_once(issuer: Issuer) -> None:
    for algorithm in ALGORITHMS * 5:
        issuer.checker.verify(issuer.token(algorithm), NOW)

    assert issuer.asked == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://else.test"},
        {"iss": None},
        {"aud": "another service"},
        {"aud": ["another", "service"]},
        {"aud": None},
        {"aud": ""},
        {"exp": (NOW - dt.timedelta(minutes=1)).timestamp()},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 1e300},
        {"exp": -1},
        {"nbf": (NOW + dt.timedelta(minutes=1)).timestamp()},
        {"iat": (NOW + dt.timedelta(minutes=1)).timestamp()},
        {"sub": None},
        {"sub": ""},
        {"sub": 42},
    ],
)
def test_a_token_with_another_claim_is_refused(issuer: Issuer, changes: dict[str, Any]) -> None:
    assert refused(issuer, signed(claims(issuer.address, **changes)))


def test_a_token_for_several_is_for_us_too(issuer: Issuer) -> None:
    assert not refused(issuer, issuer.token(aud=["another", AUDIENCE]))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_signature_is_refused(issuer: Issuer, algorithm: str) -> None:
    for key_id in ("RS256", None):
        header = {"alg": algorithm} | ({"kid": key_id} if key_id else {})
        assert refused(issuer, unsigned(claims(issuer.address), **header))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_shared_secret(issuer: Issuer, algorithm: str) -> None:
    """Whoever has the public key could otherwise sign with it as if it were a password."""
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
    pem = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem, pem.strip(), json.dumps(jwk("RS256")).encode()):
        text = unsigned(claims(issuer.address), alg=algorithm, kid="RS256")
        mac = hmac.new(secret, text.rstrip(".").encode(), digest[algorithm]).digest()
        assert refused(issuer, text + _encoded(mac))


def test_a_symmetric_key_among_the_issuers_keys_is_not_used(issuer: Issuer) -> None:
    issuer.keys = [{"kty": "oct", "k": _encoded(b"x" * 32), "kid": "RS256", "alg": "RS256"}]

    assert refused(issuer, issuer.token())


def test_a_foreign_key_is_refused_even_if_the_token_brings_it(issuer: Issuer) -> None:
    foreign = signed(claims(issuer.address), key=OTHER_KEY)
    with_key = signed(claims(issuer.address), key=OTHER_KEY, kid=None, jwk=jwk("RS256", OTHER_KEY))
    elsewhere = signed(claims(issuer.address), key=OTHER_KEY, jku="http://127.0.0.1:1/keys")

    assert refused(issuer, foreign)
    assert refused(issuer, with_key)
    assert refused(issuer, elsewhere)


def test_the_algorithm_belongs_to_the_key(issuer: Issuer) -> None:
    """RS512 is sound, but not among ours; PS256 is not what the key is for."""
    for algorithm in ("RS512", "PS256"):
        assert refused(issuer, signed(claims(issuer.address), algorithm, RSA_KEY, kid="RS256"))
    issuer.keys = [jwk("RS256", alg="RS512")]
    assert refused(issuer, issuer.token())


@pytest.mark.parametrize(
    "members", [{"use": "enc"}, {"kid": "another"}, {"kty": "EC"}, {"n": "!!"}, {"n": None}]
)
def test_a_key_that_is_not_for_this_is_not_used(issuer: Issuer, members: dict[str, Any]) -> None:
    issuer.keys = [jwk("RS256", **members)]

    assert refused(issuer, issuer.token())


def test_a_key_that_is_too_short_is_not_used(issuer: Issuer) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 (meant)
    issuer.keys = [jwk("RS256", short)]
    text = unsigned(claims(issuer.address), alg="RS256", kid="RS256").rstrip(".")
    signature = short.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())

    assert refused(issuer, f"{text}.{_encoded(signature)}")


def test_without_a_key_id_there_must_be_no_choice(issuer: Issuer) -> None:
    token = signed(claims(issuer.address), kid=None)

    assert not refused(issuer, token)
    issuer.clock.sleep(3600)
    issuer.keys.append(jwk("RS256", OTHER_KEY, kid="another"))
    assert refused(issuer, token)


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "id+jwt"])
def test_a_token_for_something_else_is_refused(issuer: Issuer, kind: str) -> None:
    assert refused(issuer, signed(claims(issuer.address), typ=kind))


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "application/at+jwt"])
def test_a_token_may_say_what_it_is(issuer: Issuer, kind: str) -> None:
    assert not refused(issuer, signed(claims(issuer.address), typ=kind))


def test_an_extension_that_must_be_understood_is_refused(issuer: Issuer) -> None:
    assert refused(issuer, signed(claims(issuer.address), crit=["exp"], exp=1))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_with_a_changed_letter_is_refused(issuer: Issuer, part: int) -> None:
    parts = issuer.token().split(".")
    letter = parts[part][5]
    parts[part] = parts[part][:5] + ("A" if letter != "A" else "B") + parts[part][6:]

    assert refused(issuer, ".".join(parts))


@given(text=st.text(max_size=200) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}"))
def test_no_text_is_an_error_inside(text: str) -> None:
    checker = OutsideBearerIssuer(
        IssuerKeys(IssuerClient("http://127.0.0.1:1"), ManualClock(), ALGORITHMS),
        audience=AUDIENCE,
    )

    with pytest.raises(TokenRefused):
        checker.verify(text, NOW)


@pytest.mark.parametrize("header", ["[" * 5000, '{"alg":' + "9" * 5000 + "}", "[]", "1", "null"])
def test_a_header_that_is_none_is_refused(issuer: Issuer, header: str) -> None:
    assert refused(issuer, f"{_encoded(header.encode())}.e30.AAAA")


# --- Asking ---------------------------------------------------------------------------------------


def test_a_new_key_is_found_and_an_old_one_forgotten(issuer: Issuer) -> None:
    issuer.checker.verify(issuer.token(), NOW)
    issuer.keys = [jwk("RS256", OTHER_KEY, kid="new")]
    fresh = signed(claims(issuer.address), key=OTHER_KEY, kid="new")
    issuer.clock.sleep(31)

    assert not refused(issuer, fresh)
    assert refused(issuer, issuer.token())


def test_unknown_keys_do_not_make_us_ask_each_time(issuer: Issuer) -> None:
    for number in range(50):
        assert refused(issuer, signed(claims(issuer.address), kid=f"key{number}"))

    assert issuer.asked == 2


def test_keys_are_good_while_the_issuer_is_away_but_not_for_ever(issuer: Issuer) -> None:
    issuer.checker.verify(issuer.token(), NOW)
    issuer.status, issuer.body = 500, b"{}"
    issuer.clock.sleep(3600)
    issuer.checker.verify(issuer.token(), NOW)
    issuer.clock.sleep(24 * 3600)

    with pytest.raises(IssuerUnavailable):
        issuer.checker.verify(issuer.token(), NOW)


def test_after_a_failure_others_do_not_wait_too(issuer: Issuer) -> None:
    issuer.status, issuer.body = 500, b"{}"
    for _ in range(10):
        with pytest.raises(IssuerUnavailable):
            issuer.checker.verify(issuer.token(), NOW)
    asked = issuer.asked
    issuer.status, issuer.body = 200, None
    issuer.clock.sleep(6)

    assert asked == 1
    assert not refused(issuer, issuer.token())


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"[" * 100_000, b"{}" + b" " * 300_000, b"\xff", b'{"issuer": 1}'],
)
def test_an_answer_that_is_none_is_the_issuers_trouble(issuer: Issuer, body: bytes) -> None:
    issuer.body = body

    with pytest.raises(IssuerUnavailable):
        issuer.checker.verify(issuer.token(), NOW)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://else.test"},
        {"jwks_uri": None},
        {"jwks_uri": "http://192.0.2.1/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://["},
    ],
)
def test_what_the_issuer_says_of_itself_must_be_right(
    issuer: Issuer, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata

    with pytest.raises(IssuerUnavailable):
        issuer.checker.verify(issuer.token(), NOW)


def test_redirects_are_not_followed() -> None:
    def handler(request: BaseHTTPRequestHandler) -> None:
        answer(request, b"", status=302, Location="http://127.0.0.1:1/")

    with serving(handler) as address:
        client = IssuerClient(address, seconds=2)
        with pytest.raises(IssuerUnavailable, match="302"):
            client.get(address)
        client.close()


@pytest.mark.parametrize("url", ["http://login.test", "ftp://127.0.0.1", "login.test", "", "//x"])
def test_beyond_this_machine_it_is_https(url: str) -> None:
    with pytest.raises(ConfigError):
        IssuerClient(url)


def test_algorithms_with_shared_secrets_cannot_even_be_set() -> None:
    client = IssuerClient("https://login.test")
    for algorithms in (["HS256"], ["none"], [], ["RS256", "HS256"]):
        with pytest.raises(ValueError, match="not for tokens of others"):
            IssuerKeys(client, ManualClock(), algorithms)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
