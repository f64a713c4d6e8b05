"""Bring the database to this release's schema."""

from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config

from bus.errors import StoreUnavailable

_FOLDER = Path(__file__).parent / "migrations"
#: A migration that has to wait longer for a lock would make everything behind it wait too.
_SETTINGS = "-c lock_timeout=4s"


def upgrade(dsn: str) -> None:
    """
    Run the revisions that the database at `dsn` lacks.

    Raise `StoreUnavailable` if it does not answer.
    """
    try:
        # One schema holds all tables, alembic's own too, so it exists before the first revision.
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS onesource")
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"Postgres does not answer: {error}") from error
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(dsn, options=_SETTINGS),
        poolclass=sqlalchemy.NullPool,
    )
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
