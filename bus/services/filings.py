"""Filing (备案) of published catalog changes with the authority (R-027)."""

from bus.domain import entry_life, filing
from bus.domain.cases import CaseFilter, Held
from bus.domain.entry import CatalogEntry
from bus.domain.entry_life import EntryFlag
from bus.domain.filing import Filing
from bus.domain.identity import Actor, Role
from bus.errors import NotFound
from bus.services.desk import Act, Desk
from bus.services.ids import new_id
from bus.services.kinds import ENTRY, FILING
from bus.services.visibility import may_see, seen_as_provider

SUBJECT = "filing"


def open_filing(act: Act, entry: CatalogEntry, version: int) -> None:
    """File a version of an entry that is being published, where the profile asks for filing."""
    if not act.profile(entry.jurisdiction).catalog_filing_required:
        return
    opened = Filing(
        id=new_id("f", act.now),
        jurisdiction=entry.jurisdiction,
        entry=entry.resource,
        version=version,
        owner=entry.provider,
        opened_at=act.now,
    )
    act.transaction.add_case(FILING, opened)
    act.note("filing.opened", SUBJECT, opened.id, entry=entry.resource, version=str(version))
    text = f"{entry.resource} version {version} was published: acknowledge its filing"
    act.tell(Role.AUTHORITY, "FILING_PENDING", SUBJECT, opened.id, text)


class Filings:
    """What the authority does with them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def acknowledge(self, actor: Actor, filing_id: str, *, number: str) -> Held[Filing]:
        """Acknowledge a filing, as the authority; its entry shows it while it is the live one."""
        with self._desk.act(actor, "filing.acknowledged", SUBJECT, filing_id) as act:
            held = self._seen(act, filing_id)
            act.as_role(Role.AUTHORITY, jurisdiction=held.value.jurisdiction)
            act.profile(held.value.jurisdiction)
            changed = filing.acknowledge(held.value, number=number, by=actor, at=act.now)
            held = act.replace(FILING, held, changed)
            act.details |= {"entry": changed.entry, "version": str(changed.version)}
            entry = act.get(ENTRY, changed.entry)
            live = entry.value.version == changed.version
            if live and EntryFlag.FILING_PENDING in entry.value.flags:
                act.replace(ENTRY, entry, entry_life.filed(entry.value))
            text = f"{changed.entry} version {changed.version} is filed"
            act.tell(changed.owner, "FILED", SUBJECT, filing_id, text)
        return held

    def get(self, actor: Actor, filing_id: str) -> Held[Filing]:
        """Return a filing of one's own entry or, as one who oversees, of the jurisdiction."""
        with self._desk.look(actor) as act:
            return self._seen(act, filing_id)

    def page(
        self, actor: Actor, where: CaseFilter, *, after: str, limit: int
    ) -> list[Held[Filing]]:
        """Return filings that the actor may see, in order of time."""
        seen = seen_as_provider(actor, where)
        with self._desk.look(actor) as act:
            return list(act.transaction.cases(FILING, seen, after=after, limit=limit))

    @staticmethod
    def _seen(act: Act, filing_id: str) -> Held[Filing]:
        held = act.get(FILING, filing_id)
        act.jurisdiction = held.value.jurisdiction
        if not may_see(act.actor, held.value.jurisdiction, {held.value.owner}):
            raise NotFound(f"there is no filing {filing_id!r}, or it is not yours to see")
        return held
