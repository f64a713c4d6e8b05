"""Who asks: HTTP Basic with the credentials of a Kafka principal."""

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBase
from fastapi.security.base import SecurityBase

from bus.control.problems import Unauthorised
from bus.domain.principal import Principal, PrincipalKind
from bus.ports import CatalogReader

_MAX_HEADER_CHARACTERS = 1024


class Authentication:
    """Finds the principal of a request; put into the application's state."""

    def __init__(self, reader: CatalogReader) -> None:
        self._reader = reader

    def principal(self, header: str | None) -> Principal:
        """Return the principal that an `Authorization` header proves; else raise Unauthorised."""
        name, password = _credentials(header)
        principal = self._reader.principal(name)
        if principal is None or not principal.accepts(password):
            raise Unauthorised
        return principal


def _credentials(header: str | None) -> tuple[str, str]:
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _MAX_HEADER_CHARACTERS:
        raise Unauthorised
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthorised from None
    name, separator, password = decoded.partition(":")
    # Postgres takes no NUL, and no name has one.
    if not separator or "\x00" in name:
        raise Unauthorised
    return name, password


class _Login(SecurityBase):
    """Shows in the OpenAPI document how to log in."""

    def __init__(self) -> None:
        self.model = HTTPBase(
            scheme="basic", description="the name and the password of a Kafka principal"
        )
        self.scheme_name = "principal"

    async def __call__(self, request: Request) -> str | None:
        return request.headers.get("authorization")


def _caller(request: Request, header: Annotated[str | None, Depends(_Login())]) -> Principal:
    authentication: Authentication = request.app.state.authentication
    return authentication.principal(header)


#: A parameter of this type makes a route ask for credentials.
Caller = Annotated[Principal, Depends(_caller)]


def sees_everything(principal: Principal) -> bool:
    """Whether the principal is one of the bus's own: an operator, or a service."""
    return principal.kind is PrincipalKind.SERVICE
