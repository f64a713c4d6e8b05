"""
The embedded platform for tests: one for the whole session, with a catalog that tests add to.

Everything is real. Tests use resources of their own, so they need not know of each other.
"""

import datetime as dt
import itertools
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.control_http.api import ControlApi
from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.embedded.supervisor import Supervisor
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.postgres.migrate import upgrade
from bus.adapters.postgres.provision import create_database
from bus.bootstrap.accounts import Account, account
from bus.bootstrap.catalog import catalog
from bus.bootstrap.embedded_platform import EmbeddedPlatform, broker_admin
from bus.bootstrap.verification import verification
from bus.domain.access import OPERATOR
from bus.domain.accounts import ApiScope
from bus.domain.catalog import Catalog
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.domain.identity import Role
from bus.domain.names import provider_principal, subscription_principal
from bus.domain.organisation import Organisation
from bus.services.catalog_changes import Applied
from bus.services.verification.rows import Comparison
from bus.services.verification.verifier import Verified
from bus.settings import Settings, load_settings
from producers import Publication, Publisher
from tests import builders

DEADLINE_SECONDS = 120.0
_LOOK_SECONDS = 0.05
#: How much of a part's log a failure repeats.
_LAST_LINES = 10


def wait_until(
    condition: Callable[[], Any], what: str, *, seconds: float = DEADLINE_SECONDS
) -> Any:
    """Return the first true value of `condition`; fail, saying `what` was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(_LOOK_SECONDS)


class LivePlatform:
    """Kafka, Postgres, control and router, and the catalog that tests declare."""

    def __init__(self, root: Path) -> None:
        self.folder = StateFolder(root)
        self.supervisor = Supervisor()
        self._platform = EmbeddedPlatform(
            self.folder, supervisor=self.supervisor, on_step=lambda _: None
        )
        self._organisations: dict[str, Organisation] = {}
        self._entries: dict[str, CatalogEntry] = {}
        self._grants: dict[str, Grant] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._accounts: dict[str, Account] = {}
        self._starter = ThreadPoolExecutor(1)

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything."""
        self._platform.start()
        for code in (builders.PROVIDER, builders.CONSUMER, "tourism"):
            self._organisations[code] = builders.organisation(code)
        self.apply()

    def stop(self) -> None:
        """Stop everything."""
        for each in self._accounts.values():
            each.control.close()
        self.supervisor.stop()
        self._starter.shutdown()

    def kill(self, part: str) -> None:
        """End a part at once, as a crash does."""
        pid = int(self.supervisor.identities()[part]["pid"])
        os.kill(pid, signal.SIGKILL)

    def pid(self, part: str) -> int:
        """Return the process id of a part."""
        return int(self.supervisor.identities()[part]["pid"])

    def restart(self, *names: str) -> None:
        """
        Start parts again that were killed, and wait until they are ready.

        A process is asked to end when the thread that started it does, so all of them are started
        by one thread that lives as long as the platform.
        """
        parts = [self.supervisor.part(name) for name in names]
        self.supervisor.stop(*names)
        self._starter.submit(self.supervisor.start, *parts).result()

    @contextmanager
    def without(self, part: str) -> Iterator[None]:
        """Kill a part, and start it again at the end."""
        self.kill(part)
        try:
            yield
        finally:
            self.restart(part)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Start again what ends, after its back-off, as `onesource up` does."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK_SECONDS):
                self.supervisor.watch()

        watching = self._starter.submit(watch)
        try:
            yield
        finally:
            over.set()
            watching.result()

    @property
    def settings(self) -> Settings:
        """How to reach the platform."""
        return load_settings(state_folder=self.folder.root)

    def environment(self) -> dict[str, str]:
        """Return the environment of a command that uses the platform."""
        return {**os.environ, "ONESOURCE_STATE_FOLDER": str(self.folder.root)}

    def port(self, part: str) -> int:
        """Return the port of a part."""
        return self._platform.ports[part]

    def metric(self, part: str, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels, as a part exports it."""
        url = f"http://127.0.0.1:{self.port(part)}/metrics"
        with urllib.request.urlopen(url, timeout=5) as response:
            text = response.read().decode()
        assert f"# TYPE {name} " in text, f"{part} has no metric {name}"
        total = 0.0
        for line in text.splitlines():
            if line.startswith((f"{name} ", f"{name}{{")) and all(
                f'{label}="{value}"' in line for label, value in labels.items()
            ):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def condition(self) -> str:
        """Return what control and router say of themselves, and their last words in the logs."""
        said = []
        for part in ("control", "router"):
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port(part)}/readyz", timeout=5
                ) as response:
                    said.append(f"{part}: {response.read().decode()}")
            except urllib.error.HTTPError as error:
                said.append(f"{part}: {error.code} {error.read().decode()}")
            except OSError as error:
                said.append(f"{part}: {error}")
            text = (self.folder.root / "logs" / f"{part}.log").read_text(errors="replace")
            said += [line[:500] for line in text.splitlines()[-_LAST_LINES:]]
        return "\n".join(said)

    # --- catalog ----------------------------------------------------------------------------------

    def new_code(self, prefix: str) -> str:
        """Return a code that no other test uses."""
        return f"{prefix}-{next(self._numbers)}"

    def declare(
        self,
        *,
        organisations: tuple[Organisation, ...] = (),
        entries: tuple[CatalogEntry, ...] = (),
        grants: tuple[Grant, ...] = (),
        revoke: tuple[str, ...] = (),
        wait: bool = True,
    ) -> Applied:
        """Add to the catalog (or replace, or revoke), and wait until the router knows."""
        with self._lock:
            self._organisations.update({each.code: each for each in organisations})
            self._entries.update({entry.resource: entry for entry in entries})
            self._grants.update({grant.id: grant for grant in grants})
            for grant in revoke:
                del self._grants[grant]
            return self.apply(wait=wait)

    def apply(self, *, wait: bool = True) -> Applied:
        """Apply the declared catalog."""
        declared = Catalog(
            organisations=dict(self._organisations),
            entries=dict(self._entries),
            grants=dict(self._grants),
        )
        with catalog(self.settings) as parts:
            applied = parts.changes.apply(declared)
        assert applied.plan.faults == ()
        for principal, password in applied.passwords.items():
            self.folder.save_credentials(principal, password)
        version = applied.policy_version
        if version is not None and wait:
            wait_until(
                lambda: self.metric("router", "onesource_policy_version") >= version,
                f"the router applies policy version {version}",
            )
        return applied

    def new_resource(self, **changes: Any) -> CatalogEntry:
        """Declare a resource of the test's own."""
        entry = builders.entry(self.new_code("res"), **changes)
        self.declare(entries=(entry,))
        return entry

    def new_grant(self, entry: CatalogEntry, **changes: Any) -> Grant:
        """Give a grant on a resource, and return it once its view is being kept."""
        items = changes.pop("items", [item.name for item in entry.items])
        grant = builders.grant(
            self.new_code(f"{entry.resource}-g"), resource=entry.resource, items=items, **changes
        )
        self.declare(grants=(grant,))
        return grant

    def change(self, grant: Grant, **changes: Any) -> Grant:
        """Amend a grant."""
        changed = replace(grant, **changes)
        self.declare(grants=(changed,))
        return changed

    # --- who takes part ---------------------------------------------------------------------------

    def account(self, principal: str) -> Account:
        """Return an account of the platform."""
        if principal not in self._accounts:
            self._accounts[principal] = account(self.settings, principal)
        return self._accounts[principal]

    def subscriber(self, grant: Grant) -> Account:
        """Return the account of a grant's subscription."""
        return self.account(subscription_principal(grant.id))

    def provider(self) -> Account:
        """Return the account of the provider of all resources."""
        return self.account(provider_principal(builders.PROVIDER))

    def kafka(self, principal: str) -> KafkaConnection:
        """Return how to connect to Kafka as `principal`."""
        return self.account(principal).kafka

    def publisher(self, entry: CatalogEntry) -> Publisher:
        """Return a publisher of a resource."""
        provider = self.provider()
        descriptor = provider.control.publication(entry.resource)
        return Publisher(Publication.from_descriptor(descriptor), provider.kafka)

    def readers(self) -> KafkaLogReaders:
        """Return readers with an operator's rights."""
        return KafkaLogReaders(self.kafka(OPERATOR), group=f"{OPERATOR}.tests")

    def descriptor(self, grant: Grant) -> dict[str, Any]:
        """Return the descriptor of a grant's subscription."""
        return self.account(OPERATOR).control.subscription(grant.id)

    def verify(self, grant: Grant, *, wait_seconds: float = DEADLINE_SECONDS) -> Verified:
        """Verify a grant's view as `onesource verify` does."""
        with verification(self.settings) as tools:
            return tools.verify(grant.id, wait_seconds=wait_seconds)

    def compare_table(self, grant: Grant, dsn: str, table: str, verified: Verified) -> Comparison:
        """Compare a sink's table with its view, once the sink has caught up."""
        with verification(self.settings) as tools:
            return tools.compare_table(
                grant.id,
                verified,
                dsn=dsn,
                schema="public",
                table=table,
                wait_seconds=DEADLINE_SECONDS,
            )

    def new_database(self) -> str:
        """Create a database for a subscriber, and return its DSN."""
        name = self.new_code("db").replace("-", "_")
        create_database(
            self._platform.superuser_dsn,
            database=name,
            owner=name,
            owner_password=self.folder.secret(name),
        )
        return self._platform.postgres_dsn(name, name, name)

    def new_control_database(self) -> str:
        """Create an empty control-plane database, and return the application's DSN."""
        name = self.new_code("control").replace("-", "_")
        create_database(
            self.superuser_dsn, database=name, owner=name, owner_password=self.folder.secret(name)
        )
        dsn = self._platform.postgres_dsn(name, name, name)
        upgrade(dsn)
        return dsn

    def admin(self) -> KafkaConnection:
        """Return how to connect to Kafka as its super user."""
        return broker_admin(self.folder, self._platform.bootstrap)

    def department_token(self, jurisdiction: str, organisation: str) -> str:
        """Return an API token of a new account that acts for an organisation."""
        url = f"http://127.0.0.1:{self.port('control')}"
        admin = read_json(self.folder.root / "credentials" / "admin.json")
        with closing(ControlApi(url, None)) as nobody:
            session = nobody.post(
                "/sessions", {"account": admin["username"], "password": admin["password"]}
            )
        name = f"{organisation}.department"
        account = {
            "name": name,
            "organisation": organisation,
            "jurisdiction": jurisdiction,
            "kind": "service",
            "roles": [Role.DEPARTMENT],
        }
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        with closing(ControlApi(url, session["token"])) as api:
            api.post("/accounts", account)
            answer = api.post(
                f"/accounts/{name}/tokens",
                {"scopes": sorted(ApiScope), "expires_at": expires.isoformat()},
            )
        token: str = answer["token"]
        return token

    @property
    def superuser_dsn(self) -> str:
        """The connection string of the database's superuser."""
        return self._platform.superuser_dsn

    @property
    def codec(self) -> AvroEventCodec:
        """The codec of the bus's own events."""
        return AvroEventCodec()


@contextmanager
def running_platform(root: Path) -> Iterator[LivePlatform]:
    """Start a platform, and stop it at the end."""
    platform = LivePlatform(root)
    root.mkdir(parents=True, exist_ok=True)
    with platform.folder.locked():
        platform.start()
        try:
            yield platform
        finally:
            platform.stop()


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
