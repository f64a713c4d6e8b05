"""Logging in and out: local accounts, and people at the identity provider (code flow, PKCE)."""

import hmac
import secrets
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bus.control.identity import (
    COOKIE,
    SECURE_COOKIE,
    Asking,
    IdentityParts,
    csrf_token,
    parts,
    session_cookie,
)
from bus.domain.accounts import PASSWORD_MAX_LENGTH
from bus.errors import NotFound, Unauthenticated
from bus.ports.identity import LoginAttempt, LoginProvider, TokenRefused
from bus.services.identity import SESSION_LENGTH, LoggedIn

router = APIRouter(prefix="/v1", tags=["identity"])

_LOGIN_PATH = "/v1/login"
_CALLBACK_PATH = "/v1/login/callback"
_LOGIN_COOKIE = "onesource_login"
#: As long as somebody may take to log in at the provider.
_LOGIN_SECONDS = 600
_MAX_PATH = 500
_NEVER_STORED = {"Cache-Control": "no-store"}
_BEGIN_AGAIN = "this log-in was not begun here, or too long ago: begin again"


class PasswordBody(BaseModel):
    """A local account's name and password."""

    model_config = ConfigDict(extra="forbid")

    account: str = Field(max_length=200)
    password: SecretStr = Field(max_length=PASSWORD_MAX_LENGTH)
    cookie: bool = False
    """Whether to answer with a cookie, for a browser, instead of the token."""


@router.post("/sessions", status_code=201)
def open_session(body: PasswordBody, request: Request) -> Response:
    """Log in with a local account: answers with a token that is good for an hour, or a cookie."""
    logged_in = parts(request).identity.log_in(
        body.account, body.password.get_secret_value(), address=_address(request)
    )
    if not body.cookie:
        return _token_answer(logged_in, status=201)
    answer = JSONResponse(
        {"csrf": csrf_token(logged_in.token)}, status_code=201, headers=_NEVER_STORED
    )
    _set_session(answer, parts(request), logged_in)
    return answer


@router.delete("/sessions/current", status_code=204)
def end_session(request: Request, who: Asking) -> Response:
    """Log out: the session's token is good for nothing any more."""
    parts(request).identity.log_out(who)
    answer = Response(status_code=204)
    name = SECURE_COOKIE if parts(request).secure else COOKIE
    answer.delete_cookie(name, path="/", secure=parts(request).secure, httponly=True)
    return answer


@router.get("/me")
def me(request: Request, who: Asking) -> Response:
    """Say who asks, in which roles, and what the token is good for."""
    content: dict[str, Any] = {
        "account": who.actor.account,
        "organisation": who.actor.organisation,
        "jurisdiction": who.actor.jurisdiction,
        "roles": sorted(who.actor.roles),
        "scopes": sorted(who.scopes),
        "expires_at": who.session.expires_at.isoformat() if who.session else None,
    }
    cookie = session_cookie(request)
    if cookie is not None and "authorization" not in request.headers:
        content["csrf"] = csrf_token(cookie)
    return JSONResponse(content, headers=_NEVER_STORED)


@router.get("/login")
def begin_login(
    request: Request,
    return_to: Annotated[str, Query(max_length=_MAX_PATH)] = "/",
    answer_with: Literal["cookie", "token"] = "cookie",
) -> Response:
    """Send a person to the identity provider; afterwards to `return_to`, or show the token."""
    provider = _provider(parts(request))
    attempt = LoginAttempt(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
    )
    address = provider.authorisation_address(attempt, _callback(parts(request)))
    answer = RedirectResponse(address, status_code=303, headers=_NEVER_STORED)
    answer.set_cookie(
        _LOGIN_COOKIE,
        _serialiser(parts(request)).dumps(
            {**asdict(attempt), "return_to": _own_path(return_to), "answer_with": answer_with}
        ),
        max_age=_LOGIN_SECONDS,
        path=_LOGIN_PATH,
        secure=parts(request).secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/login/callback")
def finish_login(
    request: Request,
    state: str = "",
    code: str = "",
    iss: str | None = None,
    error: str | None = None,
) -> Response:
    """Take a person back from the identity provider."""
    provider = _provider(parts(request))
    identity = parts(request).identity
    try:
        begun = _begun(request, state)
        if error is not None or not code:
            raise TokenRefused("the identity provider did not let them in")
        if iss is not None and iss != provider.issuer:
            raise TokenRefused("another provider answers")
        attempt = LoginAttempt(
            state=begun["state"], nonce=begun["nonce"], verifier=begun["verifier"]
        )
        subject = provider.subject(
            code, attempt, _callback(parts(request)), parts(request).clock.now()
        )
    except TokenRefused as refused:
        identity.refuse_login(address=_address(request), reason=str(refused))
        raise Unauthenticated(_BEGIN_AGAIN) from None
    logged_in = identity.log_in_external(subject)
    if begun["answer_with"] == "token":
        answer: Response = _token_answer(logged_in)
    else:
        answer = RedirectResponse(begun["return_to"], status_code=303, headers=_NEVER_STORED)
        _set_session(answer, parts(request), logged_in)
    # The attempt is over: its cookie opens nothing a second time.
    answer.delete_cookie(
        _LOGIN_COOKIE, path=_LOGIN_PATH, secure=parts(request).secure, httponly=True
    )
    return answer


def _begun(request: Request, state: str) -> dict[str, str]:
    """Return the attempt that this browser has begun; raise `TokenRefused` if it is another's."""
    try:
        begun: dict[str, str] = _serialiser(parts(request)).loads(
            request.cookies.get(_LOGIN_COOKIE, ""), max_age=_LOGIN_SECONDS
        )
    except BadSignature:
        raise TokenRefused("no log-in was begun in this browser") from None
    if not hmac.compare_digest(begun["state"].encode(), state.encode()):
        raise TokenRefused("another log-in was begun in this browser")
    return begun


def _provider(found: IdentityParts) -> LoginProvider:
    if found.provider is None:
        raise NotFound("no identity provider is set up here: log in with a local account")
    return found.provider


def _serialiser(found: IdentityParts) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(found.cookie_secret, salt="login")


def _callback(found: IdentityParts) -> str:
    # Not from the request: its Host header is whatever somebody wrote into it.
    return found.public_url.rstrip("/") + _CALLBACK_PATH


def _own_path(path: str) -> str:
    """Return `path` if it leads to a page of ours, else the first page."""
    ours = path.startswith("/") and not path.startswith("//")
    return path if ours and path.isprintable() and "\\" not in path else "/"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _token_answer(logged_in: LoggedIn, *, status: int = 200) -> Response:
    content = {
        "token": logged_in.token,
        "token_type": "Bearer",
        "account": logged_in.actor.account,
        "expires_at": logged_in.session.expires_at.isoformat(),
    }
    return JSONResponse(content, status_code=status, headers=_NEVER_STORED)


def _set_session(answer: Response, found: IdentityParts, logged_in: LoggedIn) -> None:
    answer.set_cookie(
        SECURE_COOKIE if found.secure else COOKIE,
        logged_in.token,
        max_age=int(SESSION_LENGTH.total_seconds()),
        path="/",
        secure=found.secure,
        httponly=True,
        samesite="lax",
    )
