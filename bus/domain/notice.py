"""Notices: what an organisation, or a body of a jurisdiction, has to be told."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that somebody is told; `code` says what, in words that programs know too."""

    id: str
    jurisdiction: str
    to: str
    """An organisation's code, or a role of the jurisdiction: `authority`, `steering`."""
    code: str
    subject_kind: str
    subject: str
    text: str
    at: dt.datetime
    read: bool = False
