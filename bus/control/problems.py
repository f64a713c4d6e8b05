"""
Errors on the wire: RFC 9457 for our own resources, Confluent's form for the registry.

What may come from either (no such page, no credentials, trouble inside) has the members of both.
"""

from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bus.errors import (
    AccessDenied,
    BusError,
    EditConflict,
    Forbidden,
    NotFound,
    Refused,
    StateConflict,
    StoreUnavailable,
    TooManyAttempts,
    TransientError,
    Unauthenticated,
)

REGISTRY_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
PROBLEM_MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = "2"
_INVALID_SCHEMA = 42201
_CODES = {404: "NO_SUCH_PAGE", 405: "METHOD_NOT_ALLOWED"}
#: The first that an error is one of decides.
_STATUSES: tuple[tuple[type[BusError], int], ...] = (
    (NotFound, 404),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (AccessDenied, 403),
    (StateConflict, 409),
    (EditConflict, 412),
    (Refused, 422),
    (TooManyAttempts, 429),
    (TransientError, 503),
)


class RegistryRefusal(Exception):
    """An answer of the registry that is not a success."""

    def __init__(self, status: int, error_code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message


class Unauthorised(Exception):
    """No credentials, or wrong ones."""


class Problem(Exception):
    """A refusal that only HTTP knows: of a header, a body, a rate; not of what was asked for."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    error_code: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return a problem document; `error_code` is Confluent's number, by default the status."""
    return JSONResponse(
        {
            "type": f"urn:onesource:problem:{code.lower().replace('_', '-')}",
            "title": code.replace("_", " ").capitalize(),
            "status": status,
            "detail": detail,
            "instance": request.url.path,
            "code": code,
            "error_code": status if error_code is None else error_code,
            "message": detail,
        },
        status_code=status,
        headers=headers,
        media_type=PROBLEM_MEDIA_TYPE,
    )


async def answer_registry_refusal(_request: Request, error: Exception) -> JSONResponse:
    """Answer in the form that Confluent's clients understand."""
    if not isinstance(error, RegistryRefusal):
        raise error
    return JSONResponse(
        {"error_code": error.error_code, "message": error.message},
        status_code=error.status,
        media_type=REGISTRY_MEDIA_TYPE,
    )


async def answer_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer with the problem document that the refusal is."""
    if not isinstance(error, Problem):
        raise error
    return problem(request, error.status, error.code, error.detail, headers=error.headers)


async def answer_unauthorised(request: Request, _error: Exception) -> JSONResponse:
    """Ask for credentials."""
    return problem(
        request,
        401,
        "UNAUTHORISED",
        "log in with the credentials of a Kafka principal",
        headers={"WWW-Authenticate": 'Basic realm="onesource"'},
    )


async def answer_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong and where, but do not send back what the caller has sent."""
    if not isinstance(error, RequestValidationError):
        raise error
    # Nothing was carried out: its sender may put it right under the same Idempotency-Key.
    request.state.not_understood = True
    faults = error.errors()
    detail = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults
    )
    about_schema = any(tuple(fault["loc"][:2]) == ("body", "schema") for fault in faults)
    return problem(
        request,
        422,
        "REQUEST_INVALID",
        detail,
        error_code=_INVALID_SCHEMA if about_schema else None,
    )


async def answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Answer for pages and methods that there are not."""
    if not isinstance(error, HTTPException):
        raise error
    code = _CODES.get(error.status_code, "REQUEST_INVALID")
    return problem(request, error.status_code, code, str(error.detail), headers=error.headers)


async def answer_bus_error(request: Request, error: Exception) -> JSONResponse:
    """Answer with a problem document whose `code` is the error's."""
    if not isinstance(error, BusError):
        raise error
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    headers = _headers_of(error)
    # What the database or the broker said is for the log, not for the caller.
    detail = "the database does not answer" if isinstance(error, StoreUnavailable) else str(error)
    return problem(request, status, error.code, detail, headers=headers)


def _headers_of(error: BusError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="onesource"'}
    if isinstance(error, TooManyAttempts):
        return {"Retry-After": str(error.seconds)}
    if isinstance(error, TransientError):
        return {"Retry-After": _RETRY_AFTER_SECONDS}
    return {}
