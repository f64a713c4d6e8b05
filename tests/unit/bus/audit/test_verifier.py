"""Unit tests of `bus.audit.verifier`: whatever is done to a log is found (R-193, S-18)."""

import copy
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.audit.chain import document_hash, genesis, next_row, to_document
from bus.audit.verifier import Fault, Verdict, merged, verify
from bus.domain.audit_log import AuditHead, Checkpoint
from tests.audit_cases import (
    LOG,
    OTHER_KEY,
    PUBLIC_KEYS,
    Document,
    audit_record,
    chained,
    head_at,
    signed,
)

RECORDS = [audit_record(subject=f"r-{number}", details={"n": str(number)}) for number in range(6)]
ROWS = chained(RECORDS)


def check(
    rows: Sequence[Document], *checkpoints: Checkpoint, head: AuditHead | None = None
) -> Verdict:
    return verify(rows, merged(checkpoints), PUBLIC_KEYS, log=LOG, head=head)


def found(verdict: Verdict) -> tuple[int, Fault]:
    assert verdict.broken is not None
    assert str(verdict.broken.sequence) in verdict.broken.reason
    return verdict.broken.sequence, verdict.broken.fault


def rehash(document: Document) -> Document:
    """Return a row whose hash is right for what it holds."""
    return {**document, "hash": document_hash(document).hex()}


def rewrite(rows: Sequence[Document], sequence: int, **changes: Any) -> list[Document]:
    """Return a log whose row `sequence` is another one, with all hashes from there on anew."""
    written = [*rows[: sequence - 1]]
    previous = rows[sequence - 1]["previous"]
    for row in rows[sequence - 1 :]:
        written.append(rehash({**row, **changes, "previous": previous}))
        previous, changes = written[-1]["hash"], {}
    return written


def test_a_log_as_it_was_written_is_intact() -> None:
    verdict = check(ROWS, signed(ROWS, 2), signed(ROWS, 5), head=head_at(ROWS, 6))

    assert verdict.intact
    assert (verdict.rows, verdict.checkpoints, verdict.signed_through) == (6, 2, 5)
    assert verdict.signed_at.startswith("2026-03-01T12:00:05")


def test_an_empty_log_is_intact() -> None:
    verdict = check([], head=AuditHead(log=LOG, sequence=0, hash=genesis(LOG)))

    assert verdict.intact
    assert (verdict.rows, verdict.signed_through, verdict.signed_at) == (0, 0, "")


def test_progress_is_told() -> None:
    told: list[int] = []

    verify(chained([audit_record()] * 2500), [], {}, log=LOG, on_progress=told.append)

    assert told == [1000, 2000, 2500]


@pytest.mark.parametrize("name", sorted(ROWS[0]))
def test_an_edit_of_any_field_is_found(name: str) -> None:
    """S-18, step 2: the verify command names the first broken link."""
    values: list[Any] = ["x", None, 7, {}, ["x"], True, 1.5]
    for value in values:
        rows = copy.deepcopy(ROWS)
        rows[2][name] = value

        sequence, fault = found(check(rows))

        assert sequence == 3
        if name != "sequence":
            assert fault is Fault.ROW_ALTERED
        else:
            assert fault is (Fault.ROW_MISSING if value == 7 else Fault.ROW_MISPLACED)


@pytest.mark.parametrize("name", sorted(ROWS[0]))
def test_a_field_too_few_or_too_many_is_found(name: str) -> None:
    fewer = [row if row["sequence"] != 3 else {**row} for row in ROWS]
    del fewer[2][name]
    more = [*ROWS[:2], {**ROWS[2], "more": ""}, *ROWS[3:]]

    assert found(check(fewer))[0] == 3
    assert found(check(more)) == (3, Fault.ROW_ALTERED)


def test_an_edit_with_a_hash_to_match_breaks_the_next_link() -> None:
    rows = [*ROWS[:2], rehash({**ROWS[2], "subject": "x"}), *ROWS[3:]]

    assert found(check(rows)) == (4, Fault.LINK_BROKEN)
    # Signed, it is the row itself that is named.
    assert found(check(rows, signed(ROWS, 3))) == (3, Fault.CHAIN_REWRITTEN)


def test_a_row_that_is_gone_is_named() -> None:
    assert found(check([*ROWS[:2], *ROWS[3:]])) == (3, Fault.ROW_MISSING)
    assert found(check(ROWS[1:])) == (1, Fault.ROW_MISSING)


def test_rows_that_changed_places_are_named() -> None:
    assert found(check([*ROWS[:2], ROWS[3], ROWS[2], *ROWS[4:]])) == (3, Fault.ROW_MISSING)
    # The same with their numbers exchanged.
    swapped = [
        *ROWS[:2],
        rehash({**ROWS[3], "sequence": 3, "previous": ROWS[2]["previous"]}),
        rehash({**ROWS[2], "sequence": 4}),
        *ROWS[4:],
    ]
    assert found(check(swapped)) == (4, Fault.LINK_BROKEN)


def test_a_row_that_comes_twice_is_named() -> None:
    assert found(check([*ROWS[:3], ROWS[2], *ROWS[3:]])) == (4, Fault.ROW_MISPLACED)


def test_a_cut_tail_is_found_by_a_checkpoint_and_by_the_head() -> None:
    assert found(check(ROWS[:3], signed(ROWS, 2), signed(ROWS, 5))) == (4, Fault.TAIL_MISSING)
    assert found(check(ROWS[:3], head=head_at(ROWS, 6))) == (4, Fault.TAIL_MISSING)
    assert found(check([], signed(ROWS, 5))) == (1, Fault.TAIL_MISSING)


def test_what_was_cut_behind_the_newest_checkpoint_cannot_be_found() -> None:
    """Said in the docs: the checkpoint's age is how much may go unseen."""
    assert check(ROWS[:3], signed(ROWS, 3)).intact


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_a_chain_that_was_computed_anew_is_found_by_the_first_checkpoint_behind(
    sequence: int,
) -> None:
    rows = rewrite(ROWS, sequence, subject="x")
    assert check(rows).intact

    verdict = check(rows, signed(ROWS, 2), signed(ROWS, 5), head=head_at(rows, 6))

    assert found(verdict) == (2 if sequence == 1 else 5, Fault.CHAIN_REWRITTEN)
    assert verdict.signed_through == (0 if sequence == 1 else 2)


def test_a_head_that_is_another_row_is_found() -> None:
    rows = rewrite(ROWS, 3, subject="x")

    assert found(check(rows, head=head_at(ROWS, 6))) == (6, Fault.CHAIN_REWRITTEN)


def test_a_checkpoint_that_cannot_be_believed_is_named() -> None:
    good = signed(ROWS, 4)
    for forged in (
        replace(good, hash=bytes(32)),
        replace(good, signature=bytes(64)),
        signed(ROWS, 4, key=OTHER_KEY),
        replace(signed(ROWS, 4, key=OTHER_KEY), key_id=good.key_id),
    ):
        verdict = check(ROWS, signed(ROWS, 2), forged)
        assert found(verdict) == (4, Fault.CHECKPOINT_FORGED)
        assert verdict.rows == 3
    beyond = replace(good, sequence=40)
    assert found(check(ROWS, beyond)) == (40, Fault.CHECKPOINT_FORGED)


def test_a_checkpoint_of_no_row_is_none() -> None:
    broken = check(ROWS, signed(ROWS, 0)).broken

    assert broken is not None
    assert (broken.sequence, broken.fault) == (1, Fault.CHECKPOINT_FORGED)


def test_two_checkpoints_of_one_row_cannot_both_be_right() -> None:
    """A log that was forked: each reader was shown another one."""
    fork = rewrite(ROWS, 4, subject="x")

    assert found(check(ROWS, signed(ROWS, 4), signed(fork, 4))) == (4, Fault.CHAIN_REWRITTEN)


def test_a_log_that_stands_in_anothers_place_is_found() -> None:
    other = chained(RECORDS, log="other")

    verdict = verify(other, [signed(ROWS, 4)], PUBLIC_KEYS, log="other")

    assert found(verdict) == (1, Fault.LOG_REPLACED)
    assert found(check(other)) == (1, Fault.LINK_BROKEN)


def test_a_checkpoint_of_a_key_before_counts_if_its_public_half_is_given() -> None:
    keys = {**PUBLIC_KEYS, signed(ROWS, 1, key=OTHER_KEY).key_id: OTHER_KEY.public_key()}
    checkpoints = [signed(ROWS, 2, key=OTHER_KEY), signed(ROWS, 4)]

    assert verify(ROWS, checkpoints, keys, log=LOG).checkpoints == 2


def test_checkpoints_of_several_sources_come_in_order_and_once() -> None:
    one, two, three = (signed(ROWS, sequence) for sequence in (1, 2, 3))

    assert list(merged([two, one], [], [one, three, two])) == [one, two, three]


# --- whatever is done to it -----------------------------------------------------------------------


@st.composite
def tampered(draw: st.DrawFn) -> tuple[list[Document], list[Checkpoint], set[int]]:
    """Return a log that was altered once, its checkpoints, and which rows may be named."""
    length = draw(st.integers(3, 12))
    texts = st.text(max_size=3)
    rows = chained([audit_record(subject=draw(texts), account=draw(texts)) for _ in range(length)])
    checkpoints = [
        signed(rows, sequence)
        for sequence in sorted(draw(st.sets(st.integers(1, length - 1), max_size=3)) | {length})
    ]
    row = draw(st.integers(1, length))
    match draw(
        st.sampled_from(["edit", "edit and hash", "delete", "swap", "insert", "cut", "new"])
    ):
        case "edit":
            name = draw(st.sampled_from(sorted(rows[0])))
            rows[row - 1] = {**rows[row - 1], name: f"{rows[row - 1][name]}x"}
            return rows, checkpoints, {row}
        case "edit and hash":
            rows[row - 1] = rehash({**rows[row - 1], "subject": "other"})
            named = row if any(each.sequence == row for each in checkpoints) else row + 1
            return rows, checkpoints, {named}
        case "delete":
            del rows[row - 1]
            return rows, checkpoints, {row}
        case "swap":
            other = draw(st.integers(1, length).filter(lambda each: each != row))
            rows[row - 1], rows[other - 1] = rows[other - 1], rows[row - 1]
            return rows, checkpoints, {min(row, other)}
        case "insert":
            made_up = next_row(head_at(rows, row - 1), audit_record(subject="made up"))
            rows.insert(row - 1, to_document(made_up))
            named = row if any(each.sequence == row for each in checkpoints) else row + 1
            return rows, checkpoints, {named}
        case "cut":
            return rows[: row - 1], checkpoints, {row}
        case _:
            signed_after = min(each.sequence for each in checkpoints if each.sequence >= row)
            return rewrite(rows, row, subject="other"), checkpoints, {signed_after}


@given(tampered())
def test_whatever_is_done_to_a_signed_log_is_found_and_its_place_named(
    case: tuple[list[Document], list[Checkpoint], set[int]],
) -> None:
    """R-193: a gap or an edit is detected by the verify command."""
    rows, checkpoints, named = case

    verdict = check(rows, *checkpoints)

    assert verdict.broken is not None
    assert verdict.broken.sequence in named
    assert verdict.rows == verdict.broken.sequence - 1


def test_a_long_log_takes_no_more_memory_than_a_short_one() -> None:
    def endless(count: int) -> Iterator[Document]:
        head = AuditHead(log=LOG, sequence=0, hash=genesis(LOG))
        for _ in range(count):
            row = next_row(head, audit_record())
            head = AuditHead(log=LOG, sequence=row.sequence, hash=row.hash)
            yield to_document(row)

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            assert verify(endless(count), [], PUBLIC_KEYS, log=LOG).rows == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(3000) < peak(300) + 20_000
