"""Unit tests of `bus.control.app` and `bus.control.problems`: bounds, errors, health, metrics."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from httpx2 import Response

from bus import metrics
from bus.control.app import MAX_BODY_BYTES
from bus.control.problems import answer_bus_error, answer_registry_refusal
from bus.domain.access import OPERATOR
from bus.errors import (
    AccessDenied,
    BrokerUnavailable,
    BusError,
    ConfigError,
    DefinitionInvalid,
    EditConflict,
    Forbidden,
    NotFound,
    Refused,
    StateConflict,
    StoreUnavailable,
)
from tests import builders
from tests.control_http import SUBSCRIBER, ControlHTTP

SUBJECT = f"{builders.entry().source_topic}-value"
SUBSCRIPTION = f"/v1/subscriptions/{builders.GRANT}"


@pytest.fixture
def control() -> ControlHTTP:
    """Return the application with a catalog in force."""
    return ControlHTTP()


@pytest.fixture
def operator(control: ControlHTTP) -> TestClient:
    """Return a client that sees everything."""
    return control.client(OPERATOR)


def assert_problem(answer: Response, status: int, code: str) -> None:
    """Check that an answer is a whole problem document, and one that Confluent's clients read."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document.keys() == {
        *("type", "title", "status", "detail", "instance", "code"),
        *("error_code", "message"),
    }
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == f"urn:onesource:problem:{code.lower().replace('_', '-')}"
    assert document["instance"] == answer.request.url.path
    assert document["detail"]
    assert document["message"] == document["detail"]


# --- Health ---------------------------------------------------------------------------------------


def test_a_process_that_runs_says_so_even_if_it_cannot_work(control: ControlHTTP) -> None:
    control.not_ready = "relay: the topic is ahead of the database"

    answer = control.nobody().get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_readiness_says_what_is_missing(control: ControlHTTP) -> None:
    well = control.nobody().get("/readyz")
    control.not_ready = "relay: the topic is ahead of the database"
    ill = control.nobody().get("/readyz")

    assert (well.status_code, well.json()) == (200, {"status": "ready"})
    assert ill.status_code == 503
    assert ill.json() == {"status": "not ready", "reason": control.not_ready}


# --- Metrics --------------------------------------------------------------------------------------


def counted(route: str, status: int) -> float:
    """Return how many answers of a route had a status."""
    labels = {"route": route, "status": str(status)}
    return metrics.CONTROL_REGISTRY.get_sample_value("onesource_http_requests_total", labels) or 0


def test_the_metrics_page_is_what_prometheus_reads(control: ControlHTTP) -> None:
    answer = control.nobody().get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE onesource_http_requests_total counter" in answer.text


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/subjects", "/subjects", 200),
        (SUBSCRIPTION, "/v1/subscriptions/{subscription}", 200),
        ("/v1/subscriptions/nothing", "/v1/subscriptions/{subscription}", 404),
        (
            f"/subjects/{SUBJECT}/versions/x",
            "/subjects/{subject}/versions/{version}",
            422,
        ),
        ("/no/such/page", "unknown", 404),
        ("/readyz", "/readyz", 200),
    ],
)
def test_an_answer_is_counted_by_its_route_and_never_by_its_address(
    operator: TestClient, path: str, route: str, status: int
) -> None:
    before = counted(route, status)

    operator.get(path)

    assert counted(route, status) == before + 1


def test_refusals_of_the_entrance_are_counted_too(control: ControlHTTP) -> None:
    unauthorised, too_large = counted("/subjects", 401), counted("unknown", 413)

    control.nobody().get("/subjects")
    control.nobody().post("/subjects/x", content=b"x" * (MAX_BODY_BYTES + 1))

    assert counted("/subjects", 401) == unauthorised + 1
    assert counted("unknown", 413) == too_large + 1


# --- Bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": str(MAX_BODY_BYTES + 1)},
        {"content-length": "9" * 5000},
        {"content-length": "-1"},
        {"transfer-encoding": "chunked"},
    ],
    ids=["too long", "a number too long to read", "negative", "of unknown length"],
)
def test_a_body_too_large_or_of_unknown_length_is_refused_unread(
    operator: TestClient, headers: dict[str, str]
) -> None:
    def body() -> Iterator[bytes]:
        yield b"{}"

    request = operator.build_request("POST", f"/subjects/{SUBJECT}", content=body())
    for name in ("content-length", "transfer-encoding"):
        request.headers.pop(name, None)
    request.headers.update(headers)

    assert_problem(operator.send(request), 413, "BODY_TOO_LARGE")


def test_the_largest_body_that_is_allowed_is_read(operator: TestClient) -> None:
    head, tail = b'{"schema": "{}", "more": "', b'"}'
    body = head + b"x" * (MAX_BODY_BYTES - len(head) - len(tail)) + tail

    headers = {"content-type": "application/json"}
    answer = operator.post(f"/subjects/{SUBJECT}", content=body, headers=headers)

    assert len(body) == MAX_BODY_BYTES
    assert (answer.status_code, answer.json()["error_code"]) == (404, 40403)


@pytest.mark.parametrize(
    "path", ["/subjects/%00/versions", "/v1/subscriptions/a%00", "/schemas/ids/%00"]
)
def test_a_name_that_no_database_takes_is_not_found(operator: TestClient, path: str) -> None:
    assert_problem(operator.get(path), 404, "NO_SUCH_PAGE")


# --- Errors ---------------------------------------------------------------------------------------


def test_pages_and_methods_that_there_are_not_are_problems(operator: TestClient) -> None:
    gone = operator.delete(f"/subjects/{SUBJECT}")

    assert_problem(operator.get("/no/such/page"), 404, "NO_SUCH_PAGE")
    assert_problem(gone, 405, "METHOD_NOT_ALLOWED")
    assert gone.headers["allow"] == "POST"
    assert_problem(
        operator.put("/config", json={"compatibility": "NONE"}), 405, gone.json()["code"]
    )


def test_a_request_of_the_wrong_form_is_told_where_but_not_sent_back(operator: TestClient) -> None:
    answer = operator.post(f"/subjects/{SUBJECT}", json={"schema": ["secret"]})

    assert_problem(answer, 422, "REQUEST_INVALID")
    assert answer.json()["detail"].startswith("body.schema: ")
    assert "secret" not in answer.text


def test_a_body_that_is_no_json_is_refused(operator: TestClient) -> None:
    headers = {"content-type": "application/json"}

    cut_off = operator.post(f"/subjects/{SUBJECT}", content=b"{", headers=headers)
    too_deep = operator.post(f"/subjects/{SUBJECT}", content=b"[" * 100_000, headers=headers)

    assert_problem(cut_off, 400, "BODY_MALFORMED")
    assert_problem(too_deep, 422, "BODY_TOO_DEEP")


def failing(control: ControlHTTP, monkeypatch: pytest.MonkeyPatch, error: Exception) -> TestClient:
    """Return a client of an application whose store fails."""

    def fail(*_: object) -> Any:
        raise error

    client = control.client(SUBSCRIBER)
    monkeypatch.setattr(control.reader, "delivery", fail)
    monkeypatch.setattr(control.schemas, "subjects_of", fail)
    return client


@pytest.mark.parametrize("path", [SUBSCRIPTION, "/schemas/ids/1"])
def test_a_database_that_is_away_is_said_so_without_what_it_said(
    control: ControlHTTP, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    error = StoreUnavailable('connection to "db.internal" as "onesource_app" failed')

    answer = failing(control, monkeypatch, error).get(path)

    assert_problem(answer, 503, "STORE_UNAVAILABLE")
    assert answer.json()["detail"] == "the database does not answer"
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BrokerUnavailable("no broker"), 503, "BROKER_UNAVAILABLE"),
        (ConfigError("not so"), 500, "CONFIG_INVALID"),
        (Refused("no", code="SOME_RULE"), 422, "SOME_RULE"),
        (DefinitionInvalid(["no"]), 422, "DEFINITION_INVALID"),
        (NotFound("there is none"), 404, "NOT_FOUND"),
        (Forbidden("an operator decides nothing"), 403, "FORBIDDEN_ROLE"),
        (Forbidden("over", code="AUTHORISATION_EXPIRED"), 403, "AUTHORISATION_EXPIRED"),
        (AccessDenied("no grant"), 403, "ACCESS_DENIED"),
        (StateConflict("it is PENDING"), 409, "STATE_CONFLICT"),
        (EditConflict("read it again"), 412, "EDIT_CONFLICT"),
    ],
)
def test_an_error_of_ours_keeps_its_code(
    control: ControlHTTP,
    monkeypatch: pytest.MonkeyPatch,
    error: BusError,
    status: int,
    code: str,
) -> None:
    answer = failing(control, monkeypatch, error).get(SUBSCRIPTION)

    assert_problem(answer, status, code)
    assert answer.json()["detail"] == str(error)


def test_a_fault_of_ours_is_answered_counted_and_logged_but_not_shown(
    control: ControlHTTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = failing(control, monkeypatch, KeyError("what nobody may see"))
    before = counted("/v1/subscriptions/{subscription}", 500)

    with structlog.testing.capture_logs() as logged:
        answer = client.get(SUBSCRIPTION)

    assert_problem(answer, 500, "INTERNAL")
    assert "nobody may see" not in answer.text
    assert counted("/v1/subscriptions/{subscription}", 500) == before + 1
    assert [each["log_level"] for each in logged if each["event"] == "request failed"] == ["error"]


def test_an_error_that_a_handler_does_not_know_is_not_swallowed() -> None:
    for handler in (answer_bus_error, answer_registry_refusal):
        coroutine = handler(None, KeyError("x"))  # type: ignore[arg-type]
        with pytest.raises(KeyError):
            coroutine.send(None)


# --- The document ---------------------------------------------------------------------------------


def test_the_api_describes_itself(control: ControlHTTP) -> None:
    document = control.nobody().get("/openapi.json").json()

    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert "/v1/subscriptions/{subscription}" in document["paths"]
    assert "/healthz" not in document["paths"]
