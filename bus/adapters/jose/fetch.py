"""Asking an identity provider: bounded in size and time, without redirects, https beyond here."""

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import structlog

from bus.errors import ConfigError, IssuerUnavailable
from bus.ports.identity import TokenRefused
from bus.settings import is_loopback

log = structlog.get_logger(__name__)

_MAX_BYTES = 256 << 10
#: For one answer, from the first byte that is sent to the last that comes.
_SECONDS = 5.0
_OK = 200
_BAD_REQUEST = 400


class IssuerClient:
    """Asks one identity provider."""

    def __init__(
        self, issuer: str, *, ca_file: str | None = None, seconds: float = _SECONDS
    ) -> None:
        check_address(issuer)
        self.issuer = issuer
        self._seconds = seconds
        self._http = httpx2.Client(
            timeout=seconds,
            follow_redirects=False,
            verify=ca_file or True,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            trust_env=not is_loopback(httpx2.URL(issuer).host),
        )

    def get(self, url: str) -> Mapping[str, Any]:
        """Return the JSON document at `url`; raise `IssuerUnavailable` if it cannot be had."""
        return self._answer("GET", url)

    def post(
        self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
    ) -> Mapping[str, Any]:
        """
        Send a form and return the JSON document that answers it, as `get` does.

        Raise `TokenRefused` if the provider finds fault with what was sent.
        """
        return self._answer("POST", url, data=dict(form), auth=basic)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _answer(
        self,
        method: str,
        url: str,
        *,
        data: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Mapping[str, Any]:
        try:
            check_address(url)
            with self._http.stream(method, url, data=data, auth=auth) as response:
                document = json.loads(self._body(response))
        except (
            httpx2.HTTPError,
            httpx2.InvalidURL,
            ConfigError,
            ValueError,
            RecursionError,
        ) as error:
            # Its words may hold what was sent.
            log.warning("no answer of the identity provider", reason=type(error).__name__)
            raise IssuerUnavailable(
                f"the identity provider does not answer as it should: {type(error).__name__}"
            ) from None
        if not isinstance(document, dict):
            raise IssuerUnavailable("the identity provider answers with something else")
        return document

    def _body(self, response: httpx2.Response) -> bytes:
        if response.status_code == _BAD_REQUEST and response.request.method == "POST":
            raise TokenRefused("the identity provider refuses the code")
        if response.status_code != _OK or "content-encoding" in response.headers:
            raise IssuerUnavailable(f"the identity provider answers {response.status_code}")
        until = time.monotonic() + self._seconds
        body = b""
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _MAX_BYTES or time.monotonic() > until:
                raise IssuerUnavailable("the identity provider's answer is too large, or too slow")
        return body


def check_address(url: str) -> None:
    """Raise `ConfigError` unless `url` is https, or http on this machine."""
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise ConfigError(f"{url!r} is no address") from error
    if parsed.scheme == "https" and parsed.host:
        return
    if parsed.scheme != "http" or not is_loopback(parsed.host):
        raise ConfigError(f"{url!r} is not https")
