"""Descriptors and schemas from the control plane."""

from dataclasses import dataclass, field
from typing import Any

import httpx2

from bus.errors import ControlUnavailable, CredentialsMissing, NotFound

_TIMEOUT_SECONDS = 10.0
_NOT_MODIFIED = 304
_UNAUTHORISED = 401
_NOT_FOUND = 404
_SERVER_ERROR = 500


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
        )
        self._username = account.username
        self._tags: dict[str, tuple[str, Any]] = {}
        self._schemas: dict[int, str] = {}

    def subscription(self, subscription: str) -> dict[str, Any]:
        """Return the descriptor of a subscription."""
        found: dict[str, Any] = self._get(f"/v1/subscriptions/{subscription}")
        return found

    def publication(self, resource: str) -> dict[str, Any]:
        """Return how the provider of `resource` publishes."""
        found: dict[str, Any] = self._get(f"/v1/publications/{resource}")
        return found

    def schema(self, schema_id: int) -> str:
        """Return the text of a schema; asked for once."""
        if schema_id not in self._schemas:
            found: str = self._get(f"/schemas/ids/{schema_id}")["schema"]
            self._schemas[schema_id] = found
        return self._schemas[schema_id]

    def subject_schemas(self, subject: str) -> list[str]:
        """Return the texts of all versions of a subject, oldest first."""
        versions = self._get(f"/subjects/{subject}/versions")
        return [
            self._get(f"/subjects/{subject}/versions/{version}")["schema"] for version in versions
        ]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _get(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        known = self._tags.get(path)
        headers = {"If-None-Match": known[0]} if known else {}
        try:
            response = self._http.get(path, headers=headers)
        except httpx2.TransportError as error:
            raise ControlUnavailable(f"the control plane does not answer: {error}") from error
        if response.status_code == _NOT_MODIFIED and known is not None:
            return known[1]
        if response.status_code == _UNAUTHORISED:
            raise CredentialsMissing(f"the control plane does not accept {self._username}")
        if response.status_code == _NOT_FOUND:
            raise NotFound(_detail(response))
        if response.status_code >= _SERVER_ERROR:
            raise ControlUnavailable(f"the control plane says: {_detail(response)}")
        response.raise_for_status()
        content = response.json()
        if tag := response.headers.get("etag"):
            self._tags[path] = (tag, content)
        return content


def _detail(response: httpx2.Response) -> str:
    try:
        content = response.json()
    except ValueError:
        return f"status {response.status_code}"
    return str(content.get("detail") or content.get("message") or response.status_code)
