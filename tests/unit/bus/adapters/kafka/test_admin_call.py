"""Unit tests of `bus.adapters.kafka.admin_call`."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from bus.adapters.kafka.admin_call import again_after_transport


def calls(*codes: int) -> "list[KafkaException | str]":
    """Return what the calls come to: an error each, and then success."""
    return [*(KafkaException(KafkaError(code)) for code in codes), "done"]


def make(outcomes: "list[KafkaException | str]") -> object:
    """Make the call whose outcomes these are."""

    def call() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, KafkaException):
            raise outcome
        return outcome

    return again_after_transport(call)


def test_a_lost_connection_is_asked_over_again() -> None:
    assert make(calls(KafkaError._TRANSPORT, KafkaError._TRANSPORT)) == "done"


def test_not_for_ever() -> None:
    with pytest.raises(KafkaException):
        make(calls(*[KafkaError._TRANSPORT] * 4))


def test_no_other_error_is_asked_over_again() -> None:
    outcomes = calls(KafkaError.CLUSTER_AUTHORIZATION_FAILED)

    with pytest.raises(KafkaException):
        make(outcomes)

    assert outcomes == ["done"]
