"""
Administrative requests that come back, whatever happens to the connection.

librdkafka bounds each request by its own time-out, but one that is under way while its broker goes
away, or is taken for gone, may never be answered at all: the future stays open for ever. So every
answer is waited for within a bound, and a client that owes one is replaced (ADR 0014).
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from bus.adapters.kafka.bounded_call import in_time
from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")
#: librdkafka's own time-out for a request; the answer is owed a little later than that.
REQUEST_SECONDS = 30.0
_GRACE_SECONDS = 5.0
#: Brokers close connections that are idle for some seconds (design.md §10). A request that is sent
#: at that moment is lost, and only the client knows; what is asked for here may be asked for again.
_TRIES = 4
_CLOSE_SECONDS = 5.0


class KafkaAdmin:
    """An admin client; `client` is the one of the moment. May be used by several threads."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        seconds: float = REQUEST_SECONDS,
        connect: Callable[[KafkaConnection], AdminClient] | None = None,
    ) -> None:
        self.seconds = seconds
        self._connection = connection
        self._connect = connect or _connect
        self.client = self._connect(connection)

    def ask(self, request: Callable[[AdminClient], T]) -> T:
        """
        Make an idempotent request; make it again if the connection was lost on the way.

        It waits for futures with `answer`. Raise `KafkaException` as the broker or the client says,
        `BrokerUnavailable` if no answer came in time: the next request goes through a new client.
        """
        tries = _TRIES
        while True:
            client = self.client
            tries -= 1
            try:
                return request(client)
            except TimeoutError as error:
                self.renew(client)
                raise BrokerUnavailable("the broker owes an answer; asking anew") from error
            except KafkaException as error:
                if tries == 0 or error.args[0].code() != KafkaError._TRANSPORT:  # noqa: SLF001
                    raise

    def answer(self, future: "Future[Any]") -> Any:  # noqa: ANN401 (the library types it so)
        """Wait for an answer; raise `TimeoutError` if it is overdue."""
        return future.result(self.seconds + _GRACE_SECONDS)

    def answers(self, futures: "Iterable[Future[Any]]") -> list[Any]:
        """Wait for several answers; raise the first fault among them."""
        return [self.answer(future) for future in futures]

    def renew(self, used: AdminClient) -> None:
        """Put a new client in the place of `used`, unless another thread has done so already."""
        if self.client is not used:
            return
        log.warning("the admin client is replaced", principal=self._connection.username)
        self.client = self._connect(self._connection)
        _let_go([used])


def _connect(connection: KafkaConnection) -> AdminClient:
    return AdminClient(connection.client(), logger=LOGGER)


def _let_go(clients: list[AdminClient]) -> None:
    """Forget a client in a thread of its own: to end one that owes an answer may hang, too."""
    try:
        in_time(clients.clear, _CLOSE_SECONDS)
    except TimeoutError:
        log.warning("an admin client does not end; it is left behind")
