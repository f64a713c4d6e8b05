"""The first preparation of a cluster and a database that are not the embedded ones."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bus.adapters.credentials_files import ensure_credentials
from bus.adapters.jose.session_tokens import KEY_FILE_NAME, ensure_session_key
from bus.adapters.kafka.access_admin import KafkaAccessAdmin
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.postgres.catalog_store import PostgresCatalogStore
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.provision import prepare_given_database
from bus.adapters.pseudonym_secret_files import ensure_first_secret
from bus.adapters.signing_key_file import FILE_NAME, ensure_signing_key
from bus.bootstrap.connections import kafka_connection, kafka_settings, postgres_settings
from bus.bootstrap.identity import ensure_first_administrator
from bus.bootstrap.pseudonyms import FOLDER_NAME
from bus.domain.access import SERVICE_RULES
from bus.domain.accounts import FIRST_ADMINISTRATOR
from bus.errors import ConfigError
from bus.services.provision import provision, register_services
from bus.settings import Settings


def initialise(settings: Settings, secrets: Path, *, on_step: Callable[[str], None]) -> None:
    """
    Prepare Kafka, as the super user of `settings.credentials`, and Postgres.

    Doing it again changes nothing. `secrets` holds the credentials files of the bus's own
    processes, the first administrator's, the keys that sign the audit log and sessions, and the
    secret of pseudonyms; missing ones are generated. Raise `ConfigError` if a setting is missing or
    wrong.
    """
    postgres = postgres_settings(settings)
    if postgres.owner_dsn is None:
        raise ConfigError(
            "who may create the database? Set ONESOURCE_POSTGRES__OWNER_DSN to the connection "
            "string of a role that may create roles and databases"
        )
    if settings.credentials == secrets / f"{FIRST_ADMINISTRATOR}.json":
        raise ConfigError(
            f"{settings.credentials} is Kafka's administrator: keep it elsewhere, control's own "
            "administrator gets a file of this name"
        )
    admin = kafka_connection(settings)
    on_step(f"credentials of {', '.join(SERVICE_RULES)} in {secrets}")
    passwords = {
        name: ensure_credentials(secrets, name).password.get_secret_value()
        for name in SERVICE_RULES
    }
    on_step(f"the audit log's signing key in {secrets / FILE_NAME}")
    ensure_signing_key(secrets / FILE_NAME)
    on_step(f"the key that signs sessions in {secrets / KEY_FILE_NAME}")
    ensure_session_key(secrets / KEY_FILE_NAME)
    on_step(f"the secret of pseudonyms in {secrets / FOLDER_NAME}")
    ensure_first_secret(secrets / FOLDER_NAME)
    on_step("roles, database and tables in Postgres")
    application_dsn = postgres.dsn.get_secret_value()
    prepare_given_database(postgres.owner_dsn.get_secret_value(), application_dsn)
    on_step(f"topics and accounts on {admin.bootstrap}")
    provision(
        KafkaTopicAdmin(admin, replication=kafka_settings(settings).replication),
        KafkaAccessAdmin(admin),
        passwords,
    )
    with closing(Postgres(application_dsn, most=1)) as pool:
        register_services(PostgresCatalogStore(pool), passwords)
        on_step(f"the first administrator's account; the password is in {secrets}")
        ensure_first_administrator(pool, secrets)
