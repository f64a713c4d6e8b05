"""Unit tests of `bus.adapters.jose.login_provider`: who came back from the identity provider."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from typing_extensions import override

from bus.adapters.jose.fetch import IssuerClient
from bus.adapters.jose.issuer_keys import IssuerKeys
from bus.adapters.jose.login_provider import OpenIDLogin, challenge
from bus.adapters.memory.clock import ManualClock
from bus.errors import IssuerUnavailable
from bus.ports.identity import ExternalSubject, LoginAttempt, TokenRefused
from tests import builders
from tests.unit.bus.adapters.jose.signing import claims, jwk, signed

CLIENT = "one source/1"
SECRET = "s:cret&more"  # noqa: S105 (opens nothing)
REDIRECT = "https://control.test/v1/login/callback"
ATTEMPT = LoginAttempt(state="state-1", nonce="nonce-1", verifier="v" * 64)
#: RFC 7636, appendix B.
RFC_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
RFC_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Provider:
    """An OpenID provider on loopback that answers whatever a test wants."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.key: Any = None
        self.answer: dict[str, Any] | None = None
        self.form: dict[str, str] = {}
        self.authorization: str | None = None
        self.status = 200

    def document(self, path: str) -> dict[str, Any]:
        """Return the document at a path."""
        if path.endswith("openid-configuration"):
            return {
                "issuer": self.address,
                "jwks_uri": f"{self.address}/keys",
                "authorization_endpoint": f"{self.address}/authorize?tenant=1",
                "token_endpoint": f"{self.address}/token",
                **self.metadata,
            }
        if path == "/keys":
            return {"keys": [jwk("RS256")]}
        if self.answer is not None:
            return self.answer
        content = claims(
            self.address,
            **{"aud": CLIENT, "nonce": ATTEMPT.nonce, "preferred_username": "ann", **self.claims},
        )
        return {"access_token": "x", "id_token": signed(content, key=self.key)}

    def connect(self, address: str, secret: str | None) -> None:
        """Begin to log people in."""
        self.address = address
        self.client = IssuerClient(address, seconds=2)
        keys = IssuerKeys(self.client, ManualClock(), ["RS256"])
        self.login = OpenIDLogin(self.client, keys, client_id=CLIENT, client_secret=secret)

    def subject(self) -> ExternalSubject:
        """Return who came back."""
        return self.login.subject("the code", ATTEMPT, REDIRECT, builders.NOW)


@pytest.fixture(params=[SECRET])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """Return a provider that answers as it should."""
    provider = Provider()

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(provider.document(self.path)).encode()
            self.send_response(provider.status if self.command == "POST" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            provider.form = dict(parse_qsl(self.rfile.read(length).decode()))
            provider.authorization = self.headers["Authorization"]
            self.do_GET()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    provider.connect(f"http://127.0.0.1:{server.server_port}", request.param)
    yield provider
    provider.client.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_person_is_sent_with_a_challenge_not_the_verifier(provider: Provider) -> None:
    address = urlsplit(provider.login.authorisation_address(ATTEMPT, REDIRECT))

    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{provider.address}/authorize"
    assert dict(parse_qsl(address.query)) == {
        "tenant": "1",
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
        "scope": "openid profile",
        "state": ATTEMPT.state,
        "nonce": ATTEMPT.nonce,
        "code_challenge": challenge(ATTEMPT.verifier),
        "code_challenge_method": "S256",
    }
    assert ATTEMPT.verifier not in address.query


def test_the_challenge_is_that_of_the_standard() -> None:
    assert challenge(RFC_VERIFIER) == RFC_CHALLENGE


def test_the_code_is_exchanged_with_the_verifier_and_the_clients_secret(
    provider: Provider,
) -> None:
    subject = provider.subject()

    assert subject == ExternalSubject(issuer=provider.address, subject="42", username="ann")
    assert provider.form == {
        "grant_type": "authorization_code",
        "code": "the code",
        "redirect_uri": REDIRECT,
        "code_verifier": ATTEMPT.verifier,
    }
    encoded = base64.b64encode(b"one+source%2F1:s%3Acret%26more").decode()
    assert provider.authorization == f"Basic {encoded}"


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(provider: Provider) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}

    provider.subject()

    assert (provider.form["client_id"], provider.form["client_secret"]) == (CLIENT, SECRET)
    assert provider.authorization is None


@pytest.mark.parametrize("provider", [None], indirect=True)
def test_a_client_without_secret_says_its_name(provider: Provider) -> None:
    provider.subject()

    assert provider.form["client_id"] == CLIENT
    assert "client_secret" not in provider.form


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 1},
        {"aud": "another client"},
        {"aud": [CLIENT, "another client"]},
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"azp": "another client"},
        {"iss": "https://else.test"},
        {"exp": builders.NOW.timestamp() - 60},
        {"iat": builders.NOW.timestamp() + 60},
        {"sub": None},
    ],
)
def test_an_id_token_that_is_not_for_this_log_in_is_refused(
    provider: Provider, changes: dict[str, Any]
) -> None:
    provider.claims = changes

    with pytest.raises(TokenRefused):
        provider.subject()


def test_an_id_token_for_several_names_us_as_the_one_it_was_made_for(provider: Provider) -> None:
    provider.claims = {"aud": [CLIENT, "another client"], "azp": CLIENT}

    assert provider.subject().subject == "42"


def test_an_id_token_of_a_foreign_key_is_refused(provider: Provider) -> None:
    provider.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    with pytest.raises(TokenRefused):
        provider.subject()


def test_a_code_that_the_provider_does_not_know_proves_nobody(provider: Provider) -> None:
    provider.status = 400
    provider.login.authorisation_address(ATTEMPT, REDIRECT)

    with pytest.raises(TokenRefused):
        provider.subject()


def test_a_client_that_the_provider_does_not_know_is_not_the_persons_fault(
    provider: Provider,
) -> None:
    provider.status = 401

    with pytest.raises(IssuerUnavailable):
        provider.subject()


@pytest.mark.parametrize(
    "answer", [{}, {"id_token": None}, {"id_token": 1}, {"id_token": "x" * 20_000}]
)
def test_an_answer_without_id_token_proves_nobody(
    provider: Provider, answer: dict[str, Any]
) -> None:
    provider.answer = answer

    with pytest.raises(TokenRefused):
        provider.subject()


def test_a_code_of_any_length_is_not_sent_on(provider: Provider) -> None:
    with pytest.raises(TokenRefused):
        provider.login.subject("x" * 10_000, ATTEMPT, REDIRECT, builders.NOW)

    assert provider.form == {}


@pytest.mark.parametrize("username", [None, "", 1, ["ann"]])
def test_a_user_name_that_is_none_is_not_taken(provider: Provider, username: object) -> None:
    provider.claims = {"preferred_username": username}

    assert provider.subject().username is None


@pytest.mark.parametrize(
    "metadata",
    [
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://192.0.2.1/authorize"},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_safe(
    provider: Provider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata

    with pytest.raises(IssuerUnavailable):
        provider.login.authorisation_address(ATTEMPT, REDIRECT)
