"""A broker that is away costs an error, and no socket; a kept connection is made anew, once."""

import gc
import warnings
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaConnectionError, KafkaError

from bus.adapters.embedded.processes import free_port
from bus.adapters.kafka import python_admin as module
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.python_admin import KeptAdmin, python_admin
from bus.errors import BrokerUnavailable


@pytest.mark.slow
def test_a_refused_connection_leaves_no_socket_open() -> None:
    connection = KafkaConnection(
        bootstrap=f"127.0.0.1:{free_port()}", username="nobody", password="none"
    )

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        with pytest.raises(KafkaError):
            python_admin(connection, client="test")
        gc.collect()

    assert [str(each.message) for each in seen if each.category is ResourceWarning] == []


class Connection:
    """Answers as often as it is told to, then it is gone."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.closed = False

    def ask(self) -> str:
        if not self.answers:
            raise KafkaConnectionError("closed")
        self.answers -= 1
        return "answer"

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Connection]]:
    """Return the connections that were made; each answers as often as the test says."""
    connections: list[Connection] = []

    def connect(_: KafkaConnection, *, client: str) -> Connection:
        assert client == "test"
        connections.append(Connection(answers.pop(0)))
        return connections[-1]

    answers = [2, 1, 0, 0, 1]
    monkeypatch.setattr(module, "python_admin", connect)
    yield connections
    assert all(each.closed for each in connections)


def test_a_connection_is_kept_and_made_anew_once_when_it_is_lost(made: list[Connection]) -> None:
    admin = KeptAdmin(KafkaConnection(bootstrap="", username="", password=""), client="test")

    assert [admin.ask(Connection.ask, what="it") for _ in range(3)] == ["answer"] * 3
    assert len(made) == 2

    # The second is gone, and the third does not answer either.
    with pytest.raises(BrokerUnavailable, match="could not reach it"):
        admin.ask(Connection.ask, what="it")
    assert len(made) == 3
    # Nothing of that is kept: the next begins anew, fails once, and has an answer.
    assert made[-1].closed
    assert admin.ask(Connection.ask, what="it") == "answer"
    assert len(made) == 5
    admin.close()
