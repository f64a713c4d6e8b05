"""What a jurisdiction's profile says of notices of rectification (requirements.md §2.2)."""

from bus.domain.identity import Role
from bus.domain.profile import Profile
from bus.domain.rectification import RectificationRules


def rectification_rules(profile: Profile) -> RectificationRules:
    """Return the rules under `profile`; without an issuer nobody sends notices."""
    issuer = profile.get("rectification.issuer")
    return RectificationRules(
        issuer=Role(issuer) if issuer else None,
        strikes=profile.get("rectification.strikes") or 1,
        escalate_to=profile.get("rectification.escalate_to") or "",
        sanctions=frozenset(profile.get("rectification.sanctions") or ()),
        grounds=frozenset(profile.get("rectification.grounds") or ()),
        grounds_complete=bool(profile.get("rectification.grounds_complete")),
    )
