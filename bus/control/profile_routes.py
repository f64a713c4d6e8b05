"""Jurisdiction profiles: every value that holds, and where it comes from (R-266)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from bus.control.control_services import Services
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS
from bus.domain.accounts import ApiScope

router = APIRouter(
    prefix="/v1/profiles",
    tags=["profiles"],
    dependencies=[needs(ApiScope.CATALOG)],
    route_class=EdgeRoute,
)
ProfileName = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]
_ABOUT = ("title", "issuer", "level", "status", "effective_from")


@router.get("")
def list_profiles(services: Services, by: ActingActor) -> dict[str, Any]:  # noqa: ARG001 (asks)
    """Return the profiles that are installed, by name."""
    profiles = [services.profiles.profile(name) for name in services.profiles.names()]
    return {
        "items": [
            {
                "name": each.name,
                "version": each.version,
                "parent": each.parent,
                **{key: each.get(f"meta.{key}") for key in _ABOUT},
            }
            for each in profiles
        ]
    }


@router.get("/{name}")
def get_profile(name: ProfileName, services: Services, by: ActingActor) -> dict[str, Any]:  # noqa: ARG001 (asks)
    """Return every value of a profile with its origin, and where nobody says anything."""
    return services.profiles.profile(name).document()
