"""What an identity provider says of itself, and the keys that it signs with."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from bus.adapters.jose.claims import header
from bus.adapters.jose.fetch import IssuerClient
from bus.errors import IssuerUnavailable
from bus.ports import Clock
from bus.ports.identity import TokenRefused

_DISCOVERY = "/.well-known/openid-configuration"
#: How long documents are believed without asking again.
_FRESH_SECONDS = 600.0
#: How long they are used although the provider does not answer.
_STALE_SECONDS = 24 * 3600.0
#: Strangers may name keys that there are not: that makes us ask only so often.
_ASK_AGAIN_SECONDS = 30.0
#: After a failure nobody waits for another one so soon.
_REST_SECONDS = 5.0
_MOST_KEYS = 100
#: Which kind of key each algorithm takes. All are public keys: no secret is ever shared.
KEY_TYPES: Mapping[str, str] = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "EdDSA": "OKP",
}


class IssuerKeys:
    """Keeps an identity provider's own description and its keys."""

    def __init__(self, client: IssuerClient, clock: Clock, algorithms: Sequence[str]) -> None:
        unknown = set(algorithms) - KEY_TYPES.keys()
        if unknown or not algorithms:
            raise ValueError(f"not for tokens of others: {sorted(unknown)}")
        self.algorithms = tuple(algorithms)
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: Mapping[str, Any] = {}
        self._keys: Sequence[Mapping[str, Any]] = ()
        self._got_at: float | None = None
        self._failed_at: float | None = None

    @property
    def issuer(self) -> str:
        """The provider's address, as it is in its tokens."""
        return self._client.issuer

    def address_of(self, name: str) -> str:
        """Return an endpoint's address; raise `IssuerUnavailable` if the provider names none."""
        with self._lock:
            self._refresh(_FRESH_SECONDS)
            found = self._metadata.get(name)
        if not isinstance(found, str):
            raise IssuerUnavailable(f"the identity provider names no {name}")
        return found

    def names(self, name: str) -> Sequence[object]:
        """Return a list that the provider says of itself; empty if it does not."""
        with self._lock:
            self._refresh(_FRESH_SECONDS)
            found = self._metadata.get(name)
        return found if isinstance(found, list) else ()

    def key_of(self, token: str) -> jwt.PyJWK:
        """
        Return the key that a token names, for the algorithm that it names.

        Raise `TokenRefused` unless the algorithm is one of ours and the provider has such a key.
        """
        named = header(token)
        algorithm, key_id = named.get("alg"), named.get("kid")
        if algorithm not in self.algorithms:
            raise TokenRefused("its algorithm is not among those that are allowed")
        if key_id is not None and not isinstance(key_id, str):
            raise TokenRefused("it names no key")
        with self._lock:
            self._refresh(_FRESH_SECONDS)
            found = self._find(algorithm, key_id)
            if found is None:
                self._refresh(_ASK_AGAIN_SECONDS)
                found = self._find(algorithm, key_id)
        if found is None:
            raise TokenRefused("the identity provider has no such key")
        try:
            return jwt.PyJWK(dict(found), algorithm=algorithm)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise TokenRefused("the identity provider's key cannot be used") from error

    def _find(self, algorithm: str, key_id: str | None) -> Mapping[str, Any] | None:
        fitting = [
            key
            for key in self._keys
            if key.get("kty") == KEY_TYPES[algorithm]
            and key.get("alg", algorithm) == algorithm
            and key.get("use", "sig") == "sig"
            and (key_id is None or key.get("kid") == key_id)
        ]
        # Without a name there must be no choice.
        return fitting[0] if len(fitting) == 1 else None

    def _refresh(self, older_than: float) -> None:
        """Ask again if what is known is older; keep it if the provider does not answer."""
        now = self._clock.monotonic()
        age = None if self._got_at is None else now - self._got_at
        if age is not None and age < older_than:
            return
        usable = age is not None and age < _STALE_SECONDS
        if self._failed_at is not None and now - self._failed_at < _REST_SECONDS:
            if usable:
                return
            raise IssuerUnavailable("the identity provider did not answer")
        try:
            self._ask()
        except IssuerUnavailable:
            self._failed_at = now
            if not usable:
                raise
        else:
            self._got_at, self._failed_at = now, None

    def _ask(self) -> None:
        metadata = self._client.get(self.issuer.rstrip("/") + _DISCOVERY)
        if metadata.get("issuer") != self.issuer:
            raise IssuerUnavailable("the identity provider calls itself something else")
        address = metadata.get("jwks_uri")
        if not isinstance(address, str):
            raise IssuerUnavailable("the identity provider names no keys")
        keys = self._client.get(address).get("keys")
        if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
            raise IssuerUnavailable("the identity provider has no keys")
        self._metadata = metadata
        self._keys = [key for key in keys if isinstance(key, dict)]
