"""Create the control plane's database and its two roles: one owns the tables, one uses them."""

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bus.adapters.postgres.migrate import upgrade
from bus.domain.principal import new_password
from bus.errors import ConfigError, StoreUnavailable

DATABASE = "onesource"
OWNER = "onesource_owner"
APPLICATION = "onesource_app"


def create_database(superuser_dsn: str, *, database: str, owner: str, owner_password: str) -> None:
    """Create `database` and its `owner`, or set the owner's password if they exist."""
    with _connect(superuser_dsn) as connection:
        ensure_role(connection, owner, owner_password)
        exists = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (database,)
        ).fetchone()
        if exists is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(database), sql.Identifier(owner)
                )
            )
        # By default every role may connect to every database.
        connection.execute(
            sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
        )


def prepare_control_database(
    superuser_dsn: str, owner_dsn: str, *, owner_password: str, application_password: str
) -> None:
    """Create roles, database and tables of the control plane; doing it again changes nothing."""
    create_database(superuser_dsn, database=DATABASE, owner=OWNER, owner_password=owner_password)
    with _connect(superuser_dsn) as connection:
        ensure_role(connection, APPLICATION, application_password)
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(DATABASE), sql.Identifier(APPLICATION)
            )
        )
    upgrade(owner_dsn)
    # All at once: an application that runs meanwhile sees neither too little nor too much.
    with _connect(owner_dsn) as connection, connection.transaction():
        for statement in (
            "GRANT USAGE ON SCHEMA onesource TO {role}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA onesource TO {role}",
            # What has been written down stays so; the head of the log moves on with it.
            "REVOKE UPDATE, DELETE, TRUNCATE ON onesource.audit_record FROM {role}",
            "REVOKE UPDATE, DELETE, TRUNCATE ON onesource.audit_checkpoint FROM {role}",
            "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON onesource.audit_head FROM {role}",
            "GRANT UPDATE (sequence, hash) ON onesource.audit_head TO {role}",
        ):
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(APPLICATION)))


def prepare_given_database(superuser_dsn: str, application_dsn: str) -> None:
    """
    Create roles, database and tables on a server that is not the embedded one.

    The application's role gets the password that `application_dsn` names. The owner's is made anew
    at each call: nobody but the migrations, which run here, logs in as the owner. Raise
    `ConfigError` if a connection string does not name what it must, or its role may not do this.
    """
    named = _parts(application_dsn)
    expected = {"user": APPLICATION, "dbname": DATABASE}
    if {key: named.get(key) for key in expected} != expected or not named.get("password"):
        raise ConfigError(
            f"the control plane's connection string must name the user {APPLICATION}, its password "
            f"and the database {DATABASE}"
        )
    _parts(superuser_dsn)
    owner_password = new_password()
    try:
        prepare_control_database(
            superuser_dsn,
            make_conninfo(superuser_dsn, dbname=DATABASE, user=OWNER, password=owner_password),
            owner_password=owner_password,
            application_password=str(named["password"]),
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"the owner's connection string must be of a role that may create roles and databases: "
            f"{error}"
        ) from error


def ensure_role(
    connection: psycopg.Connection[tuple[object, ...]], role: str, password: str
) -> None:
    """Create a role that may log in, or set its password."""
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    verb = "ALTER" if exists else "CREATE"
    connection.execute(
        sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(password)
        )
    )


def _parts(dsn: str) -> dict[str, object]:
    try:
        return dict(conninfo_to_dict(dsn))
    except psycopg.ProgrammingError:
        # The error repeats the string, password and all; it goes no further.
        raise ConfigError("a connection string of Postgres cannot be read") from None


def _connect(dsn: str) -> psycopg.Connection[tuple[object, ...]]:
    try:
        return psycopg.connect(dsn, autocommit=True)
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"Postgres does not answer: {error}") from error
