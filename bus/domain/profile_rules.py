"""What a profile says about one matter, in the domain's own types: what life cycles are given."""

from collections.abc import Mapping
from dataclasses import dataclass

from bus.domain.profile_terms import (
    InboundAccess,
    OnboardingMode,
    RefusalGrounds,
    RefusalReason,
    VerificationRoute,
)
from bus.domain.share import ShareClass


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRule:
    """What a refusal needs (R-085 to R-087)."""

    reason: RefusalReason
    grounds: RefusalGrounds
    consent_by: str | None
    consent_target_wd: int | None
    """A reminder only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSharedRule:
    """What makes a resource not shared (R-053 to R-055)."""

    basis_types: frozenset[str]
    written_application: bool
    application_to: str | None
    reason: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingRule:
    """What an organisation needs before its first use (R-004)."""

    mode: OnboardingMode
    approved_by: str | None
    first_use_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRule:
    """Who talks to the higher platform, and after whose review (R-094 to R-096)."""

    body: str
    technical: str | None
    pre_review: Mapping[ShareClass, str]
    unconditional_inbound: InboundAccess | None
    format_conversion: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRule:
    """What happens to a doubt (R-170 to R-175); None where nobody says."""

    enabled: bool
    route: VerificationRoute | None
    external_route: VerificationRoute | None
    continue_service: bool | None
    target_wd: int | None
    """A reminder only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisagreementRule:
    """The procedure for disagreement (R-101)."""

    enabled: bool
    subjects: frozenset[str]
    convener: str | None
    convene_target_wd: int | None
    """A reminder only."""
    parties: tuple[str, ...]
    final: str | None
