"""
A government for acceptance tests: departments and bodies that act through the HTTP API alone.

Kafka, Postgres and the router are the embedded platform's; control runs in this process on the same
port, because its clock has to stand in 2019, where the working days of the scenarios are decreed.
Nothing else is different from production.
"""

import contextlib
import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2 as httpx
import uvicorn

from bus.bootstrap.control import control
from bus.domain.accounts import ApiScope
from bus.domain.identity import Role
from bus.domain.names import provider_principal, subscription_principal
from consumers import Change, ChangeKind, Subscriber
from producers import Publication, Publisher
from tests.live_platform import LivePlatform, wait_until

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: Profiles of invented jurisdictions, besides those that come with the bus.
PROFILES = Path(__file__).parent / "profiles"
_START = dt.datetime(2019, 1, 2, 9, tzinfo=SHANGHAI)
_EXPIRES = dt.datetime(2019, 12, 30, tzinfo=SHANGHAI)


class CalendarClock:
    """A clock whose calendar is set by the tests, and whose seconds are real."""

    def __init__(self) -> None:
        self._now = _START

    def now(self) -> dt.datetime:
        return self._now.astimezone(dt.UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def set(self, year: int, month: int, day: int, hour: int = 9, minute: int = 0) -> None:
        """Let it be a time in Shanghai."""
        self._now = dt.datetime(year, month, day, hour, minute, tzinfo=SHANGHAI)


class Answer:
    """What the API said."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.body: Any = response.json() if response.content else None
        self.headers = response.headers

    @property
    def code(self) -> str | None:
        """The problem's code; None on success."""
        return None if self.status < 400 else self.body["code"]

    def ok(self) -> Any:
        """Return the body; fail if this is no success."""
        assert self.status < 400, (self.status, self.body)
        return self.body


class Desk:
    """Somebody who acts: an account with a token."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=120
        )

    def get(self, path: str, **parameters: str) -> Answer:
        """Look."""
        return Answer(self._client.get(f"/v1{path}", params=parameters))

    def post(self, path: str, body: object | None = None, **headers: str) -> Answer:
        """Act."""
        return Answer(self._client.post(f"/v1{path}", json=body or {}, headers=headers))

    def put(self, path: str, body: object, **headers: str) -> Answer:
        """Edit."""
        return Answer(self._client.put(f"/v1{path}", json=body, headers=headers))

    def told(self, code: str) -> list[str]:
        """Return what the notices with this code are about."""
        notices = self.get("/notices", limit="200").ok()["items"]
        return [each["subject"] for each in notices if each["code"] == code]

    def close(self) -> None:
        """Hang up."""
        self._client.close()


class Government:
    """All organisations of the tests, and the machinery under them."""

    def __init__(self, platform: LivePlatform, clock: CalendarClock, url: str) -> None:
        self.platform = platform
        self.clock = clock
        self._url = url
        self._desks: dict[str, Desk] = {}
        admin = json.loads((platform.folder.root / "credentials" / "admin.json").read_text())
        session = Answer(
            httpx.post(
                f"{url}/v1/sessions",
                json={"account": admin["username"], "password": admin["password"]},
                timeout=60,
            )
        ).ok()
        # A session ends after an hour, and the calendar leaps over months.
        logged_in = Desk(url, session["token"])
        self.administrator = Desk(url, _token(logged_in, "admin"))
        logged_in.close()

    def jurisdiction(self, code: str, profile: str, *, level: str | None = None) -> None:
        """Set a jurisdiction up."""
        self.administrator.post(
            "/jurisdictions",
            {
                "code": code,
                "titles": {"zh": code, "en": code},
                "profile": profile,
                "level": level,
            },
        ).ok()

    def organisation(
        self,
        jurisdiction: str,
        code: str,
        kind: str,
        *,
        roles: tuple[Role, ...] = (Role.DEPARTMENT,),
        level: str = "county",
        zone: str = "external",
        outside: bool = False,
    ) -> Desk:
        """Register an organisation, and return the desk of its account in these roles."""
        answer = self.administrator.post(
            "/organisations",
            {
                "code": code,
                "jurisdiction": jurisdiction,
                "titles": {"zh": code, "en": code},
                "level": level,
                "zone": zone,
                "kind": kind,
                "outside": outside,
                "contacts": [
                    {"kind": each, "name": "synthetic", "since": "2019-01-01"}
                    for each in ("head", "lead_unit", "deputy", "liaison")
                ],
            },
        ).ok()
        self._keep(answer["credentials"])
        return self.account(jurisdiction, code, *roles)

    def account(self, jurisdiction: str, organisation: str, *roles: Role) -> Desk:
        """Return the desk of an account of an organisation in these roles."""
        name = f"{organisation}.{'-'.join(sorted(roles))}"
        if name not in self._desks:
            self.administrator.post(
                "/accounts",
                {
                    "name": name,
                    "organisation": organisation,
                    "jurisdiction": jurisdiction,
                    "kind": "service",
                    "roles": sorted(roles),
                },
            ).ok()
            if Role.OPERATOR in roles:
                self._authorise(jurisdiction, organisation)
            self._desks[name] = Desk(self._url, _token(self.administrator, name))
        return self._desks[name]

    def _authorise(self, jurisdiction: str, organisation: str) -> None:
        """R-010: an operator acts under a recorded authorisation by the authority."""
        self.account(jurisdiction, f"{jurisdiction}-authority", Role.AUTHORITY).post(
            "/operator-authorisations",
            {
                "organisation": organisation,
                "valid_from": "2019-01-01",
                "valid_until": "2019-12-31",
                "scope": sorted(ApiScope),
            },
        ).ok()

    def close(self) -> None:
        """Let all of them hang up."""
        for desk in (self.administrator, *self._desks.values()):
            desk.close()

    # --- resources --------------------------------------------------------------------------------

    def publish(
        self,
        provider: Desk,
        jurisdiction: str,
        entry: dict[str, Any],
        *first: dict[str, Any],
        decider: Desk | None = None,
        approver: Desk | None = None,
    ) -> str:
        """
        Bring an entry to publication, with its first records.

        `decider`: decides the written application for what is not shared; `approver`: approves the
        entry; each where the profile asks for it.
        """
        provider.post("/entries", {"jurisdiction": jurisdiction, "entry": entry}).ok()
        return self.bring_out(provider, entry, *first, decider=decider, approver=approver)

    def bring_out(
        self,
        provider: Desk,
        entry: dict[str, Any],
        *first: dict[str, Any],
        decider: Desk | None = None,
        approver: Desk | None = None,
    ) -> str:
        """Bring the draft of an entry to publication."""
        resource: str = entry["resource"]
        if decider is not None:
            provider.post(f"/entries/{resource}/application", {"document": "paper"}).ok()
        provider.post(f"/entries/{resource}/submit").ok()
        if decider is not None:
            decider.post(f"/entries/{resource}/application/decide", {"granted": True}).ok()
        if approver is not None:
            approver.post(f"/entries/{resource}/approve").ok()
        provider.post(f"/entries/{resource}/bind", {"connection_tested": True}).ok()
        with self.publisher(resource, entry["provider"]) as publisher:
            for record in first:
                publisher.upsert(record)
        wait_until(
            lambda: provider.get(f"/entries/{resource}").ok()["state"] == "PUBLISHED",
            f"{resource} is published by its first data",
        )
        return resource

    def publisher(self, resource: str, provider: str) -> Publisher:
        """Return a publisher with a provider's own credentials."""
        account = self.platform.account(provider_principal(provider))
        descriptor = account.control.publication(resource)
        return Publisher(Publication.from_descriptor(descriptor), account.kafka)

    def _keep(self, credentials: list[dict[str, str]]) -> None:
        for each in credentials:
            self.platform.folder.save_credentials(each["username"], each["password"])

    # --- subscribers ------------------------------------------------------------------------------

    def subscriber(self, answer: dict[str, Any]) -> "Inbox":
        """Return what arrives under the grant of a request that was fulfilled."""
        self._keep(answer.get("credentials", []))
        return Inbox(self, answer["grant"])


def _token(by: Desk, account: str) -> str:
    """Return an API token of an account that is good for all of 2019."""
    answer = by.post(
        f"/accounts/{account}/tokens",
        {"scopes": sorted(ApiScope), "expires_at": _EXPIRES.isoformat()},
    ).ok()
    token: str = answer["token"]
    return token


class Inbox:
    """What a real subscriber receives, read in a thread of its own."""

    def __init__(self, government: Government, grant: str) -> None:
        self.grant = grant
        account = government.platform.account(subscription_principal(grant))
        self._subscriber = Subscriber(grant, kafka=account.kafka, control=account.control)
        self._over = threading.Event()
        self.changes: list[Change] = []
        self.ended: Exception | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while not self._over.is_set():
                self.changes.extend(self._subscriber.poll(0.2))
        except Exception as error:  # noqa: BLE001 (kept for the test to look at)
            self.ended = error

    def upserts(self) -> list[Change]:
        """Return the records that came, in their order."""
        return [each for each in list(self.changes) if each.kind is ChangeKind.UPSERT]

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the present content by key."""
        rows: dict[str, dict[str, Any]] = {}
        for change in list(self.changes):
            if change.kind is ChangeKind.RESYNC_STARTED:
                rows.clear()
            elif change.kind is ChangeKind.DELETE:
                rows.pop(change.key, None)
            elif change.record is not None:
                rows[change.key] = dict(change.record)
        return rows

    def wait(self, key: str, **items: object) -> dict[str, Any]:
        """Wait until the row of `key` has these items; return it."""
        found: dict[str, Any] = wait_until(
            lambda: (
                row
                if (row := self.rows().get(key)) is not None
                and all(row.get(name) == value for name, value in items.items())
                else None
            ),
            f"{key} with {items} at {self.grant}",
        )
        return found

    def close(self) -> None:
        """Stop reading."""
        self._over.set()
        self._thread.join(30)
        self._subscriber.close()


@contextlib.contextmanager
def government(root: Path) -> Iterator[Government]:
    """Start the platform with a control process of our own, and stop it at the end."""
    platform = LivePlatform(root)
    root.mkdir(parents=True, exist_ok=True)
    clock = CalendarClock()
    with platform.folder.locked():
        platform.start()
        try:
            platform.supervisor.stop("control")
            with _served(platform, clock) as url:
                running = Government(platform, clock, url)
                try:
                    yield running
                finally:
                    running.close()
        finally:
            platform.stop()


@contextlib.contextmanager
def _served(platform: LivePlatform, clock: CalendarClock) -> Iterator[str]:
    port = platform.port("control")
    settings = platform.settings.model_copy(update={"profiles": PROFILES})
    with control(settings, clock) as parts:
        server = uvicorn.Server(
            uvicorn.Config(
                parts.app, host="127.0.0.1", port=port, log_config=None, access_log=False
            )
        )
        parts.background.start()
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_until(lambda: server.started, "control answers")
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(30)
            parts.background.stop()


__all__ = ["CalendarClock", "Desk", "Government", "Inbox", "government"]
