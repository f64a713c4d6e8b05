"""Unit tests of `bus.control.bodies` and `bus.control.models`: what a body may be."""

import json
import socket
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from bus.control.app import MAX_BODY_BYTES
from bus.control.bodies import MAX_DEPTH, MAX_INTEGER, CheckBodies, check_json
from bus.control.models import MAX_TEXT_CHARACTERS, Name, StrictModel
from bus.control.problems import Problem
from tests.control_http import ControlHTTP

PATH = "/v1/echo"
TOO_LONG = "a" * (MAX_TEXT_CHARACTERS + 1)
JSON_TYPE = {"Content-Type": "application/json"}


class Inner(StrictModel):
    """A part of a body."""

    texts: list[str] = Field(default=[], max_length=10)


class Body(StrictModel):
    """A body."""

    name: Name
    note: str = ""
    count: int = 0
    inner: Inner = Inner()
    anything: Any = None


def add_echo(app: FastAPI) -> FastAPI:
    """Add a route that sends back what it has understood."""
    router = APIRouter(prefix="/v1")

    @router.post("/echo")
    @router.put("/echo")
    @router.patch("/echo")
    def echo(body: Body) -> dict[str, Any]:
        return body.model_dump()

    app.include_router(router)
    return app


@pytest.fixture(scope="module")
def client() -> TestClient:
    """Return a client of the real application, with an echo."""
    return TestClient(add_echo(ControlHTTP().app), raise_server_exceptions=False)


def send(client: TestClient, body: bytes | str, **headers: str) -> Response:
    """Post a body as it is."""
    content = body.encode() if isinstance(body, str) else body
    return client.post(PATH, content=content, headers={**JSON_TYPE, **headers})


def test_a_good_body_comes_as_it_was_sent(client: TestClient) -> None:
    content = {
        "name": "统一社会信用代码 😀",
        "note": "x" * MAX_TEXT_CHARACTERS,
        "count": -MAX_INTEGER,
        "inner": {"texts": ["a", ""]},
        "anything": {"a": [1.5, None, True, {"b": []}]},
    }

    answer = send(client, json.dumps(content))

    assert (answer.status_code, answer.json()) == (200, content)


def nested(levels: int) -> str:
    """Return a good body of so many levels."""
    inside = levels - 1
    return '{"name": "a", "anything": ' + "[" * inside + "1" + "]" * inside + "}"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"name": "\xff"}', 400, "BODY_NOT_UTF8"),
        ('{"name": "婚姻登记"}'.encode("gb18030"), 400, "BODY_NOT_UTF8"),
        ('{"name": "a"}'.encode("utf-16"), 400, "BODY_NOT_UTF8"),
        ('{"name": "a"}'.encode("utf-16-le"), 400, "BODY_MALFORMED"),
        ('\ufeff{"name": "a"}', 400, "BODY_MALFORMED"),
        ("{", 400, "BODY_MALFORMED"),
        ("{'name': 'a'}", 400, "BODY_MALFORMED"),
        ('{"name": "a\x00"}', 400, "BODY_MALFORMED"),
        ('{"name": "a", "count": NaN}', 400, "BODY_MALFORMED"),
        ('{"name": "a", "anything": -Infinity}', 400, "BODY_MALFORMED"),
        ('{"name": "a\\u0000"}', 422, "NUL_IN_TEXT"),
        ('{"name": "a", "anything": [{"b\\u0000": 1}]}', 422, "NUL_IN_TEXT"),
        ('{"name": "\\ud83d"}', 422, "TEXT_INVALID"),
        ('{"name": "a", "anything": {"\\ude00": 1}}', 422, "TEXT_INVALID"),
        ('{"name": "a", "name": "b"}', 422, "NAME_TWICE"),
        ('{"name": "a", "count": 9007199254740992}', 422, "NUMBER_TOO_LARGE"),
        ('{"name": "a", "count": ' + "9" * 5000 + "}", 422, "NUMBER_TOO_LARGE"),
        ('{"name": "a", "anything": 1e999}', 422, "NUMBER_TOO_LARGE"),
        (nested(MAX_DEPTH + 1), 422, "BODY_TOO_DEEP"),
        (nested(100_000), 422, "BODY_TOO_DEEP"),
        ("[" * 100_000, 422, "BODY_TOO_DEEP"),
        ('{"a":' * 100_000, 422, "BODY_TOO_DEEP"),
        ('{"name": "a", "more": 1}', 422, "REQUEST_INVALID"),
        ('{"name": "a", "inner": {"more": 1}}', 422, "REQUEST_INVALID"),
        ('{"name": ""}', 422, "REQUEST_INVALID"),
        ('{"name": "' + "a" * 201 + '"}', 422, "REQUEST_INVALID"),
        (
            '{"name": "a", "note": "' + "a" * (MAX_TEXT_CHARACTERS + 1) + '"}',
            422,
            "REQUEST_INVALID",
        ),
        ('{"name": 1}', 422, "REQUEST_INVALID"),
        ("[]", 422, "REQUEST_INVALID"),
        ("null", 422, "REQUEST_INVALID"),
        ("", 422, "REQUEST_INVALID"),
        ('{"name": "' + "a" * MAX_BODY_BYTES + '"}', 413, "BODY_TOO_LARGE"),
    ],
)
def test_a_bad_body_is_refused(
    client: TestClient, body: bytes | str, status: int, code: str
) -> None:
    """Issue: oversized, malformed, non-UTF-8 bodies: refused, no stack trace."""
    answer = send(client, body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "Traceback" not in answer.text
    assert len(answer.content) < 2_000


def test_a_body_may_have_this_many_levels(client: TestClient) -> None:
    assert send(client, nested(MAX_DEPTH)).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", ""])
def test_a_body_of_another_kind_is_not_understood(client: TestClient, kind: str) -> None:
    answer = client.post(PATH, content=b'{"name": "a"}', headers={"Content-Type": kind})

    assert (answer.status_code, answer.json()["code"]) == (422, "REQUEST_INVALID")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET", "DELETE"])
def test_a_body_without_a_length_is_refused(client: TestClient, method: str) -> None:
    answer = client.request(method, PATH, content=iter([b"{}"]))

    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_length_that_is_too_much_is_refused_whatever_the_method(
    client: TestClient, method: str
) -> None:
    answer = client.request(method, PATH, headers={"Content-Length": str(MAX_BODY_BYTES + 1)})

    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_no_parameter_has_a_nul(client: TestClient) -> None:
    answer = client.get("/v1/subscriptions/a?b=c%00")

    assert (answer.status_code, answer.json()["code"]) == (422, "NUL_IN_TEXT")


@given(body=st.binary(max_size=200))
def test_no_body_is_a_fault_of_ours(client: TestClient, body: bytes) -> None:
    assert send(client, body).status_code in (400, 422)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inside: (
        st.lists(inside)
        | st.dictionaries(st.text(st.characters(codec="ascii", exclude_characters="\x00")), inside)
    ),
    max_leaves=20,
)


@given(content=_JSON)
def test_what_everybody_reads_alike_is_accepted(content: Any) -> None:
    check_json(json.dumps(content).encode())
    check_json(json.dumps(content, ensure_ascii=False).encode())


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """Every entrance is bounded in time (design.md §10)."""
    control = ControlHTTP()
    add_echo(control.app)
    for middleware in control.app.user_middleware:
        if getattr(middleware.cls, "__name__", "") == CheckBodies.__name__:
            middleware.kwargs["read_seconds"] = 0.2
    with control.served() as url, socket.create_connection(("127.0.0.1", int(url[-5:]))) as client:
        client.sendall(
            b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        answer = client.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_large_body_holds_nobody_else_up() -> None:
    """What is refused costs little: two megabytes of brackets."""
    body = b"[" + b"[],".join([b""] * 600_000) + b"1]"
    assert len(body) < MAX_BODY_BYTES

    check_json(body)
    with pytest.raises(Problem):
        check_json(b"[" * MAX_BODY_BYTES)
