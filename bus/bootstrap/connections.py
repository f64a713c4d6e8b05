"""What every process needs to connect."""

from bus.adapters.kafka.connection import KafkaConnection
from bus.errors import ConfigError
from bus.settings import KafkaSettings, PostgresSettings, Settings, load_credentials


def kafka_settings(settings: Settings) -> KafkaSettings:
    """Return where Kafka is; raise `ConfigError` if nobody has said so."""
    if settings.kafka is None:
        raise ConfigError(
            "where is Kafka? Run `onesource up` in this folder, or set ONESOURCE_KAFKA__BOOTSTRAP"
        )
    return settings.kafka


def postgres_settings(settings: Settings) -> PostgresSettings:
    """Return where the control plane's database is; raise `ConfigError` if nobody has said so."""
    if settings.postgres is None:
        raise ConfigError(
            "where is Postgres? Run `onesource up` in this folder, or set ONESOURCE_POSTGRES__DSN"
        )
    return settings.postgres


def control_url(settings: Settings) -> str:
    """Return where the control plane answers; raise `ConfigError` if nobody has said so."""
    if settings.control is None:
        raise ConfigError(
            "where is the control plane? Run `onesource up` in this folder, or set "
            "ONESOURCE_CONTROL__URL"
        )
    return settings.control.url


def kafka_connection(settings: Settings, principal: str | None = None) -> KafkaConnection:
    """Return how to connect as the owner of the given credentials, else as `principal`."""
    kafka = kafka_settings(settings)
    credentials = load_credentials(settings, principal)
    return KafkaConnection(
        bootstrap=kafka.bootstrap,
        username=credentials.username,
        password=credentials.password.get_secret_value(),
        protocol=kafka.protocol,
        ca_file=kafka.ca_file,
    )
