"""The checker finds each kind of violation that is planted, and none in what is right."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.pseudonyms import pseudonym
from bus.domain.record_key import partition_of
from tests.faults.checker import Kind, check
from tests.faults.history import (
    Copy,
    History,
    Row,
    Sent,
    Source,
    ViewLife,
    What,
    read_histories,
    write_histories,
)
from tests.faults.model import PSEUDONYM, ROW_FILTERS, sequence, shown

PARTITIONS = 2
EAST = 'district == "east"'
SHOWN = {"code": "keep", "name": "partial", "population": "keep"}
KEYS = ["a", "b", "c", "镇"]


def town(key: str, *, district: str = "east", population: int | None = 1) -> Row:
    return {"code": key, "name": f"{key}-town", "district": district, "population": population}


def source(number: int, key: str, position: int, row: Row | None, *, bad: bool = False) -> Source:
    what = What.REFUSED if bad else What.DELETE if row is None else What.UPSERT
    return Source(number, key, 0, position, what, row)


#: a stays, b leaves and comes back, c is deleted, d never matches, one record is bad.
RECORDS = (
    source(0, "a", 0, town("a")),
    source(1, "b", 1, town("b")),
    source(2, "d", 2, town("d", district="west")),
    source(3, "b", 4, town("b", district="west")),
    source(4, "c", 5, town("c")),
    source(5, "a", 6, None, bad=True),
    source(6, "c", 7, None),
    source(7, "d", 8, None),
    source(8, "b", 9, town("b", population=None)),
)


def copies(records: Sequence[Source], *, rows: str | None, start: int) -> tuple[Copy, ...]:
    """Return what a router without fault writes, with gaps where markers stand."""
    gets = sequence(records, rows=rows, treatments=SHOWN, start=start)
    return tuple(
        Copy(2 * offset, each.key, each.row, each.number, 0, each.position, each.reason)
        for offset, each in enumerate(gets)
    )


def view(log: tuple[Copy, ...], *, rows: str | None = EAST, start: int = 0) -> ViewLife:
    return ViewLife(
        topic="os.view.x",
        rows=rows,
        treatments=SHOWN,
        starts={0: start},
        ended=False,
        log=log,
        aborted=frozenset(),
        unfinished=frozenset(),
        seen=log,
    )


def history(*views: ViewLife) -> History:
    return History(
        resource="towns",
        sent=tuple(Sent(each.number, each.key, 0, each.position) for each in RECORDS),
        source=RECORDS,
        letters=((0, 6),),
        views=views,
    )


def good(*, rows: str | None = EAST, start: int = 0) -> ViewLife:
    return view(copies(RECORDS, rows=rows, start=start), rows=rows, start=start)


def kinds(of: History) -> set[Kind]:
    return {violation.kind for violation in check(of)}


def written(life: ViewLife, log: Sequence[Copy]) -> ViewLife:
    """Return a life in which `log` was written, and read as it stands."""
    return replace(life, log=tuple(log), seen=tuple(log))


def test_the_model_says_what_enters_and_leaves() -> None:
    """Said by hand, so that the model is not its own judge."""
    assert [
        (each.position, each.key, None if each.row is None else each.row["population"], each.reason)
        for each in sequence(RECORDS, rows=EAST, treatments=SHOWN, start=0)
    ] == [
        (0, "a", 1, None),
        (1, "b", 1, None),
        (4, "b", None, "left-view"),
        (5, "c", 1, None),
        (7, "c", None, "deleted"),
        (9, "b", None, None),
    ]


def test_the_model_gives_a_new_view_the_present_and_then_history() -> None:
    assert [
        (each.position, each.key, each.reason)
        for each in sequence(RECORDS, rows=EAST, treatments=SHOWN, start=6)
    ] == [(0, "a", None), (5, "c", None), (7, "c", "deleted"), (9, "b", None)]
    assert [
        (each.position, each.key, each.reason)
        for each in sequence(RECORDS, rows=None, treatments=SHOWN, start=8)
    ] == [(0, "a", None), (2, "d", None), (4, "b", None), (8, "d", "deleted"), (9, "b", None)]


@pytest.mark.parametrize("rows", [None, EAST])
@pytest.mark.parametrize("start", [0, 3, 6, 10])
def test_nothing_is_found_in_what_is_right(rows: str | None, start: int) -> None:
    assert check(history(good(rows=rows, start=start))) == []


def test_what_is_aborted_and_not_seen_is_right_and_may_come_again() -> None:
    life = good()
    first = life.log[0]
    twice = (first, *(replace(copy, offset=copy.offset + 10) for copy in life.log))
    aborted = replace(life, log=twice, seen=twice[1:], aborted=frozenset({first.offset}))

    assert check(history(aborted)) == []


def test_a_view_that_ended_may_stop_anywhere_but_has_no_gaps() -> None:
    life = replace(good(), ended=True)

    assert check(history(written(life, life.log[:3]))) == []
    assert kinds(history(written(life, (*life.log[:2], life.log[3])))) == {Kind.LOST}


def lose_one(life: ViewLife) -> ViewLife:
    return written(life, (*life.log[:1], *life.log[2:]))


def lose_the_end(life: ViewLife) -> ViewLife:
    return written(life, life.log[:-1])


def lose_it_on_the_way_to_the_reader(life: ViewLife) -> ViewLife:
    return replace(life, seen=life.seen[:-1])


def write_one_twice(life: ViewLife) -> ViewLife:
    again = replace(life.log[1], offset=life.log[-1].offset + 2)
    return written(life, (*life.log, again))


def write_a_tombstone_again(life: ViewLife) -> ViewLife:
    gone = replace(life.log[4], offset=life.log[4].offset + 1, position=8, number=7)
    return written(life, (*life.log[:5], replace(gone, key="c"), *life.log[5:]))


def give_one_twice_to_the_reader(life: ViewLife) -> ViewLife:
    return replace(life, seen=(*life.seen, life.seen[-1]))


def show_an_aborted_one(life: ViewLife) -> ViewLife:
    first = life.log[0]
    log = (first, *(replace(copy, offset=copy.offset + 10) for copy in life.log))
    return replace(life, log=log, seen=log, aborted=frozenset({first.offset}))


def show_an_unfinished_one(life: ViewLife) -> ViewLife:
    return replace(life, unfinished=frozenset({life.log[-1].offset}))


def leave_one_unfinished(life: ViewLife) -> ViewLife:
    last = life.log[-1].offset
    return replace(life, unfinished=frozenset({last}), seen=life.seen[:-1])


def exchange_two(life: ViewLife) -> ViewLife:
    first, second, *rest = life.log
    turned = (replace(second, offset=first.offset), replace(first, offset=second.offset))
    return written(life, (*turned, *rest))


def exchange_two_for_the_reader(life: ViewLife) -> ViewLife:
    first, second, *rest = life.seen
    return replace(life, seen=(second, first, *rest))


def show_a_row_outside(life: ViewLife) -> ViewLife:
    outside = Copy(100, "d", {"code": "d", "name": "d****n", "population": 1}, 2, 0, 2, None)
    return written(life, (*life.log[:2], replace(outside, offset=3), *life.log[2:]))


def show_an_item_outside(life: ViewLife) -> ViewLife:
    first = life.log[0]
    more = replace(first, row={**(first.row or {}), "district": "east"})
    return written(life, (more, *life.log[1:]))


def show_an_item_without_its_treatment(life: ViewLife) -> ViewLife:
    first = life.log[0]
    plain = replace(first, row={**(first.row or {}), "name": "a-town"})
    return written(life, (plain, *life.log[1:]))


def betray_a_key(life: ViewLife) -> ViewLife:
    tombstone = Copy(life.log[-1].offset - 1, "d", None, 7, 0, 8, "deleted")
    return written(life, (*life.log[:-1], tombstone, life.log[-1]))


def betray_a_key_in_an_aborted_transaction(life: ViewLife) -> ViewLife:
    tombstone = Copy(life.log[-1].offset - 1, "d", None, 7, 0, 8, "deleted")
    log = (*life.log[:-1], tombstone, life.log[-1])
    return replace(life, log=log, aborted=frozenset({tombstone.offset}))


def show_an_item_outside_in_an_aborted_transaction(life: ViewLife) -> ViewLife:
    first = life.log[0]
    more = replace(first, row={**(first.row or {}), "district": "east"}, offset=100)
    return replace(life, log=(*life.log, more), aborted=frozenset({100}))


def make_one_up(life: ViewLife) -> ViewLife:
    made_up = replace(life.log[-1], offset=100, position=77)
    return written(life, (*life.log, made_up))


def change_a_value(life: ViewLife) -> ViewLife:
    first = life.log[0]
    return written(life, (replace(first, row={**(first.row or {}), "name": "?"}), *life.log[1:]))


def give_a_wrong_reason(life: ViewLife) -> ViewLife:
    log = [replace(copy, reason="deleted") if copy.row is None else copy for copy in life.log]
    return written(life, log)


def give_the_reader_something_else(life: ViewLife) -> ViewLife:
    return replace(life, seen=(replace(life.seen[0], key="z"), *life.seen[1:]))


def forget_a_source_partition(life: ViewLife) -> ViewLife:
    return replace(written(life, ()), starts={})


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (lose_one, Kind.LOST),
        (lose_the_end, Kind.LOST),
        (lose_the_end, Kind.WRONG_STATE),
        (lose_it_on_the_way_to_the_reader, Kind.LOST),
        (write_one_twice, Kind.DUPLICATED),
        (write_a_tombstone_again, Kind.OUTSIDE_GRANT),
        (give_one_twice_to_the_reader, Kind.DUPLICATED),
        (show_an_aborted_one, Kind.ABORTED_SEEN),
        (show_an_unfinished_one, Kind.ABORTED_SEEN),
        (leave_one_unfinished, Kind.UNFINISHED),
        (exchange_two, Kind.OUT_OF_ORDER),
        (exchange_two_for_the_reader, Kind.OUT_OF_ORDER),
        (show_a_row_outside, Kind.OUTSIDE_GRANT),
        (show_an_item_outside, Kind.OUTSIDE_GRANT),
        (show_an_item_without_its_treatment, Kind.OUTSIDE_GRANT),
        (betray_a_key, Kind.OUTSIDE_GRANT),
        (betray_a_key_in_an_aborted_transaction, Kind.OUTSIDE_GRANT),
        (show_an_item_outside_in_an_aborted_transaction, Kind.OUTSIDE_GRANT),
        (make_one_up, Kind.OUTSIDE_GRANT),
        (change_a_value, Kind.ALTERED),
        (give_a_wrong_reason, Kind.ALTERED),
        (give_the_reader_something_else, Kind.ALTERED),
        (forget_a_source_partition, Kind.WRONG_STATE),
    ],
)
def test_what_is_planted_in_a_view_is_found(
    plant: Callable[[ViewLife], ViewLife], kind: Kind
) -> None:
    assert kind in kinds(history(plant(good())))


def test_history_handed_out_as_the_present_is_outside_the_grant() -> None:
    """A view that was filled after c was deleted must not learn that there was a c."""
    life = good(start=10)
    past = Copy(1, "c", {"code": "c", "name": "c****n", "population": 1}, 4, 0, 5, None)

    assert kinds(history(written(life, (life.log[0], past, *life.log[1:])))) == {
        Kind.OUTSIDE_GRANT,
        Kind.WRONG_STATE,
    }


def test_a_second_tombstone_for_a_member_that_is_gone_is_a_duplicate() -> None:
    records = (source(0, "a", 0, town("a")), source(1, "a", 1, None), source(2, "a", 2, None))
    log = copies(records, rows=EAST, start=0)
    again = Copy(9, "a", None, 2, 0, 2, "deleted")
    of = History(resource="towns", source=records, views=(view((*log, again)),))

    assert kinds(of) == {Kind.DUPLICATED}


def test_an_accepted_record_that_the_source_does_not_have_is_lost() -> None:
    of = history(good())
    sent = (*of.sent, Sent(99, "a", 0, 10))

    assert kinds(replace(of, sent=sent)) == {Kind.LOST}
    assert check(replace(of, sent=(*of.sent, Sent(99, "a", 0, None)))) == []


def test_a_source_record_twice_or_before_an_older_one_is_found() -> None:
    twice = (RECORDS[0], replace(RECORDS[0], position=1))
    turned = (source(1, "a", 0, town("a")), source(0, "a", 1, town("a")))

    assert kinds(History(resource="towns", source=twice)) == {Kind.DUPLICATED}
    assert kinds(History(resource="towns", source=turned)) == {Kind.OUT_OF_ORDER}


def test_dead_letters_are_one_for_each_bad_record() -> None:
    of = history(good())

    assert kinds(replace(of, letters=())) == {Kind.LOST}
    assert kinds(replace(of, letters=((0, 6), (0, 6)))) == {Kind.DUPLICATED}
    assert kinds(replace(of, letters=((0, 6), (0, 7)))) == {Kind.ALTERED}


def test_a_history_that_was_kept_is_judged_alike(tmp_path: Path) -> None:
    aborted = replace(show_an_aborted_one(good(rows=None)), topic="os.view.y")
    histories = [history(good(), aborted), History(resource="none")]
    write_histories(tmp_path / "history.gz", histories)

    again = read_histories(tmp_path / "history.gz")

    assert again == histories
    assert check(again[0]) == check(histories[0])


ROWS = st.builds(
    lambda key, district, name, population: {
        "code": key,
        "name": name + key,
        "district": district,
        "population": population,
    },
    st.sampled_from(KEYS),
    st.sampled_from(["east", "west", "north"]),
    st.sampled_from(["a", "镇", "a long name of a town "]),
    st.none() | st.integers(0, 9),
)
ACTS = st.lists(st.tuples(st.sampled_from(KEYS), ROWS | st.none(), st.booleans()), max_size=25)


def random_source(acts: Sequence[tuple[str, Row | None, bool]]) -> list[Source]:
    ends = [0] * PARTITIONS
    found = []
    for number, (key, row, bad) in enumerate(acts):
        where = partition_of(key.encode(), PARTITIONS)
        what = What.REFUSED if bad else What.DELETE if row is None else What.UPSERT
        content = None if bad or row is None else {**row, "code": key}
        found.append(Source(number, key, where, ends[where], what, content))
        ends[where] += 1 + number % 2
    return found


@given(acts=ACTS, rows=st.sampled_from(list(ROW_FILTERS)), start=st.integers(0, 20), data=st.data())
def test_any_history_is_right_until_one_record_is_taken_out_or_put_in_twice(
    acts: Sequence[tuple[str, Row | None, bool]],
    rows: str | None,
    start: int,
    data: st.DataObject,
) -> None:
    records = random_source(acts)
    starts = dict.fromkeys(range(PARTITIONS), start)
    log: list[Copy] = []
    for partition in range(PARTITIONS):
        mine = [record for record in records if record.partition == partition]
        for each in sequence(mine, rows=rows, treatments=SHOWN, start=start):
            at = (each.number, partition, each.position, each.reason)
            log.append(Copy(len(log), each.key, each.row, *at))
    life = replace(view(tuple(log), rows=rows), starts=starts)
    whole = History(
        resource="towns",
        source=tuple(records),
        letters=tuple(
            (each.partition, each.position)
            for each in records
            if each.row is None and each.what is What.REFUSED
        ),
        views=(life,),
    )
    assert check(whole) == []
    if not log:
        return
    one = data.draw(st.sampled_from(log))
    without = [copy for copy in log if copy is not one]
    assert Kind.LOST in kinds(replace(whole, views=(written(life, without),)))
    again = [*log, replace(one, offset=len(log))]
    assert Kind.DUPLICATED in kinds(replace(whole, views=(written(life, again),)))


def test_the_model_and_the_bus_make_the_same_pseudonym() -> None:
    key = bytes(range(32))

    row = shown({"name": "双桥镇", "code": "1"}, {"name": f"{PSEUDONYM}{key.hex()}"})

    assert row == {"name": pseudonym(key, "双桥镇".encode())}
