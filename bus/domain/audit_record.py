"""What is written down of every action and every refusal (R-190, R-193)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The outcome of an action that was carried out; that of a refused one is its code.
DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """
    One action: who, as which role, on what, under which rules, with which outcome.

    `details` hold what is needed to answer "who could receive what, under which grant, for which
    purpose": codes, ids, dates. Never payload, never personal data.
    """

    at: dt.datetime
    jurisdiction: str
    account: str
    organisation: str
    role: str
    action: str
    """Lower-case words with a dot, as in requirements §7: `request.approved`."""
    subject_kind: str
    subject: str
    outcome: str = DONE
    profile: str = ""
    profile_version: str = ""
    trace_id: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
