"""What the OpenAPI document says about answers that are no success."""

from collections.abc import Collection
from typing import Any

from bus.control.problems import PROBLEM_MEDIA_TYPE, REGISTRY_MEDIA_TYPE

#: What any operation may answer with, by status: shown in the document and on the reference page.
_MEANINGS = {
    400: "The body is not JSON, or not UTF-8.",
    401: "No credentials, or wrong ones.",
    403: "The caller may see it, but not do this.",
    404: "It does not exist, or the caller may not know that it does.",
    408: "The body did not arrive in time.",
    409: "The state it is in does not allow this, or the same request is being carried out.",
    412: "It was changed since the caller read it.",
    413: "The body is too large, or its length was not stated.",
    422: "The request is not well formed, or the rules do not allow it.",
    428: "An edit must say with If-Match which version it was made from.",
    429: "Too many requests: wait as long as Retry-After says.",
    500: "A fault of ours.",
    503: "The database or the broker does not answer: try again after Retry-After.",
}
_ALWAYS = (401, 403, 404, 422, 429, 500, 503)
_WITH_BODY = (400, 408, 409, 413)
_RETRIED = (429, 503)

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457; `code` is stable, and says what kind of problem it is.",
    "required": ["type", "title", "status", "detail", "instance", "code", "error_code", "message"],
    "properties": {
        "type": {"type": "string", "description": "`urn:onesource:problem:…`, after the code"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "for people"},
        "instance": {"type": "string", "description": "the path that was asked for"},
        "code": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
        "error_code": {"type": "integer", "description": "for clients of the schema registry"},
        "message": {"type": "string", "description": "the detail, for clients of the registry"},
    },
}

REGISTRY_REFUSAL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "integer"}, "message": {"type": "string"}},
}


def common_problems(methods: Collection[str]) -> dict[int | str, dict[str, Any]]:
    """Return the problems that any operation with these methods may answer with."""
    statuses = list(_ALWAYS)
    if not {"GET", "HEAD"}.issuperset(methods):
        statuses += _WITH_BODY
    return {status: problem_response(status) for status in sorted(statuses)}


def registry_problems() -> dict[int | str, dict[str, Any]]:
    """Return the problems of the schema registry: some of them in the form of Confluent's API."""
    described = common_problems(["GET", "POST"])
    for status in (404, 409, 422):
        described[status]["content"][REGISTRY_MEDIA_TYPE] = {"schema": REGISTRY_REFUSAL_SCHEMA}
    return described


def problem_response(status: int, meaning: str | None = None) -> dict[str, Any]:
    """Return the description of one problem; `meaning` says what it means for this operation."""
    described: dict[str, Any] = {
        "description": meaning or _MEANINGS[status],
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in _RETRIED:
        seconds = {"schema": {"type": "integer"}, "description": "seconds to wait"}
        described["headers"] = {"Retry-After": seconds}
    return described
