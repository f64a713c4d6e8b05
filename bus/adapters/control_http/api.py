"""The control plane's own resources, over its HTTP API, as the account that a token proves."""

import uuid
from collections.abc import Mapping
from typing import Any

import httpx2

from bus.errors import (
    ControlUnavailable,
    CredentialsMissing,
    EditConflict,
    Forbidden,
    NotFound,
    Refused,
    StateConflict,
)
from bus.settings import is_loopback

_TIMEOUT_SECONDS = 60.0
_ERRORS: Mapping[int, type[Refused]] = {
    403: Forbidden,
    404: NotFound,
    409: StateConflict,
    412: EditConflict,
}


class ControlApi:
    """
    Acts at the control plane.

    Every call may raise `Refused` or one of its kinds with the problem's code, `CredentialsMissing`
    (the token is not accepted) or `ControlUnavailable` (try again: a POST is sent with a key, so
    that it is carried out once).
    """

    def __init__(self, url: str, token: str | None, *, ca_file: str | None = None) -> None:
        self._http = httpx2.Client(
            base_url=url,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_SECONDS,
            verify=ca_file or True,
            # What runs on this machine is not asked for through a proxy.
            trust_env=not is_loopback(httpx2.URL(url).host),
        )

    def get(self, path: str, **parameters: str | int | None) -> Any:  # noqa: ANN401 (JSON)
        """Return what is at `path`; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._call("GET", path, params=given)

    def post(self, path: str, body: object | None = None) -> Any:  # noqa: ANN401 (JSON)
        """Carry out an action, once."""
        return self._call(
            "POST", path, json=body or {}, headers={"Idempotency-Key": str(uuid.uuid4())}
        )

    def put(self, path: str, body: object, *, version: str) -> Any:  # noqa: ANN401 (JSON)
        """Edit what has this entity tag."""
        return self._call("PUT", path, json=body, headers={"If-Match": version})

    def end_session(self) -> None:
        """End the session whose token this is."""
        self._send("DELETE", "/sessions/current")

    def tag(self, path: str) -> str:
        """Return the entity tag of what is at `path`."""
        return self._send("GET", path).headers.get("etag", "")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 (JSON)
        response = self._send(method, path, **options)
        return response.json() if response.content else None

    def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401
        try:
            response = self._http.request(method, f"/v1{path}", **options)
        except httpx2.RequestError as error:
            raise ControlUnavailable(f"the control plane does not answer: {error}") from error
        if response.is_success:
            return response
        code, detail = _problem(response)
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            raise CredentialsMissing(f"{detail} (onesource login, or set ONESOURCE_TOKEN)")
        if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise ControlUnavailable(f"the control plane says {code}: {detail}")
        raise _ERRORS.get(response.status_code, Refused)(detail, code=code)


def _problem(response: httpx2.Response) -> tuple[str, str]:
    try:
        content = response.json()
    except ValueError:
        content = {}
    said = content if isinstance(content, dict) else {}
    status = f"status {response.status_code}"
    return str(said.get("code") or "REFUSED"), str(said.get("detail") or status)
