"""`/metrics`, `/healthz` and `/readyz` of a process that has no other HTTP server."""

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from typing_extensions import override

from bus.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: A client that dawdles must not keep a thread for ever.
_REQUEST_SECONDS = 5


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that dawdles or goes away is no event."""


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: scrapes are no events."""


def serve_health(
    host: str, port: int, *, registry: CollectorRegistry, not_ready: Callable[[], str | None]
) -> int:
    """
    Serve in a thread of its own, and return the port (a free one if `port` is 0).

    `not_ready` says why the process cannot do its work now, None if it can. Raise `ConfigError` if
    nothing can listen there.
    """

    def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            start("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
            return [generate_latest(registry)]
        if path == "/healthz":
            status, body = "200 OK", {"status": "alive"}
        elif path == "/readyz":
            reason = not_ready()
            status = "200 OK" if reason is None else "503 Service Unavailable"
            body = {"status": "ready"} if reason is None else {"status": "no", "reason": reason}
        else:
            status, body = "404 Not Found", {"status": "there is no such page"}
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    try:
        server = make_server(host, port, answer, _Server, _Handler)
    except OSError as error:
        raise ConfigError(
            f"/metrics and /readyz cannot be served at {host}:{port} ({error.strerror}): "
            "free the port, or set ONESOURCE_HTTP__PORT (ONESOURCE_HTTP__HOST)"
        ) from None
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server.server_port
