"""Sharing agreements (共享使用协议): a side demands one, and activation waits for both (R-097)."""

from bus.domain import agreement as agreements
from bus.domain import request_steps as steps
from bus.domain.agreement import Agreement
from bus.domain.cases import Held
from bus.domain.identity import Actor
from bus.domain.request import ShareRequest
from bus.errors import NotFound
from bus.services import request_acts as acts
from bus.services.desk import Desk
from bus.services.ids import new_id
from bus.services.kinds import AGREEMENT, REQUEST


class Agreements:
    """What the sides of a request do about their agreement."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def demand_agreement(
        self, actor: Actor, request: str, *, document: str, document_sha256: str
    ) -> Held[ShareRequest]:
        """Demand a sharing agreement, as either side may: activation waits for it (R-097)."""
        with self._desk.act(actor, "agreement.demanded", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            agreement = agreements.ask(
                new_id("a", act.now),
                request=request,
                provider=held.value.provider,
                consumer=held.value.consumer,
                document=document,
                document_sha256=document_sha256,
                by=actor,
                at=act.now,
            )
            act.role = "party"
            act.transaction.add_case(AGREEMENT, agreement)
            rules = acts.rules_of(act, held.value)
            changed = steps.demand_agreement(held.value, rules, agreement=agreement.id)
            act.replace(REQUEST, held, changed)
        return acts.look(self._desk, actor, request)

    def sign_agreement(
        self, actor: Actor, request: str, *, document_sha256: str
    ) -> Held[Agreement]:
        """Sign the agreement of a request for one's own side."""
        with self._desk.act(actor, "agreement.signed", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            if held.value.agreement is None:
                raise NotFound(f"request {request} has no agreement")
            agreement = act.get(AGREEMENT, held.value.agreement)
            signed = agreements.sign(
                agreement.value, document_sha256=document_sha256, by=actor, at=act.now
            )
            act.role = "party"
            return act.replace(AGREEMENT, agreement, signed)
