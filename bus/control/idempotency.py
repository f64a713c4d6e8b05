"""
Requests that may be sent again: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

A route claims the key once it knows who asks (`claim_key`), the middleware keeps the answer before
it is sent. An answer of 5xx, one to a request that was not understood, and one to a caller who may
not do this, is not kept: nothing was carried out, and the key is free again. An answer that must
not be stored (`Cache-Control: no-store`) or is very large is not kept either, but that it was given
is, so that nothing is done twice.
"""

import hashlib
import re
from collections.abc import MutableMapping
from typing import Annotated, Any

import structlog
from fastapi import Header, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.control.identity import Asking
from bus.control.problems import Problem, problem
from bus.errors import TransientError
from bus.ports.idempotency import (
    Claim,
    InProgress,
    KeptAnswer,
    KeptAnswers,
    KeyReused,
    RequestKey,
)

log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
MAX_KEPT_BYTES = 256 * 1024
_RETRY_AFTER_SECONDS = "1"
_CLAIM = "idempotency_claim"
#: Set where invalid requests are answered (`bus.control.problems`).
_NOT_UNDERSTOOD = "not_understood"
#: What describes the connection, or is a secret, is not part of the answer.
_HEADERS_NOT_KEPT = frozenset({"content-length", "date", "server", "set-cookie"})
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
#: Nothing was carried out: the caller was not known, not allowed, or too fast.
_STATUSES_NOT_KEPT = frozenset({401, 403, 429})
_SERVER_ERROR = 500


class Replayed(Exception):
    """The request has been answered before."""

    def __init__(self, answer: KeptAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


async def claim_key(
    request: Request,
    who: Asking,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="any text of your own, a UUID for example: sent again with the same key, "
            "the same request gets the same answer and is carried out once (kept for 24 hours)",
        ),
    ] = None,
) -> None:
    """Claim the key for this request, or end it with what is there already."""
    if key is None:
        return
    answers: KeptAnswers = request.app.state.answers
    named = RequestKey(account=who.actor.account, operation=_operation(request), key=_key(key))
    outcome = await run_in_threadpool(answers.claim, named, await _fingerprint(request))
    match outcome:
        case Claim():
            setattr(request.state, _CLAIM, outcome)
        case KeptAnswer():
            raise Replayed(outcome)
        case InProgress():
            raise Problem(
                409,
                "IDEMPOTENCY_IN_PROGRESS",
                "the request with this key is being carried out",
                headers={"Retry-After": _RETRY_AFTER_SECONDS},
            )
        case KeyReused():
            raise Problem(
                422, "IDEMPOTENCY_KEY_REUSED", "this key belongs to another request: take a new one"
            )


async def answer_replayed(request: Request, error: Exception) -> Response:
    """Answer as the first time."""
    if not isinstance(error, Replayed):
        raise error
    answer = error.answer
    if answer.body is None:
        return problem(
            request,
            409,
            "IDEMPOTENCY_ANSWER_NOT_KEPT",
            f"this was carried out and answered with {answer.status}; the answer was not kept",
        )
    headers = {**answer.headers, REPLAYED_HEADER: "true"}
    return Response(answer.body, status_code=answer.status, headers=headers)


class KeepAnswers:
    """ASGI middleware: keeps the answer to a request that has claimed a key, then sends it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or HEADER.lower() not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        answers: KeptAnswers = scope["app"].state.answers
        messages: list[Message] = []

        async def hold(message: Message) -> None:
            messages.append(message)

        try:
            await self._app(scope, receive, hold)
        except Exception:
            await _settle(answers, state.get(_CLAIM), None)
            raise
        await _settle(answers, state.get(_CLAIM), _to_keep(messages, state))
        for message in messages:
            await send(message)


async def _settle(answers: KeptAnswers, claim: Claim | None, answer: KeptAnswer | None) -> None:
    """Keep the answer, or free the key; if the store is away, the claim's bound frees it."""
    if claim is None:
        return
    try:
        if answer is None:
            await run_in_threadpool(answers.release, claim)
        else:
            await run_in_threadpool(answers.keep, claim, answer)
    except TransientError as error:
        log.warning("answer not kept", operation=claim.request.operation, reason=str(error))


def _to_keep(messages: list[Message], state: MutableMapping[str, Any]) -> KeptAnswer | None:
    start = messages[0]
    status: int = start["status"]
    if status >= _SERVER_ERROR or status in _STATUSES_NOT_KEPT or state.get(_NOT_UNDERSTOOD):
        return None
    headers = Headers(raw=start["headers"])
    body = b"".join(message.get("body", b"") for message in messages[1:])
    secret = "no-store" in headers.get("cache-control", "")
    return KeptAnswer(
        status=status,
        headers={name: value for name, value in headers.items() if name not in _HEADERS_NOT_KEPT},
        body=None if secret or len(body) > MAX_KEPT_BYTES else body,
    )


def _operation(request: Request) -> str:
    route = request.scope.get("route")
    return f"{request.method} {getattr(route, 'path', request.url.path)}"


def _key(header: str) -> str:
    """Return the key; the draft wants it in quotation marks, most clients send it without."""
    bare = header.strip()
    if bare.startswith('"') and bare.endswith('"'):
        bare = bare[1:-1]
    if _KEY.fullmatch(bare) is None:
        raise Problem(422, "IDEMPOTENCY_KEY_INVALID", "a key is 1 to 255 visible ASCII characters")
    return bare


async def _fingerprint(request: Request) -> bytes:
    """Return what is the same for the same request: where it goes and what it says."""
    where = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(where + await request.body()).digest()
