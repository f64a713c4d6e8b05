"""Unit tests of `bus.audit.chain`: one form for each record, whoever computes it (R-193)."""

import datetime as dt
import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.audit.chain import (
    canonical,
    document_hash,
    genesis,
    next_row,
    storable,
    timestamp,
    to_document,
)
from bus.domain.audit_log import AuditHead
from bus.domain.audit_record import AuditRecord
from tests.audit_cases import AT, LOG, audit_record, chained

_TEXTS = [each.name for each in fields(AuditRecord) if each.name not in {"at", "details"}]
RECORDS = st.builds(
    AuditRecord,
    at=st.datetimes(timezones=st.timezones()),
    **{name: st.text(max_size=5) for name in _TEXTS},
    details=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)


def test_a_log_has_a_beginning_of_its_own() -> None:
    """Rows of one log are no rows of another."""
    assert genesis("a") != genesis("b")
    assert (
        genesis(LOG) == hashlib.sha256(b"onesource audit log, version 1\n" + LOG.encode()).digest()
    )


def test_the_form_that_is_hashed_never_changes() -> None:
    """A row of the first release, to the byte: a change would make every log look broken."""
    (document,) = chained([audit_record(subject="申请-1", details={"b": "2", "a": "\n"})])

    content = {name: value for name, value in document.items() if name != "hash"}
    assert canonical(content).decode() == (
        '{"account":"wang","action":"request.submitted","at":"2026-03-01T12:00:00.000000Z",'
        '"details":{"a":"\\n","b":"2"},"jurisdiction":"cn","organisation":"statistics",'
        '"outcome":"DONE",'
        f'"previous":"{genesis(LOG).hex()}",'
        '"profile":"","profile_version":"","role":"department","sequence":1,'
        '"subject":"申请-1","subject_kind":"request","trace_id":""}'
    )
    assert document["hash"] == hashlib.sha256(canonical(content)).hexdigest()


def test_names_are_ordered_as_the_standard_says() -> None:
    """RFC 8785, section 3.2.3: by UTF-16, so U+1F600 comes before U+FB33."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]

    written = json.loads(canonical(dict.fromkeys(names, "")), object_pairs_hook=list)

    assert [name for name, _ in written] == [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_whatever_stands_in_an_export_has_a_hash(value: Any) -> None:
    assert len(document_hash({"x": value, "\ud800": "\udfff"})) == 32


@given(RECORDS, RECORDS)
def test_two_records_have_one_hash_only_if_they_are_equal(
    one: AuditRecord, other: AuditRecord
) -> None:
    head = AuditHead(log=LOG, sequence=0, hash=genesis(LOG))

    same = next_row(head, one).hash == next_row(head, other).hash

    assert same == (storable(one) == storable(other))


@given(RECORDS)
def test_a_document_survives_json(record: AuditRecord) -> None:
    document = to_document(next_row(AuditHead(log=LOG, sequence=7, hash=genesis(LOG)), record))

    read = json.loads(canonical(document))

    assert read == document
    assert document_hash(read).hex() == document["hash"]
    assert document["sequence"] == 8


@pytest.mark.parametrize("name", ["at", "details", *_TEXTS])
def test_the_hash_covers_every_field(name: str) -> None:
    changed: Any = {"at": AT + dt.timedelta(microseconds=1), "details": {"a": ""}}
    other = replace(audit_record(), **{name: changed.get(name, "other")})

    assert chained([other])[0]["hash"] != chained([audit_record()])[0]["hash"]


def test_a_time_is_written_in_utc_to_the_microsecond() -> None:
    beijing = dt.timezone(dt.timedelta(hours=8))

    assert timestamp(dt.datetime(2026, 3, 1, 8, tzinfo=beijing)) == "2026-03-01T00:00:00.000000Z"
    assert timestamp(dt.datetime(33, 1, 2, tzinfo=dt.UTC)) == "0033-01-02T00:00:00.000000Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        storable(audit_record(at=AT.replace(tzinfo=None)))
