"""Unit tests of `bus.cli.audit`, on a log in memory (R-193, R-195, S-18)."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bus.adapters.memory.audit_log import MemoryAudit
from bus.adapters.memory.clock import ManualClock
from bus.adapters.signing_key_file import ensure_signing_key, public_key_file
from bus.audit.checkpoint import encode, private_pem, sign
from bus.bootstrap import audit as bootstrap
from bus.bootstrap.audit import AuditParts, audit_key_path
from bus.cli.main import EXIT_CONFIG
from bus.services.audit_queries import AuditQueries
from bus.settings import load_settings
from tests.audit_cases import AT, KEY, OTHER_KEY, audit_record
from tests.command_line import CommandLine


@pytest.fixture
def audit(onesource: CommandLine, monkeypatch: pytest.MonkeyPatch) -> MemoryAudit:
    """Return the log that the commands see: five rows, the third of them signed."""
    audit = MemoryAudit()

    @contextmanager
    def audit_log(_: object) -> Iterator[Any]:
        queries = AuditQueries(reader=audit, writer=audit, clock=ManualClock(AT))
        yield AuditParts(audit, queries)  # type: ignore[arg-type]

    monkeypatch.setattr(bootstrap, "audit_log", audit_log)
    path = audit_key_path(load_settings())
    path.parent.mkdir(parents=True)
    path.write_text(private_pem(KEY), encoding="utf-8")
    ensure_signing_key(path)
    for number in range(1, 6):
        audit.write(audit_record(subject=f"r-{number}", at=AT + dt.timedelta(days=number)))
        if number == 3:
            audit.all_checkpoints.append(sign(audit.head(), AT, KEY))
    return audit


def edit(audit: MemoryAudit, sequence: int, **changes: Any) -> None:
    """Alter a row past all guards."""
    row = audit.all_rows[sequence - 1]
    audit.all_rows[sequence - 1] = replace(row, record=replace(row.record, **changes))


def test_an_intact_log_is_said_to_be_and_what_is_signed_of_it(
    onesource: CommandLine, audit: MemoryAudit
) -> None:
    ran = onesource("audit", "verify", "--no-topic")

    assert ran.status == 0
    said, rows, checkpoints = ran.out.splitlines()
    assert said == "audit log memory: intact"
    assert rows == "5 rows form an unbroken chain"
    assert checkpoints.startswith("1 checkpoints agree; the newest vouches for the rows up to 3 ")
    assert checkpoints.endswith("(signed 2026-03-01T12:00:00+00:00)")


def test_a_log_that_was_altered_names_the_first_broken_row(
    onesource: CommandLine, audit: MemoryAudit
) -> None:
    """S-18, step 2."""
    edit(audit, 4, subject="other")
    edit(audit, 5, subject="other")

    ran = onesource("audit", "verify", "--no-topic")

    assert ran.status == 1
    assert ran.out.splitlines()[:3] == [
        "audit log memory: BROKEN",
        "first broken row: 4: [ROW_ALTERED] row 4 is not what its hash was made of",
        "3 rows form an unbroken chain",
    ]
    said = json.loads(onesource("audit", "verify", "--no-topic", "--json").out)
    assert (said["intact"], said["rows"], said["signed_through"]) == (False, 3, 3)
    assert said["broken"]["sequence"] == 4
    assert said["broken"]["fault"] == "ROW_ALTERED"


def test_a_checkpoint_from_elsewhere_finds_what_those_in_the_database_do_not(
    onesource: CommandLine, audit: MemoryAudit
) -> None:
    file = onesource.folder / "topic.ndjson"
    file.write_bytes(encode(sign(audit.head(), AT, KEY)) + b"\n")
    del audit.all_rows[3:]

    assert onesource("audit", "verify", "--no-topic").status == 0
    ran = onesource("audit", "verify", "--no-topic", "--checkpoints", str(file))

    assert ran.status == 1
    assert "[TAIL_MISSING] row 4 is missing" in ran.out


def test_without_a_checkpoint_that_is_said(onesource: CommandLine, audit: MemoryAudit) -> None:
    audit.all_checkpoints.clear()

    ran = onesource("audit", "verify", "--no-topic")

    assert ran.status == 0
    assert "no checkpoint vouches for them" in ran.out
    assert json.loads(onesource("audit", "verify", "--no-topic", "--json").out)["signed_at"] is None


def test_an_export_is_verified_without_the_platform(
    onesource: CommandLine, audit: MemoryAudit, tmp_path: Path
) -> None:
    key = public_key_file(audit_key_path(load_settings())).rename(tmp_path / "public.pem")
    assert onesource("audit", "export", "log.ndjson").err.strip() == "6 rows in log.ndjson"
    audit.all_rows.clear()
    verify = ("audit", "verify", "--export", "log.ndjson", "--public-key", str(key))

    assert onesource(*verify).status == 0

    path = tmp_path / "log.ndjson"
    path.write_text(path.read_text("utf-8").replace("r-2", "r-7"), encoding="utf-8")
    ran = onesource(*verify, "--json")
    assert ran.status == 1
    assert json.loads(ran.out)["broken"]["sequence"] == 2
    assert not list(tmp_path.glob("*.part"))


def test_an_export_is_written_down(onesource: CommandLine, audit: MemoryAudit) -> None:
    onesource("audit", "export", "log.ndjson")

    assert audit.all_rows[-1].record.action == "audit.exported"
    assert audit.all_rows[-1].record.account == "os-operator"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--public-key", "missing.pem"), "missing.pem cannot be read"),
        (("--export", "missing.ndjson"), "missing.ndjson cannot be verified"),
        (("--export", "nonsense"), "no export of an audit log"),
        (("--checkpoints", "missing"), "missing cannot be read"),
        (("--checkpoints", "nonsense"), "nonsense, line 2: this is no checkpoint"),
    ],
)
def test_what_cannot_be_verified_is_neither_intact_nor_broken(
    onesource: CommandLine, audit: MemoryAudit, arguments: tuple[str, ...], reason: str
) -> None:
    (onesource.folder / "nonsense").write_text("\n{}\n", encoding="utf-8")

    ran = onesource("audit", "verify", "--no-topic", *arguments)

    assert ran.status == EXIT_CONFIG
    assert reason in ran.err


def test_the_key_of_somebody_else_vouches_for_nothing(
    onesource: CommandLine, audit: MemoryAudit, tmp_path: Path
) -> None:
    path = tmp_path / "other.pem"
    path.write_text(private_pem(OTHER_KEY), encoding="utf-8")
    ensure_signing_key(path)

    ran = onesource("audit", "verify", "--no-topic", "--public-key", str(public_key_file(path)))

    assert ran.status == 1
    assert "[CHECKPOINT_FORGED]" in ran.out


def test_an_export_that_cannot_be_written_leaves_nothing(
    onesource: CommandLine, audit: MemoryAudit
) -> None:
    ran = onesource("audit", "export", "missing/log.ndjson")

    assert ran.status == EXIT_CONFIG
    assert "cannot be written" in ran.err


def test_rows_are_listed_newest_first(onesource: CommandLine, audit: MemoryAudit) -> None:
    onesource.width(200)
    ran = onesource("audit", "list", "--organisation", "statistics", "--limit", "2")

    heading, *rows = ran.out.splitlines()
    assert heading.split() == "row at account organisation role action subject outcome".split()
    assert [row.split()[0] for row in rows] == ["5", "4"]
    assert rows[0].split()[3:] == (
        "wang statistics department request.submitted request r-5 DONE".split()
    )
    noted = audit.all_rows[-1].record
    assert (noted.action, noted.details) == ("audit.read", {"organisation": "statistics"})


def test_rows_are_listed_as_they_are_exported(onesource: CommandLine, audit: MemoryAudit) -> None:
    ran = onesource("audit", "list", "--json", "--since", "2026-03-06", "--before", "6")

    (row,) = [json.loads(line) for line in ran.out.splitlines()]
    assert row["subject"] == "r-5"
    assert row["hash"] == audit.all_rows[4].hash.hex()


def test_who_could_read_a_resource_is_listed(onesource: CommandLine, audit: MemoryAudit) -> None:
    """S-18, step 1."""
    onesource.width(200)
    terms = {"resource": "persons", "consumer": "police", "purpose": "check", "items": "name"}
    for action, days in (("grant.activated", 10), ("grant.revoked", 20), ("grant.activated", 30)):
        audit.write(
            audit_record(
                action=action,
                subject_kind="grant",
                subject=f"g-{days // 21}",
                at=AT + dt.timedelta(days=days),
                details=terms,
            )
        )

    ran = onesource("audit", "trace", "persons")

    _, first, second = ran.out.splitlines()
    assert first.split()[:4] == ["police", "g-0", "check", "name"]
    assert first.split()[-1] == "grant.revoked"
    assert second.split()[-1] == "stands"
    assert audit.all_rows[-1].record.action == "audit.traced"
    ran = onesource("audit", "trace", "persons", "--since", "2026-03-25", "--json")
    (access,) = [json.loads(line) for line in ran.out.splitlines()]
    assert (access["grant"], access["consumer"], access["until"]) == ("g-1", "police", None)
