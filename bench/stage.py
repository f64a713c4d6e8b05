"""An embedded platform of our own, in a folder that goes when it stops."""

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

from bench.records import EVERY_ONE, ITEMS, KEPT, ONE_IN_TEN, Encoded
from bus.adapters.control_http.client import ControlClient
from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.embedded.supervisor import Part, Supervisor
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.postgres.provision import create_database
from bus.bootstrap.accounts import Account, account
from bus.bootstrap.catalog import catalog
from bus.bootstrap.connections import control_url
from bus.bootstrap.embedded_platform import EmbeddedPlatform
from bus.cli.demo.observation import Scrape
from bus.cli.platform import start_with_progress
from bus.domain.access import OPERATOR
from bus.domain.catalog import Catalog
from bus.domain.entry import CatalogEntry, Category, DeliveryMode
from bus.domain.grant import Grant
from bus.domain.names import ROUTER_GROUP, provider_principal, subscription_principal
from bus.domain.organisation import Level, Organisation, Zone
from bus.domain.share import ItemGroup, Purpose, Scope, ShareClass, ShareRule
from bus.domain.view import Treatment
from bus.ports import Partition
from bus.settings import Settings, load_settings, require_own_platform
from producers import Publication, Publisher

#: Resources, by what passes their view's row filter; each has one partition and one view.
TENTH, WHOLE, PACED, STORED, PUBLISHED = "tenth", "whole", "paced", "stored", "published"
_ROWS = {TENTH: ONE_IN_TEN, WHOLE: EVERY_ONE, PACED: EVERY_ONE, STORED: EVERY_ONE}

_JURISDICTION = "bench"
_PROVIDER = "registry"
_CONSUMER = "housing"
_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.05


class Stage:
    """Kafka, Postgres, control and router, and a catalog to measure with."""

    def __init__(self, root: Path) -> None:
        self._folder = StateFolder(root)
        self._supervisor = Supervisor()
        self._platform = EmbeddedPlatform(
            self._folder, supervisor=self._supervisor, on_step=lambda _: None
        )
        self._accounts: dict[str, Account] = {}
        self._router: Part | None = None

    def start(self) -> None:
        """Start everything, and wait until all views are kept."""
        given = load_settings()
        start_with_progress(self._platform, given.cache, given.maven_mirror)
        with catalog(self.settings) as parts:
            applied = parts.changes.apply(_declared())
        if applied.plan.faults:
            raise ValueError(f"the catalog of the benchmarks is wrong: {applied.plan.faults}")
        for principal, password in applied.passwords.items():
            self._folder.save_credentials(principal, password)
        control = self.account(OPERATOR).control
        for resource in _ROWS:
            _wait_until(partial(_is_filled, control, resource))

    def stop(self) -> None:
        """Stop everything."""
        for each in self._accounts.values():
            each.control.close()
        self._supervisor.stop()

    def stop_router(self) -> None:
        """End the router process, so that one in this process can take its place."""
        self._router = self._supervisor.part("router")
        self._supervisor.stop("router")

    def start_router(self) -> float:
        """Start the router process that was stopped; return the seconds until it is ready."""
        if self._router is None:
            raise RuntimeError("the router was not stopped")
        started = time.monotonic()
        self._supervisor.start(self._router)
        return time.monotonic() - started

    def running_partitions(self) -> int:
        """Return how many partitions the router process routes, as it exports it."""
        states = Scrape(self._platform.ports["router"]).samples("onesource_router_partitions")
        return int(states.get((("state", "running"),), 0))

    def restart_control(self) -> float:
        """Stop and start the control process; return the seconds until it is ready."""
        part = self._supervisor.part("control")
        self._supervisor.stop("control")
        started = time.monotonic()
        self._supervisor.start(part)
        return time.monotonic() - started

    @property
    def settings(self) -> Settings:
        """How to reach the platform."""
        return load_settings(state_folder=self._folder.root)

    @property
    def root(self) -> Path:
        """Where the platform keeps what it keeps."""
        return self._folder.root

    @property
    def control_url(self) -> str:
        """Where the control process answers."""
        return control_url(self.settings)

    def keep(self, principal: str, password: str) -> None:
        """Keep the password of an account that was made meanwhile."""
        self._folder.save_credentials(principal, password)

    def account(self, principal: str) -> Account:
        """Return an account of the platform."""
        if principal not in self._accounts:
            self._accounts[principal] = account(self.settings, principal)
        return self._accounts[principal]

    def subscriber(self, resource: str) -> Account:
        """Return the account of the one subscription of a resource; it is named like it."""
        return self.account(subscription_principal(resource))

    @property
    def provider(self) -> Account:
        """The account of the provider of all resources."""
        return self.account(provider_principal(_PROVIDER))

    def publication(self, resource: str) -> Publication:
        """Return what the provider of a resource is told."""
        return Publication.from_descriptor(self.provider.control.publication(resource))

    def source(self, resource: str) -> Partition:
        """Return the partition that a resource is published to."""
        return Partition(self.publication(resource).topic, 0)

    def view(self, resource: str) -> Partition:
        """Return the partition of the view of a resource."""
        return Partition(self.subscriber(resource).control.subscription(resource)["topic"], 0)

    def end(self, partition: Partition) -> int:
        """Return where a partition ends."""
        return self._readers.ends([partition])[partition]

    def publish(self, resource: str, records: Sequence[Encoded]) -> tuple[int, int]:
        """Publish records that are encoded already; return from where to where they stand."""
        where = self.source(resource)
        start = self.end(where)
        with Publisher(self.publication(resource), self.provider.kafka) as publisher:
            for key, value in records:
                publisher.publish_bytes(key, value)
        return start, self.end(where)

    def await_routed(self, resource: str) -> None:
        """Wait until the router process has nothing left to do."""
        where = self.source(resource)
        end = self.end(where)
        _wait_until(
            lambda: self._readers.group_positions(ROUTER_GROUP, [where]).get(where, 0) >= end
        )

    def new_database(self, name: str) -> str:
        """Create a database, and return its connection string."""
        create_database(
            self._platform.superuser_dsn,
            database=name,
            owner=name,
            owner_password=self._folder.secret(name),
        )
        return self._platform.postgres_dsn(name, name, name)

    @cached_property
    def _readers(self) -> KafkaLogReaders:
        return KafkaLogReaders(self.account(OPERATOR).kafka, group=f"{OPERATOR}.bench")


@contextmanager
def running_stage() -> Iterator[Stage]:
    """
    Start a platform in a temporary folder, and stop it at the end.

    Raise `ConfigError` if the environment names another: it is not ours to load.
    """
    require_own_platform("the benchmark")
    with tempfile.TemporaryDirectory(prefix="onesource-bench-") as name:
        stage = Stage(Path(name))
        with StateFolder(Path(name)).locked():
            try:
                stage.start()
                yield stage
            finally:
                stage.stop()


def _is_filled(control: ControlClient, subscription: str) -> bool:
    return control.subscription(subscription)["fill_end"] is not None


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the router is not through after {_WAIT_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)


def _declared() -> Catalog:
    entries = {resource: address_entry(resource) for resource in (*_ROWS, PUBLISHED)}
    return Catalog(
        organisations={code: organisation(code) for code in (_PROVIDER, _CONSUMER)},
        entries=entries,
        grants={resource: address_grant(resource, rows) for resource, rows in _ROWS.items()},
    )


def organisation(code: str) -> Organisation:
    """Return a department of a city."""
    return Organisation(
        code=code,
        jurisdiction=_JURISDICTION,
        title_zh=code,
        title_en=code,
        level=Level.CITY,
        zone=Zone.EXTERNAL,
    )


def address_entry(resource: str) -> CatalogEntry:
    """Return an entry with the records that are measured with."""
    shared = {Scope.INTERNAL: ShareRule(share_class=ShareClass.UNCONDITIONAL)}
    return CatalogEntry(
        resource=resource,
        jurisdiction=_JURISDICTION,
        provider=_PROVIDER,
        title_zh=resource,
        title_en=resource,
        category=Category.BASE,
        classification="基础信息/地址",
        format="one record an address",
        update_limit_days=30,
        usage_requirement="for measuring",
        delivery_modes=frozenset(DeliveryMode),
        generation=1,
        partitions=1,
        groups=(ItemGroup(name="base", title_zh="基础", title_en="Base", rules=shared),),
        items=ITEMS,
    )


def address_grant(resource: str, rows: str) -> Grant:
    """Return a grant on most items of an entry, named like it."""
    today = dt.datetime.now(dt.UTC).date()
    return Grant(
        id=resource,
        resource=resource,
        consumer=_CONSUMER,
        scope=Scope.INTERNAL,
        purpose=Purpose.WORK_REFERENCE,
        duty="measuring",
        row_filter=rows,
        treatments=dict.fromkeys(KEPT, Treatment.KEEP),
        mode=DeliveryMode.KAFKA,
        valid_from=today,
        valid_until=today + dt.timedelta(days=365),
    )
