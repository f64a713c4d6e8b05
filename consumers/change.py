"""What a subscriber receives: one change of one record of its view."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consumers.descriptor import Descriptor


class ChangeKind(StrEnum):
    """What has happened."""

    UPSERT = "upsert"
    """The record is now as `record` says."""
    DELETE = "delete"
    """The record is not in the view any more; `Meta.reason` says why."""
    RESYNC_STARTED = "resync-started"
    """The whole view follows once more (the grant has changed, or too much time has passed)."""
    RESYNC_ENDED = "resync-ended"
    """That was the whole view: what did not come since the start is not in it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """Where a change comes from (R-123)."""

    event_id: uuid.UUID
    occurred_at: dt.datetime
    """When it happened, as the provider says."""
    accepted_at: dt.datetime
    """When the bus took it in."""
    source: str
    entry_version: int
    generation: int
    partition: int
    position: int
    mark: str | None = None
    reason: str | None = None
    """Of a delete: `deleted` at the source, or `left-view`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, with the subscription under which it was received."""

    kind: ChangeKind
    key: str
    record: Mapping[str, Any] | None
    """The items of an upsert; None for everything else."""
    meta: Meta | None
    """None for the two marks of a resync."""
    subscription: Descriptor
    """Grant, purpose and class under which this may be used."""
