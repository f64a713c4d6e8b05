"""
The words in which a jurisdiction profile says what differs: closed lists that rules branch on.

What a regulation may say freely (names of bodies, grounds, sanctions, themes) is text instead.
"""

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import override

_SECONDS = {"s": 1, "m": 60, "h": 3600}


class ClockStart(StrEnum):
    """What starts the clock of a reply (R-082, R-094); its day is not counted."""

    SUBMITTED = "submitted"
    """The consumer applied."""
    RECEIVED = "received"
    """The provider received the application."""
    GATEWAY_NOTICE_RECEIVED = "gateway_notice_received"
    """The provider received the notice of the gateway body."""


class DeadlineCovers(StrEnum):
    """What has to be done when the time is up (R-084)."""

    REPLY = "reply"
    APPROVAL_COMPLETE = "approval_complete"
    SUPPLY = "supply"
    """Reply and supply: the clock stops at activation only."""


class RefusalReason(StrEnum):
    """What a refusal needs (R-085)."""

    NONE_STATED = "none_stated"
    """Nothing is checked."""
    STATED = "stated"
    """A text that is not empty."""
    SPECIFIC = "specific"
    """A coded ground, and a text that names the item or condition concerned."""
    WRITTEN = "written"
    """A signed document."""
    WRITTEN_OPINION = "written_opinion"
    """A signed document, addressed to the body that `refusal.to` names."""


class RefusalGrounds(StrEnum):
    """Which grounds may stand behind a refusal (R-087)."""

    ANY = "any"
    STATUTORY_ONLY = "statutory_only"
    """Instrument and article have to be cited."""


class Hop(StrEnum):
    """One step of an escalation (R-092): who hears the case next."""

    CONSULTATION = "consultation"
    """协商: provider and consumer."""
    THREE_WAY_CONSULTATION = "three_way_consultation"
    """Outside body, gateway body and owning department (R-099)."""
    THREE_PARTY_MEETING = "three_party_meeting"
    """Provider, consumer and operator, convened by the authority (R-101)."""
    AUTHORITY = "authority"
    STEERING = "steering"
    GOVERNMENT = "government"
    INTERMINISTERIAL_CONFERENCE = "interministerial_conference"
    """部际联席会议: decides outside the system, its decision is recorded (R-100)."""


class OnboardingMode(StrEnum):
    """What an organisation needs before its first use (R-004)."""

    NONE = "none"
    APPLICATION_AND_PLEDGE = "application_and_pledge"


class UnconditionalAccess(StrEnum):
    """How an unconditional resource is reached inside the jurisdiction (R-081)."""

    DIRECT = "direct"
    PERMISSION_OPENED = "permission_opened"
    """The permission is opened on the platform; nobody decides."""


class InboundAccess(StrEnum):
    """How an outside unconditional resource comes in (R-096)."""

    DIRECT = "direct"
    PROXY = "proxy"
    """The gateway body fetches it and hands it over."""


class VerificationRoute(StrEnum):
    """Who hears of a doubt (疑义) first (R-171)."""

    DIRECT = "direct"
    DIRECT_AND_NOTIFY_AUTHORITY = "direct_and_notify_authority"
    VIA_STEERING = "via_steering"


class UpdateTrigger(StrEnum):
    """What obliges an organisation to bring its catalog entries up to date (R-025, R-026)."""

    LAW_CHANGE = "law_change"
    FUNCTION_CHANGE = "function_change"
    HOLDINGS_CHANGE = "holdings_change"
    BUSINESS_DEMAND_CHANGE = "business_demand_change"


class Registrar(StrEnum):
    """Who may register what obliges an organisation to update its entries (R-025)."""

    AUTHORITY = "authority"
    OWN_ORGANISATION = "own_organisation"


class NotSharedRequest(StrEnum):
    """What a request for a not-shared resource opens (R-091)."""

    CONSULTATION = "consultation"
    DISAGREEMENT = "disagreement"


class Redistribution(StrEnum):
    """Whether received data may be passed on (R-197)."""

    PROHIBITED = "prohibited"
    WITH_PROVIDER_CONSENT = "with_provider_consent"
    WITH_AUTHORISATION = "with_authorisation"


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time as a profile writes it: `30d`, `1y`, `5s`."""

    count: int
    unit: str
    """`s`, `m` (minutes), `h`, `d`, `mo` or `y`."""

    @classmethod
    def parse(cls, text: str) -> "Period | None":
        """Return the period that `text` writes, or None if it writes none."""
        match = re.fullmatch(r"([1-9][0-9]{0,5})(s|m|h|d|mo|y)", text)
        return cls(int(match[1]), match[2]) if match else None

    def after(self, day: dt.date) -> dt.date:
        """Return the day that lies this many days, months or years after `day`."""
        if self.unit == "d":
            return day + dt.timedelta(days=self.count)
        if self.unit not in {"mo", "y"}:
            raise ValueError(f"{self} is no number of days")
        months = day.year * 12 + day.month - 1 + self.count * (12 if self.unit == "y" else 1)
        year, month = divmod(months, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return dt.date(year, month + 1, min(day.day, last))

    def duration(self) -> dt.timedelta:
        """Return the length; months and years have none."""
        if self.unit == "d":
            return dt.timedelta(days=self.count)
        if self.unit not in _SECONDS:
            raise ValueError(f"{self} has no fixed length")
        return dt.timedelta(seconds=self.count * _SECONDS[self.unit])

    @override
    def __str__(self) -> str:
        return f"{self.count}{self.unit}"
