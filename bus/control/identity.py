"""
Who acts, as routes ask for it: `ActingActor`.

A bearer token in the `Authorization` header, or the session cookie of a browser. What the token is
good for follows from the scope that the group of routes names with `needs`.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bus.domain.accounts import ApiScope
from bus.domain.identity import Actor
from bus.errors import Forbidden, Unauthenticated
from bus.ports import Clock
from bus.ports.identity import LoginProvider
from bus.services.accounts import Accounts
from bus.services.identity import Authenticated, Identity

#: Over https browsers let only us, on this very host, set it.
SECURE_COOKIE = "__Host-onesource"
COOKIE = "onesource"
#: What a browser's page must send with everything that writes; `GET /v1/me` says it.
CSRF_HEADER = "X-OneSource-CSRF"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityParts:
    """What the application needs to know who asks; put into its state."""

    identity: Identity
    accounts: Accounts
    clock: Clock
    cookie_secret: str = field(repr=False)
    """Signs what a browser keeps while somebody logs in."""
    public_url: str
    """Where browsers find us."""
    provider: LoginProvider | None = None

    @property
    def secure(self) -> bool:
        """Whether browsers come by https, so that cookies are sent over nothing else."""
        return self.public_url.startswith("https://")


_bearer = HTTPBearer(
    auto_error=False, description="an API token, a session's token, or one of the outside issuer"
)


def parts(request: Request) -> IdentityParts:
    """Return what the application knows people with."""
    found: IdentityParts = request.app.state.identity
    return found


def needs(scope: ApiScope, *, reading: ApiScope = ApiScope.READ) -> Any:  # noqa: ANN401 (FastAPI's)
    """
    Return the dependency that names the scope of a route or a group of routes.

    Reading needs `reading`. A route that names none may be read with `READ`, but written only
    with a token that has every scope.
    """

    def name_scopes(request: Request) -> None:
        request.state.api_scopes = (scope, reading)

    return Depends(name_scopes)


def authenticated(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Authenticated:
    """Return who asks, whatever they may do; raise `Unauthenticated` if nobody can tell."""
    identity = parts(request).identity
    token, in_cookie = _shown(request, credentials)
    who = identity.bearer(
        token,
        address=request.client.host if request.client else "",
        trace_id=getattr(request.state, "trace_id", ""),
    )
    if in_cookie and request.method not in _SAFE_METHODS:
        given = request.headers.get(CSRF_HEADER, "").encode()
        if not hmac.compare_digest(given, csrf_token(token).encode()):
            raise Forbidden(f"a browser sends {CSRF_HEADER} when it writes", code="CSRF_MISSING")
    return who


#: Who asks, with session and scopes, before any scope is checked: for `/v1/me` and logging out.
Asking = Annotated[Authenticated, Depends(authenticated)]


def acting(request: Request, who: Asking) -> Authenticated:
    """Return who asks; raise `Forbidden` unless their token is good for this group of routes."""
    identity = parts(request).identity
    named: tuple[ApiScope, ApiScope] | None = getattr(request.state, "api_scopes", None)
    if request.method in _SAFE_METHODS:
        wanted = [ApiScope.READ if named is None else named[1]]
    else:
        wanted = list(ApiScope) if named is None else [named[0]]
    for scope in wanted:
        identity.permit(who, scope)
    return who


#: As `ActingActor`, with session and scopes.
Acting = Annotated[Authenticated, Depends(acting)]


def _acting_actor(who: Acting) -> Actor:
    return who.actor


#: A parameter of this type makes a route ask for a token, and tells who acts.
ActingActor = Annotated[Actor, Depends(_acting_actor)]


def csrf_token(session_token: str) -> str:
    """Return what a page must repeat: nobody can tell who does not hold the session's cookie."""
    digest = hmac.digest(session_token.encode(), b"onesource csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def session_cookie(request: Request) -> str | None:
    """Return the session's token from the cookie; None if there is none."""
    # Over https a neighbour's page can set the other one, to log somebody in as somebody else.
    return request.cookies.get(SECURE_COOKIE if parts(request).secure else COOKIE) or None


def _shown(request: Request, credentials: HTTPAuthorizationCredentials | None) -> tuple[str, bool]:
    """Return the token and whether it came in a cookie, as it does without being asked for."""
    if credentials is not None:
        return credentials.credentials, False
    cookie = None if "authorization" in request.headers else session_cookie(request)
    if cookie is None:
        raise Unauthenticated("log in, or show a token that is good")
    return cookie, True
