"""The proxy passes on what it is given, late, in pieces, or not at all."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from bus.adapters.embedded.processes import free_port
from tests.faults.proxy import FAIR, Proxy, Weather
from tests.live_platform import wait_until

SENT = bytes(range(256)) * 1_000


class Echo:
    """A server that sends back what it is sent, and keeps it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.received = bytearray()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while chunk := connection.recv(1 << 16):
                    self.received += chunk
                    connection.sendall(chunk)
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with closing(Echo()) as running:
        yield running


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with closing(Proxy(port=free_port(), target=echo.port)) as running:
        running.start()
        yield running


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 10)


def receive(connection: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length and (chunk := connection.recv(1 << 16)):
        found += chunk
    return bytes(found)


@pytest.mark.parametrize(
    "weather", [FAIR, Weather(delay=0.001), Weather(slice_bytes=1_000), Weather(slice_bytes=7)]
)
def test_everything_arrives_in_order_whatever_the_weather(proxy: Proxy, weather: Weather) -> None:
    proxy.weather = weather
    with connect(proxy) as connection:
        sending = threading.Thread(target=connection.sendall, args=(SENT,))
        sending.start()

        assert receive(connection, len(SENT)) == SENT
        sending.join()


def test_a_request_that_is_held_arrives_though_its_sender_has_gone(
    proxy: Proxy, echo: Echo
) -> None:
    proxy.weather = Weather(holds_requests=True)
    with connect(proxy) as connection:
        connection.sendall(b"late")
        wait_until(lambda: proxy.holding, "the proxy holds it")
    assert echo.received == b""

    proxy.weather = FAIR
    wait_until(lambda: bytes(echo.received) == b"late", "it arrives")


def test_an_answer_that_is_held_is_to_a_request_that_was_carried_out(
    proxy: Proxy, echo: Echo
) -> None:
    proxy.weather = Weather(holds_answers=True)
    with connect(proxy) as connection:
        connection.sendall(b"done")
        wait_until(lambda: proxy.holding and bytes(echo.received) == b"done", "it is carried out")
        proxy.reset()

        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_cut_ends_connections_and_new_ones_are_welcome(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        connection.sendall(b"a")
        assert receive(connection, 1) == b"a"
        proxy.cut()
        assert connection.recv(1) == b""
    with connect(proxy) as connection:
        connection.sendall(b"b")
        assert receive(connection, 1) == b"b"


def test_a_proxy_that_refuses_closes_at_once(proxy: Proxy) -> None:
    proxy.weather = Weather(refuses=True)
    with connect(proxy) as connection:
        assert connection.recv(1) == b""
