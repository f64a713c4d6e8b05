"""Jurisdictions: one deployment serves one or more, each under its own profile (R-263)."""

from dataclasses import dataclass

from bus.domain.organisation import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Jurisdiction:
    """What is set up of a jurisdiction."""

    code: str
    title_zh: str
    title_en: str
    profile: str
    """The name of the profile that governs it."""
    level: Level | None = None
    """Its administrative level: who is above it is "higher-level" in escalations (R-093)."""
