"""
Who is the one source (一数一源) of a data element, and since when (R-035, R-150, R-155).

All assignments of one element are one value, `ElementSources`, because the rule is about all of
them: at no instant two sources, and none only during a gap that was recorded.
"""

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.domain.identity import Actor, Role, require_role
from bus.domain.life_cycle import LifeCycle, Step
from bus.errors import Forbidden, NotFound, Refused


class AssignmentState(StrEnum):
    """Where a claim to be the source of an element stands."""

    CLAIMED = "CLAIMED"
    """Declared by an organisation itself; gives it nothing yet."""
    CONFIRMED = "CONFIRMED"
    """Fixed by the authority, from an instant on."""
    ACTIVE = "ACTIVE"
    TRANSFERRED = "TRANSFERRED"
    """Another organisation took over; what was before stays attributed to this one."""
    ENDED = "ENDED"


_S = AssignmentState

SOURCE_LIFE: LifeCycle[AssignmentState] = LifeCycle(
    name="Source assignment",
    states=AssignmentState,
    initial=_S.CLAIMED,
    steps=(
        Step(_S.CLAIMED, "confirm", _S.CONFIRMED, "by the authority; nobody else has the element"),
        Step(_S.CLAIMED, "reject", _S.ENDED, "by the authority, with a reason"),
        Step(_S.CONFIRMED, "activate", _S.ACTIVE, "its first instant is reached"),
        Step(_S.ACTIVE, "transfer", _S.ACTIVE, "by the authority; a successor is CONFIRMED"),
        Step(_S.ACTIVE, "hand_over", _S.TRANSFERRED, "the successor becomes ACTIVE with it"),
        Step(_S.ACTIVE, "end", _S.ENDED, "by the authority, with the reason of the gap"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAssignment:
    """One organisation's time as source of an element, from `valid_from` until `valid_until`."""

    id: str
    organisation: str
    state: AssignmentState = AssignmentState.CLAIMED
    claimed_at: dt.datetime
    standard: str = ""
    """The collection standard that the authority fixed."""
    duty: str = ""
    """The collecting department's duty."""
    confirmed_by: str = ""
    valid_from: dt.datetime | None = None
    valid_until: dt.datetime | None = None
    """The first instant at which it is no longer the source; None: open."""
    predecessor: str | None = None
    reason: str = ""
    """Why it was rejected, transferred or ended; of an end, why there is a gap."""

    def holds(self, instant: dt.datetime) -> bool:
        """Whether it is the source at `instant`, whatever was carried out by then."""
        if self.valid_from is None or instant < self.valid_from:
            return False
        return self.valid_until is None or instant < self.valid_until


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementSources:
    """Every assignment of one data element (by its code, R-157) in one jurisdiction."""

    jurisdiction: str
    element: str
    assignments: tuple[SourceAssignment, ...] = ()

    @property
    def id(self) -> str:
        """What nothing else is called: an element has one list of sources in a jurisdiction."""
        return sources_id(self.jurisdiction, self.element)

    def get(self, assignment: str) -> SourceAssignment:
        """Return one assignment."""
        for each in self.assignments:
            if each.id == assignment:
                return each
        raise NotFound(f"element {self.element!r} has no source assignment {assignment!r}")

    def source_at(self, instant: dt.datetime) -> SourceAssignment | None:
        """Return the one source at `instant`; None before the first, and in a recorded gap."""
        for each in self.assignments:
            if each.holds(instant):
                return each
        return None

    @property
    def open(self) -> SourceAssignment | None:
        """The assignment that holds without an end: confirmed, or active and not transferred."""
        for each in self.assignments:
            if each.valid_from is not None and each.valid_until is None:
                return each
        return None


def sources_id(jurisdiction: str, element: str) -> str:
    """Return the id of the sources of an element."""
    return f"{jurisdiction}/{element}"


def claim(
    sources: ElementSources, assignment: str, *, by: Actor, at: dt.datetime
) -> ElementSources:
    """Claim the element for the organisation of `by`; pending until the authority confirms."""
    if Role.DEPARTMENT not in by.roles:
        raise Forbidden("a department claims what it collects, for itself")
    _require_free(sources, by.organisation)
    if any(each.id == assignment for each in sources.assignments):
        raise Refused(f"there is an assignment {assignment} already", code="ASSIGNMENT_EXISTS")
    claimed = SourceAssignment(id=assignment, organisation=by.organisation, claimed_at=at)
    return replace(sources, assignments=(*sources.assignments, claimed))


def confirm(
    sources: ElementSources,
    assignment: str,
    *,
    standard: str,
    duty: str,
    valid_from: dt.datetime,
    by: Actor,
    assigner: Role = Role.AUTHORITY,
) -> ElementSources:
    """Fix standard, collecting department and its duty (R-035); refused while another has it."""
    require_role(by, frozenset({assigner}), "confirming a source")
    held = sources.get(assignment)
    state = SOURCE_LIFE.move(assignment, held.state, "confirm")
    _require_free(sources, held.organisation)
    if not (standard.strip() and duty.strip()):
        raise Refused("name the collection standard and the duty", code="STANDARD_REQUIRED")
    last = max((each.valid_until for each in sources.assignments if each.valid_until), default=None)
    if last is not None and valid_from < last:
        raise Refused(f"the element has a source until {last}", code="ONE_SOURCE_CONFLICT")
    confirmed = replace(
        held,
        state=state,
        standard=standard,
        duty=duty,
        confirmed_by=by.organisation,
        valid_from=valid_from,
    )
    return _with(sources, confirmed)


def reject(
    sources: ElementSources,
    assignment: str,
    *,
    reason: str,
    by: Actor,
    assigner: Role = Role.AUTHORITY,
) -> ElementSources:
    """Reject a claim, with a reason."""
    require_role(by, frozenset({assigner}), "rejecting a claim")
    held = sources.get(assignment)
    state = SOURCE_LIFE.move(assignment, held.state, "reject")
    _require_reason(reason)
    return _with(sources, replace(held, state=state, reason=reason))


def activate(sources: ElementSources, assignment: str, *, at: dt.datetime) -> ElementSources:
    """Carry out what was confirmed, once its first instant is reached."""
    held = sources.get(assignment)
    if held.state is AssignmentState.CONFIRMED and held.predecessor is not None:
        return hand_over(sources, held.predecessor, at=at)
    state = SOURCE_LIFE.move(assignment, held.state, "activate")
    _require_reached(held.valid_from, at)
    return _with(sources, replace(held, state=state))


def transfer(
    sources: ElementSources,
    assignment: str,
    *,
    to: str,
    successor: str,
    on: dt.datetime,
    reason: str,
    by: Actor,
    at: dt.datetime,
    assigner: Role = Role.AUTHORITY,
) -> ElementSources:
    """
    Move the element to the organisation `to` at the instant `on`.

    Until then the present source goes on; at that instant, exactly, the successor is the source.
    `hand_over` carries it out.
    """
    require_role(by, frozenset({assigner}), "transferring a source")
    held = sources.get(assignment)
    state = SOURCE_LIFE.move(assignment, held.state, "transfer")
    _require_reason(reason)
    if held.valid_until is not None:
        raise Refused(
            f"{assignment} is already transferred from {held.valid_until} on",
            code="TRANSFER_PENDING",
        )
    if held.organisation == to:
        raise Refused(f"{to} is the source already", code="TRANSFER_INVALID")
    if on < at:
        raise Refused("history does not change: name an instant to come", code="TRANSFER_INVALID")
    if any(each.id == successor for each in sources.assignments):
        raise Refused(f"there is an assignment {successor} already", code="ASSIGNMENT_EXISTS")
    new = SourceAssignment(
        id=successor,
        organisation=to,
        state=AssignmentState.CONFIRMED,
        claimed_at=at,
        standard=held.standard,
        duty=held.duty,
        confirmed_by=by.organisation,
        valid_from=on,
        predecessor=assignment,
    )
    left = _with(sources, replace(held, state=state, valid_until=on, reason=reason))
    return replace(left, assignments=(*left.assignments, new))


def hand_over(sources: ElementSources, assignment: str, *, at: dt.datetime) -> ElementSources:
    """Carry out a transfer whose instant is reached: both sides in one step."""
    held = sources.get(assignment)
    state = SOURCE_LIFE.move(assignment, held.state, "hand_over")
    if held.valid_until is None:
        raise Refused(f"no transfer of {assignment} was decided", code="TRANSFER_NOT_DECIDED")
    _require_reached(held.valid_until, at)
    (successor,) = (each for each in sources.assignments if each.predecessor == assignment)
    active = SOURCE_LIFE.move(successor.id, successor.state, "activate")
    return _with(_with(sources, replace(held, state=state)), replace(successor, state=active))


def end(
    sources: ElementSources,
    assignment: str,
    *,
    reason: str,
    by: Actor,
    at: dt.datetime,
    assigner: Role = Role.AUTHORITY,
) -> ElementSources:
    """End an assignment without a successor: a gap, recorded with its reason."""
    require_role(by, frozenset({assigner}), "ending a source")
    held = sources.get(assignment)
    state = SOURCE_LIFE.move(assignment, held.state, "end")
    _require_reason(reason)
    if held.valid_until is not None:
        raise Refused(
            f"{assignment} goes to a successor at {held.valid_until}", code="TRANSFER_PENDING"
        )
    return _with(sources, replace(held, state=state, valid_until=at, reason=reason))


def _with(sources: ElementSources, changed: SourceAssignment) -> ElementSources:
    return replace(
        sources,
        assignments=tuple(
            changed if each.id == changed.id else each for each in sources.assignments
        ),
    )


def _require_free(sources: ElementSources, organisation: str) -> None:
    first = sources.open
    if first is not None:
        raise Refused(
            f"{first.organisation} is the one source of element {sources.element!r}; "
            f"{organisation} cannot be a second one",
            code="ONE_SOURCE_CONFLICT",
        )


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise Refused("say why", code="REASON_REQUIRED")


def _require_reached(instant: dt.datetime | None, at: dt.datetime) -> None:
    if instant is not None and at < instant:
        raise Refused(f"not before {instant}", code="NOT_DUE")
