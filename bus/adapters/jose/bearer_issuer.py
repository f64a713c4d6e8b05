"""Bearer tokens of an outside issuer, for services (RFC 9068)."""

import datetime as dt

from bus.adapters.jose.claims import header, verified
from bus.adapters.jose.issuer_keys import IssuerKeys
from bus.ports.identity import ExternalSubject, TokenRefused

#: An ID token or a logout token is none.
_TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})


class OutsideBearerIssuer:
    """See `bus.ports.identity.BearerIssuer`."""

    def __init__(self, keys: IssuerKeys, *, audience: str) -> None:
        self._keys = keys
        self._audience = audience

    @property
    def issuer(self) -> str:
        return self._keys.issuer

    def verify(self, token: str, now: dt.datetime) -> ExternalSubject:
        if str(header(token).get("typ", "")).lower() not in _TYPES:
            raise TokenRefused("it is a token for something else")
        claims = verified(
            token,
            self._keys.key_of(token),
            algorithms=self._keys.algorithms,
            issuer=self.issuer,
            audience=self._audience,
            now=now,
        )
        return ExternalSubject(issuer=self.issuer, subject=claims["sub"])
