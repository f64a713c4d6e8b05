"""Unit tests of `bus.health`: the pages of a process without another server."""

import json
import socket
import struct
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from bus.adapters.embedded.processes import free_port
from bus.errors import ConfigError
from bus.health import serve_health
from tests.live_platform import wait_until


class Served:
    """A process with health pages."""

    def __init__(self) -> None:
        self.reason: str | None = None
        registry = CollectorRegistry()
        Counter("onesource_test", "Things.", registry=registry).inc(3)
        self.port = serve_health("127.0.0.1", 0, registry=registry, not_ready=lambda: self.reason)

    def get(self, path: str) -> tuple[int, str, str]:
        """Return status, media type and body of a page."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"http://127.0.0.1:{self.port}{path}", timeout=10) as page:
                return page.status, page.headers["Content-Type"], page.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.fixture(scope="module")
def served() -> Served:
    """Return a process that runs."""
    return Served()


@pytest.fixture(autouse=True)
def _well(served: Served) -> None:
    served.reason = None


def test_metrics_are_those_of_the_process(served: Served) -> None:
    status, media_type, body = served.get("/metrics")

    assert status == 200
    assert media_type.startswith("text/plain; version=")
    assert "onesource_test_total 3.0" in body.splitlines()


def test_a_process_that_runs_is_alive_even_if_it_cannot_work(served: Served) -> None:
    served.reason = "no policy"

    assert served.get("/healthz") == (200, "application/json", '{"status": "alive"}')


def test_readiness_says_why_not(served: Served) -> None:
    assert served.get("/readyz") == (200, "application/json", '{"status": "ready"}')

    served.reason = "no policy"

    status, _, body = served.get("/readyz?at=once")
    assert status == 503
    assert json.loads(body) == {"status": "no", "reason": "no policy"}


def test_there_is_no_other_page(served: Served) -> None:
    assert served.get("/")[0] == 404
    assert served.get("/metrics/../etc/passwd")[0] == 404


def test_the_port_may_be_chosen() -> None:
    port = free_port()

    found = serve_health("127.0.0.1", port, registry=CollectorRegistry(), not_ready=lambda: None)

    assert found == port


def test_a_port_that_is_taken_is_an_error(served: Served) -> None:
    with pytest.raises(ConfigError, match=rf"{served.port} \(Address already in use\).*HTTP__PORT"):
        serve_health("127.0.0.1", served.port, registry=CollectorRegistry(), not_ready=lambda: None)


def test_clients_do_not_wait_for_each_other(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as dawdler:
        dawdler.sendall(b"GET /healthz HTTP/1.1\r\n")

        assert served.get("/healthz")[0] == 200


def test_a_client_that_goes_away_is_no_event(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy() -> bool:
        return any("process_request" in thread.name for thread in threading.enumerate())

    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(b"GET /heal")
        wait_until(busy, "it is being served")
        # Closing now resets the connection.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    wait_until(lambda: not busy(), "it has been served")
    assert capsys.readouterr() == ("", "")
    assert served.get("/healthz")[0] == 200
