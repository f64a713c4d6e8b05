"""The profiles that are installed with this release, or lie in a given folder."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from bus.adapters.definitions.profiles import load_profiles
from bus.domain.profile import Profile
from bus.errors import NotFound


class InstalledProfiles:
    """See `bus.ports.control.Profiles`; read once, when first asked for."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def profile(self, name: str) -> Profile:
        try:
            return self._profiles[name]
        except KeyError:
            known = ", ".join(self.names())
            raise NotFound(f"there is no profile {name!r}; there are {known}") from None

    def names(self) -> Sequence[str]:
        return sorted(self._profiles)

    @cached_property
    def _profiles(self) -> dict[str, Profile]:
        return load_profiles(self._folder)
