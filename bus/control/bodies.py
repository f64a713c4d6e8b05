"""
What a JSON body may be, before any route sees it: I-JSON (RFC 7493), and no deeper than we go.

A body that two programs may read differently (a name twice, a number that does not fit, half a
character) is refused rather than guessed at, and U+0000 is in no text (docs/adr/0012).
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.control.problems import Problem, problem

MAX_DEPTH = 32
#: Integers beyond it are not the same number for every reader (RFC 7493 §2.2).
MAX_INTEGER = (1 << 53) - 1
#: How long a body may be on its way.
READ_SECONDS = 30.0
#: What takes longer to look at than a thread takes to start.
_LARGE_BYTES = 64 * 1024


class CheckBodies:
    """ASGI middleware: reads JSON bodies within a bound of time, and refuses what is none."""

    def __init__(self, app: ASGIApp, *, read_seconds: float = READ_SECONDS) -> None:
        self._app = app
        self._read_seconds = read_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or not _is_json(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            body = await self._read(request)
            if len(body) > _LARGE_BYTES:
                await run_in_threadpool(check_json, body)
            elif body:
                check_json(body)
        except Problem as refusal:
            answer = problem(request, refusal.status, refusal.code, refusal.detail)
            await answer(scope, receive, send)
            return
        except ClientDisconnect:
            return
        await self._app(scope, _again(body, receive), send)

    async def _read(self, request: Request) -> bytes:
        try:
            with anyio.fail_after(self._read_seconds):
                return await request.body()
        except TimeoutError:
            raise Problem(408, "BODY_TOO_SLOW", "the body did not arrive in time") from None


def check_json(body: bytes) -> None:
    """Raise `Problem` unless a body is JSON that everybody reads alike."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Problem(400, "BODY_NOT_UTF8", "the body is not UTF-8") from None
    try:
        content = json.loads(
            text,
            object_pairs_hook=_members,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(400, "BODY_MALFORMED", f"not JSON: {error.msg}, {where}") from None
    except RecursionError:
        raise _too_deep() from None
    _check_texts(content)


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.startswith("application/") and kind.endswith(("/json", "+json"))


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body that was read, and then whatever comes."""
    given = False

    async def read() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read


def _check_texts(content: Any) -> None:  # noqa: ANN401 (JSON)
    """Look at all texts, level by level: a body has fewer levels than a stack."""
    level = [content]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for part in level:
            if isinstance(part, str):
                _check_text(part)
            elif isinstance(part, dict):
                for name in part:
                    _check_text(name)
                below += part.values()
            elif isinstance(part, list):
                below += part
        if not below:
            return
        level = below
    raise _too_deep()


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise Problem(422, "NUL_IN_TEXT", "a text has the character U+0000")
    # Cheap for what is usual: Python knows of each text whether it is ASCII.
    if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
        raise Problem(422, "TEXT_INVALID", "a text has half of a surrogate pair")


def _members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Problem(422, "NAME_TWICE", "an object has the same name twice")
    return members


def _integer(digits: str) -> int:
    # Sixteen digits and a sign; longer ones are not worth reading.
    if len(digits) > len(str(MAX_INTEGER)) + 1 or abs(int(digits)) > MAX_INTEGER:
        raise Problem(422, "NUMBER_TOO_LARGE", f"an integer is beyond ±{MAX_INTEGER}")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Problem(422, "NUMBER_TOO_LARGE", "a number does not fit 64 bits")
    return number


def _no_constant(name: str) -> None:
    raise Problem(400, "BODY_MALFORMED", f"not JSON: {name}")


def _too_deep() -> Problem:
    return Problem(422, "BODY_TOO_DEEP", f"the body has more than {MAX_DEPTH} levels")
