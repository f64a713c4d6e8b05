"""Unit tests of `bus.control.idempotency` and `bus.control.edge_route`."""

import threading
from collections.abc import Callable

import pytest
import structlog
from fastapi import APIRouter, Response
from fastapi.testclient import TestClient
from httpx2 import Response as Answer
from pydantic import BaseModel

from bus.control.edge_route import EdgeRoute
from bus.control.idempotency import HEADER, MAX_KEPT_BYTES, REPLAYED_HEADER
from bus.control.identity import ActingActor
from bus.domain.identity import Role
from bus.errors import BrokerUnavailable, Forbidden, StateConflict, StoreUnavailable
from bus.ports.idempotency import BOUND, KEPT
from tests import builders
from tests.control_http import ControlHTTP

PATH = "/v1/things"


class Thing(BaseModel):
    """What is made."""

    name: str


class World(ControlHTTP):
    """The application with things to make; `act` is what happens when one is made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []
        self.act: Callable[[], Response | None] = lambda: None
        router = APIRouter(prefix="/v1", route_class=EdgeRoute)

        @router.post("/things", status_code=201, response_model=Thing)
        def make(body: Thing, _: ActingActor, response: Response) -> Response | Thing:
            self.made.append(body.name)
            response.headers["Location"] = f"/v1/things/{len(self.made)}"
            response.headers["ETag"] = '"1"'
            return self.act() or body

        @router.post("/things/{name}/decision")
        def decide(name: str, _: ActingActor) -> dict[str, int]:
            self.made.append(name)
            return {"decided": len(self.made)}

        @router.get("/things")
        def things(_: ActingActor) -> list[str]:
            return self.made

        self.app.include_router(router)

    def fails_with(self, error: Exception) -> None:
        """Let whatever is made go wrong."""

        def fail() -> None:
            raise error

        self.act = fail

    def client_of(self, account: str) -> TestClient:
        """Return a client that shows a token of the account."""
        return self.acting(account, builders.PROVIDER, Role.DEPARTMENT)

    def post(
        self, key: str | None, name: str = "一", *, who: str = "registry-head", path: str = PATH
    ) -> Answer:
        """Ask for a thing to be made."""
        headers = {} if key is None else {HEADER: key}
        return self.client_of(who).post(path, json={"name": name}, headers=headers)


@pytest.fixture
def world() -> World:
    """Return the application."""
    return World()


# --- The same request, again ----------------------------------------------------------------------


def test_the_same_request_is_carried_out_once_and_answered_the_same(world: World) -> None:
    first = world.post("k-1")
    again = world.post("k-1")

    assert world.made == ["一"]
    assert (first.status_code, first.json()) == (201, {"name": "一"})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers[REPLAYED_HEADER] == "true"
    assert REPLAYED_HEADER not in first.headers
    assert {
        name: value for name, value in again.headers.items() if name != REPLAYED_HEADER.lower()
    } == dict(first.headers.items())


def test_without_a_key_everything_is_carried_out(world: World) -> None:
    world.post(None)
    world.post(None)

    assert world.made == ["一", "一"]


def test_a_key_may_stand_in_quotation_marks(world: World) -> None:
    """As the draft wants it: a structured field's string."""
    world.post('"k-1"')
    world.post("k-1")

    assert world.made == ["一"]


def test_a_key_belongs_to_one_request(world: World) -> None:
    world.post("k", "一")
    another = world.post("k", "二")
    elsewhere = [world.post("k", path=f"{PATH}/{name}/decision") for name in ("a", "b", "a")]

    assert (another.status_code, another.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    # The same key on another route is another request; another path of that route is a wrong one.
    assert [each.status_code for each in elsewhere] == [200, 422, 200]
    assert world.made == ["一", "a"]


def test_accounts_do_not_share_keys(world: World) -> None:
    world.post("k", "一")
    other = world.post("k", "二", who="tax-head")

    assert other.status_code == 201
    assert world.made == ["一", "二"]


@pytest.mark.parametrize("key", ["", " ", '""', "a b", "x" * 256, "a\x7f"])
def test_what_is_no_key_is_refused(world: World, key: str) -> None:
    answer = world.post(key)

    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_INVALID")
    assert world.made == []


def test_a_key_is_claimed_by_those_only_who_are_known(world: World) -> None:
    answer = world.nobody().post(PATH, json={"name": "一"}, headers={HEADER: "k"})

    assert answer.status_code == 401
    assert world.post("k").status_code == 201


def test_a_key_means_nothing_to_those_who_read(world: World) -> None:
    client = world.client_of("registry-head")
    client.headers[HEADER] = "k"

    before = client.get(PATH).json()
    world.post(None)

    assert (before, client.get(PATH).json()) == ([], ["一"])


def test_an_answer_is_kept_for_a_day(world: World) -> None:
    world.post("k")
    world.plane.clock.sleep(KEPT.total_seconds())
    world.post("k")
    within = list(world.made)
    world.plane.clock.sleep(1)
    world.post("k")

    assert (within, world.made) == (["一"], ["一", "一"])


# --- What went wrong ------------------------------------------------------------------------------


def test_a_refusal_by_the_rules_is_the_answer(world: World) -> None:
    world.fails_with(StateConflict("it is PENDING"))
    first = world.post("k")
    world.act = lambda: None
    again = world.post("k")

    assert first.status_code == again.status_code == 409
    assert again.json() == first.json()
    assert again.headers["content-type"] == "application/problem+json"
    assert world.made == ["一"]


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), BrokerUnavailable("gone"), StoreUnavailable("gone"), Forbidden("not you")],
)
def test_what_was_not_carried_out_may_be_tried_again(world: World, error: Exception) -> None:
    """Issue: Postgres or Kafka down: 503 with Retry-After, nothing half done."""
    world.fails_with(error)
    assert world.post("k").status_code >= 403
    world.act = lambda: None

    assert world.post("k").status_code == 201
    assert world.made == ["一", "一"]


def test_a_request_that_was_not_understood_may_be_put_right(world: World) -> None:
    wrong = world.client_of("registry-head").post(PATH, json={"title": "一"}, headers={HEADER: "k"})

    assert (wrong.status_code, wrong.json()["code"]) == (422, "REQUEST_INVALID")
    assert world.post("k").status_code == 201


def test_while_the_first_is_carried_out_the_second_waits(world: World) -> None:
    inside, go_on = threading.Event(), threading.Event()
    answers: list[Answer] = []

    def slowly() -> None:
        inside.set()
        go_on.wait(10)

    world.act = slowly
    thread = threading.Thread(target=lambda: answers.append(world.post("k")))
    thread.start()
    inside.wait(10)
    second = world.post("k")
    go_on.set()
    thread.join()

    assert (second.status_code, second.json()["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert second.headers["retry-after"] == "1"
    assert [each.status_code for each in answers] == [201]
    assert world.post("k").status_code == 201
    assert world.made == ["一"]


def test_if_the_answer_cannot_be_kept_it_is_sent_and_the_key_is_free_after_a_bound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.answers, "keep", away)
    with structlog.testing.capture_logs() as logged:
        first = world.post("k")
    second = world.post("k")
    world.plane.clock.sleep(BOUND.total_seconds() + 1)
    third = world.post("k")

    assert [each.status_code for each in (first, second, third)] == [201, 409, 201]
    assert "answer not kept" in {each["event"] for each in logged}


def test_if_the_store_is_away_nothing_is_carried_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.answers, "claim", away)
    answer = world.post("k")

    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")
    assert "retry-after" in answer.headers
    assert world.made == []


@pytest.mark.parametrize(
    "response",
    [
        Response(b"{}", headers={"Cache-Control": "no-store"}),
        Response(b"x" * (MAX_KEPT_BYTES + 1)),
    ],
)
def test_a_secret_is_not_kept_but_that_it_was_given_is(world: World, response: Response) -> None:
    world.act = lambda: response
    first = world.post("k")
    again = world.post("k")

    assert first.content == response.body
    assert (again.status_code, again.json()["code"]) == (409, "IDEMPOTENCY_ANSWER_NOT_KEPT")
    assert world.made == ["一"]


# --- The document ---------------------------------------------------------------------------------


def test_the_document_tells_of_the_key_where_it_counts(world: World) -> None:
    paths = world.nobody().get("/openapi.json").json()["paths"]
    named = {
        method: {each["name"] for each in operation.get("parameters", ())}
        for method, operation in paths[PATH].items()
    }

    assert named == {"post": {HEADER}, "get": set()}
    assert {"400", "401", "409", "422", "429", "503"} <= paths[PATH]["post"]["responses"].keys()
