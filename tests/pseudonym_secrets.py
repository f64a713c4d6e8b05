"""Secrets of pseudonyms for tests: any bytes, but the same ones everywhere."""

from collections.abc import Mapping

from bus.domain.pseudonyms import PseudonymKey
from bus.errors import PseudonymKeyUnusable

#: Whose pseudonyms a view of the tests shows, if it shows any.
PSEUDONYMS = PseudonymKey("tourism", 1)


class GivenSecrets:
    """See `bus.ports.pseudonym_secrets`; has exactly the versions that it was given."""

    def __init__(self, secrets: Mapping[int, bytes]) -> None:
        self._secrets = dict(secrets)

    def put(self, version: int, secret: bytes) -> None:
        """Have one more, from now on."""
        self._secrets[version] = secret

    def secret(self, version: int) -> bytes:
        if version not in self._secrets:
            raise PseudonymKeyUnusable(f"no secret of version {version}")
        return self._secrets[version]


SECRETS = GivenSecrets({1: bytes(range(32)), 2: bytes(range(32, 64))})
