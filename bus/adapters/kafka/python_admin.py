"""
The admin client of kafka-python, for what confluent-kafka has no call for (docs/adr/0006).

It calls errors what is normal: the broker closes connections that idle. What matters is raised.
"""

import logging
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.net.inet import KafkaNetSocket

from bus.adapters.kafka.connection import SCRAM, KafkaConnection
from bus.errors import BrokerUnavailable

_REQUEST_MILLISECONDS = 10_000

_Answer = TypeVar("_Answer")

logging.getLogger("kafka").setLevel(logging.CRITICAL)


class _DirectSocket(KafkaNetSocket):  # type: ignore[misc]
    """
    Connects as ever, and closes what could not be connected.

    kafka-python 3.0.12 leaves the socket of a refused connection to the garbage collector. Its own
    way to say how sockets are made is a proxy's scheme; this one names no proxy.
    """

    SCHEMES = ("direct",)

    async def sock_connect(
        self,
        net: object,
        sock: socket.socket,
        sockaddr: tuple[object, ...],
        timeout_at: float | None = None,
    ) -> socket.socket:
        try:
            connected: socket.socket = await super().sock_connect(
                net, sock, sockaddr, timeout_at=timeout_at
            )
        except BaseException:
            sock.close()
            raise
        return connected


def python_admin(connection: KafkaConnection, *, client: str) -> KafkaAdminClient:
    """
    Connect; `client` is the name that the broker knows the connection by.

    A broker that does not answer within ten seconds is a KafkaError.
    """
    return KafkaAdminClient(
        bootstrap_servers=connection.bootstrap,
        client_id=client,
        security_protocol=connection.protocol,
        sasl_mechanism=SCRAM,
        sasl_plain_username=connection.username,
        sasl_plain_password=connection.password,
        ssl_cafile=connection.ca_file,
        request_timeout_ms=_REQUEST_MILLISECONDS,
        bootstrap_timeout_ms=_REQUEST_MILLISECONDS,
        proxy_url=f"{_DirectSocket.SCHEMES[0]}://",
    )


class KeptAdmin:
    """An admin client whose connection is kept, for several threads, one at a time."""

    def __init__(self, connection: KafkaConnection, *, client: str) -> None:
        self._connection = connection
        self._client = client
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None

    def ask(self, ask: Callable[[KafkaAdminClient], _Answer], *, what: str) -> _Answer:
        """
        Return what `ask` returns; if that fails, once more over a new connection.

        So it must be something that done twice is done once. Raise `BrokerUnavailable`, which says
        `what` could not be had, if it fails again.
        """
        with self._lock:
            try:
                return ask(self._connected())
            except KafkaError:
                # The connection that was kept may be one that the broker has closed meanwhile.
                self._drop()
            try:
                return ask(self._connected())
            except KafkaError as error:
                self._drop()
                raise BrokerUnavailable(f"could not reach {what}: {error!r}") from error

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._drop()

    def _connected(self) -> KafkaAdminClient:
        if self._admin is None:
            self._admin = python_admin(self._connection, client=self._client)
        return self._admin

    def _drop(self) -> None:
        if self._admin is not None:
            admin, self._admin = self._admin, None
            admin.close()
