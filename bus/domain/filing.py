"""Filing (备案) of a published catalog change with the authority (R-027)."""

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum

from bus.domain.identity import Actor, Role, require_role
from bus.domain.life_cycle import LifeCycle, Step


class FilingState(StrEnum):
    """Whether the authority acknowledged."""

    FILING_PENDING = "FILING_PENDING"
    FILED = "FILED"


FILING_LIFE: LifeCycle[FilingState] = LifeCycle(
    name="Filing",
    states=FilingState,
    initial=FilingState.FILING_PENDING,
    steps=(Step(FilingState.FILING_PENDING, "acknowledge", FilingState.FILED, "by the authority"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """The filing of one version of one entry."""

    id: str
    jurisdiction: str
    entry: str
    version: int
    owner: str
    opened_at: dt.datetime
    state: FilingState = FilingState.FILING_PENDING
    number: str = ""
    """The authority's own number of it."""
    acknowledged_at: dt.datetime | None = None
    acknowledged_by: str | None = None


def acknowledge(
    filing: Filing,
    *,
    number: str = "",
    by: Actor,
    at: dt.datetime,
    authority: Role = Role.AUTHORITY,
) -> Filing:
    """Acknowledge, as the authority; if it is the live version, follow with `entry_life.filed`."""
    require_role(by, frozenset({authority}), "acknowledging a filing")
    state = FILING_LIFE.move(filing.id, filing.state, "acknowledge")
    return replace(
        filing, state=state, number=number, acknowledged_at=at, acknowledged_by=by.organisation
    )
