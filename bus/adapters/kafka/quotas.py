"""
Client quotas. confluent-kafka has no call for them; kafka-python carries the protocol message.

It has no public method either, so two private names of its admin client are used here, and nowhere
else; `tests/integration` holds them to what they do (docs/adr/0006).
"""

from collections.abc import Mapping
from typing import Any

from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest, DescribeClientQuotasRequest

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.python_admin import KeptAdmin
from bus.errors import BrokerUnavailable

_RATE = "consumer_byte_rate"
#: DescribeClientQuotas: of every user that has quotas of its own.
_ANY_SPECIFIED = 2


class ClientQuotas:
    """
    The quotas of principals, for several threads, one at a time.

    The connection is kept: a new one costs a revocation more than everything else it does.
    """

    def __init__(self, connection: KafkaConnection) -> None:
        self._admin = KeptAdmin(connection, client="onesource-quotas")

    def set_consumer_byte_rates(self, rates: Mapping[str, float | None]) -> None:
        """
        Limit what each broker sends to each principal; None takes the limit away.

        Raise `BrokerUnavailable` if the broker does not confirm.
        """
        if not rates:
            return
        entries = [
            ([("user", principal)], [(_RATE, rate or 0.0, rate is None)])
            for principal, rate in rates.items()
        ]
        response = self._ask(AlterClientQuotasRequest(entries=entries, validate_only=False))
        for entry in response.entries:
            if entry.error_code:
                raise BrokerUnavailable(f"could not set a quota: {entry.error_message}")

    def consumer_byte_rates(self) -> dict[str, float]:
        """Return the limit of each principal that has one."""
        # What is asked for is any user by name; the default for all users is none of these.
        request = DescribeClientQuotasRequest(
            components=[("user", _ANY_SPECIFIED, None)], strict=True
        )
        response = self._ask(request)
        if response.error_code:
            raise BrokerUnavailable(f"could not read the quotas: {response.error_message}")
        return {
            part.entity_name: value.value
            for entry in response.entries or ()
            for part in entry.entity
            for value in entry.values
            if value.key == _RATE and part.entity_name is not None
        }

    def close(self) -> None:
        """Let go of the connection."""
        self._admin.close()

    def _ask(self, request: Any) -> Any:  # noqa: ANN401 (the library has no types)
        return self._admin.ask(
            lambda admin: admin._manager.run(admin._send_request_to_controller, request),  # noqa: SLF001
            what="the quotas",
        )
