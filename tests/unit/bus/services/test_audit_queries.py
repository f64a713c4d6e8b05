"""Unit tests of `bus.services.audit_queries`: every look at the log is in the log (R-228)."""

import datetime as dt

import pytest
from typing_extensions import override

from bus.adapters.memory.audit_log import MemoryAudit
from bus.adapters.memory.clock import ManualClock
from bus.audit.chain import to_document
from bus.audit.checkpoint import sign
from bus.audit.export import lines
from bus.audit.verifier import merged, verify
from bus.domain.audit_log import AuditFilter, AuditRow, Checkpoint
from bus.domain.audit_record import AuditRecord
from bus.domain.identity import Actor, Role
from bus.errors import StoreUnavailable
from bus.services import audit_queries
from bus.services.audit_queries import AuditQueries, stored_checkpoints, stored_rows
from tests.audit_cases import AT, KEY, PUBLIC_KEYS, audit_record, signed

AUDITOR = Actor(
    account="zhao",
    organisation="audit-office",
    jurisdiction="cn",
    roles=frozenset({Role.AUDITOR}),
    trace_id="t-1",
)


class Full(MemoryAudit):
    """A log that takes nothing."""

    @override
    def write(self, record: AuditRecord) -> AuditRow:
        raise StoreUnavailable("no database")


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> MemoryAudit:
    """Return a log of which two rows are read at once."""
    monkeypatch.setattr(audit_queries, "PORTION", 2)
    return MemoryAudit()


def queries(audit: MemoryAudit) -> AuditQueries:
    return AuditQueries(reader=audit, writer=audit, clock=ManualClock(AT))


def grant(audit: MemoryAudit, action: str, name: str) -> None:
    audit.write(
        audit_record(
            action=action,
            subject_kind="grant",
            subject=name,
            details={"resource": "persons", "consumer": "police", "purpose": "residence-check"},
        )
    )


def test_who_could_read_a_resource_is_answered_whole_and_the_question_is_noted(
    audit: MemoryAudit,
) -> None:
    """S-18, step 1."""
    for number in range(5):
        grant(audit, "grant.activated", f"g-{number}")
    grant(audit, "grant.revoked", "g-1")

    found = queries(audit).trace(AUDITOR, Role.AUDITOR, "persons", AT - dt.timedelta(days=1))

    assert [each.grant for each in found] == ["g-0", "g-1", "g-2", "g-3", "g-4"]
    assert {(each.consumer, each.purpose) for each in found} == {("police", "residence-check")}
    assert [each.grant for each in found if each.until] == ["g-1"]
    assert audit.all_rows[-1].record == AuditRecord(
        at=AT,
        jurisdiction="cn",
        account="zhao",
        organisation="audit-office",
        role="auditor",
        action="audit.traced",
        subject_kind="resource",
        subject="persons",
        trace_id="t-1",
        details={"since": "2026-02-28T12:00:00+00:00"},
    )


def test_reading_a_page_is_noted_with_what_was_asked(audit: MemoryAudit) -> None:
    for number in range(3):
        audit.write(audit_record(subject=f"r-{number}"))
    wanted = AuditFilter(organisation="statistics", until=AT + dt.timedelta(seconds=1))

    found = queries(audit).page(AUDITOR, Role.AUDITOR, wanted, before=3, limit=1)

    assert [row.record.subject for row in found] == ["r-1"]
    noted = audit.all_rows[-1].record
    assert (noted.action, noted.account, noted.subject_kind) == ("audit.read", "zhao", "audit-log")
    assert noted.details == {
        "organisation": "statistics",
        "until": "2026-03-01 12:00:01+00:00",
        "before": "3",
    }


def test_what_cannot_be_noted_is_not_answered() -> None:
    full = Full()

    with pytest.raises(StoreUnavailable):
        queries(full).trace(AUDITOR, Role.AUDITOR, "persons")
    with pytest.raises(StoreUnavailable):
        queries(full).page(AUDITOR, Role.AUDITOR, AuditFilter())
    with pytest.raises(StoreUnavailable):
        queries(full).export(AUDITOR, Role.AUDITOR)


def test_an_export_is_the_log_at_one_moment(audit: MemoryAudit) -> None:
    """What is written while it is taken, and checkpoints of that, are not in it."""
    for number in range(4):
        audit.write(audit_record(subject=f"r-{number}"))
    documents = [to_document(row) for row in audit.all_rows]
    audit.all_checkpoints += [signed(documents, 2, log=audit.log)]

    head, checkpoints, rows = queries(audit).export(AUDITOR, Role.AUDITOR)
    audit.write(audit_record(subject="later"))
    text = list(lines(head, checkpoints, rows))

    assert head.sequence == 5
    assert audit.all_rows[4].record.action == "audit.exported"
    assert len(text) == 1 + 1 + 5
    assert "later" not in "".join(text)


def test_a_verification_is_not_fooled_by_what_happens_meanwhile(audit: MemoryAudit) -> None:
    """A checkpoint that is made while rows are read must not look like one of missing rows."""
    for _ in range(3):
        audit.write(audit_record())
    audit.all_checkpoints.append(sign_newest(audit))
    checkpoints = stored_checkpoints(audit)
    documents = [to_document(row) for row in stored_rows(audit)]
    audit.write(audit_record())
    audit.all_checkpoints.append(sign_newest(audit))

    verdict = verify(documents, merged(checkpoints), PUBLIC_KEYS, log=audit.log)

    assert verdict.intact
    assert verdict.signed_through == 3


def sign_newest(audit: MemoryAudit) -> Checkpoint:
    return sign(audit.head(), AT, KEY)
