"""
Client quotas. confluent-kafka has no call for them; kafka-python carries the protocol message.

It has no public method either, so two private names of its admin client are used here, and nowhere
else; `tests/integration` holds them to what they do (docs/adr/0006).
"""

import logging

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

from bus.adapters.kafka.connection import SCRAM, KafkaConnection
from bus.errors import BrokerUnavailable

_REQUEST_MILLISECONDS = 10_000

logging.getLogger("kafka").setLevel(logging.ERROR)


def set_consumer_byte_rate(
    connection: KafkaConnection, principal: str, bytes_per_second: float | None
) -> None:
    """
    Limit what each broker sends to `principal`; None takes the limit away.

    Raise `BrokerUnavailable` if the broker does not confirm.
    """
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=connection.bootstrap,
            client_id="onesource-quotas",
            security_protocol=connection.protocol,
            sasl_mechanism=SCRAM,
            sasl_plain_username=connection.username,
            sasl_plain_password=connection.password,
            ssl_cafile=connection.ca_file,
            request_timeout_ms=_REQUEST_MILLISECONDS,
        )
        try:
            _alter(admin, principal, bytes_per_second)
        finally:
            admin.close()
    except KafkaError as error:
        raise BrokerUnavailable(f"could not set the quota of {principal}: {error}") from error


def _alter(admin: KafkaAdminClient, principal: str, bytes_per_second: float | None) -> None:
    operation = ("consumer_byte_rate", bytes_per_second or 0.0, bytes_per_second is None)
    request = AlterClientQuotasRequest(
        entries=[([("user", principal)], [operation])], validate_only=False
    )
    response = admin._manager.run(admin._send_request_to_controller, request)  # noqa: SLF001
    for entry in response.entries:
        if entry.error_code:
            raise BrokerUnavailable(
                f"could not set the quota of {principal}: {entry.error_message}"
            )
