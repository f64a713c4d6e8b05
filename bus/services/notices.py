"""Notices: what an organisation, or a body in whose role somebody acts, has to be told."""

from collections.abc import Iterator
from dataclasses import replace

from bus.domain.cases import CaseFilter, Held
from bus.domain.identity import Actor, Role
from bus.domain.notice import Notice
from bus.errors import NotFound
from bus.services.desk import Desk
from bus.services.kinds import NOTICE

_SUBJECT = "notice"


class Notices:
    """What whoever asks has to be told."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[Notice]]:
        """Return notices for the actor's organisation and the bodies of its roles, oldest first."""
        found: dict[str, Held[Notice]] = {}
        with self._desk.look(actor) as act:
            for addressed in _addressed(actor):
                both = replace(
                    where, consumer=addressed.consumer, jurisdiction=addressed.jurisdiction
                )
                for held in act.transaction.cases(NOTICE, both, after=after, limit=limit):
                    found[held.value.id] = held
        return [found[each] for each in sorted(found)][:limit]

    def read(self, actor: Actor, notice: str) -> Held[Notice]:
        """Note that a notice was read; once more changes nothing."""
        with self._desk.act(actor, "notice.read", _SUBJECT, notice) as act:
            held = act.get(NOTICE, notice)
            act.jurisdiction = held.value.jurisdiction
            if not any(_is_for(held.value, each) for each in _addressed(actor)):
                raise NotFound(f"there is no notice {notice!r}, or it is not yours to see")
            if not held.value.read:
                held = act.replace(NOTICE, held, replace(held.value, read=True))
        return held


def _addressed(actor: Actor) -> Iterator[CaseFilter]:
    """Yield to whom a notice is that the actor may read."""
    # No organisation reads what is for a body by being called like one.
    if Role.DEPARTMENT in actor.roles and actor.organisation not in {*Role}:
        yield CaseFilter(consumer=actor.organisation)
    for role in sorted(actor.roles - {Role.DEPARTMENT}):
        yield CaseFilter(consumer=str(role), jurisdiction=actor.jurisdiction)


def _is_for(notice: Notice, addressed: CaseFilter) -> bool:
    here = addressed.jurisdiction in {None, notice.jurisdiction}
    return here and notice.to == addressed.consumer
