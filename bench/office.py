"""Departments that act through the HTTP API, for what decisions cost."""

import datetime as dt
import json
import time
from collections.abc import Sequence
from typing import Any, Self

import httpx2

from bench.stage import Stage
from bus.domain.accounts import ApiScope
from bus.domain.identity import Role
from bus.domain.items import DataItem, EnumType, Nullable
from bus.settings import is_loopback

_PROFILE = "yanjin-2019"
_TIMEOUT_SECONDS = 60.0
_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.1
_AUTHORISED = dt.timedelta(days=30)
_GRANTED = dt.timedelta(days=90)
_PURPOSE = "WORK_REFERENCE"
_UNCONDITIONAL: dict[str, Any] = {"class": "UNCONDITIONAL"}
_CONDITIONAL: dict[str, Any] = {
    "class": "CONDITIONAL",
    "condition": "within the duties of the requester",
    "audience": "government departments",
    "purposes": [_PURPOSE],
}


class Office:
    """Everybody who acts, each with an API token."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        loopback = is_loopback(httpx2.URL(stage.control_url).host)
        self._http = httpx2.Client(
            base_url=stage.control_url, timeout=_TIMEOUT_SECONDS, trust_env=not loopback
        )
        self._tokens: dict[str, str] = {}
        path = stage.root / "credentials" / "admin.json"
        admin = json.loads(path.read_text())
        session = self._call(
            "POST",
            "/sessions",
            {"account": admin["username"], "password": admin["password"]},
        )
        self._tokens["admin"] = session["token"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def open(self, jurisdiction: str, *organisations: str) -> None:
        """Set a jurisdiction up with departments of these codes."""
        self._act(
            "admin",
            "/jurisdictions",
            {
                "code": jurisdiction,
                "titles": {"zh": jurisdiction, "en": jurisdiction},
                "profile": _PROFILE,
                "level": "county",
            },
        )
        for code in organisations:
            self._open_organisation(jurisdiction, code)

    def open_operator(self, jurisdiction: str, authority: str, operator: str) -> None:
        """Set an authority up, and an operator that acts under its authorisation."""
        self._open_organisation(jurisdiction, authority, Role.AUTHORITY)
        self._open_organisation(jurisdiction, operator, Role.OPERATOR)
        today = dt.datetime.now(dt.UTC).date()
        self._act(
            authority,
            "/operator-authorisations",
            {
                "organisation": operator,
                "valid_from": today.isoformat(),
                "valid_until": (today + _AUTHORISED).isoformat(),
                "scope": sorted(ApiScope),
            },
        )

    def publish_entry(
        self,
        jurisdiction: str,
        resource: str,
        provider: str,
        items: Sequence[DataItem],
        *,
        conditional: bool = False,
    ) -> None:
        """Bring an entry to the state in which its first record publishes it."""
        entry = _entry(resource, provider, items, _CONDITIONAL if conditional else _UNCONDITIONAL)
        self._act(provider, "/entries", {"jurisdiction": jurisdiction, "entry": entry})
        self._act(provider, f"/entries/{resource}/submit")
        self._act(provider, f"/entries/{resource}/bind", {"connection_tested": True})

    def await_published(self, resource: str, provider: str) -> None:
        """Wait until the first record has published an entry."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while self._call("GET", f"/entries/{resource}", by=provider)["state"] != "PUBLISHED":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{resource} is not published")
            time.sleep(_LOOK_SECONDS)

    def grant(self, consumer: str, resource: str, items: Sequence[DataItem]) -> str:
        """Ask for what nobody has to decide; return the grant, which is in force."""
        answer = self._ask(consumer, resource, items)
        self._keep(answer)
        grant: str = answer["grant"]
        return grant

    def request(self, consumer: str, resource: str, items: Sequence[DataItem]) -> str:
        """Ask for what the provider has to decide; return the request."""
        request: str = self._ask(consumer, resource, items)["id"]
        return request

    def approve(self, provider: str, request: str, items: Sequence[DataItem]) -> None:
        """Approve a request for these items."""
        today = dt.datetime.now(dt.UTC).date()
        self._act(
            provider,
            f"/requests/{request}/approve",
            {
                "items": [item.name for item in items],
                "purpose": _PURPOSE,
                "valid_from": today.isoformat(),
                "valid_until": (today + _GRANTED).isoformat(),
            },
        )

    def activate(self, operator: str, request: str) -> None:
        """Put the grant of a request in force."""
        self._act(operator, f"/requests/{request}/activate")

    def _ask(self, consumer: str, resource: str, items: Sequence[DataItem]) -> dict[str, Any]:
        return self._act(
            consumer,
            "/requests",
            {
                "resource": resource,
                "items": [item.name for item in items],
                "duty": "measuring",
                "purpose": _PURPOSE,
            },
        )

    def revoke(self, provider: str, grant: str) -> None:
        """Revoke a grant."""
        self._act(provider, f"/grants/{grant}/revoke", {"reason": "measuring"})

    def _open_organisation(
        self, jurisdiction: str, code: str, role: Role = Role.DEPARTMENT
    ) -> None:
        answer = self._act(
            "admin",
            "/organisations",
            {
                "code": code,
                "jurisdiction": jurisdiction,
                "titles": {"zh": code, "en": code},
                "level": "county",
                "zone": "external",
                "kind": "county_department",
                "contacts": [
                    {"kind": kind, "name": "synthetic", "since": "2026-01-01"}
                    for kind in ("head", "lead_unit", "deputy", "liaison")
                ],
            },
        )
        self._keep(answer)
        self._act(
            "admin",
            "/accounts",
            {
                "name": code,
                "organisation": code,
                "jurisdiction": jurisdiction,
                "kind": "service",
                "roles": [role],
            },
        )
        until = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        token = self._act(
            "admin",
            f"/accounts/{code}/tokens",
            {"scopes": sorted(ApiScope), "expires_at": until.isoformat()},
        )
        self._tokens[code] = token["token"]

    def _keep(self, answer: dict[str, Any]) -> None:
        for each in answer.get("credentials", ()):
            self._stage.keep(each["username"], each["password"])

    def _act(self, by: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._call("POST", path, body or {}, by=by)

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, by: str = ""
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._tokens[by]}"} if by else {}
        response = self._http.request(method, f"/v1{path}", json=body, headers=headers)
        if response.is_error:
            raise ValueError(f"{method} {path}: {response.status_code} {response.text}")
        found: dict[str, Any] = response.json()
        return found


def _entry(
    resource: str, provider: str, items: Sequence[DataItem], share: dict[str, Any]
) -> dict[str, Any]:
    group = items[0].group
    return {
        "resource": resource,
        "titles": {"zh": resource, "en": resource},
        "provider": provider,
        "category": "business",
        "classification": "业务信息",
        "format": "one record an address",
        "update_limit_days": 30,
        "usage_requirement": "for measuring",
        "delivery_modes": ["kafka"],
        "groups": {
            group: {
                "titles": {"zh": group, "en": group},
                "share": {"all": share},
            }
        },
        "items": [
            {
                "name": item.name,
                "titles": {"zh": item.title_zh, "en": item.title_en},
                "type": _type(item.type),
                "key": item.key,
                "group": group,
                "element": f"{resource}-{item.name}",
            }
            for item in items
        ],
    }


def _type(of: object) -> Any:  # noqa: ANN401 (a document)
    if isinstance(of, Nullable):
        return {"nullable": _type(of.inner)}
    if isinstance(of, EnumType):
        return {"enum": list(of.symbols)}
    return str(of)
