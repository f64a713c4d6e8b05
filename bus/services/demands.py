"""The demand list (应用需求数据清单): what consumers need and nobody offers yet (R-033)."""

from bus.domain import demand as demands
from bus.domain.cases import CaseFilter, Held
from bus.domain.demand import Demand, DemandItem, DemandState
from bus.domain.identity import Actor, Role
from bus.domain.share import Purpose
from bus.errors import NotFound, Refused
from bus.services.asking import active_organisation
from bus.services.desk import Act, Desk
from bus.services.grants import entry_of
from bus.services.ids import new_id
from bus.services.kinds import DEMAND, DEMAND_ITEM
from bus.services.visibility import may_see, oversees, seen_as_provider

SUBJECT = "demand"
ITEM = "demand_item"


class Demands:
    """What consumers, the authority and providers do with demands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # --- by consumers -----------------------------------------------------------------------------

    def state(
        self,
        actor: Actor,
        *,
        subject: str,
        elements: frozenset[str],
        purpose: Purpose,
        duty: str,
    ) -> Held[Demand]:
        """State what one's organisation needs; raise `Refused` DEMAND_LIST_NOT_OFFERED."""
        with self._desk.act(actor, "demand.stated", SUBJECT, actor.organisation) as act:
            self._compiler(act, actor.jurisdiction)
            act.for_organisation(actor.organisation, part="consumer")
            active_organisation(act, actor.organisation)
            demand = Demand(
                id=new_id("d", act.now),
                jurisdiction=actor.jurisdiction,
                consumer=actor.organisation,
                subject=subject,
                elements=elements,
                purpose=purpose,
                duty=duty,
                stated_at=act.now,
            )
            act.subject = demand.id
            held = act.transaction.add_case(DEMAND, demands.state_demand(demand, by=actor))
            text = f"{actor.organisation} needs: {subject}"
            act.tell(Role.AUTHORITY, "DEMAND_STATED", SUBJECT, demand.id, text)
        return held

    # --- by the authority -------------------------------------------------------------------------

    def merge(self, actor: Actor, chosen: tuple[str, ...], *, subject: str) -> Held[DemandItem]:
        """Merge demands that mean the same into a new item of the list."""
        with self._desk.act(actor, "demand.merged", ITEM, actor.jurisdiction) as act:
            compiler = self._compiler(act, actor.jurisdiction)
            act.as_role(compiler, jurisdiction=actor.jurisdiction)
            held = [self._demand(act, each) for each in dict.fromkeys(chosen)]
            act.jurisdiction = actor.jurisdiction
            if any(each.value.jurisdiction != actor.jurisdiction for each in held):
                raise Refused("merge demands of your jurisdiction", code="DEMANDS_REQUIRED")
            item, merged = demands.merge(
                [each.value for each in held],
                item=new_id("i", act.now),
                subject=subject,
                by=actor,
                at=act.now,
                authority=compiler,
            )
            act.subject = item.id
            act.details["demands"] = ",".join(item.demands)
            for before, after in zip(held, merged, strict=True):
                act.replace(DEMAND, before, after)
            return act.transaction.add_case(DEMAND_ITEM, item)

    def join(self, actor: Actor, item: str, demand: str) -> Held[DemandItem]:
        """Merge one more demand into an item that is not closed."""
        with self._desk.act(actor, "demand.merged", ITEM, item) as act:
            listed, compiler = self._listed(act, item)
            held = self._demand(act, demand)
            joined, merged = demands.join(listed.value, held.value, by=actor, authority=compiler)
            act.details["demands"] = demand
            act.replace(DEMAND, held, merged)
            return act.replace(DEMAND_ITEM, listed, joined)

    def assign(
        self, actor: Actor, item: str, *, provider: str, resource: str | None
    ) -> Held[DemandItem]:
        """Assign an item to the provider who is to meet it, with the resource if there is one."""
        with self._desk.act(actor, "demand.assigned", ITEM, item) as act:
            listed, compiler = self._listed(act, item)
            found = active_organisation(act, provider)
            if found.jurisdiction != listed.value.jurisdiction:
                raise Refused(f"{provider} is of {found.jurisdiction}", code="ORGANISATION_UNKNOWN")
            if resource is not None:
                _check_owner(act, resource, provider)
            assigned = demands.assign(
                listed.value,
                provider=provider,
                resource=resource,
                by=actor,
                at=act.now,
                authority=compiler,
            )
            act.details |= {"provider": provider, "resource": resource or ""}
            act.tell(provider, "DEMAND_ASSIGNED", ITEM, item, assigned.subject)
            self._tell_consumers(act, assigned, f"assigned to {provider}")
            return act.replace(DEMAND_ITEM, listed, assigned)

    # --- by the provider --------------------------------------------------------------------------

    def meet(self, actor: Actor, item: str, *, resource: str) -> Held[DemandItem]:
        """Say, as the provider, which of its published resources meets an item."""
        with self._desk.act(actor, "demand.met", ITEM, item) as act:
            listed = self._item(act, item)
            met = demands.meet(listed.value, resource=resource, by=actor, at=act.now)
            act.role = "provider"
            _check_owner(act, resource, actor.organisation)
            act.details["resource"] = resource
            self._tell_consumers(act, met, f"met by resource {resource}: request it")
            return act.replace(DEMAND_ITEM, listed, met)

    def give_up(self, actor: Actor, item: str, *, reason: str) -> Held[DemandItem]:
        """Close an item that cannot be met, with the reason that its consumers read."""
        with self._desk.act(actor, "demand.unmet", ITEM, item) as act:
            listed = self._item(act, item)
            compiler = self._compiler(act, listed.value.jurisdiction)
            if compiler in actor.roles:
                act.as_role(compiler, jurisdiction=listed.value.jurisdiction)
            else:
                act.role = "provider"
            closed = demands.give_up(
                listed.value, reason=reason, by=actor, at=act.now, authority=compiler
            )
            act.details["reason"] = reason
            self._tell_consumers(act, closed, f"not met: {reason}")
            return act.replace(DEMAND_ITEM, listed, closed)

    # --- looking ----------------------------------------------------------------------------------

    def get(self, actor: Actor, demand: str) -> tuple[Held[Demand], DemandState]:
        """Return a demand, and where it stands: with its item, once it was merged."""
        with self._desk.look(actor) as act:
            held = self._demand(act, demand)
            return held, _standing(act, held.value)

    def page(
        self, actor: Actor, *, after: str, limit: int
    ) -> list[tuple[Held[Demand], DemandState]]:
        """Return demands that the actor may see, in order of time, and where they stand."""
        where = (
            CaseFilter(jurisdiction=actor.jurisdiction)
            if oversees(actor, actor.jurisdiction)
            else CaseFilter(consumer=actor.organisation)
        )
        with self._desk.look(actor) as act:
            found = act.transaction.cases(DEMAND, where, after=after, limit=limit)
            return [(held, _standing(act, held.value)) for held in found]

    def item(self, actor: Actor, item: str) -> Held[DemandItem]:
        """Return an item: seen by overseers, its provider, and those whose demands it holds."""
        with self._desk.look(actor) as act:
            return self._item(act, item)

    def items(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[DemandItem]]:
        """Return the list: all of it for overseers, for a provider what is assigned to it."""
        seen = seen_as_provider(actor, where)
        with self._desk.look(actor) as act:
            return list(act.transaction.cases(DEMAND_ITEM, seen, after=after, limit=limit))

    # --- steps ------------------------------------------------------------------------------------

    @staticmethod
    def _compiler(act: Act, jurisdiction: str) -> Role:
        """Return who compiles the list there; raise `Refused` if the profile knows none."""
        profile = act.profile(jurisdiction)
        if not profile.get("demand_list.enabled"):
            raise Refused(
                f"profile {profile.name} knows no demand list", code="DEMAND_LIST_NOT_OFFERED"
            )
        return Role(profile.get("demand_list.compiled_by") or Role.AUTHORITY)

    @staticmethod
    def _demand(act: Act, demand: str) -> Held[Demand]:
        held = act.get(DEMAND, demand)
        act.jurisdiction = held.value.jurisdiction
        if not may_see(act.actor, held.value.jurisdiction, {held.value.consumer}):
            raise NotFound(f"there is no demand {demand!r}, or it is not yours to see")
        return held

    @staticmethod
    def _item(act: Act, item: str) -> Held[DemandItem]:
        held = act.get(DEMAND_ITEM, item)
        act.jurisdiction = held.value.jurisdiction
        parties = {act.get(DEMAND, each).value.consumer for each in held.value.demands}
        if held.value.provider is not None:
            parties.add(held.value.provider)
        if not may_see(act.actor, held.value.jurisdiction, parties):
            raise NotFound(f"there is no demand item {item!r}, or it is not yours to see")
        return held

    def _listed(self, act: Act, item: str) -> tuple[Held[DemandItem], Role]:
        """Return an item for whoever compiles the list, and as what."""
        held = self._item(act, item)
        compiler = self._compiler(act, held.value.jurisdiction)
        act.as_role(compiler, jurisdiction=held.value.jurisdiction)
        return held, compiler

    @staticmethod
    def _tell_consumers(act: Act, item: DemandItem, text: str) -> None:
        for demand in item.demands:
            consumer = act.get(DEMAND, demand).value.consumer
            act.tell(consumer, f"DEMAND_{item.state}", SUBJECT, demand, text)


def _check_owner(act: Act, resource: str, provider: str) -> None:
    if entry_of(act, resource).provider != provider:
        raise Refused(f"{resource} is no resource of {provider}", code="RESOURCE_REQUIRED")


def _standing(act: Act, demand: Demand) -> DemandState:
    held = None if demand.item is None else act.transaction.case(DEMAND_ITEM, demand.item)
    return demands.standing(demand, None if held is None else held.value)
