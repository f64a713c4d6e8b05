"""
The admin client of kafka-python, for what confluent-kafka has no call for (docs/adr/0006).

It calls errors what is normal: the broker closes connections that idle. What matters is raised.
"""

import logging

from kafka.admin import KafkaAdminClient

from bus.adapters.kafka.connection import SCRAM, KafkaConnection

_REQUEST_MILLISECONDS = 10_000

logging.getLogger("kafka").setLevel(logging.CRITICAL)


def python_admin(connection: KafkaConnection, *, client: str) -> KafkaAdminClient:
    """Connect; `client` is the name that the broker knows the connection by."""
    return KafkaAdminClient(
        bootstrap_servers=connection.bootstrap,
        client_id=client,
        security_protocol=connection.protocol,
        sasl_mechanism=SCRAM,
        sasl_plain_username=connection.username,
        sasl_plain_password=connection.password,
        ssl_cafile=connection.ca_file,
        request_timeout_ms=_REQUEST_MILLISECONDS,
    )
