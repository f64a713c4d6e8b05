"""Unit tests of `bus.control.account_routes`: who may keep accounts, and how it is answered."""

import datetime as dt
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.memory.catalog_reader import MemoryCatalogReader, MemorySchemaRegistry
from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.control.app import make_app
from bus.domain.accounts import PLATFORM, AccountKind, ApiScope, token_parts
from bus.domain.identity import Role
from tests import builders
from tests.identity_fakes import IdentityWorld, bearer

PASSWORD = "a long enough pass phrase"  # noqa: S105 (opens nothing)
PERSON = {
    "name": "li.ming",
    "organisation": builders.PROVIDER,
    "jurisdiction": builders.JURISDICTION,
    "kind": "person",
    "roles": ["department"],
    "display_name": "李明",
    "password": PASSWORD,
}
SERVICE = {**PERSON, "name": "feed", "kind": "service", "display_name": "", "password": None}


@pytest.fixture
def world() -> IdentityWorld:
    """Return a world without accounts."""
    return IdentityWorld()


@pytest.fixture
def client(world: IdentityWorld) -> TestClient:
    """Return a client that shows nothing."""
    store = MemoryCatalogStore()
    app = make_app(
        reader=MemoryCatalogReader(store),
        schemas=MemorySchemaRegistry(store),
        incompatibilities=incompatibilities,
        not_ready=lambda: None,
        identity=world.parts,
    )
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def admin(world: IdentityWorld) -> dict[str, str]:
    """Return the header of an administrator of the platform."""
    return bearer(world.token("root", PLATFORM, Role.ADMINISTRATOR, jurisdiction=PLATFORM))


def expiry(world: IdentityWorld, days: float = 30) -> str:
    """Return a time as JSON has it."""
    return (world.clock.now() + dt.timedelta(days=days)).isoformat()


def logged_in(client: TestClient, name: str = "li.ming") -> dict[str, str]:
    """Log in with the password of the tests, and return the header to send."""
    answer = client.post("/v1/sessions", json={"account": name, "password": PASSWORD})
    assert answer.status_code == 201
    return bearer(answer.json()["token"])


def refused(answer: Any) -> tuple[int, str]:
    """Return status and code of a problem."""
    return answer.status_code, answer.json()["code"]


def test_an_account_is_made_shown_and_can_log_in(client: TestClient, admin: dict[str, str]) -> None:
    made = client.post("/v1/accounts", json=PERSON, headers=admin)
    shown = {key: value for key, value in PERSON.items() if key != "password"}

    assert (made.status_code, made.json()) == (201, {**shown, "active": True})
    assert client.get("/v1/accounts/li.ming", headers=admin).json() == made.json()
    assert made.json() in client.get("/v1/accounts", headers=admin).json()["items"]
    me = client.get("/v1/me", headers=logged_in(client)).json()
    assert (me["account"], me["roles"]) == ("li.ming", ["department"])


def test_a_name_is_given_once(client: TestClient, admin: dict[str, str]) -> None:
    client.post("/v1/accounts", json=PERSON, headers=admin)

    assert refused(client.post("/v1/accounts", json=PERSON, headers=admin)) == (
        409,
        "ACCOUNT_EXISTS",
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"roles": ["operator", "department"]}, "ROLES_EXCLUSIVE"),
        ({"roles": ["auditor", "administrator"]}, "ROLES_EXCLUSIVE"),
        ({"roles": ["emperor"]}, "REQUEST_INVALID"),
        ({"name": "Li Ming"}, "ACCOUNT_INVALID"),
        ({"organisation": "No Code"}, "ACCOUNT_INVALID"),
        ({"display_name": "a\x00b"}, None),
        ({"password": "short"}, "PASSWORD_WEAK"),
        ({"password": "li.ming li.ming 1"}, "PASSWORD_WEAK"),
        ({"kind": "service"}, "ACCOUNT_INVALID"),
        ({"price": 1}, "REQUEST_INVALID"),
    ],
)
def test_what_no_account_may_be_is_refused(
    client: TestClient, admin: dict[str, str], changes: dict[str, Any], code: str | None
) -> None:
    """R-005: who operates or audits decides nothing, so those accounts hold no other role."""
    answer = client.post("/v1/accounts", json={**PERSON, **changes}, headers=admin)

    assert answer.status_code == 422
    assert code is None or answer.json()["code"] == code
    assert PASSWORD not in answer.text


def test_only_administrators_of_the_jurisdiction_keep_accounts(
    world: IdentityWorld, client: TestClient, admin: dict[str, str]
) -> None:
    """R-006: roles hold where they are held; elsewhere an account looks as if there were none."""
    client.post("/v1/accounts", json=PERSON, headers=admin)
    department = bearer(world.token("other", builders.CONSUMER, Role.DEPARTMENT))
    elsewhere = bearer(world.token("far", "centre", Role.ADMINISTRATOR, jurisdiction="elsewhere"))
    here = bearer(world.token("near", "centre", Role.ADMINISTRATOR))
    absent = client.get("/v1/accounts/nobody", headers=department)

    for stranger in (department, elsewhere):
        assert refused(client.post("/v1/accounts", json=SERVICE, headers=stranger)) == (
            403,
            "FORBIDDEN_ROLE",
        )
        for answer in (
            client.get("/v1/accounts/li.ming", headers=stranger),
            client.put("/v1/accounts/li.ming/roles", json={"roles": []}, headers=stranger),
            client.put("/v1/accounts/li.ming/active", json={"active": False}, headers=stranger),
            client.get("/v1/accounts/li.ming/tokens", headers=stranger),
        ):
            assert refused(answer) == (404, "NOT_FOUND")
            assert answer.json()["detail"].replace("li.ming", "nobody") == absent.json()["detail"]
    assert [
        each["name"] for each in client.get("/v1/accounts", headers=department).json()["items"]
    ] == ["other"]
    assert client.post("/v1/accounts", json=SERVICE, headers=here).status_code == 201
    above = {**SERVICE, "name": "above", "jurisdiction": PLATFORM, "roles": ["administrator"]}
    assert refused(client.post("/v1/accounts", json=above, headers=here))[0] == 403


def test_roles_hold_at_once_and_nobody_gives_them_to_himself(
    client: TestClient, admin: dict[str, str]
) -> None:
    client.post("/v1/accounts", json=PERSON, headers=admin)
    session = logged_in(client)

    changed = client.put("/v1/accounts/li.ming/roles", json={"roles": ["office"]}, headers=admin)
    own = client.put("/v1/accounts/root/roles", json={"roles": ["steering"]}, headers=admin)

    assert changed.json()["roles"] == ["office"]
    assert client.get("/v1/me", headers=session).json()["roles"] == ["office"]
    assert refused(own) == (403, "FORBIDDEN_ROLE")


def test_a_closed_account_is_out_at_once_and_for_good(
    world: IdentityWorld, client: TestClient, admin: dict[str, str]
) -> None:
    client.post("/v1/accounts", json=PERSON, headers=admin)
    session = logged_in(client)
    world.clock.sleep(1)
    client.put("/v1/accounts/li.ming/active", json={"active": False}, headers=admin)
    closed = client.get("/v1/me", headers=session)
    login = client.post("/v1/sessions", json={"account": "li.ming", "password": PASSWORD})
    client.put("/v1/accounts/li.ming/active", json={"active": True}, headers=admin)

    assert refused(closed) == refused(login) == (401, "UNAUTHORISED")
    assert client.get("/v1/me", headers=session).status_code == 401
    assert client.get("/v1/me", headers=logged_in(client)).status_code == 200


def test_an_administrator_may_close_another_one(world: IdentityWorld, client: TestClient) -> None:
    world.account("one", PLATFORM, Role.ADMINISTRATOR, jurisdiction=PLATFORM)
    two = bearer(world.token("two", PLATFORM, Role.ADMINISTRATOR, jurisdiction=PLATFORM))

    closed = client.put("/v1/accounts/one/active", json={"active": False}, headers=two)
    own = client.put("/v1/accounts/two/active", json={"active": False}, headers=two)

    assert not closed.json()["active"]
    assert refused(own) == (403, "FORBIDDEN_ROLE")


def test_a_token_is_shown_once_and_is_good_for_what_it_says(
    world: IdentityWorld, client: TestClient, admin: dict[str, str]
) -> None:
    client.post("/v1/accounts", json=SERVICE, headers=admin)
    body = {"scopes": ["read"], "expires_at": expiry(world), "title": "采集"}

    issued = client.post("/v1/accounts/feed/tokens", json=body, headers=admin)
    text = issued.json()["token"]
    listed = client.get("/v1/accounts/feed/tokens", headers=admin)

    assert (issued.status_code, issued.headers["cache-control"]) == (201, "no-store")
    assert client.get("/v1/me", headers=bearer(text)).json()["scopes"] == ["read"]
    assert text not in listed.text
    assert [each["id"] for each in listed.json()["items"]] == [issued.json()["id"]]
    assert refused(client.get("/v1/me", headers=bearer(text + "x"))) == (401, "UNAUTHORISED")
    gone = client.delete(f"/v1/accounts/feed/tokens/{issued.json()['id']}", headers=admin)
    assert gone.status_code == 204
    assert refused(client.get("/v1/me", headers=bearer(text))) == (401, "UNAUTHORISED")


@pytest.mark.parametrize(
    "changes",
    [{"scopes": []}, {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "2099-01-01T00:00Z"}],
)
def test_a_token_without_scope_or_end_is_refused(
    world: IdentityWorld, client: TestClient, admin: dict[str, str], changes: dict[str, Any]
) -> None:
    client.post("/v1/accounts", json=SERVICE, headers=admin)
    body = {"scopes": ["read"], "expires_at": expiry(world), **changes}

    answer = client.post("/v1/accounts/feed/tokens", json=body, headers=admin)

    assert answer.status_code == 422


def test_people_make_their_own_tokens_and_tokens_make_none_for_themselves(
    world: IdentityWorld, client: TestClient, admin: dict[str, str]
) -> None:
    """R-005: an administrator, who decides nothing, cannot decide in somebody's name."""
    client.post("/v1/accounts", json=PERSON, headers=admin)
    body = {"scopes": ["accounts", "read"], "expires_at": expiry(world)}
    address = "/v1/accounts/li.ming/tokens"

    own = client.post(address, json=body, headers=logged_in(client))
    by_token = client.post(address, json=body, headers=bearer(own.json()["token"]))

    assert own.status_code == 201
    assert refused(by_token) == (403, "FORBIDDEN_ROLE")
    assert refused(client.post(address, json=body, headers=admin)) == (403, "FORBIDDEN_ROLE")


def test_a_token_makes_none_that_is_good_for_more(
    world: IdentityWorld, client: TestClient, admin: dict[str, str]
) -> None:
    client.post("/v1/accounts", json=SERVICE, headers=admin)
    limited = bearer(
        world.token(
            "keeper",
            PLATFORM,
            Role.ADMINISTRATOR,
            jurisdiction=PLATFORM,
            scopes={ApiScope.ACCOUNTS, ApiScope.READ},
        )
    )
    address = "/v1/accounts/feed/tokens"
    body = {"scopes": ["read"], "expires_at": expiry(world)}

    assert client.post(address, json=body, headers=limited).status_code == 201
    more = client.post(address, json={**body, "scopes": ["read", "grants"]}, headers=limited)
    assert refused(more) == (403, "FORBIDDEN_ROLE")


def test_the_own_password_changes_with_the_current_one_only(
    world: IdentityWorld, client: TestClient, admin: dict[str, str]
) -> None:
    client.post("/v1/accounts", json=PERSON, headers=admin)
    session = logged_in(client)
    world.clock.sleep(1)
    body = {"password": "quite another pass phrase"}

    wrong = client.put(
        "/v1/accounts/li.ming/password", json={**body, "current": "wrong"}, headers=session
    )
    right = client.put(
        "/v1/accounts/li.ming/password", json={**body, "current": PASSWORD}, headers=session
    )
    old = client.post("/v1/sessions", json={"account": "li.ming", "password": PASSWORD})
    new = client.post("/v1/sessions", json={"account": "li.ming", **body})

    assert refused(wrong) == (403, "PASSWORD_WRONG")
    assert right.status_code == 204
    assert client.get("/v1/me", headers=session).status_code == 401
    assert (old.status_code, new.status_code) == (401, 201)


def test_a_link_belongs_to_one_account(client: TestClient, admin: dict[str, str]) -> None:
    client.post("/v1/accounts", json=PERSON, headers=admin)
    client.post("/v1/accounts", json=SERVICE, headers=admin)
    link = {"issuer": "https://login.test", "claim": "sub", "value": "42"}

    first = client.post("/v1/accounts/li.ming/links", json=link, headers=admin)
    second = client.post("/v1/accounts/feed/links", json=link, headers=admin)
    away = client.delete("/v1/accounts/li.ming/links", params=link, headers=admin)
    again = client.delete("/v1/accounts/li.ming/links", params=link, headers=admin)

    assert (first.status_code, away.status_code) == (204, 204)
    assert refused(second) == (409, "SUBJECT_LINKED")
    assert refused(again) == (404, "NOT_FOUND")


def test_the_authority_authorises_operators_and_ends_it(
    world: IdentityWorld, client: TestClient, admin: dict[str, str]
) -> None:
    """R-010: an operator acts under a recorded authorisation of the authority, or not at all."""
    authority = bearer(world.token("bureau", "bureau", Role.AUTHORITY))
    operator = bearer(world.token("ops", "centre", Role.OPERATOR))
    today = world.clock.now().date().isoformat()
    body = {
        "organisation": "centre",
        "valid_from": today,
        "valid_until": today,
        "scope": ["accounts"],
        "document": "县政数〔2026〕1号",
    }
    address = "/v1/operator-authorisations"

    assert refused(client.get(address, headers=operator)) == (403, "OPERATOR_NOT_AUTHORISED")
    assert refused(client.post(address, json=body, headers=admin)) == (403, "FORBIDDEN_ROLE")
    made = client.post(address, json=body, headers=authority)
    assert made.status_code == 201
    assert client.get(address, headers=operator).json()["items"] == [made.json()]
    assert refused(client.post(address, json=body, headers=operator)) == (403, "FORBIDDEN_ROLE")
    other = bearer(world.token("far", "bureau", Role.AUTHORITY, jurisdiction="elsewhere"))
    gone = f"{address}/{made.json()['id']}"
    assert refused(client.delete(gone, headers=other)) == (404, "NOT_FOUND")
    assert client.delete(gone, headers=authority).json()["revoked"]
    assert refused(client.get(address, headers=operator)) == (403, "OPERATOR_NOT_AUTHORISED")


def test_every_change_is_recorded_and_no_secret_is(
    world: IdentityWorld, client: TestClient, admin: dict[str, str]
) -> None:
    client.post("/v1/accounts", json=PERSON, headers=admin)
    client.post("/v1/accounts", json=SERVICE, headers=admin)
    client.put("/v1/accounts/feed/roles", json={"roles": []}, headers=admin)
    body = {"scopes": ["read"], "expires_at": expiry(world)}
    issued = client.post("/v1/accounts/feed/tokens", json=body, headers=admin).json()
    client.delete(f"/v1/accounts/feed/tokens/{issued['id']}", headers=admin)
    session = logged_in(client)
    client.delete("/v1/sessions/current", headers=session)

    assert [(each.account, each.action, each.subject) for each in world.records] == [
        ("root", "account.created", "li.ming"),
        ("root", "account.created", "feed"),
        ("root", "account.changed", "feed"),
        ("root", "token.issued", issued["id"]),
        ("root", "token.revoked", issued["id"]),
        ("li.ming", "session.opened", "li.ming"),
        ("li.ming", "session.ended", "li.ming"),
    ]
    assert world.records[0].details["kind"] == AccountKind.PERSON
    secrets = [PASSWORD, issued["token"], (token_parts(issued["token"]) or ("", ""))[1]]
    assert not any(secret in repr(world.records) for secret in secrets)
