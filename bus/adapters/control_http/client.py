"""Descriptors and schemas from the control plane."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2

from bus.errors import ControlUnavailable, CredentialsMissing, NotFound
from bus.settings import is_loopback

_TIMEOUT_SECONDS = 10.0
_NOT_MODIFIED = 304
_UNAUTHORISED = 401
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAccount:
    """Where the control plane is, and who asks."""

    url: str
    username: str
    password: str = field(repr=False)
    ca_file: str | None = None


class ControlClient:
    """
    Asks the control plane.

    Every call may raise `ControlUnavailable` (try again), `NotFound` (unknown, or not ours) or
    `CredentialsMissing` (not accepted).
    """

    def __init__(self, account: ControlAccount) -> None:
        self._http = httpx2.Client(
            base_url=account.url,
            auth=(account.username, account.password),
            timeout=_TIMEOUT_SECONDS,
            verify=account.ca_file or True,
            # What runs on this machine is not asked for through a proxy.
            trust_env=not is_loopback(httpx2.URL(account.url).host),
        )
        self._username = account.username
        self._tags: dict[str, tuple[str, Any]] = {}
        self._schemas: dict[int, str] = {}

    def subscription(self, subscription: str) -> dict[str, Any]:
        """Return the descriptor of a subscription."""
        found: dict[str, Any] = self._get(f"/v1/subscriptions/{_quoted(subscription)}")
        return found

    def publication(self, resource: str) -> dict[str, Any]:
        """Return how the provider of `resource` publishes."""
        found: dict[str, Any] = self._get(f"/v1/publications/{_quoted(resource)}")
        return found

    def schema(self, schema_id: int) -> str:
        """Return the text of a schema; asked for once."""
        if schema_id not in self._schemas:
            found: str = self._get(f"/schemas/ids/{schema_id}")["schema"]
            self._schemas[schema_id] = found
        return self._schemas[schema_id]

    def subject_schemas(self, subject: str) -> list[str]:
        """Return the texts of all versions of a subject, oldest first."""
        path = f"/subjects/{_quoted(subject)}/versions"
        return [self._get(f"{path}/{version}")["schema"] for version in self._get(path)]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _get(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        known = self._tags.get(path)
        headers = {"If-None-Match": known[0]} if known else {}
        try:
            response = self._http.get(path, headers=headers)
        except httpx2.RequestError as error:
            raise ControlUnavailable(f"the control plane does not answer: {error}") from error
        if response.status_code == _NOT_MODIFIED and known is not None:
            return known[1]
        if response.status_code == _UNAUTHORISED:
            raise CredentialsMissing(f"the control plane does not accept {self._username}")
        if response.status_code == _NOT_FOUND:
            raise NotFound(_detail(response))
        if not response.is_success:
            raise ControlUnavailable(f"the control plane says: {_detail(response)}")
        try:
            content = response.json()
        except ValueError as error:
            raise ControlUnavailable(f"{response.url} is not the control plane") from error
        if tag := response.headers.get("etag"):
            self._tags[path] = (tag, content)
        return content


def _detail(response: httpx2.Response) -> str:
    try:
        content = response.json()
    except ValueError:
        return f"status {response.status_code}"
    said = content if isinstance(content, dict) else {}
    return str(said.get("detail") or said.get("message") or f"status {response.status_code}")


def _quoted(name: str) -> str:
    return quote(name, safe="")
