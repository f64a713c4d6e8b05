"""Unit tests of `bus.control.login_routes`: logging in and out, as browsers and programs see it."""

import datetime as dt
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.memory.catalog_reader import MemoryCatalogReader, MemorySchemaRegistry
from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.control.app import make_app
from bus.control.identity import COOKIE, CSRF_HEADER, SECURE_COOKIE
from bus.domain.identity import Role
from bus.errors import IssuerUnavailable
from bus.ports.identity import ExternalSubject, LoginAttempt, SubjectClaim, TokenRefused
from tests import builders
from tests.identity_fakes import IdentityWorld, bearer

PASSWORD = "a long enough pass phrase"  # noqa: S105 (opens nothing)
PROVIDER = "https://login.test"
HTTPS = "https://control.test"


class FakeProvider:
    """A `LoginProvider` that knows one person; `code` says who comes back."""

    issuer = PROVIDER

    def __init__(self) -> None:
        self.begun: list[LoginAttempt] = []
        self.finished: list[LoginAttempt] = []
        self.redirects: set[str] = set()
        self.away = False

    def authorisation_address(self, attempt: LoginAttempt, redirect_to: str) -> str:
        """Return where to log in."""
        if self.away:
            raise IssuerUnavailable("the identity provider does not answer")
        self.begun.append(attempt)
        self.redirects.add(redirect_to)
        return f"{PROVIDER}/authorize?state={attempt.state}"

    def subject(
        self, code: str, attempt: LoginAttempt, redirect_to: str, now: dt.datetime
    ) -> ExternalSubject:
        """Return who the code says."""
        self.finished.append(attempt)
        self.redirects.add(redirect_to)
        if code == "forged":
            raise TokenRefused("it belongs to another log-in")
        return ExternalSubject(issuer=PROVIDER, subject=code)


class Site:
    """Control with one person's account, and a browser."""

    def __init__(self, public_url: str) -> None:
        self.provider = FakeProvider()
        self.world = IdentityWorld(provider=self.provider, public_url=public_url)
        self.world.account("ann", builders.PROVIDER, Role.DEPARTMENT, password=PASSWORD)
        with self.world.store.transaction() as transaction:
            transaction.link(PROVIDER, SubjectClaim.SUB, "4711", "ann")
        store = MemoryCatalogStore()
        self.app = make_app(
            reader=MemoryCatalogReader(store),
            schemas=MemorySchemaRegistry(store),
            incompatibilities=incompatibilities,
            not_ready=lambda: None,
            identity=self.world.parts,
        )
        self.public_url = public_url
        self.browser = self.client()

    def client(self) -> TestClient:
        """Return a client without cookies."""
        return TestClient(
            self.app,
            base_url=self.public_url,
            follow_redirects=False,
            raise_server_exceptions=False,
        )

    def begin(self, **query: str) -> str:
        """Begin to log in; return the state."""
        answer = self.browser.get("/v1/login", params=query)
        assert answer.status_code == 303
        return parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]

    def finish(self, state: str, code: str = "4711", **query: str) -> Any:
        """Come back from the provider."""
        return self.browser.get(
            "/v1/login/callback", params={"state": state, "code": code, **query}
        )


@pytest.fixture
def site() -> Site:
    """Return control behind https."""
    return Site(HTTPS)


def cookies(answer: Any) -> dict[str, str]:
    """Return the cookies that an answer sets, by name, in lower case."""
    return {each.partition("=")[0]: each.lower() for each in answer.headers.get_list("set-cookie")}


def refused(answer: Any) -> tuple[int, str]:
    """Return status and code of a problem."""
    return answer.status_code, answer.json()["code"]


# --- Passwords ------------------------------------------------------------------------------------


def test_a_password_opens_a_session_that_can_be_ended(site: Site) -> None:
    answer = site.client().post("/v1/sessions", json={"account": "ann", "password": PASSWORD})
    shown = bearer(answer.json()["token"])

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert not cookies(answer)
    assert site.client().get("/v1/me", headers=shown).json() == {
        "account": "ann",
        "organisation": builders.PROVIDER,
        "jurisdiction": builders.JURISDICTION,
        "roles": ["department"],
        "scopes": sorted(
            ["read", "catalog", "requests", "grants", "supervision", "audit", "accounts"]
        ),
        "expires_at": answer.json()["expires_at"],
    }
    assert site.client().delete("/v1/sessions/current", headers=shown).status_code == 204
    assert refused(site.client().get("/v1/me", headers=shown)) == (401, "UNAUTHORISED")


def test_a_browser_gets_a_cookie_instead_and_cannot_read_the_token(site: Site) -> None:
    body = {"account": "ann", "password": PASSWORD, "cookie": True}
    answer = site.browser.post("/v1/sessions", json=body)

    cookie = cookies(answer)[SECURE_COOKIE]
    assert answer.json().keys() == {"csrf"}
    for part in ("; httponly", "; secure", "; samesite=lax", "; path=/", "; max-age=3600"):
        assert part in cookie
    assert "domain=" not in cookie
    me = site.browser.get("/v1/me").json()
    assert me["csrf"] == answer.json()["csrf"]
    assert refused(site.browser.delete("/v1/sessions/current")) == (403, "CSRF_MISSING")
    ended = site.browser.delete("/v1/sessions/current", headers={CSRF_HEADER: me["csrf"]})
    assert ended.status_code == 204
    assert SECURE_COOKIE not in site.browser.cookies


@pytest.mark.parametrize(
    "body",
    [
        {"account": "ann", "password": "wrong"},
        {"account": "nobody", "password": PASSWORD},
        {"account": "", "password": ""},
        {"account": "ann\x00", "password": PASSWORD},
        {"account": "ann", "password": "x" * 257},
        {"account": "ann"},
        {"account": "ann", "password": PASSWORD, "admin": True},
        [],
    ],
)
def test_whatever_else_is_sent_opens_nothing_and_is_not_sent_back(site: Site, body: Any) -> None:
    answer = site.browser.post("/v1/sessions", json=body)

    assert answer.status_code in {400, 401, 422}
    assert not cookies(answer)
    assert PASSWORD not in answer.text


@pytest.mark.parametrize("field", ["account", "password"])
def test_half_of_a_surrogate_pair_is_no_text(site: Site, field: str) -> None:
    body = {"account": "ann", "password": PASSWORD, field: "\ud800"}

    answer = site.browser.post(
        "/v1/sessions", content=json.dumps(body), headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422


def test_a_form_of_another_site_logs_nobody_in(site: Site) -> None:
    form = {"account": "ann", "password": PASSWORD, "cookie": "true"}
    text = '{"account": "ann", "password": "a long enough pass phrase", "cookie": true}'

    as_form = site.browser.post("/v1/sessions", data=form)
    as_text = site.browser.post(
        "/v1/sessions", content=text, headers={"content-type": "text/plain"}
    )

    assert as_form.status_code == as_text.status_code == 422
    assert not site.browser.cookies


def test_too_many_failures_say_how_long_to_wait(site: Site) -> None:
    for _ in range(5):
        site.browser.post("/v1/sessions", json={"account": "ann", "password": "wrong"})

    answer = site.browser.post("/v1/sessions", json={"account": "ann", "password": PASSWORD})

    assert refused(answer) == (429, "TOO_MANY_ATTEMPTS")
    assert 0 < int(answer.headers["retry-after"]) <= 2


# --- The identity provider ------------------------------------------------------------------------


def test_a_linked_person_comes_back_to_where_they_began(site: Site) -> None:
    answer = site.finish(site.begin(return_to="/portal?tab=1#top"))

    assert (answer.status_code, answer.headers["location"]) == (303, "/portal?tab=1#top")
    assert site.browser.get("/v1/me").json()["account"] == "ann"
    assert site.provider.begun == site.provider.finished
    assert site.provider.redirects == {f"{HTTPS}/v1/login/callback"}


@pytest.mark.parametrize("public_url", [HTTPS, "http://127.0.0.1"])
def test_cookies_are_secure_where_there_is_https(public_url: str) -> None:
    site = Site(public_url)
    begun = site.browser.get("/v1/login")
    answer = site.finish(parse_qs(urlsplit(begun.headers["location"]).query)["state"][0])

    secure = public_url == HTTPS
    assert (SECURE_COOKIE if secure else COOKIE) in cookies(answer)
    for each in (*cookies(begun).values(), *cookies(answer).values()):
        assert ("; secure" in each) is secure
        assert "; httponly" in each
        assert "; samesite=lax" in each


@pytest.mark.parametrize(
    "place",
    [
        "//else.test",
        "https://else.test",
        "/\\else.test",
        "\\\\else.test",
        "else",
        "/a\tb",
        "/\r\nX: y",
        "",
    ],
)
def test_nobody_is_sent_to_another_site(site: Site, place: str) -> None:
    assert site.finish(site.begin(return_to=place)).headers["location"] == "/"


def test_a_command_line_is_shown_the_token(site: Site) -> None:
    answer = site.finish(site.begin(answer_with="token"))

    assert SECURE_COOKIE not in cookies(answer)
    assert answer.headers["cache-control"] == "no-store"
    assert site.client().get("/v1/me", headers=bearer(answer.json()["token"])).status_code == 200


def test_the_host_header_does_not_say_where_people_come_back(site: Site) -> None:
    site.browser.get("/v1/login", headers={"host": "else.test", "x-forwarded-host": "else.test"})

    assert site.provider.redirects == {f"{HTTPS}/v1/login/callback"}


def test_somebody_who_is_not_linked_is_told_so(site: Site) -> None:
    answer = site.finish(site.begin(), code="4712")

    assert refused(answer) == (403, "ACCOUNT_UNKNOWN")
    assert SECURE_COOKIE not in site.browser.cookies


def test_a_callback_without_its_log_in_is_refused_unasked(site: Site) -> None:
    """Else a page could log somebody in as somebody else, or hand in a code of its own."""
    state = site.begin()
    other = Site(HTTPS)
    stranger = site.client()
    forged = site.client()
    forged.cookies.set("onesource_login", "e30.aaaaaa.bbbbbb", path="/v1/login")
    query = {"state": state, "code": "4711"}

    answers = [
        stranger.get("/v1/login/callback", params=query),
        forged.get("/v1/login/callback", params=query),
        site.finish("another state"),
        site.finish(""),
        site.finish("ü"),
        site.finish(state, iss="https://else.test"),
        site.finish(state, code=""),
        site.finish(state, error="access_denied"),
    ]

    assert {refused(each) for each in answers} == {(401, "UNAUTHORISED")}
    assert site.provider.finished == []
    assert other.provider.finished == []


def test_a_log_in_that_the_provider_does_not_confirm_is_refused(site: Site) -> None:
    answer = site.finish(site.begin(), code="forged")

    assert refused(answer) == (401, "UNAUTHORISED")
    assert "another log-in" not in answer.text
    assert site.world.records[-1].action == "session.refused"


def test_the_provider_may_name_itself(site: Site) -> None:
    assert site.finish(site.begin(), iss=PROVIDER).status_code == 303


def test_a_log_in_is_over_after_ten_minutes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    state = site.begin()
    monkeypatch.setattr("bus.control.login_routes._LOGIN_SECONDS", -1)

    assert refused(site.finish(state)) == (401, "UNAUTHORISED")


def test_each_log_in_is_another(site: Site) -> None:
    for _ in range(10):
        site.begin()

    for name in ("state", "nonce", "verifier"):
        values = {getattr(each, name) for each in site.provider.begun}
        assert len(values) == 10
        # RFC 7636: 43 to 128 characters.
        assert all(43 <= len(value) <= 128 for value in values)
    assert not {each.verifier for each in site.provider.begun} & {
        each.state for each in site.provider.begun
    }


def test_a_provider_that_is_away_is_said_so(site: Site) -> None:
    site.provider.away = True

    answer = site.browser.get("/v1/login")

    assert refused(answer) == (503, "ISSUER_UNAVAILABLE")


def test_without_a_provider_there_is_nowhere_to_send_people() -> None:
    world = IdentityWorld()
    store = MemoryCatalogStore()
    app = make_app(
        reader=MemoryCatalogReader(store),
        schemas=MemorySchemaRegistry(store),
        incompatibilities=incompatibilities,
        not_ready=lambda: None,
        identity=world.parts,
    )

    for path in ("/v1/login", "/v1/login/callback?state=a&code=b"):
        assert refused(TestClient(app).get(path)) == (404, "NOT_FOUND")
