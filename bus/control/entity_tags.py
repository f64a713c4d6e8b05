"""
Entity tags: a version number on every thing that can be edited.

An edit names the version that it was made from (`If-Match`), so that nobody overwrites what they
have not seen. The check against the present version belongs into the edit's own transaction; what
is here reads the header and writes the tag.
"""

import re
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from bus.control.problems import Problem
from bus.errors import EditConflict

_TAG = re.compile(r'"([0-9]{1,9})"')


def etag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def check_version(expected: int, current: int) -> None:
    """Raise `EditConflict` unless the caller has seen the present version."""
    if expected != current:
        raise EditConflict(f"it is at version {current}, not {expected}: read it again")


def _expected_version(
    if_match: Annotated[
        str | None, Header(description="the `ETag` of what is being edited; required")
    ] = None,
) -> int:
    if if_match is None:
        raise Problem(
            428, "PRECONDITION_REQUIRED", "send If-Match with the ETag of what you have read"
        )
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        # `*`, a list, a weak tag: none of them says which version was seen.
        raise EditConflict("If-Match is not an ETag of this: read it again")
    return int(found[1])


#: A parameter of this type makes an edit name the version that it was made from.
ExpectedVersion = Annotated[int, Depends(_expected_version)]


def tagged(request: Request, content: BaseModel, version: int, *, status: int = 200) -> Response:
    """
    Answer with a thing and its tag; with 304 and nothing else if a reader has it already.

    A thing's answer may depend on nothing but its version and who asks.
    """
    headers = {"ETag": etag(version), "Cache-Control": "private, no-cache"}
    if request.method in ("GET", "HEAD") and _has_already(request, version):
        return Response(status_code=304, headers=headers)
    return Response(
        content.model_dump_json(by_alias=True),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def _has_already(request: Request, version: int) -> bool:
    """Compare weakly, as RFC 9110 §13.1.2 wants it for `If-None-Match`."""
    given = ",".join(request.headers.getlist("if-none-match"))
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return etag(version) in tags or "*" in tags
