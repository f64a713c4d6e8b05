"""Logging in at an OpenID provider: authorization code flow with PKCE (OIDC Core, RFC 7636)."""

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

from bus.adapters.jose.claims import verified
from bus.adapters.jose.fetch import IssuerClient, check_address
from bus.adapters.jose.issuer_keys import IssuerKeys
from bus.errors import ConfigError, IssuerUnavailable
from bus.ports.identity import ExternalSubject, LoginAttempt, TokenRefused

_MAX_CODE_CHARACTERS = 2048
_MAX_TOKEN_CHARACTERS = 16384


class OpenIDLogin:
    """See `bus.ports.identity.LoginProvider`."""

    def __init__(
        self,
        client: IssuerClient,
        keys: IssuerKeys,
        *,
        client_id: str,
        client_secret: str | None = None,
    ) -> None:
        self._client = client
        self._keys = keys
        self._client_id = client_id
        self._client_secret = client_secret

    @property
    def issuer(self) -> str:
        return self._keys.issuer

    def authorisation_address(self, attempt: LoginAttempt, redirect_to: str) -> str:
        address = self._keys.address_of("authorization_endpoint")
        try:
            check_address(address)
        except ConfigError:
            raise IssuerUnavailable("the identity provider names no safe address") from None
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_to,
            "scope": "openid profile",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        parts = urlsplit(address)
        joined = "&".join(part for part in (parts.query, urlencode(query)) if part)
        return urlunsplit(parts._replace(query=joined, fragment=""))

    def subject(
        self, code: str, attempt: LoginAttempt, redirect_to: str, now: dt.datetime
    ) -> ExternalSubject:
        if len(code) > _MAX_CODE_CHARACTERS:
            raise TokenRefused("no code is so long")
        token = self._exchanged(code, attempt, redirect_to).get("id_token")
        if not isinstance(token, str) or len(token) > _MAX_TOKEN_CHARACTERS:
            raise TokenRefused("the identity provider gave no ID token")
        claims = verified(
            token,
            self._keys.key_of(token),
            algorithms=self._keys.algorithms,
            issuer=self.issuer,
            audience=self._client_id,
            now=now,
        )
        self._check_meant_for_us(claims, attempt)
        username = claims.get("preferred_username")
        return ExternalSubject(
            issuer=self.issuer,
            subject=claims["sub"],
            username=username if isinstance(username, str) and username else None,
        )

    def _check_meant_for_us(self, claims: Mapping[str, Any], attempt: LoginAttempt) -> None:
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode(), attempt.nonce.encode()
        ):
            raise TokenRefused("it belongs to another log-in")
        several = isinstance(claims.get("aud"), list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client_id) != self._client_id:
            raise TokenRefused("it was made for another client")

    def _exchanged(self, code: str, attempt: LoginAttempt, redirect_to: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_to,
            "code_verifier": attempt.verifier,
        }
        address = self._keys.address_of("token_endpoint")
        if self._client_secret is None:
            return self._client.post(address, {**form, "client_id": self._client_id})
        methods = self._keys.names("token_endpoint_auth_methods_supported")
        if methods and "client_secret_basic" not in methods:
            secret = {"client_id": self._client_id, "client_secret": self._client_secret}
            return self._client.post(address, {**form, **secret})
        basic = (quote_plus(self._client_id), quote_plus(self._client_secret))
        return self._client.post(address, form, basic=basic)


def challenge(verifier: str) -> str:
    """Return what a log-in shows at its begin of what it says at its end (RFC 7636, S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
