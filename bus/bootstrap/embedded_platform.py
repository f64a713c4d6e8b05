"""
The embedded platform: Kafka, Postgres, and the bus's own processes, on one machine.

`start` brings all of it up and writes the addresses to the state folder; it is what `onesource up`,
the demo and the tests stand on.
"""

import http.client
import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import psycopg
import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bus.adapters.embedded.jars import OnBytes, default_cache, fetch_jars, locked_jars
from bus.adapters.embedded.kafka import ADMIN, KafkaNode
from bus.adapters.embedded.postgres import STOP_SIGNAL, PostgresCluster
from bus.adapters.embedded.processes import ProcessIdentity, free_port
from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.embedded.supervisor import Part, Supervisor
from bus.adapters.kafka.access_admin import KafkaAccessAdmin
from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.postgres.catalog_store import PostgresCatalogStore
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.provision import (
    APPLICATION,
    DATABASE,
    OWNER,
    prepare_control_database,
)
from bus.adapters.pseudonym_secret_files import ensure_first_secret
from bus.bootstrap.identity import ensure_first_administrator
from bus.bootstrap.pseudonyms import default_folder
from bus.domain.access import SERVICE_RULES
from bus.services.provision import provision, register_services
from bus.settings import CREDENTIALS_FOLDER

log = structlog.get_logger(__name__)

_LEFTOVER_GRACE_SECONDS = 20.0
_READY_SECONDS = 2.0

#: Called with a sentence for each step.
OnStep = Callable[[str], None]


class EmbeddedPlatform:
    """One platform in one state folder. The caller holds the folder's lock."""

    #: The brokers, by the names of their processes, folders and ports.
    brokers: Sequence[str] = ("kafka",)

    def __init__(self, folder: StateFolder, *, supervisor: Supervisor, on_step: OnStep) -> None:
        self._folder = folder
        self._supervisor = supervisor
        self._on_step = on_step
        self._known = folder.platform()
        self._ports: dict[str, int] = {}

    def start(
        self,
        *,
        cache: Path | None = None,
        mirror: str | None = None,
        on_bytes: OnBytes = lambda _: None,
        processes: bool = True,
    ) -> None:
        """
        Bring everything up and wait until it works; `processes`: the bus's own, too.

        Raise `DownloadFailed`, `JarRefused` or `PlatformDamaged`, with nothing left running.
        """
        try:
            self._stop_leftovers()
            jars = fetch_jars(
                locked_jars(), cache or default_cache(), mirror=mirror, on_bytes=on_bytes
            )
            ensure_first_secret(default_folder(self._folder.root))
            self._choose_ports()
            kafka = [self._kafka_node(name, jars) for name in self.brokers]
            postgres = self._postgres_cluster()
            self._on_step("starting Kafka and Postgres")
            for node in kafka:
                node.prepare()
            postgres.prepare()
            self._supervisor.start(*map(self._kafka_part, kafka), self._postgres_part(postgres))
            self._on_step("preparing topics, accounts and tables")
            self._provision(postgres)
            self.save()
            if processes:
                self._on_step("starting control and router")
                self._supervisor.start(self.process_part("control", "control"))
                self._supervisor.start(self.process_part("router", "router"))
            self.save()
        except BaseException:
            self._supervisor.stop()
            raise

    def process_part(
        self,
        name: str,
        *arguments: str,
        environment: dict[str, str] | None = None,
        may_finish: bool = False,
    ) -> Part:
        """Return a process of our own, `onesource <arguments>`, with its health page on a port."""
        port = self._ports.setdefault(name, free_port(self._port_before(name)))
        return Part(
            name=name,
            command=[sys.executable, "-m", "bus.cli.main", *arguments],
            log=self._folder.root / "logs" / f"{name}.log",
            ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
            environment={
                "ONESOURCE_STATE_FOLDER": str(self._folder.root),
                "ONESOURCE_HTTP__PORT": str(port),
                "ONESOURCE_LOG_FORMAT": "json",
                **(environment or {}),
            },
            may_finish=may_finish,
        )

    def save(self) -> None:
        """Write addresses and process identities to the state folder."""
        supervisor = ProcessIdentity.of(os.getpid())
        self._folder.save_platform(
            {
                "kafka": {"bootstrap": self.bootstrap, "replication": len(self.brokers)},
                "postgres": {
                    "dsn": self.postgres_dsn(DATABASE, APPLICATION, "postgres-application"),
                    "owner_dsn": self.postgres_dsn(DATABASE, OWNER, "postgres-owner"),
                },
                "control": {
                    "url": f"http://127.0.0.1:{self._ports.get('control', 0)}",
                },
                "ports": self._ports,
                "supervisor": {"pid": supervisor.pid, "created": supervisor.created},
                "processes": self._supervisor.identities(),
            }
        )

    def postgres_dsn(self, database: str, user: str, secret: str) -> str:
        """Return a connection string; `secret` names the password in the state folder."""
        password = self._folder.secret(secret)
        return f"postgresql://{user}:{password}@127.0.0.1:{self._ports['postgres']}/{database}"

    @property
    def bootstrap(self) -> str:
        """The addresses that Kafka's clients start from."""
        return ",".join(f"127.0.0.1:{self._ports[name]}" for name in self.brokers)

    @property
    def superuser_dsn(self) -> str:
        """The connection string of the database's superuser."""
        return self.postgres_dsn("postgres", "postgres", "postgres-superuser")

    @property
    def ports(self) -> dict[str, int]:
        """The ports in use, by part."""
        return dict(self._ports)

    def _stop_leftovers(self) -> None:
        """End what a supervisor that was killed has left running."""
        for name, identity in reversed(self._known.get("processes", {}).items()):
            leftover = ProcessIdentity(int(identity["pid"]), float(identity["created"]))
            if leftover.process() is not None:
                log.warning("ending a leftover process", part=name, pid=leftover.pid)
                ask = STOP_SIGNAL if name == "postgres" else signal.SIGTERM
                leftover.stop(grace_seconds=_LEFTOVER_GRACE_SECONDS, ask=ask)

    def _choose_ports(self) -> None:
        # The ports of the last start are kept if they are free: addresses handed out stay true.
        nodes = [each for name in self.brokers for each in (name, _controller(name))]
        for name in (*nodes, "postgres", "control", "router"):
            self._ports[name] = free_port(self._port_before(name))

    def _port_before(self, name: str) -> int | None:
        port = self._known.get("ports", {}).get(name)
        return port if isinstance(port, int) else None

    def _kafka_node(self, name: str, jars: list[Path]) -> KafkaNode:
        return KafkaNode(
            folder=self._folder.root / name,
            jars=jars,
            client_port=self._ports[name],
            controller_port=self._ports[_controller(name)],
            admin_password=self._folder.secret("kafka-admin"),
            controller_password=self._folder.secret("kafka-controller"),
        )

    def _postgres_cluster(self) -> PostgresCluster:
        return PostgresCluster(
            folder=self._folder.root / "postgres",
            port=self._ports["postgres"],
            superuser_password=self._folder.secret("postgres-superuser"),
        )

    def _kafka_part(self, kafka: KafkaNode) -> Part:
        name = kafka.folder.name
        admin = AdminClient(
            {**self._admin(kafka.bootstrap).client(), "log_level": 0}, logger=LOGGER
        )

        def ready() -> bool:
            try:
                known = admin.list_topics(timeout=1).brokers
            except KafkaException:
                return False
            return len(known) == len(self.brokers)

        return Part(
            name=name,
            command=kafka.command(),
            log=self._folder.root / "logs" / f"{name}.log",
            ready=ready,
            ready_seconds=120.0,
            grace_seconds=30.0,
        )

    def _postgres_part(self, postgres: PostgresCluster) -> Part:
        def ready() -> bool:
            try:
                psycopg.connect(postgres.dsn(), connect_timeout=2).close()
            except psycopg.OperationalError:
                return False
            return True

        return Part(
            name="postgres",
            command=postgres.command(),
            log=self._folder.root / "logs" / "postgres.log",
            ready=ready,
            user=postgres.user,
            stop_signal=STOP_SIGNAL,
        )

    def _provision(self, postgres: PostgresCluster) -> None:
        admin = self._admin(self.bootstrap)
        passwords = {name: self._folder.secret(name) for name in SERVICE_RULES}
        topics = KafkaTopicAdmin(admin, replication=len(self.brokers))
        provision(topics, KafkaAccessAdmin(admin), passwords)
        prepare_control_database(
            postgres.dsn(),
            self.postgres_dsn(DATABASE, OWNER, "postgres-owner"),
            owner_password=self._folder.secret("postgres-owner"),
            application_password=self._folder.secret("postgres-application"),
        )
        application_dsn = self.postgres_dsn(DATABASE, APPLICATION, "postgres-application")
        with closing(Postgres(application_dsn, most=1)) as pool:
            register_services(PostgresCatalogStore(pool), passwords)
            ensure_first_administrator(pool, self._folder.root / CREDENTIALS_FOLDER)
        for name, password in passwords.items():
            self._folder.save_credentials(name, password)

    def _admin(self, bootstrap: str) -> KafkaConnection:
        return broker_admin(self._folder, bootstrap)


def broker_admin(folder: StateFolder, bootstrap: str) -> KafkaConnection:
    """Return how the embedded broker's own account connects, which may do everything."""
    return KafkaConnection(
        bootstrap=bootstrap, username=ADMIN, password=folder.secret("kafka-admin")
    )


def _controller(broker: str) -> str:
    """Return the name of the port on which a broker's controller listens."""
    return f"{broker}-controller"


def answers(url: str) -> bool:
    """Tell whether a health page of ours says that all is well."""
    # Our own pages are on this machine: no proxy that the environment names can reach them.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=_READY_SECONDS) as response:
            return bool(response.status == 200)  # noqa: PLR2004
    except (http.client.HTTPException, OSError):
        return False
