"""Unit tests of `bus.audit.export`: a log that leaves the platform is still evidence (R-193)."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.audit import export
from bus.audit.chain import to_document
from bus.audit.verifier import Fault, Verdict, merged, verify
from bus.domain.audit_log import AuditHead, AuditRow
from tests.audit_cases import (
    LOG,
    PUBLIC_KEYS,
    audit_record,
    chained,
    grant_rows,
    head_at,
    signed,
)

ROWS: list[AuditRow] = grant_rows(
    *(("activated", f"g-{number}", {"名称": "x\u2028y\n"}) for number in range(4))
)
DOCUMENTS = [to_document(row) for row in ROWS]
HEAD = head_at(DOCUMENTS, 4)
CHECKPOINTS = [signed(DOCUMENTS, 1), signed(DOCUMENTS, 3)]
TEXT = "".join(export.lines(HEAD, CHECKPOINTS, ROWS))


def check(text: str) -> Verdict:
    def file() -> io.StringIO:
        # As files are read: only a line feed ends a line.
        return io.StringIO(text, newline="\n")

    head = export.read_head(file())
    return verify(
        export.read_rows(file()),
        merged(export.read_checkpoints(file())),
        PUBLIC_KEYS,
        log=head.log,
        head=head,
    )


def test_an_export_is_verified_by_itself() -> None:
    verdict = check(TEXT)

    assert verdict.intact
    assert (verdict.log, verdict.rows, verdict.checkpoints) == (LOG, 4, 2)
    assert TEXT.count("\n") == 7


def test_an_empty_log_can_be_exported() -> None:
    assert check("".join(export.lines(head_at([], 0), [], []))).intact


def test_whatever_line_is_taken_out_is_missed() -> None:
    lines = [f"{line}\n" for line in TEXT.split("\n")[:-1]]
    for gone in (3, 4, 5, 6):
        broken = check("".join(lines[:gone] + lines[gone + 1 :])).broken
        assert broken is not None
        assert broken.sequence == gone - 2


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="utf-8"))
def test_whatever_character_of_a_row_is_changed_is_found(place: int, character: str) -> None:
    place = max(place, TEXT.index('{"row"'))
    text = TEXT[:place] + character + TEXT[place + 1 :]
    if [json.loads(line) for line in TEXT.split("\n") if line] == _read(text):
        return

    broken = check(text).broken

    assert broken is not None
    assert broken.sequence <= TEXT[:place].count("\n") - 1


def _read(text: str) -> object:
    try:
        return [json.loads(line) for line in text.split("\n") if line]
    except ValueError:
        return None


def test_a_name_that_comes_twice_is_an_edit() -> None:
    """Another reader might believe the first of the two."""
    broken = check(TEXT.replace('{"row":{', '{"row":{"account":"somebody",', 1)).broken

    assert broken is not None
    assert broken.sequence == 1


def test_lines_that_are_nothing_are_rows_that_are_wrong() -> None:
    for line in ("", "7", "[" * 100_000, '{"row":7}', "{"):
        broken = check(f"{TEXT}{line}\n").broken
        assert broken is not None
        assert (broken.sequence, broken.fault) == (5, Fault.ROW_MISPLACED)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "7", '{"log":7}', '{"log":{"format":1}}', '{"log":{"format":2,"id":""}}', "{"],
)
def test_what_is_no_export_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="export"):
        export.read_head(io.StringIO(text))


def test_a_checkpoint_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        check(TEXT.replace('"key_id"', '"key"', 1))


def test_a_row_of_another_log_does_not_fit() -> None:
    other = chained([audit_record()], log="other")
    head = AuditHead(log=LOG, sequence=1, hash=bytes.fromhex(other[0]["hash"]))
    text = "".join(export.lines(head, [], [])) + json.dumps({"row": other[0]})

    broken = check(text).broken

    assert broken is not None
    assert broken.fault is Fault.LINK_BROKEN
