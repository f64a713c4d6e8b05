"""The OpenAPI 3.1 document: what FastAPI derives from the routes, and what it cannot know."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from bus.control.responses import PROBLEM_SCHEMA, common_problems, problem_response

DESCRIPTION = (
    "One data item, one source: catalog, requests, grants and delivery. Answers that are no "
    "success are problem documents (RFC 9457) with a stable `code`. Send POST with an "
    "`Idempotency-Key` to be able to repeat it; edits need `If-Match` with the `ETag` of what was "
    "read; lists come in pages: pass `next` on as `after`."
)
_FOREIGN = "HTTPValidationError"
_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})


def describe(app: FastAPI) -> None:
    """Let the application describe itself in full."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and content of each operation of a document."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=app.routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    # FastAPI's own form of a refusal, which nothing of ours has.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for _, method, operation in operations(document):
        described = operation["responses"]
        if _FOREIGN in str(described.get("422", "")):
            del described["422"]
        for status, problem in _problems(method, operation).items():
            described.setdefault(str(status), problem)
        operation["responses"] = dict(sorted(described.items()))
    return document


def _problems(method: str, operation: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return the problems that any operation of this kind may answer with."""
    found = common_problems([method.upper()])
    named = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    if "if-match" in named:
        found |= {status: problem_response(status) for status in (412, 428)}
    return found
