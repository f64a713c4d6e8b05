"""Unit tests of `bus.adapters.kafka.kafka_admin`."""

from concurrent.futures import Future
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.kafka_admin import KafkaAdmin
from bus.errors import BrokerUnavailable

CONNECTION = KafkaConnection(bootstrap="127.0.0.1:1", username="os-test", password="-")


class Client:
    """Stands for a client: what its requests come to, one after the other."""

    def __init__(self, *outcomes: "KafkaException | Future[str]") -> None:
        self.outcomes = list(outcomes)

    def ask(self) -> "Future[str]":
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, KafkaException):
            raise outcome
        return outcome


def error(code: int) -> KafkaException:
    """Return what the client raises."""
    return KafkaException(KafkaError(code))


def answered(text: str = "done") -> "Future[str]":
    """Return an answer that has come."""
    future: Future[str] = Future()
    future.set_result(text)
    return future


def admin_of(*clients: Client) -> KafkaAdmin:
    """Return an admin that connects to these clients, one after the other, and waits for nobody."""
    following = list(clients)
    return KafkaAdmin(
        CONNECTION, seconds=-5.0, connect=lambda _: cast("AdminClient", following.pop(0))
    )


def ask(admin: KafkaAdmin) -> Any:
    """Make one request."""
    return admin.ask(lambda client: admin.answer(cast("Client", client).ask()))


def test_a_lost_connection_is_asked_over_again() -> None:
    lost = error(KafkaError._TRANSPORT)

    assert ask(admin_of(Client(lost, lost, answered()))) == "done"


def test_not_for_ever() -> None:
    with pytest.raises(KafkaException):
        ask(admin_of(Client(*[error(KafkaError._TRANSPORT)] * 4)))


def test_no_other_error_is_asked_over_again() -> None:
    client = Client(error(KafkaError.CLUSTER_AUTHORIZATION_FAILED), answered())

    with pytest.raises(KafkaException):
        ask(admin_of(client))

    assert len(client.outcomes) == 1


def test_a_client_that_owes_an_answer_is_replaced() -> None:
    """ADR 0014: a request that was under way when its broker went away may stay open for ever."""
    admin = admin_of(Client(Future(), answered("too late")), Client(answered()))

    with pytest.raises(BrokerUnavailable, match="owes an answer"):
        ask(admin)

    assert ask(admin) == "done"


def test_a_client_that_another_thread_has_replaced_stays() -> None:
    used, new = Client(), Client()
    admin = admin_of(used, new)

    admin.renew(cast("AdminClient", used))
    admin.renew(cast("AdminClient", used))

    assert admin.client is cast("AdminClient", new)
