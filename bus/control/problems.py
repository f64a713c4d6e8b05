"""Errors on the wire: RFC 9457 for our own resources, Confluent's form for the registry."""

from fastapi import Request
from fastapi.responses import JSONResponse

from bus.errors import BusError, NotFound, StoreUnavailable, TransientError

REGISTRY_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
PROBLEM_MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = "2"


class RegistryRefusal(Exception):
    """An answer of the registry that is not a success."""

    def __init__(self, status: int, error_code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message


class Unauthorised(Exception):
    """No credentials, or wrong ones."""


async def answer_registry_refusal(_request: Request, error: Exception) -> JSONResponse:
    """Answer in the form that Confluent's clients understand."""
    if not isinstance(error, RegistryRefusal):
        raise error
    return JSONResponse(
        {"error_code": error.error_code, "message": error.message},
        status_code=error.status,
        media_type=REGISTRY_MEDIA_TYPE,
    )


async def answer_unauthorised(_request: Request, _error: Exception) -> JSONResponse:
    """Ask for credentials."""
    body = {"error_code": 401, "message": "log in with the credentials of a Kafka principal"}
    return JSONResponse(
        {**body, "title": "Unauthorised", "status": 401, "code": "UNAUTHORISED"},
        status_code=401,
        headers={"WWW-Authenticate": 'Basic realm="onesource"'},
        media_type=PROBLEM_MEDIA_TYPE,
    )


async def answer_bus_error(request: Request, error: Exception) -> JSONResponse:
    """Answer with a problem document whose `code` is the error's."""
    if not isinstance(error, BusError):
        raise error
    status, headers = 500, {}
    if isinstance(error, NotFound):
        status = 404
    elif isinstance(error, TransientError):
        status, headers = 503, {"Retry-After": _RETRY_AFTER_SECONDS}
    # What the database or the broker said is for the log, not for the caller.
    detail = "the database does not answer" if isinstance(error, StoreUnavailable) else str(error)
    return JSONResponse(
        {
            "type": f"urn:onesource:problem:{error.code.lower().replace('_', '-')}",
            "title": error.code.replace("_", " ").capitalize(),
            "status": status,
            "detail": detail,
            "instance": request.url.path,
            "code": error.code,
        },
        status_code=status,
        headers=headers,
        media_type=PROBLEM_MEDIA_TYPE,
    )
