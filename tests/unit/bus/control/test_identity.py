"""Unit tests of `bus.control.identity`: who acts, and what a token is good for."""

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.memory.catalog_reader import MemoryCatalogReader, MemorySchemaRegistry
from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.control.app import make_app
from bus.control.identity import (
    COOKIE,
    CSRF_HEADER,
    SECURE_COOKIE,
    ActingActor,
    Asking,
    csrf_token,
    needs,
)
from bus.domain.accounts import ALL_SCOPES, ApiScope, OperatorAuthorisation
from bus.domain.identity import Role
from tests import builders
from tests.identity_fakes import IdentityWorld, bearer

PASSWORD = "a long enough pass phrase"  # noqa: S105 (opens nothing)


def application(world: IdentityWorld) -> FastAPI:
    """Return the control plane's application with a few more routes."""
    store = MemoryCatalogStore()
    app = make_app(
        reader=MemoryCatalogReader(store),
        schemas=MemorySchemaRegistry(store),
        incompatibilities=incompatibilities,
        not_ready=lambda: None,
        identity=world.parts,
    )
    grants = APIRouter(prefix="/grants", dependencies=[needs(ApiScope.GRANTS)])
    audit = APIRouter(prefix="/audit", dependencies=[needs(ApiScope.AUDIT, reading=ApiScope.AUDIT)])
    bare = APIRouter(prefix="/bare")
    for router in (grants, audit, bare):

        @router.get("")
        @router.post("")
        def act(actor: ActingActor) -> str:
            return actor.account

    @app.get("/asking")
    def asking(who: Asking) -> list[str]:
        return sorted(who.scopes)

    for router in (grants, audit, bare):
        app.include_router(router)
    return app


@pytest.fixture
def world() -> IdentityWorld:
    """Return a world without accounts."""
    return IdentityWorld()


@pytest.fixture
def client(world: IdentityWorld) -> Iterator[TestClient]:
    """Return a client that shows nothing."""
    with TestClient(application(world), base_url="https://control.test") as client:
        yield client


def test_a_token_in_the_header_says_who_acts(world: IdentityWorld, client: TestClient) -> None:
    token = world.token("feed", builders.PROVIDER, Role.DEPARTMENT)

    answer = client.post("/grants", headers=bearer(token))

    assert (answer.status_code, answer.json()) == (200, "feed")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YTpi"},
        bearer("os1_0123456789abcdef_" + "A" * 43),
        bearer("x" * 9000),
        bearer("a.b.c"),
    ],
)
def test_whoever_shows_nothing_good_is_asked_to_log_in(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.get("/grants", headers=headers)

    assert answer.status_code == 401
    assert answer.json()["code"] == "UNAUTHORISED"
    assert answer.headers["www-authenticate"] == 'Bearer realm="onesource"'
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({ApiScope.READ}, {"GET /grants", "GET /bare"}),
        ({ApiScope.GRANTS}, {"POST /grants"}),
        ({ApiScope.AUDIT}, {"GET /audit", "POST /audit"}),
        (ALL_SCOPES - {ApiScope.AUDIT}, {"GET /grants", "POST /grants", "GET /bare"}),
        (
            ALL_SCOPES,
            {"GET /grants", "POST /grants", "GET /audit", "POST /audit", "GET /bare", "POST /bare"},
        ),
    ],
)
def test_a_token_is_good_for_its_scopes_only(
    world: IdentityWorld, client: TestClient, scopes: set[ApiScope], allowed: set[str]
) -> None:
    token = world.token("feed", builders.PROVIDER, Role.DEPARTMENT, scopes=scopes)
    answers = {
        f"{method} /{group}": client.request(method, f"/{group}", headers=bearer(token))
        for method in ("GET", "POST")
        for group in ("grants", "audit", "bare")
    }

    assert {name for name, answer in answers.items() if answer.status_code == 200} == allowed
    refused = [answer for answer in answers.values() if answer.status_code != 200]
    assert {(each.status_code, each.json()["code"]) for each in refused} <= {(403, "SCOPE_MISSING")}
    assert client.get("/asking", headers=bearer(token)).json() == sorted(scopes)


def test_a_browser_reads_with_its_cookie_but_writes_with_the_matching_header_only(
    world: IdentityWorld, client: TestClient
) -> None:
    world.account("ann", builders.PROVIDER, Role.DEPARTMENT, password=PASSWORD)
    token = world.identity.log_in("ann", PASSWORD).token
    other = world.identity.log_in("ann", PASSWORD).token
    client.cookies.set(COOKIE, token)

    statuses = [
        client.post("/grants", headers=headers).status_code
        for headers in (
            {},
            {CSRF_HEADER: ""},
            {CSRF_HEADER: csrf_token(other)},
            {CSRF_HEADER: "x" * 1000},
            {CSRF_HEADER: csrf_token(token)},
        )
    ]

    assert client.get("/grants").status_code == 200
    assert statuses == [403, 403, 403, 403, 200]


def test_over_https_only_the_cookie_counts_that_nobody_else_can_set() -> None:
    world = IdentityWorld(public_url="https://control.test")
    world.account("ann", builders.PROVIDER, Role.DEPARTMENT, password=PASSWORD)
    token = world.identity.log_in("ann", PASSWORD).token
    statuses = {}
    for name in (COOKIE, SECURE_COOKIE):
        with TestClient(application(world), cookies={name: token}) as client:
            statuses[name] = client.get("/grants").status_code

    assert statuses == {COOKIE: 401, SECURE_COOKIE: 200}


def test_a_cookie_does_not_help_out_where_another_proof_is_shown(
    world: IdentityWorld, client: TestClient
) -> None:
    world.account("ann", builders.PROVIDER, Role.DEPARTMENT, password=PASSWORD)
    client.cookies.set(COOKIE, world.identity.log_in("ann", PASSWORD).token)

    assert client.get("/grants", headers={"Authorization": "Basic YTpi"}).status_code == 401
    assert client.get("/grants", headers=bearer("nothing")).status_code == 401


def test_an_operator_acts_within_its_authorisation_only(
    world: IdentityWorld, client: TestClient
) -> None:
    """R-010: outside dates or scope every action of an operator is denied and recorded."""
    token = world.token("ops", "centre", Role.OPERATOR)
    before = client.get("/grants", headers=bearer(token))
    with world.store.transaction() as transaction:
        transaction.save_authorisation(
            OperatorAuthorisation(
                id="a1",
                organisation="centre",
                jurisdiction=builders.JURISDICTION,
                valid_from=builders.TODAY,
                valid_until=builders.TODAY,
                scope=frozenset({ApiScope.GRANTS}),
            )
        )
    within = [
        client.get("/grants", headers=bearer(token)).status_code,
        client.post("/grants", headers=bearer(token)).status_code,
        client.post("/audit", headers=bearer(token)).status_code,
    ]
    world.clock.sleep(24 * 3600)
    after = client.post("/grants", headers=bearer(token))

    assert within == [200, 200, 403]
    for denied in (before, after):
        assert (denied.status_code, denied.json()["code"]) == (403, "OPERATOR_NOT_AUTHORISED")
    recorded = [(each.account, each.action, each.outcome) for each in world.records]
    assert recorded == [("ops", "access.refused", "OPERATOR_NOT_AUTHORISED")] * 3
