"""The working-day calendar for the command line."""

from collections.abc import Iterator
from contextlib import contextmanager

from bus.adapters.postgres.calendar_amendments import PostgresCalendarStore
from bus.adapters.postgres.pool import Postgres
from bus.bootstrap.connections import postgres_settings
from bus.settings import Settings


@contextmanager
def calendar_store(settings: Settings) -> Iterator[PostgresCalendarStore]:
    """Connect to the store, and let go at the end."""
    postgres = Postgres(postgres_settings(settings).dsn.get_secret_value())
    try:
        yield PostgresCalendarStore(postgres)
    finally:
        postgres.close()
