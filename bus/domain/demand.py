"""
What consumers need and nobody offers yet: the demand list (应用需求数据清单, R-033).

Consumers state demands; the authority merges those that mean the same into one item of the list and
assigns it to a provider. A demand that was merged stands where its item stands.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.domain.identity import Actor, Role, require_role
from bus.domain.life_cycle import LifeCycle, Step
from bus.domain.share import Purpose
from bus.errors import Forbidden, Refused


class DemandState(StrEnum):
    """Where a demand, or an item of the list, stands."""

    STATED = "STATED"
    MERGED = "MERGED"
    ASSIGNED = "ASSIGNED"
    MET = "MET"
    UNMET = "UNMET"


_S = DemandState

DEMAND_LIFE: LifeCycle[DemandState] = LifeCycle(
    name="Demand",
    states=DemandState,
    initial=_S.STATED,
    steps=(
        Step(_S.STATED, "merge", _S.MERGED, "by the authority, into an item of the list"),
        Step(_S.MERGED, "assign", _S.ASSIGNED, "by the authority, to a provider"),
        Step(_S.ASSIGNED, "meet", _S.MET, "by the provider, with a published resource"),
        Step(_S.ASSIGNED, "give_up", _S.UNMET, "by provider or authority, with a reason"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one organisation needs."""

    id: str
    jurisdiction: str
    consumer: str
    subject: str
    """The information that is needed, in words."""
    elements: frozenset[str] = frozenset()
    """Codes of the data elements, where they are known."""
    purpose: Purpose
    duty: str
    stated_at: dt.datetime
    state: DemandState = DemandState.STATED
    item: str | None = None
    """The item of the demand list that it was merged into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandItem:
    """One item of the demand list."""

    id: str
    jurisdiction: str
    subject: str
    demands: tuple[str, ...]
    state: DemandState = DemandState.MERGED
    merged_at: dt.datetime
    provider: str | None = None
    resource: str | None = None
    assigned_at: dt.datetime | None = None
    closed_at: dt.datetime | None = None
    reason: str = ""
    """Why it stays unmet."""


def state_demand(demand: Demand, *, by: Actor) -> Demand:
    """Return `demand` if `by` may state it: for its own organisation, with subject and duty."""
    if by.organisation != demand.consumer or Role.DEPARTMENT not in by.roles:
        raise Forbidden("an organisation states its own demands")
    if not (demand.subject.strip() and demand.duty.strip()):
        raise Refused("say what is needed, and for which duty", code="FORM_INCOMPLETE")
    if demand.state is not DEMAND_LIFE.initial or demand.item is not None:
        raise LookupError(f"demand {demand.id} is not new")
    return demand


def merge(
    demands: Sequence[Demand],
    *,
    item: str,
    subject: str,
    by: Actor,
    at: dt.datetime,
    authority: Role = Role.AUTHORITY,
) -> tuple[DemandItem, tuple[Demand, ...]]:
    """Merge demands that mean the same into a new item of the list; return it and them."""
    require_role(by, frozenset({authority}), "merging demands")
    if not demands or len({demand.jurisdiction for demand in demands}) != 1:
        raise Refused("merge demands of one jurisdiction", code="DEMANDS_REQUIRED")
    merged = tuple(
        replace(demand, state=DEMAND_LIFE.move(demand.id, demand.state, "merge"), item=item)
        for demand in demands
    )
    listed = DemandItem(
        id=item,
        jurisdiction=demands[0].jurisdiction,
        subject=subject,
        demands=tuple(demand.id for demand in demands),
        merged_at=at,
    )
    return listed, merged


def join(
    item: DemandItem, demand: Demand, *, by: Actor, authority: Role = Role.AUTHORITY
) -> tuple[DemandItem, Demand]:
    """Merge one more demand into an item that is not closed."""
    require_role(by, frozenset({authority}), "merging demands")
    state = DEMAND_LIFE.move(demand.id, demand.state, "merge")
    if item.closed_at is not None or item.jurisdiction != demand.jurisdiction:
        raise Refused(f"item {item.id} is {item.state}", code="DEMAND_CLOSED")
    return (
        replace(item, demands=(*item.demands, demand.id)),
        replace(demand, state=state, item=item.id),
    )


def assign(
    item: DemandItem,
    *,
    provider: str,
    resource: str | None = None,
    by: Actor,
    at: dt.datetime,
    authority: Role = Role.AUTHORITY,
) -> DemandItem:
    """Assign an item to the provider who is to meet it, with the resource if there is one."""
    require_role(by, frozenset({authority}), "assigning a demand")
    state = DEMAND_LIFE.move(item.id, item.state, "assign")
    return replace(item, state=state, provider=provider, resource=resource, assigned_at=at)


def meet(item: DemandItem, *, resource: str, by: Actor, at: dt.datetime) -> DemandItem:
    """Say, as the provider, which published resource meets the item."""
    _require_provider(item, by, "meet")
    state = DEMAND_LIFE.move(item.id, item.state, "meet")
    if not resource.strip():
        raise Refused("name the resource that meets it", code="RESOURCE_REQUIRED")
    return replace(item, state=state, resource=resource, closed_at=at)


def give_up(
    item: DemandItem,
    *,
    reason: str,
    by: Actor,
    at: dt.datetime,
    authority: Role = Role.AUTHORITY,
) -> DemandItem:
    """Close an item that cannot be met, with the reason that its consumers read."""
    if authority not in by.roles:
        _require_provider(item, by, "give_up")
    state = DEMAND_LIFE.move(item.id, item.state, "give_up")
    if not reason.strip():
        raise Refused("say why it is not met", code="REASON_REQUIRED")
    return replace(item, state=state, reason=reason, closed_at=at)


def standing(demand: Demand, item: DemandItem | None) -> DemandState:
    """Return where a demand stands: with its item, once it was merged."""
    return demand.state if item is None or demand.item != item.id else item.state


def _require_provider(item: DemandItem, by: Actor, trigger: str) -> None:
    DEMAND_LIFE.require(item.id, item.state, trigger)
    if by.organisation != item.provider or Role.DEPARTMENT not in by.roles:
        raise Forbidden(f"item {item.id} is assigned to {item.provider}")
