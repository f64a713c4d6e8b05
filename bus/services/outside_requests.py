"""
Requests and the outside: what leaves a jurisdiction, and what comes in through a gateway.

The consumer's jurisdiction reviews what asks for an outside resource before anything leaves it; the
provider's rules govern the decision (R-094 to R-096, R-265).
"""

import datetime as dt
from dataclasses import replace

from bus.domain import request_steps as steps
from bus.domain.cases import Held
from bus.domain.identity import Actor, Role
from bus.domain.request import Decision, Refusal, ShareRequest
from bus.services import request_acts as acts
from bus.services.desk import Desk
from bus.views.row_filter import FilterCompiler


class OutsideRequests:
    """What the gateway body and the steering body do with requests that cross the border."""

    def __init__(self, desk: Desk, *, compile_filter: FilterCompiler) -> None:
        self._desk = desk
        self._compile_filter = compile_filter

    def record_notice(
        self, actor: Actor, request: str, at: dt.datetime | None
    ) -> Held[ShareRequest]:
        """Note that the gateway's notice reached the provider: the clock starts (R-094)."""
        with self._desk.act(actor, "request.notice_received", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            act.as_role(Role.OFFICE, jurisdiction=held.value.jurisdiction)
            started = steps.start_clock(held.value, at=at or act.now)
            acts.save(act, held, acts.with_due(act, started, acts.rules_of(act, started)))
        return acts.look(self._desk, actor, request)

    def pre_review(
        self, actor: Actor, request: str, *, passed: bool, reason: str = ""
    ) -> Held[ShareRequest]:
        """
        Pass or reject, as the steering body, what asks for an outside resource (R-095).

        What passes is before its provider at once, if that one is on this platform.
        """
        with self._desk.act(actor, "request.pre_reviewed", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            home = held.value.jurisdiction
            rules = acts.rules_of(act, held.value)
            reviewer = rules.pre_review.get(held.value.share_class, str(Role.STEERING))
            act.as_role(Role(reviewer), jurisdiction=home)
            changed = steps.pre_review(
                held.value, passed=passed, reason=reason, by=actor.organisation, at=act.now
            )
            if passed:
                changed = acts.arrive(act, changed, self._compile_filter)
            acts.save(act, held, changed)
            # The review is written down where it was made.
            act.profile(home)
        return acts.look(self._desk, actor, request)

    def record_outside_decision(
        self,
        actor: Actor,
        request: str,
        *,
        decision: Decision | None,
        refusal: Refusal | None,
    ) -> Held[ShareRequest]:
        """Record, as the gateway body, what the outside decided, with its number (R-100)."""
        with self._desk.act(actor, "request.outside_decided", acts.SUBJECT, request) as act:
            held = acts.seen(act, request)
            gateway = act.profile(held.value.jurisdiction).gateway
            body = Role.OFFICE if gateway is None else Role(gateway.body)
            act.as_role(body, jurisdiction=held.value.jurisdiction)
            decided = None
            if decision is not None:
                decided = replace(decision, by=held.value.provider, at=act.now)
            refused = None
            if refusal is not None:
                refused = replace(refusal, by=held.value.provider, at=act.now)
            changed = steps.record_outside_decision(held.value, decided, refused)
            acts.check_decision(act, changed, self._compile_filter)
            acts.save(act, held, changed)
            act.details["document"] = (decision or refusal or Refusal()).document
        return acts.look(self._desk, actor, request)
