"""Breaches (R-220): who broke which ground, seen how, on what evidence."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class BreachGround(StrEnum):
    """The grounds of all regulations, united (requirements.md §2.3)."""

    CATALOG_LATE = "B01"
    """The catalog was not compiled, or not updated in time."""
    CONCEALED = "B02"
    """Concealed, omitted or inflated."""
    SUPPLY_LATE = "B03"
    """Not supplied or not updated in time."""
    NOT_ACCEPTED = "B04"
    """A request was not accepted, or not answered."""
    REFUSED = "B05"
    """Refused without cause."""
    INCONSISTENT = "B06"
    """What is on the platform differs from what the provider holds."""
    UNUSABLE = "B07"
    """Not to standard, unusable."""
    MISUSED = "B08"
    """Used beyond duty, scope widened."""
    LEAKED = "B09"
    COLLECTED_AGAIN = "B10"
    """Collected again although it could be shared."""
    NOT_CONTINUOUS = "B11"
    """The feed was not continuously guaranteed."""
    OTHER = "B12"


#: Which of them each word of `rectification.grounds` stands for.
STANDS_FOR: Mapping[str, frozenset[BreachGround]] = {
    "catalog_not_compiled_or_late": frozenset({BreachGround.CATALOG_LATE}),
    "concealed_omitted_inflated_or_late_supply": frozenset(
        {BreachGround.CONCEALED, BreachGround.SUPPLY_LATE}
    ),
    "late_supply": frozenset({BreachGround.SUPPLY_LATE}),
    "delayed_or_not_updated": frozenset({BreachGround.SUPPLY_LATE}),
    "intake_refused_without_cause": frozenset({BreachGround.NOT_ACCEPTED}),
    "refusal_without_cause": frozenset({BreachGround.REFUSED}),
    "inconsistent_or_unusable": frozenset({BreachGround.INCONSISTENT, BreachGround.UNUSABLE}),
    "use_beyond_duty": frozenset({BreachGround.MISUSED}),
    "misuse_leak_or_scope_widened": frozenset({BreachGround.MISUSED, BreachGround.LEAKED}),
    "duplicate_collection": frozenset({BreachGround.COLLECTED_AGAIN}),
    "not_continuously_guaranteed": frozenset({BreachGround.NOT_CONTINUOUS}),
    "other": frozenset({BreachGround.OTHER}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One line of the breach register; it stays, whatever becomes of it."""

    id: str
    jurisdiction: str
    organisation: str
    """Who broke it."""
    ground: BreachGround
    at: dt.datetime
    seen_by: str
    """The account that reported it; the scheduler's where the platform saw it by itself."""
    subject_kind: str
    subject: str
    """What it happened to: an entry, a request."""
    evidence: Mapping[str, str] = field(default_factory=dict)
