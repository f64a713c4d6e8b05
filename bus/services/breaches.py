"""The breach register (R-220, R-221): what the platform saw by itself, and what was reported."""

from bus.domain.breach import Breach, BreachGround
from bus.services.desk import Act
from bus.services.ids import new_id
from bus.services.kinds import BREACH


def record_breach(
    act: Act,
    organisation: str,
    ground: BreachGround,
    *,
    subject_kind: str,
    subject: str,
    **evidence: str,
) -> Breach:
    """Write a breach into the register and into the audit log, as part of an act."""
    breach = Breach(
        id=new_id("b", act.now),
        jurisdiction=act.jurisdiction,
        organisation=organisation,
        ground=ground,
        at=act.now,
        seen_by=act.actor.account,
        subject_kind=subject_kind,
        subject=subject,
        evidence=evidence,
    )
    act.transaction.add_case(BREACH, breach)
    act.note(
        "breach.recorded",
        "organisation",
        organisation,
        ground=str(ground),
        breach=breach.id,
        **{subject_kind: subject},
        **evidence,
    )
    return breach
