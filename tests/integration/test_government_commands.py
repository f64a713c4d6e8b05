"""The commands `onesource login | org | entry | request | grant`, over the real API."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live_platform import LivePlatform

CONTACTS = [{"kind": kind, "name": "x", "since": "2020-01-01"} for kind in ("head", "lead_unit")]
ENTRY = """\
resource: cli-register
titles: {zh: 登记, en: Register}
provider: cli-office
category: business
classification: 业务信息
format: one record a case
update_limit_days: 30
usage_requirement: 用于政务工作
delivery_modes: [kafka]
groups:
  base: {titles: {zh: 基础, en: Base}, share: {all: {class: UNCONDITIONAL}}}
items:
  - {name: code, titles: {zh: 编码, en: Code}, type: string, key: true, group: base}
"""


class Terminal:
    """Somebody at a terminal of the platform's machine."""

    def __init__(self, platform: LivePlatform, token: str | None = None) -> None:
        self._environment = platform.environment()
        if token is not None:
            self._environment["ONESOURCE_TOKEN"] = token

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run a command; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "bus.cli.main", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments: str) -> Any:
        """Run a command; return the JSON that it prints."""
        return json.loads(self.run(*arguments))


@pytest.mark.slow
def test_a_department_catalogues_and_another_asks(platform: LivePlatform, tmp_path: Path) -> None:
    """From the first log-in to a grant, with nothing but commands."""
    admin = Terminal(platform)
    assert "admin is logged in" in admin.run("login", "admin")
    admin.run("org", "jurisdiction", "cli-city", "--profile", "changzhou-2018")
    terminals = {}
    for code in ("cli-office", "cli-asker"):
        file = tmp_path / f"{code}.json"
        file.write_text(
            json.dumps(
                {
                    "code": code,
                    "jurisdiction": "cli-city",
                    "titles": {"zh": code, "en": code},
                    "level": "city",
                    "zone": "external",
                    "kind": "government_department",
                    "contacts": CONTACTS,
                }
            )
        )
        assert admin.json("org", "register", str(file))["credentials"][0]["password"]
        terminals[code] = Terminal(platform, platform.department_token("cli-city", code))
    assert "cli-asker" in admin.run("org", "list")
    entry = tmp_path / "entry.yaml"
    entry.write_text(ENTRY, encoding="utf-8")

    office, asker = terminals["cli-office"], terminals["cli-asker"]
    assert office.json("entry", "draft", str(entry), "-j", "cli-city")["state"] == "DRAFT"
    assert office.json("entry", "draft", str(entry), "-j", "cli-city")["state"] == "DRAFT"
    assert office.json("entry", "submit", "cli-register")["state"] == "APPROVED"
    assert office.json("entry", "bind", "cli-register")["state"] == "BOUND"

    asked = asker.json(
        "request", "submit", "cli-register", "--purpose", "WORK_REFERENCE", "--duty", "a duty"
    )
    assert asked["state"] == "GRANTED_DIRECT"
    assert asked["id"] in asker.run("request", "list", "--json")
    assert asked["grant"] in office.run("grant", "list", "--resource", "cli-register", "--json")
    revoked = office.json("grant", "revoke", asked["grant"], "--reason", "over")
    assert revoked["state"] == "REVOKED"

    assert admin.json("org", "rekey", "cli-asker")["organisation"]["pseudonym_key"] == 2
    refused = asker.run("org", "rekey", "cli-asker", status=3)
    assert "FORBIDDEN_ROLE" in refused
    refused = asker.run("grant", "revoke", asked["grant"], "--reason", "x", status=3)
    assert "FORBIDDEN_ROLE" in refused
    assert "error" in Terminal(platform, "nonsense").run("org", "list", status=5)
