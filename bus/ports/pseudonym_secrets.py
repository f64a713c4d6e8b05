"""What the keys of pseudonyms are derived from (docs/adr/0024)."""

from typing import Protocol


class PseudonymSecrets(Protocol):
    """The platform's secrets, one a key version. Few processes have them, and none shows them."""

    def secret(self, version: int) -> bytes:
        """Return the secret of a version; raise `PseudonymKeyUnusable` if it cannot be used."""
        ...
