"""
Who received, or could read, a resource's records: the times in which each grant's access stood.

A subscriber on native Kafka reads what and when it likes while its access stands, so the answer
about it is these times; the receipts of other channels say more of what was sent (R-195).
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from bus.domain.audit_log import AuditRow

_OPENING = frozenset({"grant.activated", "grant.resumed"})
_AMENDED = "grant.amended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A time in which the access of one version of a grant stood, on the same terms throughout."""

    grant: str
    version: str
    consumer: str
    purpose: str
    items: str
    valid_until: str
    since: dt.datetime
    until: dt.datetime | None
    """When it ended; None: it stands."""
    ended_by: str
    """The action that ended it; empty: it stands."""


def trace(rows: Iterable[AuditRow], since: dt.datetime | None = None) -> list[Access]:
    """
    Return who could read the resource that `rows` are about, in the order in which access began.

    `rows` are all rows of its grants (`AuditReader.grant_rows`), in order. Only times are returned
    that reach beyond `since`, each from its beginning.
    """
    found = sorted(_times(rows), key=lambda access: (access.since, access.grant))
    return [
        access for access in found if since is None or access.until is None or access.until > since
    ]


def _times(rows: Iterable[AuditRow]) -> Iterator[Access]:
    terms: dict[str, Mapping[str, str]] = {}
    standing: dict[str, Access] = {}
    for row in rows:
        record = row.record
        grant = record.details.get("grant", record.subject)
        # A row that does not repeat a term leaves it as it was.
        terms[grant] = {**terms.get(grant, {}), **record.details}
        before = standing.pop(grant, None)
        if before is not None:
            yield replace(before, until=record.at, ended_by=record.action)
        if record.action in _OPENING or (record.action == _AMENDED and before is not None):
            standing[grant] = _access(grant, terms[grant], record.at)
    yield from standing.values()


def _access(grant: str, terms: Mapping[str, str], since: dt.datetime) -> Access:
    return Access(
        grant=grant,
        version=terms.get("version", ""),
        consumer=terms.get("consumer", ""),
        purpose=terms.get("purpose", ""),
        items=terms.get("items", ""),
        valid_until=terms.get("valid_until", ""),
        since=since,
        until=None,
        ended_by="",
    )
