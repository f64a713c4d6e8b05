"""alembic's entrance: run the revisions over the connection that `migrate.upgrade` made."""

from alembic import context

_SCHEMA = "onesource"


def _run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection, version_table_schema=_SCHEMA, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
