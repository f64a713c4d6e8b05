"""
Grants (授权) and the checks that they stay inside what the catalog entry allows.

A grant is the right, a subscription its technical delivery (requirements.md §6.3). One grant
carries one subscription here; its mode must be one that the entry offers.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bus.domain.entry import CatalogEntry, DeliveryMode
from bus.domain.names import is_code
from bus.domain.organisation import Organisation
from bus.domain.pseudonyms import FIRST_VERSION, PseudonymKey
from bus.domain.share import Purpose, Scope, ShareClass
from bus.domain.view import Treatment, View, make_view, may_treat

#: design.md §5: a row filter has at most 4 kB.
MAX_FILTER_BYTES = 4096


class GrantState(StrEnum):
    """The states of a grant (requirements.md §6.3); a grant that ended never comes back."""

    AUTHORISED = "AUTHORISED"
    """Decided, not activated yet: nothing is delivered."""
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    """Nothing is delivered; its view is kept, so that it can go on where it stopped."""
    SUPERSEDED = "SUPERSEDED"
    """Another grant, of a new request, took its place."""
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    CLOSED = "CLOSED"
    """It ended, and the consumer confirmed that it deleted what it held."""

    @property
    def ended(self) -> bool:
        """Whether nothing will ever be delivered under it again."""
        return self not in _NOT_ENDED


_NOT_ENDED = frozenset({GrantState.AUTHORISED, GrantState.ACTIVE, GrantState.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a grant is refused: a stable code, the key it concerns, a sentence."""

    code: str
    key: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Rows, items, purpose and period that a consumer may receive of a resource."""

    id: str
    """Also the id of its subscription."""
    resource: str
    consumer: str
    scope: Scope
    purpose: Purpose
    duty: str
    """The duty of the consumer that the data serves (R-080)."""
    row_filter: str | None
    treatments: Mapping[str, Treatment]
    mode: DeliveryMode
    valid_from: dt.date
    valid_until: dt.date
    """The last day on which anything may be delivered."""
    decided_by: str | None = None
    """The organisation that approved a conditional grant: the provider."""
    coordinated: bool = False
    """It rests on a consultation, an escalation or an outside decision, not on a class (R-091)."""
    dispatched: bool = False
    """The authority gave it in the public owner's name: never what is not shared (R-012)."""
    justification: str = ""
    """Why it did."""
    request: str | None = None
    """The request that led to it."""
    suspended_because: str = ""
    graces: Mapping[str, dt.date] = field(default_factory=dict)
    """Items that a tightened class takes away, and the last day on which they come (R-063)."""

    def in_force(self, today: dt.date) -> bool:
        """Whether the period of the grant includes `today`."""
        return self.valid_from <= today <= self.valid_until

    def view(self, entry: CatalogEntry, *, pseudonym_key: int = FIRST_VERSION) -> View:
        """
        Return the view that this grant allows of `entry`.

        `pseudonym_key` is the version of the consumer's (`Organisation.pseudonym_key`).
        """
        return make_view(
            jurisdiction=entry.jurisdiction,
            resource=entry.resource,
            generation=entry.generation,
            row_filter=self.row_filter,
            treatments=self.treatments,
            pseudonyms_for=PseudonymKey(self.consumer, pseudonym_key),
        )


def grant_faults(
    grant: Grant, entry: CatalogEntry, *, consumer: Organisation, provider: Organisation
) -> Iterator[Fault]:
    """Yield everything that forbids `grant`; the row filter's types are checked elsewhere."""
    if not is_code(grant.id):
        yield Fault("GRANT_INVALID", "grant", f"{grant.id!r} is not a code")
    if grant.valid_until < grant.valid_from:
        yield Fault("GRANT_INVALID", "valid_until", "the grant ends before it begins")
    if not consumer.active:
        yield Fault("ORGANISATION_INACTIVE", "consumer", f"{consumer.code} is not active")
    if consumer.zone is not provider.zone:
        yield Fault(
            "ZONE_MISMATCH",
            "consumer",
            f"{consumer.code} is in the {consumer.zone} network, {provider.code} in the "
            f"{provider.zone} one",
        )
    if grant.mode not in entry.delivery_modes:
        yield Fault("MODE_NOT_OFFERED", "mode", f"the entry does not offer `{grant.mode}`")
    if len((grant.row_filter or "").encode()) > MAX_FILTER_BYTES:
        yield Fault("FILTER_INVALID", "rows", f"longer than {MAX_FILTER_BYTES} bytes")
    yield from _item_faults(grant, entry)


def _item_faults(grant: Grant, entry: CatalogEntry) -> Iterator[Fault]:
    known = entry.item_by_name
    for name in sorted(grant.treatments.keys() - known.keys()):
        yield Fault("ITEM_UNKNOWN", f"items.{name}", f"{entry.resource} has no item {name!r}")
    for item in entry.key_items:
        if grant.treatments.get(item.name) is not Treatment.KEEP:
            yield Fault(
                "KEY_ITEMS_REQUIRED", "items", f"key item {item.name!r} belongs to every view"
            )
    for name, treatment in grant.treatments.items():
        if name not in known or treatment is Treatment.OMIT:
            continue
        if not may_treat(treatment, known[name].type):
            yield Fault(
                "TREATMENT_NOT_FOR_TYPE",
                f"items.{name}",
                f"treatment `{treatment}` is for texts, and {name!r} is none; use `null`",
            )
        elif treatment is Treatment.HMAC and grant.consumer == entry.provider:
            # Whoever chooses the texts and sees their pseudonyms can look all others up.
            yield Fault(
                "PSEUDONYM_OF_OWN_DATA",
                f"items.{name}",
                f"{grant.consumer} provides {name!r} itself; use `keep`",
            )
        yield from _class_faults(grant, entry, name)


def _class_faults(grant: Grant, entry: CatalogEntry, name: str) -> Iterator[Fault]:
    rule = entry.rule(entry.item_by_name[name], grant.scope)
    key = f"items.{name}"
    if rule is None:
        yield Fault("SCOPE_NOT_OFFERED", key, f"{name!r} is not offered to the {grant.scope} scope")
    elif grant.coordinated:
        return
    elif rule.share_class is ShareClass.NOT_SHARED:
        yield Fault("NOT_SHARED", key, f"{name!r} is not shared with the {grant.scope} scope")
    elif rule.share_class is ShareClass.CONDITIONAL:
        if grant.decided_by != entry.provider and not grant.dispatched:
            yield Fault(
                "DECISION_REQUIRED",
                "decided_by",
                f"{name!r} is conditional: the provider ({entry.provider}) decides",
            )
        if grant.purpose not in rule.purposes:
            allowed = ", ".join(sorted(rule.purposes))
            yield Fault("PURPOSE_NOT_ALLOWED", "purpose", f"{name!r} may be used for {allowed}")
