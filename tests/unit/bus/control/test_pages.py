"""Unit tests of `bus.control.pages`."""

import base64
import datetime as dt
import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bus.control.pages import DEFAULT_LIMIT, MAX_LIMIT, Page, Paged
from tests.control_http import ControlHTTP

NAMES = [f"第{number:03}号" for number in range(130)]
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Thing(BaseModel):
    """An item of the list."""

    name: str


def add_list(app: FastAPI) -> FastAPI:
    """Add a list of 130 things, sorted by time and number."""

    @app.get("/things")
    def things(paged: Paged, prefix: str = "") -> Page[Thing]:
        rows = [
            (START + dt.timedelta(hours=number // 10), number, name)
            for number, name in enumerate(NAMES)
            if name.startswith(prefix)
        ]
        after = paged.after(dt.datetime, int)
        found = [row for row in rows if after is None or row[:2] > after]
        return paged.page(
            found[: paged.fetch], key=lambda row: row[:2], item=lambda row: Thing(name=row[2])
        )

    @app.get("/others")
    def others(paged: Paged) -> Page[str]:
        after = paged.after(str)
        names = [name for name in NAMES if after is None or name > str(after[0])]
        return paged.page(names[: paged.fetch], key=lambda name: (name,), item=lambda name: name)

    return app


@pytest.fixture(scope="module")
def client() -> TestClient:
    """Return a client of the real application, with two lists more."""
    return TestClient(add_list(ControlHTTP().app), raise_server_exceptions=False)


def walk(client: TestClient, path: str, **parameters: Any) -> list[list[Any]]:
    """Follow the cursors to the end."""
    pages = []
    while True:
        answer = client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        pages.append(page["items"])
        if page["next"] is None:
            return pages
        parameters["after"] = page["next"]


@pytest.mark.parametrize(
    ("limit", "sizes"), [(50, [50, 50, 30]), (65, [65, 65]), (130, [130]), (200, [130])]
)
def test_pages_together_are_the_list(client: TestClient, limit: int, sizes: list[int]) -> None:
    pages = walk(client, "/things", limit=limit)

    assert [len(page) for page in pages] == sizes
    assert [thing["name"] for page in pages for thing in page] == NAMES


def test_a_page_is_of_a_default_size(client: TestClient) -> None:
    assert len(walk(client, "/others")[0]) == DEFAULT_LIMIT


@pytest.mark.parametrize("limit", ["0", "-1", str(MAX_LIMIT + 1), "x", "1e3", "9" * 5000])
def test_a_page_is_bounded(client: TestClient, limit: str) -> None:
    answer = client.get("/things", params={"limit": limit})

    assert (answer.status_code, answer.json()["code"]) == (422, "REQUEST_INVALID")


def test_a_list_without_items_is_one_page(client: TestClient) -> None:
    assert walk(client, "/things", prefix="none") == [[]]


def test_a_cursor_is_of_one_list_with_its_filters(client: TestClient) -> None:
    cursor = client.get("/others").json()["next"]
    filtered = client.get("/things", params={"prefix": "第", "limit": 1}).json()["next"]

    for path, parameters in [
        ("/things", {"after": cursor}),
        ("/others", {"after": filtered}),
        ("/things", {"after": filtered}),
        ("/things", {"after": filtered, "prefix": "第0"}),
    ]:
        answer = client.get(path, params=parameters)
        assert (answer.status_code, answer.json()["code"]) == (422, "CURSOR_INVALID")
    well = client.get("/things", params={"after": filtered, "prefix": "第", "limit": 9})
    assert well.status_code == 200


def forged(client: TestClient, *parts: Any) -> str:
    """Return a cursor of `/others` with other parts."""
    cursor = client.get("/others").json()["next"]
    name = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[0]
    text = json.dumps([name, *parts])
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (1,),
        (True,),
        (None,),
        ("a", "b"),
        (["a"],),
        ("a\x00b",),
        ("\ud800",),
    ],
)
def test_a_cursor_whose_parts_are_wrong_is_refused(
    client: TestClient, parts: tuple[Any, ...]
) -> None:
    answer = client.get("/others", params={"after": forged(client, *parts)})

    assert (answer.status_code, answer.json()["code"]) == (422, "CURSOR_INVALID")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "====", "统一", "a" * 5000, "W10", "e30", "bnVsbA", base64.b64encode(b"[" * 700)],
)
def test_what_is_no_cursor_is_refused(client: TestClient, cursor: str | bytes) -> None:
    answer = client.get("/others", params={"after": cursor})

    assert (answer.status_code, answer.json()["code"]) == (422, "CURSOR_INVALID")


@given(cursor=st.text(max_size=60) | st.binary(max_size=60).map(base64.urlsafe_b64encode))
def test_no_cursor_is_a_fault_of_ours(client: TestClient, cursor: str | bytes) -> None:
    try:
        answer = client.get("/things", params={"after": cursor})
    except UnicodeEncodeError:
        return  # the client cannot send half of a surrogate pair

    assert answer.status_code == 422
    assert answer.json()["code"] in ("CURSOR_INVALID", "NUL_IN_TEXT")


def test_the_document_tells_what_a_page_is(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/things"]["get"]

    by_name = {each["name"]: each for each in operation["parameters"]}
    assert by_name["limit"]["schema"]["maximum"] == MAX_LIMIT
    assert by_name["after"]["required"] is False
