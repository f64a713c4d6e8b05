"""Unit tests of `bus.audit.trace`: who could read what, and when (R-195, S-18)."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from bus.audit.trace import Access, trace
from bus.domain.audit_log import GRANT_ACTIONS
from tests.audit_cases import AT, grant_rows

TERMS = {
    "resource": "persons",
    "consumer": "police",
    "purpose": "residence-check",
    "version": "1",
    "items": "name,id_number",
    "valid_until": "2027-03-01",
}


def at(hours: float) -> dt.datetime:
    return AT + dt.timedelta(hours=hours)


def times(found: list[Access]) -> list[tuple[str, float, float | None]]:
    """Return (grant, from, until) in hours."""

    def hours(moment: dt.datetime) -> float:
        return (moment - AT).total_seconds() / 3600

    return [
        (each.grant, hours(each.since), None if each.until is None else hours(each.until))
        for each in found
    ]


def test_a_grant_that_stands_says_who_may_read_what_and_for_which_purpose() -> None:
    """S-18, step 1: a complete list with grant and purpose."""
    assert trace(grant_rows(("activated", "g-1", TERMS))) == [
        Access(
            grant="g-1",
            version="1",
            consumer="police",
            purpose="residence-check",
            items="name,id_number",
            valid_until="2027-03-01",
            since=AT,
            until=None,
            ended_by="",
        )
    ]


def test_nothing_could_be_read_while_a_grant_was_suspended() -> None:
    found = trace(
        grant_rows(
            ("activated", "g-1", TERMS),
            ("suspended", "g-1", {}),
            ("resumed", "g-1", {}),
            ("revoked", "g-1", {}),
        )
    )

    assert times(found) == [("g-1", 0, 1), ("g-1", 2, 3)]
    assert [each.ended_by for each in found] == ["grant.suspended", "grant.revoked"]
    assert {each.purpose for each in found} == {"residence-check"}


def test_an_amendment_is_a_time_of_its_own() -> None:
    found = trace(
        grant_rows(
            ("activated", "g-1", TERMS),
            ("amended", "g-1", {"version": "2", "items": "name"}),
            ("expired", "g-1", {}),
        )
    )

    assert times(found) == [("g-1", 0, 1), ("g-1", 1, 2)]
    assert [(each.version, each.items) for each in found] == [
        ("1", "name,id_number"),
        ("2", "name"),
    ]


def test_an_amendment_of_a_suspended_grant_opens_nothing() -> None:
    found = trace(
        grant_rows(
            ("activated", "g-1", TERMS),
            ("suspended", "g-1", {}),
            ("amended", "g-1", {"version": "2"}),
            ("resumed", "g-1", {}),
        )
    )

    assert times(found) == [("g-1", 0, 1), ("g-1", 3, None)]
    assert [each.version for each in found] == ["1", "2"]


def test_an_end_without_a_beginning_is_none() -> None:
    assert trace(grant_rows(("suspended", "g-1", TERMS), ("revoked", "g-1", {}))) == []


def test_grants_do_not_touch_each_other() -> None:
    found = trace(
        grant_rows(
            ("activated", "g-1", TERMS),
            ("activated", "g-2", {**TERMS, "consumer": "tourism"}),
            ("revoked", "g-1", {}),
        )
    )

    assert times(found) == [("g-1", 0, 2), ("g-2", 1, None)]
    assert [each.consumer for each in found] == ["police", "tourism"]


def test_since_a_moment_means_access_that_reaches_beyond_it() -> None:
    history = grant_rows(
        ("activated", "g-1", TERMS),
        ("activated", "g-2", TERMS),
        ("revoked", "g-1", {}),
        ("activated", "g-3", TERMS),
    )

    assert times(trace(history, at(1.5))) == [("g-1", 0, 2), ("g-2", 1, None), ("g-3", 3, None)]
    assert times(trace(history, at(2))) == [("g-2", 1, None), ("g-3", 3, None)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(GRANT_ACTIONS)).map(lambda each: each.removeprefix("grant.")),
            st.sampled_from(["g-1", "g-2"]),
            st.just(TERMS),
        ),
        max_size=15,
    )
)
def test_times_are_those_in_which_the_last_word_was_that_access_stands(
    history: list[tuple[str, str, dict[str, str]]],
) -> None:
    """Whatever happened in whatever order: moment by moment, the same as a replay of it."""
    found = trace(grant_rows(*history))

    for grant in ("g-1", "g-2"):
        stands = False
        for hours, (action, about, _) in enumerate(history):
            if about == grant:
                stands = action in {"activated", "resumed"} or (stands and action == "amended")
            moment = at(hours + 0.5)
            covering = [
                each
                for each in found
                if each.grant == grant
                and each.since <= moment
                and (each.until is None or moment < each.until)
            ]
            assert len(covering) == stands
