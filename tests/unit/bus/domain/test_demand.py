"""Unit tests of `bus.domain.demand`."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bus.domain import demand
from bus.domain.demand import Demand, DemandItem, DemandState
from bus.domain.identity import Actor, Role
from bus.errors import Forbidden, Refused
from tests import builders
from tests.life_cycle_cases import AT, AUTHORITY, CONSUMER, DEMAND, LATER, OWNER, actor

THREE = tuple(
    replace(DEMAND, id=f"d-{name}", consumer=name) for name in ("housing", "tax", "tourism")
)


def merged() -> tuple[DemandItem, tuple[Demand, ...]]:
    return demand.merge(THREE, item="i-1", subject="licences", by=AUTHORITY, at=AT)


def assigned() -> DemandItem:
    item, _ = merged()
    return demand.assign(item, provider=builders.PROVIDER, by=AUTHORITY, at=AT)


def test_demands_of_three_departments_become_one_item_of_one_provider() -> None:
    """R-033, S-13.3: merged into one item assigned to the issuing department."""
    item, demands = merged()
    assert item.demands == ("d-housing", "d-tax", "d-tourism")
    assert {(each.state, each.item) for each in demands} == {(DemandState.MERGED, "i-1")}

    given = demand.assign(
        item, provider=builders.PROVIDER, resource="licences", by=AUTHORITY, at=AT
    )

    assert (given.provider, given.resource, given.assigned_at) == ("statistics", "licences", AT)
    assert {demand.standing(each, given) for each in demands} == {DemandState.ASSIGNED}
    assert demand.standing(DEMAND, None) is DemandState.STATED


def test_the_provider_meets_an_item_with_a_resource() -> None:
    """R-033: the list links each demand to a provider and resource."""
    met = demand.meet(assigned(), resource="licences", by=OWNER, at=LATER)

    assert (met.state, met.resource, met.closed_at) == (DemandState.MET, "licences", LATER)


@pytest.mark.parametrize("by", [OWNER, AUTHORITY])
def test_an_item_that_stays_unmet_says_why(by: Actor) -> None:
    """R-033, requirements §6.6: UNMET(reason)."""
    with pytest.raises(Refused) as refused:
        demand.give_up(assigned(), reason="", by=by, at=AT)
    assert refused.value.code == "REASON_REQUIRED"

    unmet = demand.give_up(assigned(), reason="nobody collects it", by=by, at=LATER)

    assert (unmet.state, unmet.reason) == (DemandState.UNMET, "nobody collects it")


def test_a_later_demand_joins_an_open_item() -> None:
    """R-033: one item, whoever asks next."""
    late = replace(DEMAND, id="d-late")
    item, joined = demand.join(assigned(), late, by=AUTHORITY)

    assert item.demands[-1] == "d-late"
    assert demand.standing(joined, item) is DemandState.ASSIGNED
    with pytest.raises(Refused) as refused:
        demand.join(demand.meet(item, resource="x", by=OWNER, at=AT), late, by=AUTHORITY)
    assert refused.value.code == "DEMAND_CLOSED"


@pytest.mark.parametrize(
    "act",
    [
        lambda: demand.state_demand(DEMAND, by=OWNER),
        lambda: demand.merge(THREE, item="i-2", subject="x", by=CONSUMER, at=AT),
        lambda: demand.join(assigned(), DEMAND, by=CONSUMER),
        lambda: demand.assign(merged()[0], provider="x", by=CONSUMER, at=AT),
        lambda: demand.meet(assigned(), resource="x", by=CONSUMER, at=AT),
        lambda: demand.meet(
            assigned(), resource="x", by=actor(builders.PROVIDER, Role.AUDITOR), at=AT
        ),
        lambda: demand.give_up(assigned(), reason="x", by=CONSUMER, at=AT),
    ],
)
def test_consumers_state_the_authority_merges_and_assigns_the_provider_meets(
    act: Callable[[], object],
) -> None:
    """R-033."""
    with pytest.raises(Forbidden):
        act()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (
            lambda: demand.state_demand(replace(DEMAND, subject=" "), by=CONSUMER),
            "FORM_INCOMPLETE",
        ),
        (
            lambda: demand.merge([], item="i-2", subject="x", by=AUTHORITY, at=AT),
            "DEMANDS_REQUIRED",
        ),
        (
            lambda: demand.merge(
                [DEMAND, replace(DEMAND, id="d-2", jurisdiction="elsewhere")],
                item="i-2",
                subject="x",
                by=AUTHORITY,
                at=AT,
            ),
            "DEMANDS_REQUIRED",
        ),
        (lambda: demand.meet(assigned(), resource=" ", by=OWNER, at=AT), "RESOURCE_REQUIRED"),
        (
            lambda: demand.merge(merged()[1], item="i-2", subject="x", by=AUTHORITY, at=AT),
            "STATE_CONFLICT",
        ),
    ],
)
def test_what_is_incomplete_is_refused(act: Callable[[], object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.code == code


def test_a_new_demand_is_stated_by_its_organisation() -> None:
    assert demand.state_demand(DEMAND, by=CONSUMER) == DEMAND
    with pytest.raises(LookupError):
        demand.state_demand(replace(DEMAND, state=DemandState.MET), by=CONSUMER)
