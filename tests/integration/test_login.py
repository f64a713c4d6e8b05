"""Logging in at a real OpenID provider, with accounts in a real Postgres."""

import base64
import hashlib
import json
import re
import secrets
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import structlog
from fastapi.testclient import TestClient

from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.memory.catalog_reader import MemoryCatalogReader, MemorySchemaRegistry
from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.adapters.postgres.audit_log import PostgresAuditReader
from bus.adapters.postgres.pool import Postgres
from bus.adapters.system_clock import SystemClock
from bus.bootstrap.identity import ensure_first_administrator, identity, session_key_path
from bus.control.app import make_app
from bus.control.identity import COOKIE, CSRF_HEADER
from bus.settings import IdentitySettings, OIDCSettings, Settings, read_credentials
from tests.identity_fakes import bearer
from tests.live_platform import LivePlatform, wait_until

PASSWORD = "a long enough pass phrase"  # noqa: S105 (opens nothing)
PUBLIC_URL = "http://testserver"
CALLBACK = f"{PUBLIC_URL}/v1/login/callback"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """Start an OpenID provider as a process of its own; return its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    people = [
        {"sub": "4711", "preferred_username": "ann"},
        {"sub": "4712", "preferred_username": "stranger"},
    ]
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)),
            *("--require-nonce", "true", "--require-registration", "true"),
            *(part for each in people for part in ("--user-claims", json.dumps(each))),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx2.get(f"{address}/jwks", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    try:
        wait_until(answers, "the identity provider answers")
        yield address
    finally:
        process.terminate()
        process.wait()


class Place:
    """Control's application over a database of its own, and a browser."""

    def __init__(self, dsn: str, folder: Path, oidc: OIDCSettings | None) -> None:
        self.postgres = Postgres(dsn)
        self.settings = Settings(
            state_folder=folder, identity=IdentitySettings(public_url=PUBLIC_URL), oidc=oidc
        )
        ensure_first_administrator(self.postgres, folder / "credentials")
        self._identity = identity(self.settings, self.postgres, SystemClock())
        store = MemoryCatalogStore()
        self.app = make_app(
            reader=MemoryCatalogReader(store),
            schemas=MemorySchemaRegistry(store),
            incompatibilities=incompatibilities,
            not_ready=lambda: None,
            identity=self._identity.__enter__(),
        )
        self.browser = self.client()

    def client(self) -> TestClient:
        """Return a client without cookies."""
        return TestClient(self.app, base_url=PUBLIC_URL, follow_redirects=False)

    def administrator(self) -> dict[str, str]:
        """Log in with the password of the first start; return the header to send."""
        path = self.settings.state_folder / "credentials" / "admin.json"
        password = read_credentials(path).password.get_secret_value()
        answer = self.client().post("/v1/sessions", json={"account": "admin", "password": password})
        assert answer.status_code == 201
        return bearer(answer.json()["token"])

    def add_ann(self, claim: str, value: str, issuer: str) -> None:
        """Make an account and link it to somebody at the provider."""
        admin = self.administrator()
        account = {
            "name": "ann",
            "organisation": "statistics",
            "jurisdiction": "cn",
            "kind": "person",
            "roles": ["department"],
        }
        link = {"issuer": issuer, "claim": claim, "value": value}
        client = self.client()
        assert client.post("/v1/accounts", json=account, headers=admin).status_code == 201
        answer = client.post("/v1/accounts/ann/links", json=link, headers=admin)
        assert answer.status_code == 204

    def recorded(self) -> list[tuple[str, str, str]]:
        """Return account, action and outcome of the audit log's rows."""
        rows = PostgresAuditReader(self.postgres).rows(0, 1000)
        return [(each.record.account, each.record.action, each.record.outcome) for each in rows]

    def close(self) -> None:
        """Let go of everything."""
        self._identity.__exit__(None, None, None)
        self.postgres.close()


@pytest.fixture
def place(platform: LivePlatform, tmp_path: Path, provider: str) -> Iterator[Place]:
    """Return control's application, registered at the provider."""
    registered = httpx2.post(
        f"{provider}/oauth2/clients", json={"redirect_uris": [CALLBACK]}, trust_env=False
    ).json()
    oidc = OIDCSettings(
        issuer=provider,
        client_id=registered["client_id"],
        client_secret=registered["client_secret"],
    )
    place = Place(platform.new_control_database(), tmp_path, oidc)
    yield place
    place.close()


def at_the_provider(address: str, subject: str) -> str:
    """Log in at the provider's own page; return the address that it sends the browser back to."""
    answer = httpx2.post(address, data={"sub": subject}, trust_env=False)
    assert answer.status_code == 302
    return answer.headers["location"]


def test_a_linked_person_logs_in_with_a_browser(place: Place, provider: str) -> None:
    place.add_ann("preferred_username", "ann", provider)

    begun = place.browser.get("/v1/login", params={"return_to": "/portal?tab=1"})
    sent_to = begun.headers["location"]
    back = place.browser.get(at_the_provider(sent_to, "4711"))
    me = place.browser.get("/v1/me").json()

    assert begun.status_code == back.status_code == 303
    assert sent_to.startswith(f"{provider}/oauth2/authorize?")
    assert back.headers["location"] == "/portal?tab=1"
    cookie = next(c for c in back.headers.get_list("set-cookie") if c.startswith(f"{COOKIE}="))
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    assert (me["account"], me["roles"]) == ("ann", ["department"])
    assert place.browser.delete("/v1/sessions/current").status_code == 403
    ended = place.browser.delete("/v1/sessions/current", headers={CSRF_HEADER: me["csrf"]})
    assert ended.status_code == 204
    # The browser has forgotten the cookie; the token in it is good for nothing either.
    place.browser.cookies.set(COOKIE, cookie.partition("=")[2].partition(";")[0])
    assert place.browser.get("/v1/me").status_code == 401


def test_a_command_line_gets_the_token(place: Place, provider: str) -> None:
    place.add_ann("sub", "4711", provider)

    begun = place.browser.get("/v1/login", params={"answer_with": "token"})
    back = place.browser.get(at_the_provider(begun.headers["location"], "4711"))

    assert back.headers["cache-control"] == "no-store"
    assert COOKIE not in place.browser.cookies
    me = place.client().get("/v1/me", headers=bearer(back.json()["token"]))
    assert me.json()["account"] == "ann"


def test_the_log_in_shows_a_challenge_and_what_must_come_back(place: Place, provider: str) -> None:
    sent = [
        dict(urllib.parse.parse_qsl(place.client().get("/v1/login").headers["location"]))
        for _ in range(2)
    ]

    for name in ("state", "nonce", "code_challenge"):
        assert len(sent[0][name]) >= 43
        assert sent[0][name] != sent[1][name]
    assert sent[0]["code_challenge_method"] == "S256"
    assert sent[0]["redirect_uri"] == CALLBACK
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", sent[0]["code_challenge"])
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    assert len(base64.urlsafe_b64encode(digest).rstrip(b"=")) == len(sent[0]["code_challenge"])


def test_somebody_who_is_not_linked_is_told_so(place: Place, provider: str) -> None:
    place.add_ann("sub", "4711", provider)

    begun = place.browser.get("/v1/login")
    back = place.browser.get(at_the_provider(begun.headers["location"], "4712"))

    assert (back.status_code, back.json()["code"]) == (403, "ACCOUNT_UNKNOWN")
    assert COOKIE not in place.browser.cookies
    assert place.recorded()[-1] == ("", "session.refused", "UNAUTHORISED")


@pytest.mark.parametrize("change", ["other browser", "other state", "twice", "other code", "iss"])
def test_a_log_in_that_was_not_begun_here_is_refused(
    place: Place, provider: str, change: str
) -> None:
    place.add_ann("sub", "4711", provider)
    begun = place.browser.get("/v1/login")
    address = at_the_provider(begun.headers["location"], "4711")
    if change == "other browser":
        place.browser = place.client()
        place.browser.get("/v1/login")
    if change == "other state":
        address = re.sub(r"state=[^&]+", "state=other", address)
    if change == "other code":
        address = re.sub(r"code=[^&]+", "code=other", address)
    if change == "iss":
        address += "&iss=https%3A%2F%2Felse.test"
    if change == "twice":
        kept = dict(place.browser.cookies)
        assert place.browser.get(address).status_code == 303
        place.browser = place.client()
        place.browser.cookies.update(kept)

    answer = place.browser.get(address)

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORISED")
    assert COOKIE not in place.browser.cookies


def test_the_first_start_makes_an_administrator_with_a_password_of_its_own(place: Place) -> None:
    """There is no default password, and none in the log."""
    folder = place.settings.state_folder
    before = (folder / "credentials" / "admin.json").read_bytes()
    ensure_first_administrator(place.postgres, folder / "credentials")

    me = place.client().get("/v1/me", headers=place.administrator()).json()

    assert me["roles"] == ["administrator"]
    for path in (folder / "credentials" / "admin.json", session_key_path(place.settings)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert (folder / "credentials" / "admin.json").read_bytes() == before
    assert place.recorded()[0] == ("admin", "account.created", "DONE")


def test_no_secret_gets_into_the_log(place: Place, provider: str) -> None:
    """Neither passwords nor tokens, codes, verifiers or the client's secret."""
    with structlog.testing.capture_logs() as logged:
        place.add_ann("sub", "4711", provider)
        begun = place.browser.get("/v1/login", params={"answer_with": "token"})
        address = at_the_provider(begun.headers["location"], "4711")
        token = place.browser.get(address).json()["token"]
        place.client().post("/v1/sessions", json={"account": "ann", "password": PASSWORD})
        place.client().get("/v1/me", headers=bearer(token + "x"))
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["code"][0]
    kept = place.settings.oidc
    assert kept is not None
    assert kept.client_secret is not None
    everything = repr(logged) + repr(PostgresAuditReader(place.postgres).rows(0, 1000))

    for secret in (PASSWORD, token, code, kept.client_secret.get_secret_value()):
        assert secret not in everything
    assert kept.client_secret.get_secret_value() not in repr(place.settings)
    assert logged


def test_a_session_goes_on_when_control_starts_again(
    platform: LivePlatform, tmp_path: Path
) -> None:
    first = Place(platform.new_control_database(), tmp_path, None)
    token = first.administrator()
    with identity(first.settings, first.postgres, SystemClock()) as again:
        who = again.identity.bearer(token["Authorization"].removeprefix("Bearer "))
    first.close()

    assert who.actor.account == "admin"


def test_without_a_provider_there_is_nowhere_to_send_people(
    platform: LivePlatform, tmp_path: Path
) -> None:
    place = Place(platform.new_control_database(), tmp_path, None)

    answer = place.client().get("/v1/login")
    place.close()

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_wrong_passwords_are_held_up(place: Place) -> None:
    statuses = [
        place.client()
        .post("/v1/sessions", json={"account": "admin", "password": "wrong"})
        .status_code
        for _ in range(8)
    ]

    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429


def test_the_embedded_platform_has_an_administrator_and_no_default_password(
    platform: LivePlatform,
) -> None:
    path = platform.folder.credentials_file("admin")
    password = read_credentials(path).password.get_secret_value()
    url = f"http://127.0.0.1:{platform.port('control')}"

    with httpx2.Client(base_url=url, trust_env=False) as client:
        answers = [
            client.post("/v1/sessions", json={"account": "admin", "password": each})
            for each in ("admin", password)
        ]
        me = client.get("/v1/me", headers=bearer(answers[1].json()["token"]))

    assert [each.status_code for each in answers] == [401, 201]
    assert me.json()["roles"] == ["administrator"]
    assert path.stat().st_mode & 0o777 == 0o600
    for log in (platform.folder.root / "logs").iterdir():
        assert password not in log.read_text(encoding="utf-8", errors="replace")
