"""Unit tests of `bus.control.authentication`: who may ask at all."""

import base64
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.memory.catalog_reader import MemoryCatalogReader
from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.control.authentication import Authentication, sees_everything
from bus.control.problems import Unauthorised
from bus.domain.principal import PrincipalKind
from tests import builders
from tests.control_http import PROVIDER, SUBSCRIBER, ControlHTTP

NAME = "org-statistics"
#: Every page that asks who it is that calls.
GUARDED = [
    ("GET", "/subjects"),
    ("GET", "/subjects/x/versions"),
    ("GET", "/subjects/x/versions/1"),
    ("GET", "/subjects/x/versions/1/schema"),
    ("POST", "/subjects/x"),
    ("POST", "/subjects/x/versions"),
    ("GET", "/schemas/ids/1"),
    ("GET", "/schemas/ids/1/schema"),
    ("GET", "/schemas/ids/1/versions"),
    ("GET", "/schemas/types"),
    ("GET", "/config"),
    ("GET", "/config/x"),
    ("GET", "/mode"),
    ("POST", "/compatibility/subjects/x/versions/1"),
    ("GET", "/v1/subscriptions/x"),
    ("GET", "/v1/publications/x"),
]
#: Where one logs in.
OPEN = {("POST", "/v1/sessions"), ("GET", "/v1/login"), ("GET", "/v1/login/callback")}


def basic(text: str | bytes) -> str:
    """Return the header of HTTP Basic for `name:password`."""
    data = text.encode() if isinstance(text, str) else text
    return f"Basic {base64.b64encode(data).decode()}"


@pytest.fixture
def authentication() -> Authentication:
    """Return an authentication that knows one principal."""
    return knowing(enabled=True)


def knowing(*, enabled: bool) -> Authentication:
    """Return an authentication that knows the principal NAME."""
    store = MemoryCatalogStore()
    with store.transaction() as transaction:
        transaction.save_principal(replace(builders.principal(NAME), enabled=enabled))
    return Authentication(MemoryCatalogReader(store))


def test_name_and_password_prove_a_principal(authentication: Authentication) -> None:
    assert authentication.principal(basic(f"{NAME}:{builders.PASSWORD}")).name == NAME


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
def test_the_scheme_may_be_written_in_any_case(authentication: Authentication, scheme: str) -> None:
    header = basic(f"{NAME}:{builders.PASSWORD}").replace("Basic", scheme)

    assert authentication.principal(header).name == NAME


@pytest.mark.parametrize("password", ["a:b:c", "密码", " "])
def test_a_password_may_hold_anything(password: str) -> None:
    store = MemoryCatalogStore()
    with store.transaction() as transaction:
        transaction.save_principal(builders.principal(NAME, password=password))

    found = Authentication(MemoryCatalogReader(store)).principal(basic(f"{NAME}:{password}"))

    assert found.name == NAME


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        basic(f"{NAME}:wrong"),
        basic(f"{NAME}:"),
        basic(f"{NAME}"),
        basic(f"org-nobody:{builders.PASSWORD}"),
        basic(f"{NAME.upper()}:{builders.PASSWORD}"),
        basic(f" {NAME}:{builders.PASSWORD}"),
        basic(f"{NAME}\x00:{builders.PASSWORD}"),
        basic(b"\xff\xfe:x"),
        basic(f"{NAME}:{builders.PASSWORD}").replace("Basic", "Bearer"),
        basic(f"{NAME}:{builders.PASSWORD}") + "!",
        basic(f"{NAME}:{builders.PASSWORD}" + "x" * 1024),
    ],
)
def test_anything_else_proves_nothing(authentication: Authentication, header: str | None) -> None:
    with pytest.raises(Unauthorised):
        authentication.principal(header)


@given(header=st.text() | st.binary().map(basic) | st.text().map(basic))
def test_no_header_is_an_error_inside(header: str) -> None:
    with pytest.raises(Unauthorised):
        Authentication(MemoryCatalogReader(MemoryCatalogStore())).principal(header)


def test_a_disabled_principal_is_refused_whatever_its_password() -> None:
    with pytest.raises(Unauthorised):
        knowing(enabled=False).principal(basic(f"{NAME}:{builders.PASSWORD}"))


def test_only_the_bus_itself_sees_everything() -> None:
    seeing = {kind for kind in PrincipalKind if sees_everything(builders.principal("a-b", kind))}

    assert seeing == {PrincipalKind.SERVICE}


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_page_asks_for_credentials(control: ControlHTTP, method: str, path: str) -> None:
    body = {"schema": "{}"} if method == "POST" else None

    answer = control.nobody().request(method, path, json=body)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="onesource"'
    assert answer.json()["code"] == "UNAUTHORISED"
    assert answer.json()["error_code"] == 401


def test_every_page_but_the_health_pages_asks_for_credentials(control: ControlHTTP) -> None:
    document = control.app.openapi()

    pages = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    unguarded = set()
    for method, path in sorted(pages):
        answer = control.nobody().request(method, re.sub(r"{.*?}", "1", path), json={})
        if answer.status_code != 401:
            unguarded.add((method, path))

    assert unguarded == OPEN


def test_an_old_password_ends_when_a_new_one_is_given(control: ControlHTTP) -> None:
    old = control.client(PROVIDER)
    control.passwords[PROVIDER] = control.plane.changes.reissue(PROVIDER)

    assert old.get("/subjects").status_code == 401
    assert control.client(PROVIDER).get("/subjects").status_code == 200


def test_one_accounts_password_opens_no_other(control: ControlHTTP) -> None:
    client = control.nobody()

    answer = client.get("/subjects", auth=(PROVIDER, control.passwords[SUBSCRIBER]))

    assert answer.status_code == 401


@pytest.fixture(scope="module")
def control() -> ControlHTTP:
    """Return the application with a catalog in force."""
    return ControlHTTP()
