"""Create the control plane's database and its two roles: one owns the tables, one uses them."""

import psycopg
from psycopg import sql

from bus.adapters.postgres.migrate import upgrade
from bus.errors import StoreUnavailable

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
    with _connect(owner_dsn) as connection:
        for statement in (
            "GRANT USAGE ON SCHEMA onesource TO {role}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA onesource TO {role}",
        ):
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(APPLICATION)))


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


def _connect(dsn: str) -> psycopg.Connection[tuple[object, ...]]:
    try:
        return psycopg.connect(dsn, autocommit=True)
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"Postgres does not answer: {error}") from error
