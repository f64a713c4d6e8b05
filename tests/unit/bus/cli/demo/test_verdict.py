"""Unit tests of the demo's judge: it agrees with what is right, and with nothing else."""

import csv
import lzma
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bus.cli.demo.expectation import (
    Counts,
    Edition,
    EditionChange,
    Share,
    digest,
    expected_counts,
    read_file,
)
from bus.cli.demo.observation import Held, Received
from bus.cli.demo.scenario import DATASETS, YEARS
from bus.cli.demo.verdict import judge, judge_frozen, judge_revoked, nothing_held
from bus.errors import ConfigError

SHARE = Share(lambda row: row["city"] == "1", ("code", "name"))
EDITIONS = st.dictionaries(
    st.sampled_from("abcde"),
    st.fixed_dictionaries({"name": st.sampled_from("xy"), "city": st.sampled_from("12")}),
).map(lambda found: {key: {"code": key, **row} for key, row in found.items()})


def held(share: Share, edition: Edition, counted: Received) -> Held:
    """Return what an honest sink holds of an edition."""
    rows = share.of(edition)
    return Held(frozenset(rows), digest((key, rows[key]) for key in sorted(rows)), counted)


def after(share: Share, old: Edition, new: Edition, before: Held) -> Held:
    """Return what an honest sink holds and has counted once `old` has become `new`."""
    counts = expected_counts(share, EditionChange.between(old, new), old, new)
    was = before.received
    return held(
        share,
        new,
        Received(
            was.upserts + counts.upserts, was.deletes + counts.deletes, was.left + counts.left
        ),
    )


def brute_force(share: Share, old: Edition, new: Edition) -> Counts:
    """Count key by key what a department must receive."""
    counts = {"upserts": 0, "deletes": 0, "entered": 0, "left": 0}
    for key in old.keys() | new.keys():
        if old.get(key) == new.get(key):
            continue
        was = key in old and share.matches(old[key])
        becomes = key in new and share.matches(new[key])
        counts["upserts"] += becomes
        counts["deletes"] += was and key not in new
        counts["entered"] += becomes and not was and key in old
        counts["left"] += was and not becomes and key in new
    return Counts(**counts)


@given(old=EDITIONS, new=EDITIONS)
def test_what_a_department_must_receive_is_counted_key_by_key(old: Edition, new: Edition) -> None:
    change = EditionChange.between(old, new)

    assert expected_counts(SHARE, change, old, new) == brute_force(SHARE, old, new)


@given(old=EDITIONS, new=EDITIONS)
def test_an_honest_department_is_judged_well(old: Edition, new: Edition) -> None:
    before = held(SHARE, old, Received(5, 3, 1))

    verdict = judge(
        SHARE,
        old=old,
        new=new,
        before=before,
        held=after(SHARE, old, new, before),
        existed=frozenset(old),
        refilled=False,
    )

    assert verdict.faults == ()
    assert verdict.well
    assert verdict.received == brute_force(SHARE, old, new)


@given(old=EDITIONS, new=EDITIONS, other=EDITIONS)
def test_any_other_content_is_found(old: Edition, new: Edition, other: Edition) -> None:
    assume(SHARE.of(other) != SHARE.of(new))
    before = held(SHARE, old, Received())
    honest = after(SHARE, old, new, before)
    lying = replace(held(SHARE, other, Received()), received=honest.received)

    for refilled in (False, True):
        verdict = judge(
            SHARE,
            old=old,
            new=new,
            before=before,
            held=lying,
            existed=frozenset(old),
            refilled=refilled,
        )
        assert not verdict.well


@pytest.mark.parametrize("counter", ["upserts", "deletes", "left"])
@given(old=EDITIONS, new=EDITIONS)
def test_one_record_more_is_found(counter: str, old: Edition, new: Edition) -> None:
    """Right rows are not enough: nothing may come twice, and nothing that is not for them."""
    before = held(SHARE, old, Received())
    honest = after(SHARE, old, new, before)
    more = replace(honest.received, **{counter: getattr(honest.received, counter) + 1})

    verdict = judge(
        SHARE,
        old=old,
        new=new,
        before=before,
        held=replace(honest, received=more),
        existed=frozenset(old),
        refilled=False,
    )

    assert len(verdict.faults) == 1
    assert counter in verdict.faults[0]


@given(old=EDITIONS, new=EDITIONS, data=st.data())
def test_a_revoked_department_may_be_anywhere_between_the_editions_but_nowhere_else(
    old: Edition, new: Edition, data: st.DataObject
) -> None:
    was, becomes = SHARE.of(old), SHARE.of(new)
    rows: Edition = {}
    for key in sorted(was.keys() | becomes.keys()):
        row = data.draw(st.sampled_from([was.get(key), becomes.get(key)]))
        if row is not None:
            rows[key] = row
    before = held(SHARE, old, Received())

    fair = judge_revoked(SHARE, old=old, new=new, rows=rows, before=before, held=before)
    foreign = {**rows, "z": {"code": "z", "name": "?"}}
    unfair = judge_revoked(SHARE, old=old, new=new, rows=foreign, before=before, held=before)

    assert fair.well
    assert not unfair.well


def test_after_a_revocation_nothing_may_come() -> None:
    before = Held(frozenset("a"), "d", Received(1, 0, 0))

    assert judge_frozen(before=before, held=before).well
    assert not judge_frozen(before=before, held=replace(before, received=Received(2, 0, 0))).well


def test_nothing_is_held_at_first() -> None:
    assert nothing_held() == held(SHARE, {}, Received())


# --- The scenario ---------------------------------------------------------------------------------


def test_an_edition_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "2019.csv.xz"
    with lzma.open(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["code", "name"], ["a", "甲"], ["b", "x,y"]])

    assert read_file(path) == {"a": {"code": "a", "name": "甲"}, "b": {"code": "b", "name": "x,y"}}


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_demos_changes_fit_its_definitions(name: str, tmp_path: Path) -> None:
    """A filter is widened, a grant taken away and a new one given, on files that are there."""
    dataset = DATASETS[name]
    dataset.prepare_definitions(tmp_path / "topics")
    grants = tmp_path / "topics" / "grants"
    before = {path.stem: path.read_text("utf-8") for path in grants.iterdir()}

    dataset.change_definitions(tmp_path / "topics")

    after = {path.stem: path.read_text("utf-8") for path in grants.iterdir()}
    assert before.keys() - after.keys() == set()
    assert after.keys() - before.keys() == {f"{name}-tourism"}
    assert 'cityCode in ["3204", "3205"]' in after[f"{name}-changzhou"]
    departments = {
        dataset.grant_file(tmp_path / "topics", each.code).stem for each in dataset.departments()
    }
    assert departments == before.keys()


def test_an_edition_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    dataset = DATASETS["streets"]

    assert all(dataset.edition_file(None, year).is_file() for year in YEARS)
    with pytest.raises(ConfigError, match="--data"):
        dataset.edition_file(tmp_path, 2019)
