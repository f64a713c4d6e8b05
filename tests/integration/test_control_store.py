"""What only the real database can show of the control plane's store."""

import threading
import time

import psycopg
import pytest

from bus.adapters.postgres import pool
from bus.adapters.postgres.catalog_store import PostgresCatalogStore
from bus.adapters.postgres.migrate import upgrade
from bus.adapters.postgres.pool import Postgres
from bus.errors import StoreUnavailable
from tests.live_platform import LivePlatform


def test_transactions_that_write_are_serial(platform: LivePlatform) -> None:
    """Versions of the policy follow each other: the second waits until the first has ended."""
    postgres = Postgres(platform.new_control_database())
    store = PostgresCatalogStore(postgres)
    inside = threading.Event()
    order: list[str] = []

    def second() -> None:
        inside.set()
        with store.transaction() as transaction:
            order.append("second")
            order.extend(transaction.policy_objects())

    with store.transaction() as transaction:
        thread = threading.Thread(target=second)
        thread.start()
        inside.wait()
        transaction.publish_policy({"a": b"1"})
        order.append("first")
    thread.join()
    postgres.close()

    assert order == ["first", "second", "a"]


def test_the_application_may_use_the_tables_but_not_change_them(platform: LivePlatform) -> None:
    """Least privilege: the control process does not own what it writes."""
    settings = platform.settings
    assert settings.postgres is not None
    dsn = settings.postgres.dsn.get_secret_value()

    with (
        psycopg.connect(dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("ALTER TABLE onesource.outbox ADD COLUMN more text")


def test_migrations_can_run_twice(platform: LivePlatform) -> None:
    dsn = platform.new_control_database()

    upgrade(dsn)

    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT version FROM onesource.policy_version").fetchone()
    assert row == (0,)


def test_a_database_that_is_away_is_said_so() -> None:
    postgres = Postgres("postgresql://nobody:x@127.0.0.1:1/nothing?connect_timeout=1")
    postgres._pool.timeout = 0.5

    with pytest.raises(StoreUnavailable):
        postgres.transaction().__enter__()

    postgres.close()


def test_a_transaction_that_idled_for_too_long_is_a_database_that_is_away(
    platform: LivePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka may keep a change waiting for longer than Postgres does: it is made again later."""
    monkeypatch.setattr(pool, "_OPTIONS", "-c idle_in_transaction_session_timeout=200ms")
    postgres = Postgres(platform.new_control_database())

    def idle() -> None:
        with postgres.transaction() as connection:
            connection.execute("SELECT 1")
            time.sleep(0.5)
            connection.execute("SELECT 1")

    with pytest.raises(StoreUnavailable):
        idle()

    with postgres.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    postgres.close()
