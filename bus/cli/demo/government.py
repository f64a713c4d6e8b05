"""
The demo's departments and bodies, who act through the HTTP API as they would in a city.

The bureau of statistics catalogues its register; every department asks for its part; the bureau
approves; the contractor that runs the platform activates, and decides nothing.
"""

import datetime as dt
import json
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from bus.adapters.control_http.api import ControlApi
from bus.adapters.definitions.yaml_file import read_yaml
from bus.adapters.embedded.state_folder import StateFolder
from bus.domain.accounts import ApiScope
from bus.domain.identity import Role

_JURISDICTION = "cn"
_PROFILE = "changzhou-2018"
_KIND = "government_department"
_BUREAU = "data-bureau"
_CONTRACTOR = "contractor"
_TOKEN_DAYS = 2
_GRANT_DAYS = 365


class Government:
    """Who acts in the demo, each with an account and a token of its own."""

    def __init__(self, url: str, folder: StateFolder, definitions: Path) -> None:
        self._url = url
        self._folder = folder
        self._definitions = definitions
        self._desks: dict[str, ControlApi] = {}
        #: department -> its grant, which is also the id of its subscription
        self.grants: dict[str, str] = {}

    def close(self) -> None:
        """Let everybody hang up."""
        for desk in self._desks.values():
            desk.close()

    def set_up(self, resource: str) -> None:
        """Set the jurisdiction up, register everybody, and catalogue the register."""
        administrator = self._log_in()
        self._desks["admin"] = administrator
        titles = {"zh": "演示", "en": "Demonstration"}
        administrator.post(
            "/jurisdictions", {"code": _JURISDICTION, "titles": titles, "profile": _PROFILE}
        )
        for organisation in self._organisations():
            self._register(organisation)
        self._catalogue(resource)

    def ask(self, department: str, definition: Path) -> float:
        """
        Let a department ask for its part: request, approval, activation; return the seconds.

        `definition` says in the form of `topics/grants/` what is asked for.
        """
        started = time.monotonic()
        wanted = _document(definition)
        request = self._desks[department].post(
            "/requests",
            {
                "resource": wanted["resource"],
                "items": wanted["items"],
                "rows": wanted.get("rows"),
                "purpose": wanted["purpose"],
                "duty": wanted["duty"],
                "mode": wanted["mode"],
            },
        )
        provider = self._desks[request["provider"]]
        provider.post(f"/requests/{request['id']}/approve", _decision(wanted))
        answer = self._desks[_CONTRACTOR].post(f"/requests/{request['id']}/activate")
        self._keep(answer["credentials"])
        self.grants[department] = answer["grant"]
        return time.monotonic() - started

    def amend(self, department: str, definition: Path) -> None:
        """Let the provider decide anew what a department may have."""
        wanted = _document(definition)
        provider = self._desks[self._provider_of(wanted["resource"])]
        provider.post(f"/grants/{self.grants[department]}/amend", _decision(wanted))

    def revoke(self, department: str, resource: str) -> float:
        """Let the provider revoke a department's grant; return how long the answer took."""
        provider = self._desks[self._provider_of(resource)]
        started = time.monotonic()
        provider.post(f"/grants/{self.grants[department]}/revoke", {"reason": "a demonstration"})
        return time.monotonic() - started

    def _provider_of(self, resource: str) -> str:
        provider: str = self._desks["admin"].get(f"/entries/{resource}")["owner"]
        return provider

    def _organisations(self) -> list[Mapping[str, Any]]:
        declared = _document(self._definitions / "organisations.yaml")["organisations"]
        bodies = [
            {
                "code": code,
                "titles": {"zh": zh, "en": en},
                "level": "city",
                "zone": "external",
            }
            for code, zh, en in (
                (_BUREAU, "大数据管理局", "The data bureau"),
                (_CONTRACTOR, "平台建设单位", "The contractor that runs the platform"),
            )
        ]
        return [*bodies, *declared]

    def _register(self, organisation: Mapping[str, Any]) -> None:
        code = organisation["code"]
        since = _today().isoformat()
        contacts = [
            {"kind": kind, "name": "demonstration", "since": since}
            for kind in ("head", "lead_unit")
        ]
        answer = self._desks["admin"].post(
            "/organisations",
            {**organisation, "jurisdiction": _JURISDICTION, "kind": _KIND, "contacts": contacts},
        )
        self._keep(answer["credentials"])
        roles = {_BUREAU: Role.AUTHORITY, _CONTRACTOR: Role.OPERATOR}
        self._open_account(code, roles.get(code, Role.DEPARTMENT))

    def _open_account(self, organisation: str, role: Role) -> None:
        administrator = self._desks["admin"]
        administrator.post(
            "/accounts",
            {
                "name": organisation,
                "organisation": organisation,
                "jurisdiction": _JURISDICTION,
                "kind": "service",
                "roles": [role],
            },
        )
        if role is Role.OPERATOR:
            self._authorise(organisation)
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=_TOKEN_DAYS)
        token = administrator.post(
            f"/accounts/{organisation}/tokens",
            {"scopes": sorted(ApiScope), "expires_at": expires.isoformat()},
        )["token"]
        self._desks[organisation] = ControlApi(self._url, token)

    def _authorise(self, operator: str) -> None:
        """Let the authority authorise the operator, or it may do nothing (R-010)."""
        self._desks[_BUREAU].post(
            "/operator-authorisations",
            {
                "organisation": operator,
                "valid_from": _today().isoformat(),
                "valid_until": (_today() + dt.timedelta(days=_TOKEN_DAYS)).isoformat(),
                "scope": [ApiScope.READ, ApiScope.REQUESTS],
            },
        )

    def _catalogue(self, resource: str) -> None:
        """Draft, submit and bind the entry: conditional for everybody, so that each has to ask."""
        entry = dict(_document(self._definitions / f"{resource}.yaml"))
        entry["groups"] = {
            name: {**group, "share": {"all": group["share"]["external"]}}
            for name, group in entry["groups"].items()
        }
        for rule in (group["share"]["all"] for group in entry["groups"].values()):
            rule["purposes"] = [
                "ADMINISTRATIVE_BASIS",
                "WORK_REFERENCE",
                "DATA_VERIFICATION",
                "BUSINESS_COLLABORATION",
            ]
        provider = self._desks[entry["provider"]]
        provider.post("/entries", {"jurisdiction": _JURISDICTION, "entry": entry})
        provider.post(f"/entries/{resource}/submit")
        provider.post(f"/entries/{resource}/bind", {"connection_tested": True})

    def _log_in(self) -> ControlApi:
        path = self._folder.root / "credentials" / "admin.json"
        admin = json.loads(path.read_text(encoding="utf-8"))
        with closing(ControlApi(self._url, None)) as nobody:
            session = nobody.post(
                "/sessions", {"account": admin["username"], "password": admin["password"]}
            )
        return ControlApi(self._url, session["token"])

    def _keep(self, credentials: list[dict[str, str]]) -> None:
        for each in credentials:
            self._folder.save_credentials(each["username"], each["password"])


def _decision(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "items": wanted["items"],
        "rows": wanted.get("rows"),
        "purpose": wanted["purpose"],
        "mode": wanted["mode"],
        "valid_from": _today().isoformat(),
        "valid_until": (_today() + dt.timedelta(days=_GRANT_DAYS)).isoformat(),
    }


def _document(path: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = read_yaml(path).content
    return content


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()
