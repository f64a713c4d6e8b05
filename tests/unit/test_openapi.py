"""
The API as it is described: the committed OpenAPI document, and the reference page made of it.

`python tests/unit/test_openapi.py` writes `docs/reference/openapi.json` anew.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typing_extensions import override

from bus.adapters.avro.compatibility import incompatibilities
from bus.control.app import make_app
from bus.control.control_services import ControlServices
from bus.control.openapi import operations
from bus.control.reference_page import reference_page
from tests.control_http import ControlHTTP

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
#: What closes itself.
VOID = {"meta", "br"}
#: What a browser fetches something for.
ASSETS = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "source", "form"}
#: Whoever asks here is not known yet.
WITHOUT_LOGIN = {("get", "/v1/login"), ("get", "/v1/login/callback"), ("post", "/v1/sessions")}


def application() -> FastAPI:
    """Return the application with all its routes; nobody asks, so they stand on nothing."""
    control = ControlHTTP()
    return make_app(
        reader=control.reader,
        schemas=control.schemas,
        incompatibilities=incompatibilities,
        identity=control.identity.parts,
        answers=control.answers,
        services=cast("ControlServices", object()),
        not_ready=lambda: None,
    )


def written() -> str:
    """Return the document as it is committed: in order, so that a change shows as one."""
    document = application().openapi()
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the document."""
    return json.loads(written())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def client() -> TestClient:
    """Return a client without credentials."""
    return TestClient(application())


def test_the_committed_document_is_what_the_application_says() -> None:
    """Issue: OpenAPI 3.1 committed and diffed in CI."""
    committed = DOCUMENT.read_text(encoding="utf-8")

    assert committed == written(), "run `python tests/unit/test_openapi.py` and look at the change"


def test_the_application_serves_its_document(client: TestClient, document: dict[str, Any]) -> None:
    answer = client.get("/openapi.json")

    assert answer.json() == document
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])


def test_every_operation_tells_of_its_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        problems = {
            status
            for status, answer in operation["responses"].items()
            if "application/problem+json" in answer.get("content", {})
        }
        assert {"401", "404", "422", "429", "500", "503"} <= problems, (method, path)
        if "requestBody" in operation:
            assert {"400", "413"} <= problems, (method, path)


def test_every_operation_has_a_name_and_says_what_it_does(document: dict[str, Any]) -> None:
    found = [operation for _, _, operation in operations(document)]

    assert all(operation["description"] for operation in found)
    assert len({operation["operationId"] for operation in found}) == len(found)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))

    assert "Problem" in named
    assert named <= document["components"]["schemas"].keys()


def test_operations_say_how_to_log_in(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    kinds = {name: scheme.get("scheme") for name, scheme in schemes.items()}

    assert kinds["principal"] == "basic"
    for path, method, operation in operations(document):
        asked = {name for each in operation.get("security", ()) for name in each}
        assert asked <= kinds.keys(), (method, path)
        assert bool(asked) != ((method, path) in WITHOUT_LOGIN), (method, path)


# --- The page -------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Reads a page, and minds that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes.update(given)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(client: TestClient) -> Page:
    """Return the page as it is served."""
    return Page(client.get("/docs").text)


def test_the_page_needs_nothing_from_elsewhere(client: TestClient, page: Page) -> None:
    """Issue: an API reference page served with no outside assets."""
    answer = client.get("/docs")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not ASSETS.intersection(page.tags)
    assert not re.search(r"https?://|url\(|@import|src=|\bon\w+=", answer.text)
    assert all(link.startswith("#") or link == "openapi.json" for link in page.links)
    assert page.attributes <= {
        *("lang", "charset", "name", "content", "href", "id", "class", "scope", "aria-label"),
    }
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_is_whole(page: Page, document: dict[str, Any]) -> None:
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert {operation["operationId"] for _, _, operation in operations(document)} <= set(page.ids)
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(page.ids)


def test_the_page_speaks_both_languages(client: TestClient, document: dict[str, Any]) -> None:
    text = client.get("/docs").text
    titles = re.findall(r"<h[1-4]>([^<]+)</h[1-4]>", text)

    assert '<html lang="zh-CN">' in text
    assert titles
    # A group that is new needs its name in both languages.
    assert all(re.search(r"[\u4e00-\u9fff]", title) for title in titles), titles


def test_what_the_document_says_is_text_and_nothing_else() -> None:
    evil = "<script>alert(1)</script>\"'&"
    document = {
        "info": {"title": evil, "version": evil, "description": evil},
        "paths": {
            f"/{evil}": {
                "post": {
                    "tags": [evil],
                    "operationId": evil,
                    "summary": evil,
                    "parameters": [{"name": evil, "in": evil, "description": evil}],
                    "requestBody": {"content": {evil: {"schema": {"enum": [evil]}}}},
                    "responses": {evil: {"description": evil}},
                }
            }
        },
        "components": {"schemas": {evil: {"properties": {evil: {"default": evil}}}}},
    }

    text = reference_page(document)

    assert "<script>" not in text
    assert Page(text).open == []


if __name__ == "__main__":
    DOCUMENT.write_text(written(), encoding="utf-8")
    print(DOCUMENT)
