"""The audit log on a real Postgres and a real Kafka (R-193, S-18)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bus.adapters.kafka.checkpoint_publisher import KafkaCheckpointPublisher
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.postgres.audit_log import (
    PostgresAuditLog,
    PostgresAuditReader,
    PostgresAuditWriter,
    PostgresCheckpointStore,
)
from bus.adapters.postgres.pool import Postgres
from bus.adapters.signing_key_file import public_key_file
from bus.adapters.system_clock import SystemClock
from bus.audit.chain import to_document
from bus.audit.checkpoint import encode, sign
from bus.audit.verifier import Fault, Verdict, merged, verify
from bus.bootstrap.audit import audit_key_path
from bus.bootstrap.connections import kafka_connection
from bus.domain.access import OPERATOR
from bus.errors import BrokerUnavailable
from bus.ports import TopicSpec
from bus.services.audit_checkpoints import AuditCheckpoints
from bus.services.audit_queries import stored_checkpoints, stored_rows
from bus.services.checkpoint_topic import published_checkpoints
from tests.audit_cases import KEY, PUBLIC_KEYS, audit_record
from tests.live_platform import LivePlatform, wait_until


@pytest.fixture
def dsn(platform: LivePlatform) -> str:
    """Return the owner's way into a database of the test's own."""
    return platform.new_control_database()


@pytest.fixture
def postgres(dsn: str) -> Iterator[Postgres]:
    postgres = Postgres(dsn)
    yield postgres
    postgres.close()


def tamper(platform: LivePlatform, dsn: str, statement: str) -> None:
    """Alter the log as only the server's administrator can."""
    database = str(conninfo_to_dict(dsn)["dbname"])
    with psycopg.connect(
        make_conninfo(platform.superuser_dsn, dbname=database), autocommit=True
    ) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement.encode())


def check(postgres: Postgres) -> Verdict:
    reader = PostgresAuditReader(postgres)
    checkpoints = stored_checkpoints(reader)
    head = reader.head()
    rows = (to_document(row) for row in stored_rows(reader))
    return verify(rows, merged(checkpoints), PUBLIC_KEYS, log=head.log, head=head)


def application_dsn(platform: LivePlatform) -> str:
    settings = platform.settings
    assert settings.postgres is not None
    return settings.postgres.dsn.get_secret_value()


def test_the_application_appends_and_changes_nothing(platform: LivePlatform) -> None:
    """R-193: append-only, for the role that control logs in as."""
    dsn = application_dsn(platform)
    with closing(Postgres(dsn)) as postgres:
        row = PostgresAuditWriter(postgres).write(audit_record())
    assert row.sequence > 0

    for statement in (
        "UPDATE onesource.audit_record SET subject = 'x'",
        "DELETE FROM onesource.audit_record",
        "TRUNCATE onesource.audit_record",
        "UPDATE onesource.audit_checkpoint SET log = 'x'",
        "DELETE FROM onesource.audit_checkpoint",
        "TRUNCATE onesource.audit_checkpoint",
        "DELETE FROM onesource.audit_head",
        "UPDATE onesource.audit_head SET log = 'x'",
        "ALTER TABLE onesource.audit_record DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
    ):
        with (
            psycopg.connect(dsn) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())


@pytest.mark.parametrize("table", ["audit_record", "audit_checkpoint"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET hash = hash", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_not_even_the_owner_changes_a_row_by_accident(dsn: str, statement: str, table: str) -> None:
    name = sql.Identifier("onesource", table)
    with (
        psycopg.connect(dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
    ):
        connection.execute(sql.SQL(statement).format(name))


def test_transactions_at_once_make_one_chain(postgres: Postgres) -> None:
    """Whoever is first, numbers have no gap and each row follows the one before."""

    def write(number: int) -> None:
        try:
            with postgres.transaction() as connection:
                log = PostgresAuditLog(connection)
                for _ in range(2):
                    log.append(audit_record(subject=f"r-{number}"))
                if number % 5 == 0:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(40)))

    verdict = check(postgres)
    assert verdict.intact
    assert verdict.rows == 64


@pytest.mark.parametrize(
    ("statement", "sequence", "fault"),
    [
        ("UPDATE onesource.audit_record SET subject = 'x' WHERE sequence = 3", 3, "ROW_ALTERED"),
        ("UPDATE onesource.audit_record SET at = 'infinity' WHERE sequence = 3", 3, "ROW_ALTERED"),
        (
            """UPDATE onesource.audit_record SET details = '["x"]' WHERE sequence = 3""",
            *(3, "ROW_ALTERED"),
        ),
        ("DELETE FROM onesource.audit_record WHERE sequence = 3", 3, "ROW_MISSING"),
        ("DELETE FROM onesource.audit_record WHERE sequence > 3", 4, "TAIL_MISSING"),
        (
            "UPDATE onesource.audit_record SET sequence = 9 - sequence WHERE sequence IN (4, 5)",
            *(4, "ROW_ALTERED"),
        ),
        ("UPDATE onesource.audit_record SET hash = previous WHERE sequence = 1", 1, "ROW_ALTERED"),
        ("UPDATE onesource.audit_head SET log = 'x'", 1, "LINK_BROKEN"),
    ],
)
def test_what_the_servers_administrator_alters_is_named(
    platform: LivePlatform,
    dsn: str,
    postgres: Postgres,
    statement: str,
    sequence: int,
    fault: str,
) -> None:
    """S-18, step 2: one audit row is altered directly in the database."""
    writer = PostgresAuditWriter(postgres)
    for number in range(6):
        writer.write(audit_record(subject=f"r-{number}"))
    assert check(postgres).intact
    if "SET sequence" in statement:
        tamper(
            platform, dsn, "ALTER TABLE onesource.audit_record DROP CONSTRAINT audit_record_pkey"
        )

    tamper(platform, dsn, statement)

    broken = check(postgres).broken
    assert broken is not None
    assert (broken.sequence, broken.fault) == (sequence, Fault(fault))


def test_rows_that_share_a_number_cannot_hide_between_portions(
    platform: LivePlatform, dsn: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.services.audit_queries.PORTION", 2)
    for _ in range(4):
        PostgresAuditWriter(postgres).write(audit_record())
    tamper(platform, dsn, "ALTER TABLE onesource.audit_record DROP CONSTRAINT audit_record_pkey")
    tamper(
        platform,
        dsn,
        "INSERT INTO onesource.audit_record SELECT * FROM onesource.audit_record"
        " WHERE sequence = 2",
    )

    broken = check(postgres).broken

    assert broken is not None
    assert (broken.sequence, broken.fault) == (3, Fault.ROW_MISPLACED)


def test_one_process_at_a_time_makes_a_checkpoint_and_holds_up_nobody(postgres: Postgres) -> None:
    store = PostgresCheckpointStore(postgres)
    writer = PostgresAuditWriter(postgres)
    writer.write(audit_record())

    with store.turn() as first, store.turn() as second:
        assert first is not None
        assert second is None
        writer.write(audit_record())
        assert first.head().sequence == 2


def test_a_checkpoint_lands_on_the_topic_and_finds_what_the_database_hides(
    platform: LivePlatform, dsn: str, postgres: Postgres
) -> None:
    """R-193: with rows, checkpoints and head altered, the topic still knows better."""
    writer = PostgresAuditWriter(postgres)
    for _ in range(3):
        writer.write(audit_record())
    # A topic of the test's own: on the platform's, another log would be one in its place.
    topic = f"os.{platform.new_code('checkpoints')}"
    KafkaTopicAdmin(platform.admin()).ensure([TopicSpec(name=topic, partitions=1, config={})])
    checkpoints = AuditCheckpoints(
        store=PostgresCheckpointStore(postgres),
        publisher=KafkaCheckpointPublisher(platform.admin(), topic=topic),
        key=KEY,
        clock=SystemClock(),
        seconds=3600,
        rows=3,
    )
    made = checkpoints.step()
    assert made is not None
    readers = KafkaLogReaders(
        kafka_connection(platform.settings, OPERATOR), group=f"{OPERATOR}.audit"
    )
    on_topic = list(published_checkpoints(readers, SystemClock(), topic))
    assert on_topic == [made]

    tamper(platform, dsn, "DELETE FROM onesource.audit_record WHERE sequence = 3")
    tamper(platform, dsn, "DELETE FROM onesource.audit_checkpoint")
    tamper(
        platform,
        dsn,
        "UPDATE onesource.audit_head SET sequence = 2,"
        " hash = (SELECT hash FROM onesource.audit_record WHERE sequence = 2)",
    )

    assert check(postgres).intact
    reader = PostgresAuditReader(postgres)
    rows = (to_document(row) for row in stored_rows(reader))
    broken = verify(rows, merged(on_topic), PUBLIC_KEYS, log=made.log).broken
    assert broken is not None
    assert (broken.sequence, broken.fault) == (3, Fault.TAIL_MISSING)


def test_only_control_publishes_checkpoints(platform: LivePlatform) -> None:
    publisher = KafkaCheckpointPublisher(kafka_connection(platform.settings, OPERATOR))

    # A fatal error of one producer does not keep the next from saying why; not either when the
    # interpreter, after some eight calls, calls the client's methods without looking at what
    # they left behind.
    for _ in range(12):
        with pytest.raises(BrokerUnavailable, match="AUTHORIZATION_FAILED"):
            publisher.publish(b"{}")


def test_a_broker_that_is_away_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.adapters.kafka.checkpoint_publisher._SECONDS", 0.5)
    publisher = KafkaCheckpointPublisher(
        KafkaConnection(bootstrap="127.0.0.1:1", username="nobody", password="-")
    )

    with pytest.raises(BrokerUnavailable, match="could not be published"):
        publisher.publish(b"{}")


def run(
    platform: LivePlatform, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bus.cli.main", "audit", *arguments],
        env=platform.environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_running_platform_signs_its_log_and_the_command_verifies_it(
    platform: LivePlatform, tmp_path: Path
) -> None:
    """S-18: from the rows to the verdict, with control's key, and offline from an export."""
    with closing(Postgres(application_dsn(platform))) as postgres:
        # So many do not wait for the minute to be over.
        with postgres.transaction() as connection:
            log = PostgresAuditLog(connection)
            rows = [
                log.append(audit_record(subject="signed"))
                for _ in range(platform.settings.audit.checkpoint_rows)
            ]
        reader = PostgresAuditReader(postgres)
        wanted = rows[-1].sequence
        wait_until(
            lambda: (found := reader.newest_checkpoint()) and found.sequence >= wanted,
            "control signs the row",
        )
    key = audit_key_path(platform.settings)
    assert key.stat().st_mode & 0o077 == 0

    ran = run(platform, "verify", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["signed_through"] >= wanted
    export = tmp_path / "log.ndjson"
    ran = run(platform, "export", str(export))
    assert ran.returncode == 0, ran.stderr
    offline = ("verify", "--export", str(export), "--public-key", str(public_key_file(key)))
    nowhere = {"ONESOURCE_STATE_FOLDER": str(tmp_path / "nowhere")}
    ran = run(platform, *offline, **nowhere)
    assert ran.returncode == 0, ran.stderr

    export.write_text(
        export.read_text("utf-8").replace(
            f'"sequence":{wanted},"at":"2026', f'"sequence":{wanted},"at":"2025'
        ),
        "utf-8",
    )
    ran = run(platform, *offline, **nowhere)
    assert ran.returncode == 1
    assert f"first broken row: {wanted}: [ROW_ALTERED]" in ran.stdout


def test_a_fork_that_was_signed_with_the_right_key_is_found(postgres: Postgres) -> None:
    """Whoever has the key can sign another chain, but both have been published."""
    writer = PostgresAuditWriter(postgres)
    for _ in range(2):
        writer.write(audit_record())
    head = PostgresAuditReader(postgres).head()
    real = sign(head, SystemClock().now(), KEY)
    forked = sign(type(head)(log=head.log, sequence=2, hash=bytes(32)), SystemClock().now(), KEY)
    assert encode(real) != encode(forked)

    rows = [to_document(row) for row in stored_rows(PostgresAuditReader(postgres))]
    broken = verify(rows, merged([real], [forked]), PUBLIC_KEYS, log=head.log).broken

    assert broken is not None
    assert (broken.sequence, broken.fault) == (2, Fault.CHAIN_REWRITTEN)
