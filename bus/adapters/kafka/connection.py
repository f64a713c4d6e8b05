"""How every client of ours connects to Kafka."""

import logging
from dataclasses import dataclass, field
from typing import Any

SCRAM = "SCRAM-SHA-512"
#: Replaced clients, rebalances and idle connections are normal; librdkafka's own words go to
#: structlog through this logger.
LOGGER = logging.getLogger("librdkafka")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConnection:
    """Addresses and credentials."""

    bootstrap: str
    username: str
    password: str = field(repr=False)
    protocol: str = "SASL_PLAINTEXT"
    ca_file: str | None = None

    def client(self, **settings: object) -> dict[str, Any]:
        """Return the librdkafka configuration of a client, `settings` (with `_` for `.`) added."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.protocol,
            "sasl.mechanism": SCRAM,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "client.id": f"onesource-{self.username}",
            "socket.keepalive.enable": True,
            # The broker closes connections that idle for ten seconds (design.md §10).
            "log.connection.close": False,
            "reconnect.backoff.max.ms": 1000,
            # A broker that its controller has not heard of for nine seconds, as on a starved
            # machine, is missing from metadata for a moment. A client drops brokers that are
            # missing; with the only one gone it must begin anew, or it is deaf for ever (ADR 0014).
            "metadata.recovery.strategy": "rebootstrap",
            # It would begin anew, too, and lose a second, whenever the broker closes the one
            # connection as idle. What the client closes first is no loss.
            "connections.max.idle.ms": 8_000,
        }
        if self.ca_file is not None:
            config["ssl.ca.location"] = self.ca_file
        config.update({name.replace("_", "."): value for name, value in settings.items()})
        return config
