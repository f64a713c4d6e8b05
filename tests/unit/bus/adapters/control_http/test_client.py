"""Unit tests of `bus.adapters.control_http.client`, against the control plane's application."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from bus.adapters.control_http.client import ControlAccount, ControlClient
from bus.adapters.embedded.processes import free_port
from bus.domain.access import OPERATOR
from bus.errors import BusError, ControlUnavailable, CredentialsMissing, NotFound
from tests import builders
from tests.control_http import PROVIDER, SUBSCRIBER, ControlHTTP
from tests.loopback_http import answer, serving

SUBJECT = f"{builders.entry().source_topic}-value"
SCHEMA = builders.schema_of(builders.entry())


@pytest.fixture(scope="module")
def control() -> ControlHTTP:
    """Return a control plane with a catalog in force."""
    return ControlHTTP()


@pytest.fixture(scope="module")
def url(control: ControlHTTP) -> Iterator[str]:
    """Return where it is served."""
    with control.served() as address:
        yield address


@contextmanager
def client_of(url: str, name: str, password: str) -> Iterator[ControlClient]:
    """Return a client that is closed at the end."""
    client = ControlClient(ControlAccount(url=url, username=name, password=password))
    try:
        yield client
    finally:
        client.close()


def test_descriptors_are_what_the_control_plane_tells(control: ControlHTTP, url: str) -> None:
    with client_of(url, SUBSCRIBER, control.passwords[SUBSCRIBER]) as subscriber:
        assert subscriber.subscription(builders.GRANT)["principal"] == SUBSCRIBER
    with client_of(url, PROVIDER, control.passwords[PROVIDER]) as provider:
        assert provider.publication(builders.RESOURCE)["principal"] == PROVIDER


def test_schemas_come_by_id_and_by_subject(control: ControlHTTP, url: str) -> None:
    with client_of(url, PROVIDER, control.passwords[PROVIDER]) as provider:
        assert provider.schema(1) == SCHEMA
        assert provider.subject_schemas(SUBJECT) == [SCHEMA]


def test_what_has_not_changed_is_remembered_and_what_has_is_not() -> None:
    control = ControlHTTP()
    with (
        control.served() as url,
        client_of(url, SUBSCRIBER, control.passwords[SUBSCRIBER]) as subscriber,
    ):
        first = subscriber.subscription(builders.GRANT)
        again = subscriber.subscription(builders.GRANT)
        control.fill()
        changed = subscriber.subscription(builders.GRANT)

    assert again is first
    assert (first["state"], changed["state"]) == ("SNAPSHOTTING", "LIVE")


def test_what_is_not_the_callers_is_not_found(control: ControlHTTP, url: str) -> None:
    with client_of(url, SUBSCRIBER, control.passwords[SUBSCRIBER]) as subscriber:
        with pytest.raises(NotFound, match="no resource 'divisions', or it is not yours"):
            subscriber.publication(builders.RESOURCE)
        with pytest.raises(NotFound, match="not found"):
            subscriber.schema(1)


@pytest.mark.parametrize("name", ["../../healthz", "a/b", "x?y", "x#y", "a b", "%2e", ""])
def test_a_name_is_a_name_and_never_a_path(control: ControlHTTP, url: str, name: str) -> None:
    with client_of(url, OPERATOR, builders.PASSWORD) as operator:
        for call in (operator.subscription, operator.publication, operator.subject_schemas):
            with pytest.raises(NotFound):
                call(name)


def test_a_wrong_password_is_said_without_repeating_it(url: str) -> None:
    with (
        client_of(url, SUBSCRIBER, "wrong-password") as client,
        pytest.raises(CredentialsMissing, match=f"does not accept {SUBSCRIBER}") as caught,
    ):
        client.schema(1)

    assert "wrong-password" not in str(caught.value)
    assert "wrong-password" not in repr(ControlAccount(url=url, username="a", password="wrong-pas"))


def refused() -> BusError:
    """Return how an address at which nobody answers is met."""
    with (
        client_of(f"http://127.0.0.1:{free_port()}", "a", "b") as client,
        pytest.raises(ControlUnavailable, match="does not answer") as caught,
    ):
        client.schema(1)
    return caught.value


def test_nobody_at_the_address_is_something_to_try_again() -> None:
    assert refused().code == "CONTROL_UNAVAILABLE"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, b'{"detail": "the database does not answer"}', "the database does not answer"),
        (500, b"<html>", "status 500"),
        (502, b"[]", "status 502"),
        (302, b"", "status 302"),
        (418, b"{}", "status 418"),
        (200, b"<html>log in</html>", "is not the control plane"),
    ],
)
def test_an_answer_that_is_none_is_something_to_try_again(
    status: int, body: bytes, said: str
) -> None:
    """A proxy or another server may stand at the address for a while."""

    def handler(request: BaseHTTPRequestHandler) -> None:
        answer(request, body, status=status, Location="/elsewhere")

    with (
        serving(handler) as url,
        client_of(url, "a", "b") as client,
        pytest.raises(ControlUnavailable, match=said),
    ):
        client.schema(1)


def test_a_connection_that_breaks_is_something_to_try_again() -> None:
    def handler(request: BaseHTTPRequestHandler) -> None:
        answer(request, b"{", length=100)

    with (
        serving(handler) as url,
        client_of(url, "a", "b") as client,
        pytest.raises(ControlUnavailable, match="does not answer"),
    ):
        client.schema(1)


def test_this_machine_is_not_asked_through_a_proxy(
    control: ControlHTTP, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    with client_of(url, PROVIDER, control.passwords[PROVIDER]) as provider:
        assert provider.schema(1) == SCHEMA
