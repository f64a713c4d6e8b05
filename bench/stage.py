"""An embedded platform of our own, in a folder that goes when it stops."""

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

import psutil

from bench.records import EVERY_ONE, ITEMS, KEPT, ONE_IN_TEN, Encoded
from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.embedded.supervisor import Part, Supervisor
from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.postgres.provision import create_database
from bus.bootstrap.accounts import Account, account
from bus.bootstrap.catalog import catalog
from bus.bootstrap.connections import control_url, kafka_settings
from bus.bootstrap.embedded_platform import EmbeddedPlatform, broker_admin
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

#: Resources, by what passes their view's row filter; each has one view, and one partition if no
#: more are named below.
TENTH, WHOLE, PACED, STORED, PUBLISHED = "tenth", "whole", "paced", "stored", "published"
FILLED, DIVIDED = "filled", "divided"
_ROWS = {TENTH: ONE_IN_TEN} | dict.fromkeys((WHOLE, PACED, STORED, FILLED, DIVIDED), EVERY_ONE)
#: For two routers to share.
_PARTITIONS = {DIVIDED: 2}

#: Resources for many views; they have none until grants are added.
_FANNED = (10, 100, 1_000)

_JURISDICTION = "bench"
_PROVIDER = "registry"
_CONSUMER = "housing"
_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_TELL_SECONDS = 15.0
#: Per cent of a core that the broker takes when it is quiet, for so long, and how long to wait.
_QUIET = 15.0
_QUIET_LOOK_SECONDS = 0.5
_QUIET_SECONDS = 20.0
_LAG = "onesource_router_lag_records"


class Stage:
    """Kafka, Postgres, control and router, and a catalog to measure with."""

    def __init__(self, root: Path) -> None:
        self._folder = StateFolder(root)
        self._supervisor = Supervisor()
        self._platform = EmbeddedPlatform(
            self._folder, supervisor=self._supervisor, on_step=lambda _: None
        )
        self._accounts: dict[str, Account] = {}
        self._routers: dict[str, Part] = {}
        self._grants = {resource: address_grant(resource, rows) for resource, rows in _ROWS.items()}

    def start(self) -> None:
        """Start everything, and wait until all views are kept."""
        given = load_settings()
        start_with_progress(self._platform, given.cache, given.maven_mirror)
        self.add_grants([])
        self.await_filled(_ROWS, timeout=_WAIT_SECONDS)

    def add_grants(self, grants: Sequence[Grant]) -> None:
        """Put `grants` in force, beside the one that each resource has."""
        self._grants |= {grant.id: grant for grant in grants}
        with catalog(self.settings) as parts:
            applied = parts.changes.apply(_declared(self._grants))
        if applied.plan.faults:
            raise ValueError(f"the catalog of the benchmarks is wrong: {applied.plan.faults}")
        for principal, password in applied.passwords.items():
            self._folder.save_credentials(principal, password)

    def await_filled(
        self,
        subscriptions: Iterable[str],
        *,
        timeout: float,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Wait until the views of all these have what there was before; `say` how far they are."""
        control = self.account(OPERATOR).control
        due = time.monotonic() + _TELL_SECONDS

        def is_filled(subscription: str) -> bool:
            nonlocal due
            if say is not None and time.monotonic() > due:
                say(f"{self.fill_remaining():,} positions are still to be looked at")
                due += _TELL_SECONDS
            return control.subscription(subscription)["fill_end"] is not None

        for each in subscriptions:
            _wait_until(partial(is_filled, each), timeout)

    def stop(self) -> None:
        """Stop everything."""
        for each in self._accounts.values():
            each.control.close()
        self._supervisor.stop()

    def stop_router(self, number: int = 0) -> None:
        """End a router process, if it runs, so that one in this process can take its place."""
        name = _router(number)
        if name in self._supervisor.identities():
            self._routers[name] = self._supervisor.part(name)
            self._supervisor.stop(name)

    def start_router(self, processes: int = 1) -> float:
        """Start router processes, together; return the seconds until they are ready."""
        parts = [self._router_part(number) for number in range(processes)]
        started = time.monotonic()
        self._supervisor.start(*parts)
        return time.monotonic() - started

    def _router_part(self, number: int) -> Part:
        name = _router(number)
        if name not in self._routers:
            slot = {"ONESOURCE_SLOT": str(number)}
            self._routers[name] = self._platform.process_part(name, "router", environment=slot)
        return self._routers[name]

    @property
    def router_pid(self) -> int:
        """The process of the router."""
        return int(self._supervisor.identities()["router"]["pid"])

    def running_partitions(self) -> int:
        """Return how many partitions the router process routes, as it exports it."""
        states = self._scrape(0).samples("onesource_router_partitions")
        return int(states.get((("state", "running"),), 0))

    def fill_remaining(self) -> int:
        """Return how many positions the router's fills have still to look at, as it exports it."""
        return int(sum(self._scrape(0).samples("onesource_router_fill_remaining_records").values()))

    def routes(self, number: int, resource: str) -> bool:
        """Tell whether a router process has partitions of a resource, as it exports it."""
        return (("resource", resource),) in self._scrape(number).samples(_LAG)

    def _scrape(self, number: int) -> Scrape:
        return Scrape(self._platform.ports[_router(number)])

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
    def broker_admin(self) -> KafkaConnection:
        """The broker's own account: peers ask for more than any account of the bus may."""
        return broker_admin(self._folder, kafka_settings(self.settings).bootstrap)

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
        return self.subscription_view(resource)

    def subscription_view(self, subscription: str) -> Partition:
        """Return the partition of the view of a subscription."""
        descriptor = self.subscriber(subscription).control.subscription(subscription)
        return Partition(descriptor["topic"], 0)

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

    def await_quiet(self) -> None:
        """
        Wait until the broker is through with what it does of itself, such as compacting logs.

        Who comes first after a backlog was published would have to share the cores with that. It
        is not waited for for ever: some of it never ends.
        """
        broker = psutil.Process(int(self._supervisor.identities()["kafka"]["pid"]))
        deadline = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < deadline and broker.cpu_percent(_QUIET_LOOK_SECONDS) > _QUIET:
            pass

    def positions(self, resource: str) -> Mapping[Partition, int]:
        """Return up to where the router has committed each partition of a resource."""
        wheres = self._partitions(resource)
        found = self._readers.group_positions(ROUTER_GROUP, wheres)
        return {where: found.get(where, 0) for where in wheres}

    def ends(self, resource: str) -> Mapping[Partition, int]:
        """Return where the partitions of a resource end."""
        return self._readers.ends(self._partitions(resource))

    def _partitions(self, resource: str) -> list[Partition]:
        topic = self.source(resource).topic
        return [Partition(topic, number) for number in range(_PARTITIONS.get(resource, 1))]

    def await_routed(self, resource: str) -> None:
        """Wait until the router process has nothing left to do."""
        end = self.end(self.source(resource))
        _wait_until(lambda: self.routed(resource) >= end)

    def routed(self, resource: str) -> int:
        """Return up to where the router has committed the records of a resource."""
        where = self.source(resource)
        return self._readers.group_positions(ROUTER_GROUP, [where]).get(where, 0)

    def lag(self, resource: str) -> int:
        """Return how many records of a resource the router has still to route."""
        # Asked for first, so that it is not ahead of an end that is older.
        routed = self.routed(resource)
        return self.end(self.source(resource)) - routed

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


def _wait_until(condition: Callable[[], bool], timeout: float = _WAIT_SECONDS) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the router is not through after {timeout:.0f} s")
        time.sleep(_LOOK_SECONDS)


def _declared(grants: Mapping[str, Grant]) -> Catalog:
    resources = (*_ROWS, PUBLISHED, *map(fanned, _FANNED))
    entries = {resource: address_entry(resource) for resource in resources}
    return Catalog(
        organisations={code: organisation(code) for code in (_PROVIDER, _CONSUMER)},
        entries=entries,
        grants=grants,
    )


def _router(number: int) -> str:
    return f"router-{number}" if number else "router"


def fanned(views: int) -> str:
    """Return the resource that is there for so many views."""
    return f"fan-{views}"


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
        partitions=_PARTITIONS.get(resource, 1),
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
