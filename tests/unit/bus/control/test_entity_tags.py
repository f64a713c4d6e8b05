"""Unit tests of `bus.control.entity_tags`."""

from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from pydantic import BaseModel

from bus.control.entity_tags import ExpectedVersion, check_version, tagged
from tests.control_http import ControlHTTP


class Thing(BaseModel):
    """Something that can be edited."""

    name: str


def add_thing(app: FastAPI) -> FastAPI:
    """Add a thing at version 7."""
    state: dict[str, Any] = {"name": "街道", "version": 7}

    @app.get("/thing")
    def read(request: Request) -> Response:
        return tagged(request, Thing(name=state["name"]), state["version"])

    @app.put("/thing")
    def edit(request: Request, body: Thing, expected: ExpectedVersion) -> Response:
        check_version(expected, state["version"])
        state.update(name=body.name, version=expected + 1)
        return tagged(request, body, expected + 1)

    return app


@pytest.fixture
def client() -> TestClient:
    """Return a client of the real application, with a thing more."""
    return TestClient(add_thing(ControlHTTP().app), raise_server_exceptions=False)


def edit(client: TestClient, tag: str | None, name: str = "乡镇") -> tuple[int, str]:
    """Edit the thing; return status and code."""
    headers = {} if tag is None else {"If-Match": tag}
    answer = client.put("/thing", json={"name": name}, headers=headers)
    return answer.status_code, answer.json().get("code", "")


def test_an_edit_of_what_was_read_succeeds_once(client: TestClient) -> None:
    tag = client.get("/thing").headers["etag"]

    assert tag == '"7"'
    assert edit(client, tag) == (200, "")
    assert edit(client, tag) == (412, "EDIT_CONFLICT")
    again = client.get("/thing")
    assert (again.headers["etag"], again.json()) == ('"8"', {"name": "乡镇"})


def test_an_edit_must_name_what_was_read(client: TestClient) -> None:
    assert edit(client, None) == (428, "PRECONDITION_REQUIRED")
    assert client.get("/thing").json() == {"name": "街道"}


@pytest.mark.parametrize(
    "tag", ["*", 'W/"7"', '"6"', '"8"', '"6", "7"', "7", '""', '"x"', '"-7"', '"' + "7" * 99 + '"']
)
def test_an_edit_that_names_anything_else_is_stale(client: TestClient, tag: str) -> None:
    assert edit(client, tag) == (412, "EDIT_CONFLICT")
    assert client.get("/thing").json() == {"name": "街道"}


@pytest.mark.parametrize("tag", ['"7"', 'W/"7"', '"5", "7"', "*"])
def test_who_has_it_already_is_told_so(client: TestClient, tag: str) -> None:
    answer = client.get("/thing", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"7"'


@pytest.mark.parametrize("tag", ['"6"', "7", "x"])
def test_who_has_another_version_gets_this_one(client: TestClient, tag: str) -> None:
    answer = client.get("/thing", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.json()) == (200, {"name": "街道"})
