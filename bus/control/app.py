"""The FastAPI application of the control plane."""

import re
import time
from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from bus import metrics
from bus.control import (
    account_routes,
    audit_routes,
    delivery_routes,
    demand_routes,
    disagreement_routes,
    entry_routes,
    filing_routes,
    grant_routes,
    login_routes,
    notice_routes,
    profile_routes,
    rectification_routes,
    registration_routes,
    registry_routes,
    request_routes,
    search_routes,
    source_routes,
)
from bus.control.authentication import Authentication
from bus.control.bodies import CheckBodies
from bus.control.control_services import ControlServices
from bus.control.idempotency import KeepAnswers, Replayed, answer_replayed
from bus.control.identity import IdentityParts
from bus.control.openapi import describe
from bus.control.problems import (
    Problem,
    RegistryRefusal,
    Unauthorised,
    answer_bus_error,
    answer_http_exception,
    answer_invalid_request,
    answer_problem,
    answer_registry_refusal,
    answer_unauthorised,
    problem,
)
from bus.control.rate_limits import RateLimits
from bus.control.reference_page import CONTENT_SECURITY_POLICY, reference_page
from bus.errors import BusError
from bus.ports import CatalogReader
from bus.ports.idempotency import KeptAnswers
from bus.ports.registry import SchemaRegistry
from bus.services.catalog_changes import Incompatibilities

log = structlog.get_logger(__name__)

#: Nothing that a client may send here is larger.
MAX_BODY_BYTES = 2 << 20
#: Python refuses to read numbers of thousands of digits.
_MAX_LENGTH_DIGITS = 20
_WITH_BODY = ("POST", "PUT", "PATCH")
_NUL = re.compile(rb"%00|\x00")


def make_app(
    *,
    reader: CatalogReader,
    schemas: SchemaRegistry,
    incompatibilities: Incompatibilities,
    not_ready: Callable[[], str | None],
    identity: IdentityParts | None = None,
    answers: KeptAnswers | None = None,
    limits: RateLimits | None = None,
    services: ControlServices | None = None,
) -> FastAPI:
    """Return the application; `not_ready` says why the process cannot serve now, None if it can."""
    app = FastAPI(title="OneSource control", version="1", docs_url=None, redoc_url=None)
    app.state.reader = reader
    app.state.schemas = schemas
    app.state.incompatibilities = incompatibilities
    app.state.answers = answers
    app.state.limits = limits or RateLimits()
    app.state.authentication = Authentication(reader)
    app.state.identity = identity
    app.add_exception_handler(RegistryRefusal, answer_registry_refusal)
    app.add_exception_handler(Unauthorised, answer_unauthorised)
    app.add_exception_handler(Replayed, answer_replayed)
    app.add_exception_handler(Problem, answer_problem)
    app.add_exception_handler(BusError, answer_bus_error)
    app.add_exception_handler(RequestValidationError, answer_invalid_request)
    app.add_exception_handler(HTTPException, answer_http_exception)
    # The last one added is the first to see a request.
    app.add_middleware(KeepAnswers)
    app.add_middleware(CheckBodies)
    app.middleware("http")(_bound_and_count)
    app.include_router(registry_routes.router)
    app.include_router(delivery_routes.router)
    if identity is not None:
        app.include_router(login_routes.router)
        app.include_router(account_routes.router)
    if services is not None:
        app.state.services = services
        for each in (
            registration_routes,
            entry_routes,
            search_routes,
            source_routes,
            filing_routes,
            demand_routes,
            request_routes,
            grant_routes,
            disagreement_routes,
            notice_routes,
            profile_routes,
            rectification_routes,
            audit_routes,
        ):
            app.include_router(each.router)

    describe(app)

    @app.get("/docs", include_in_schema=False)
    def reference() -> Response:
        return HTMLResponse(
            reference_page(app.openapi()),
            headers={
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
            },
        )

    @app.get("/metrics", include_in_schema=False)
    def metrics_page() -> Response:
        return Response(generate_latest(metrics.CONTROL_REGISTRY), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz", include_in_schema=False)
    def healthy() -> Response:
        return JSONResponse({"status": "alive"})

    @app.get("/readyz", include_in_schema=False)
    def ready() -> Response:
        reason = not_ready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    return app


async def _bound_and_count(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Refuse what is too much before anything looks at it, and count every answer."""
    started = time.perf_counter()
    try:
        _check(request)
    except Problem as refusal:
        response: Response = await answer_problem(request, refusal)
    else:
        response = await _answered(request, call_next)
    route = request.scope.get("route")
    path = getattr(route, "path", "unknown")
    metrics.HTTP_REQUESTS.labels(path, str(response.status_code)).inc()
    log.debug(
        "request",
        route=path,
        status=response.status_code,
        seconds=round(time.perf_counter() - started, 4),
    )
    return response


async def _answered(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Return the answer; a fault of ours becomes one, too, so that it is counted."""
    try:
        return await call_next(request)
    except Exception:
        log.exception("request failed", method=request.method)
        return problem(request, 500, "INTERNAL", "something went wrong here; the log says what")


def _check(request: Request) -> None:
    """Raise `Problem` if there is too much of it, or if nothing of ours is called so."""
    limits: RateLimits = request.app.state.limits
    limits.check_address(request.client.host if request.client else None)
    length = request.headers.get("content-length")
    # Of an unknown length is a body without a stated one; other methods need not have a body.
    has_body = request.method in _WITH_BODY or "transfer-encoding" in request.headers
    if (has_body or length is not None) and not _acceptable(length):
        raise Problem(413, "BODY_TOO_LARGE", f"at most {MAX_BODY_BYTES} bytes, of a stated length")
    # Nothing that is stored has one in its name, and Postgres takes none.
    if "\x00" in request.url.path:
        raise Problem(404, "NO_SUCH_PAGE", "Not Found")
    if _NUL.search(request.scope["query_string"]):
        raise Problem(422, "NUL_IN_TEXT", "a parameter has the character U+0000")


def _acceptable(length: str | None) -> bool:
    return (
        length is not None
        and length.isascii()
        and length.isdigit()
        and len(length) <= _MAX_LENGTH_DIGITS
        and int(length) <= MAX_BODY_BYTES
    )
