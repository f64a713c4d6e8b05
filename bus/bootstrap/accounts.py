"""What a provider's or subscriber's process needs: Kafka and the control plane, as one account."""

from dataclasses import dataclass

from bus.adapters.control_http.client import ControlAccount, ControlClient
from bus.adapters.kafka.connection import KafkaConnection
from bus.bootstrap.connections import control_url, kafka_connection, kafka_settings
from bus.domain.access import OPERATOR
from bus.settings import Settings


@dataclass(frozen=True, slots=True)
class Account:
    """One principal's ways into the bus."""

    kafka: KafkaConnection
    control: ControlClient


def account(settings: Settings, principal: str | None = None) -> Account:
    """Return the account of the given credentials, else of `principal` in the state folder."""
    connection = kafka_connection(settings, principal)
    control = ControlClient(
        ControlAccount(
            url=control_url(settings),
            username=connection.username,
            password=connection.password,
            ca_file=kafka_settings(settings).ca_file,
        )
    )
    return Account(connection, control)


def provider_account(settings: Settings, resource: str) -> Account:
    """
    Return the account that publishes `resource`.

    On the machine of the embedded platform nobody has to name it: the operator's account asks whose
    it is, and the state folder has its credentials.
    """
    if settings.credentials is not None:
        return account(settings)
    operator = account(settings, OPERATOR)
    try:
        principal = operator.control.publication(resource)["principal"]
    finally:
        operator.control.close()
    return account(settings, principal)
