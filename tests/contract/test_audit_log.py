"""The audit log: one suite, held by Postgres and by memory (R-193)."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace

import pytest

from bus.adapters.memory.audit_log import MemoryAudit
from bus.adapters.postgres.audit_log import (
    PostgresAuditLog,
    PostgresAuditReader,
    PostgresAuditWriter,
    PostgresCheckpointStore,
)
from bus.adapters.postgres.pool import Postgres
from bus.audit.chain import document_hash, genesis, storable, to_document
from bus.domain.audit_log import AuditFilter, AuditRow, Checkpoint
from bus.ports.audit import AuditLog, AuditReader, AuditWriter, CheckpointStore
from tests.audit_cases import AT, audit_record
from tests.live_platform import LivePlatform


@dataclass
class Audit:
    """An adapter under test."""

    transaction: Callable[[], AbstractContextManager[AuditLog]]
    writer: AuditWriter
    reader: AuditReader
    store: CheckpointStore


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.platform)])
def audit(request: pytest.FixtureRequest) -> Iterator[Audit]:
    """Return an empty log."""
    if request.param == "memory":
        memory = MemoryAudit()
        yield Audit(memory.transaction, memory, memory, memory)
        return
    platform: LivePlatform = request.getfixturevalue("platform")
    postgres = Postgres(platform.new_control_database())

    @contextmanager
    def transaction() -> Iterator[AuditLog]:
        with postgres.transaction() as connection:
            yield PostgresAuditLog(connection)

    yield Audit(
        transaction,
        PostgresAuditWriter(postgres),
        PostgresAuditReader(postgres),
        PostgresCheckpointStore(postgres),
    )
    postgres.close()


def numbers(rows: object) -> list[int]:
    assert isinstance(rows, list)
    return [row.sequence for row in rows]


def test_an_empty_log_begins_with_its_id(audit: Audit) -> None:
    head = audit.reader.head()

    assert head.sequence == 0
    assert head.hash == genesis(head.log)
    assert audit.reader.rows(0, 10) == []


def test_rows_follow_each_other_without_gaps_each_with_the_hash_of_the_one_before(
    audit: Audit,
) -> None:
    with audit.transaction() as log:
        written = [log.append(audit_record(subject=f"r-{number}")) for number in range(2)]
    written.append(audit.writer.write(audit_record(details={"b": "2", "a": "1"})))

    found = audit.reader.rows(0, 10)

    assert found == written
    assert numbers(found) == [1, 2, 3]
    previous = genesis(audit.reader.head().log)
    for row in found:
        assert row.previous == previous
        assert row.hash == document_hash(to_document(row))
        previous = row.hash
    assert (audit.reader.head().sequence, audit.reader.head().hash) == (3, previous)


def test_a_row_goes_with_its_transaction_and_its_number_is_the_next_ones(audit: Audit) -> None:
    """design.md §8: state and audit row are one transaction."""
    with suppress(ZeroDivisionError), audit.transaction() as log:
        log.append(audit_record(subject="undone"))
        raise ZeroDivisionError

    row = audit.writer.write(audit_record(subject="kept"))

    assert row.sequence == 1
    assert audit.reader.rows(0, 10) == [row]


def test_whatever_was_asked_can_be_written_and_read_again(audit: Audit) -> None:
    """A refusal is written down, however hostile the words that it is about."""
    record = audit_record(
        at=dt.datetime(2026, 3, 1, 8, 30, 0, 123456, dt.timezone(dt.timedelta(hours=8))),
        subject="申请\0\ud800'\"\\\u2028\U0001f600",
        account="",
        details={"\0": "\udfff", "原因": "\U00010000\ue000\n"},
    )

    audit.writer.write(record)

    (row,) = audit.reader.rows(0, 10)
    assert row.record == storable(record)
    assert row.record.subject == "申请\ufffd\ufffd'\"\\\u2028\U0001f600"
    assert row.record.at == record.at
    assert row.hash == document_hash(to_document(row))
    assert audit.reader.page(AuditFilter(subject=record.subject)) == [row]
    assert audit.reader.grant_rows("\0\ud800", 0, 10) == []


def test_rows_are_read_in_portions(audit: Audit) -> None:
    for _ in range(5):
        audit.writer.write(audit_record())

    assert numbers(audit.reader.rows(0, 2)) == [1, 2]
    assert numbers(audit.reader.rows(2, 2)) == [3, 4]
    assert numbers(audit.reader.rows(4, 2)) == [5]
    assert numbers(audit.reader.rows(5, 2)) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (AuditFilter(), [4, 3, 2, 1]),
        (AuditFilter(jurisdiction="bj"), [2]),
        (AuditFilter(organisation="tourism"), [3]),
        (AuditFilter(account="li"), [4]),
        (AuditFilter(subject_kind="grant"), [4]),
        (AuditFilter(subject_kind="grant", subject="r-1"), []),
        (AuditFilter(action="request.submitted"), [3, 2, 1]),
        (AuditFilter(since=AT + dt.timedelta(hours=1)), [4, 3, 2]),
        (AuditFilter(until=AT + dt.timedelta(hours=1)), [1]),
        (
            AuditFilter(since=AT + dt.timedelta(hours=1), until=AT + dt.timedelta(hours=3)),
            [3, 2],
        ),
    ],
)
def test_a_page_holds_what_is_wanted_newest_first(
    audit: Audit, wanted: AuditFilter, expected: list[int]
) -> None:
    """R-228: the audit organ reads the log by jurisdiction, organisation, subject, action, time."""
    for number, record in enumerate(
        [
            audit_record(),
            audit_record(jurisdiction="bj", subject="r-2"),
            audit_record(organisation="tourism"),
            audit_record(account="li", subject_kind="grant", subject="g", action="grant.revoked"),
        ]
    ):
        audit.writer.write(replace(record, at=AT + dt.timedelta(hours=number)))

    assert numbers(audit.reader.page(wanted)) == expected
    assert numbers(audit.reader.page(wanted, limit=1)) == expected[:1]
    for place, sequence in enumerate(expected):
        rest = audit.reader.page(wanted, before=sequence, limit=2)
        assert numbers(rest) == expected[place + 1 : place + 3]


def test_what_happened_to_the_grants_on_a_resource(audit: Audit) -> None:
    def grant(action: str, resource: str = "persons", **changes: str) -> AuditRow:
        return audit.writer.write(
            audit_record(
                action=action,
                subject_kind="grant",
                subject="g-1",
                details={"resource": resource},
                **changes,
            )
        )

    first = grant("grant.activated")
    grant("grant.activated", resource="houses")
    grant("grant.proposed")
    grant("grant.revoked", outcome="FORBIDDEN_ROLE")
    last = grant("grant.revoked")

    assert audit.reader.grant_rows("persons", 0, 10) == [first, last]
    assert audit.reader.grant_rows("persons", 0, 1) == [first]
    assert audit.reader.grant_rows("persons", first.sequence, 10) == [last]


def checkpoint(audit: Audit, sequence: int) -> Checkpoint:
    head = audit.reader.head()
    return Checkpoint(
        log=head.log, sequence=sequence, hash=head.hash, at=AT, key_id="key", signature=b"s" * 64
    )


def test_checkpoints_are_kept_in_the_order_of_their_rows(audit: Audit) -> None:
    assert audit.reader.newest_checkpoint() is None
    for sequence in (1, 3, 4):
        with audit.store.turn() as turn:
            assert turn is not None
            assert turn.head() == audit.reader.head()
            turn.save(checkpoint(audit, sequence))

    with audit.store.turn() as turn:
        assert turn is not None
        assert turn.newest() == checkpoint(audit, 4)
    assert audit.reader.newest_checkpoint() == checkpoint(audit, 4)
    assert numbers(audit.reader.checkpoints(0, 2)) == [1, 3]
    assert numbers(audit.reader.checkpoints(3, 2)) == [4]


def test_a_checkpoint_that_could_not_be_published_is_not_kept(audit: Audit) -> None:
    with suppress(ZeroDivisionError), audit.store.turn() as turn:
        assert turn is not None
        turn.save(checkpoint(audit, 1))
        raise ZeroDivisionError

    assert audit.reader.newest_checkpoint() is None
