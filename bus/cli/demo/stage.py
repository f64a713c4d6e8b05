"""The processes of the demo: the platform, the provider, and a sink for each department."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from confluent_kafka import Consumer, KafkaError

from bus.adapters.embedded.processes import ProcessIdentity
from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.embedded.supervisor import Supervisor
from bus.adapters.kafka.connection import LOGGER
from bus.adapters.postgres.provision import create_database
from bus.bootstrap.connections import control_url, kafka_connection
from bus.bootstrap.embedded_platform import EmbeddedPlatform
from bus.bootstrap.verification import Verification, verification
from bus.cli.demo.government import Government
from bus.cli.demo.last_delivery import LastDelivery
from bus.cli.demo.scenario import REVOKED, Dataset, Department
from bus.cli.platform import start_with_progress
from bus.domain.names import (
    ROUTER_GROUP,
    group_prefix,
    provider_principal,
    subscription_principal,
)
from bus.errors import BusError, ConfigError
from bus.ports import Partition
from bus.settings import Settings, load_settings

_REFUSAL_SECONDS = 10.0
_LOOK_SECONDS = 0.1
#: How long a revoked reader is watched on.
_AFTER_REVOCATION_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Published:
    """What the provider says about an edition."""

    inserts: int
    updates: int
    deletes: int
    sent: int
    sending_seconds: float


@dataclass(frozen=True, slots=True)
class Revocation:
    """How the revocation of a grant went."""

    call_seconds: float
    last_delivery: float | None
    """Seconds from the call to the last record that the reader got; None: none came."""


class Stage:
    """Starts, changes and watches everything that the demo runs."""

    def __init__(self, root: Path, dataset: Dataset) -> None:
        self.dataset = dataset
        self._folder = StateFolder(root)
        self._definitions = root / "definitions"
        self._supervisor = Supervisor()
        self._platform = EmbeddedPlatform(
            self._folder, supervisor=self._supervisor, on_step=lambda _: None
        )
        self._government: Government | None = None
        self._databases: dict[str, str] = {}
        self._publisher_peak = 0

    @staticmethod
    def clear(root: Path) -> None:
        """Remove what an earlier demo has left in `root`; end what a killed one left running."""
        for identity in StateFolder(root).platform().get("processes", {}).values():
            ProcessIdentity(int(identity["pid"]), float(identity["created"])).stop(
                grace_seconds=_REFUSAL_SECONDS
            )
        for path in root.iterdir() if root.exists() else ():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def start(self, settings: Settings) -> None:
        """Start the platform and apply the definitions."""
        self._platform = EmbeddedPlatform(
            self._folder, supervisor=self._supervisor, on_step=lambda _: None
        )
        start_with_progress(self._platform, settings.cache, settings.maven_mirror)
        self.dataset.prepare_definitions(self._definitions)
        self._government = Government(control_url(self.settings), self._folder, self._definitions)
        self.government.set_up(self.dataset.resource)
        self.ask(*(each.code for each in self.dataset.departments()))

    @property
    def government(self) -> Government:
        """Who acts; there is nobody before the start."""
        if self._government is None:
            raise LookupError("the stage has not been started")
        return self._government

    def ask(self, *departments: str) -> None:
        """Let departments ask for their parts, and get them."""
        for department in departments:
            self.government.ask(department, self.dataset.grant_file(self._definitions, department))

    def stop(self) -> None:
        """Stop everything, the last started first."""
        if self._government is not None:
            self._government.close()
        self._supervisor.stop()

    def watch(self) -> None:
        """Restart what has crashed."""
        self._supervisor.watch()

    @property
    def settings(self) -> Settings:
        """How to reach the demo's platform."""
        return load_settings(state_folder=self._folder.root)

    def change_grants(self) -> Revocation:
        """Change a filter, revoke a grant and give a new one; return how the revocation went."""
        self.dataset.change_definitions(self._definitions)
        changzhou = self.dataset.grant_file(self._definitions, "changzhou")
        self.government.amend("changzhou", changzhou)
        revocation = self._revoke(REVOKED)
        self.ask("tourism")
        return revocation

    def _revoke(self, department: str) -> Revocation:
        """Revoke a grant while its own account reads, and see when the last record reaches it."""
        subscription = self.subscription(department)
        principal = subscription_principal(subscription)
        with verification(self.settings) as tools:
            topic = tools.account.control.subscription(subscription)["topic"]
            where = Partition(topic, 0)
            end = tools.readers.ends([where])[where]
        reader = LastDelivery(
            kafka_connection(self.settings, principal),
            group=f"{group_prefix(principal)}last",
            topic=topic,
            end=end,
        )
        try:
            called = time.monotonic()
            seconds = self.government.revoke(department, self.dataset.resource)
            time.sleep(_AFTER_REVOCATION_SECONDS)
            return Revocation(seconds, reader.after(called))
        finally:
            reader.close()

    def subscription(self, department: str) -> str:
        """Return the subscription of a department; one that there is not if it has no grant."""
        return self.government.grants.get(department, f"none-of-{department}")

    def start_sink(self, *departments: Department) -> None:
        """Start the sinks of departments, each on a database of its own."""
        parts = []
        for department in departments:
            password = self._folder.secret(f"department-{department.code}")
            create_database(
                self._platform.superuser_dsn,
                database=department.code,
                owner=department.code,
                owner_password=password,
            )
            dsn = self._platform.postgres_dsn(
                department.code, department.code, f"department-{department.code}"
            )
            self._databases[department.code] = dsn
            part = self._platform.process_part(
                f"sink-{department.code}",
                *("sink", "postgres", self.subscription(department.code)),
                environment={"ONESOURCE_SINK_DSN": dsn},
                may_finish=True,
            )
            parts.append(part)
        self._supervisor.start(*parts)
        self._platform.save()

    def dsn(self, department: Department) -> str:
        """Return the connection string of a department's database."""
        return self._databases[department.code]

    def port(self, part: str) -> int:
        """Return the port of a part's health page."""
        return self._platform.ports[part]

    def refusals(self, department: Department, topic: str) -> tuple[str, str]:
        """
        Try to read `topic` as an organisation without a grant, through Kafka and through HTTP.

        Return what each answers; raise `ConfigError` if one of them lets it.
        """
        principal = provider_principal(department.code)
        connection = kafka_connection(self.settings, principal)
        group = f"{group_prefix(principal)}try"
        settings = connection.client(group_id=group, auto_offset_reset="error")
        # To be refused is what it is for; nobody needs to read of it in the log.
        consumer = Consumer({**settings, "log_level": 0}, logger=LOGGER)
        try:
            consumer.subscribe([topic])
            by_kafka = self._kafka_refusal(consumer)
        finally:
            consumer.close()
        from bus.bootstrap.accounts import account

        try:
            account(self.settings, principal).control.subscription(
                self.subscription(department.code)
            )
        except BusError as error:
            return by_kafka, error.code
        raise ConfigError(f"the control plane does not refuse {department.code}")

    @staticmethod
    def _kafka_refusal(consumer: Consumer) -> str:
        deadline = time.monotonic() + _REFUSAL_SECONDS
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None:
                break
            if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return error.name()
        raise ConfigError("Kafka does not refuse a reader without a grant")

    def topic_of(self, department: Department) -> str:
        """Return the topic that a department reads now."""
        from bus.bootstrap.accounts import account
        from bus.domain.access import OPERATOR

        operator = account(self.settings, OPERATOR)
        found: str = operator.control.subscription(self.subscription(department.code))["topic"]
        return found

    def publish(self, edition: Path, *, rate: float | None = None) -> "subprocess.Popen[str]":
        """Start publishing an edition, as its provider does it: by the command line."""
        command = [sys.executable, "-m", "bus.cli.main", "publish", "file", self.dataset.resource]
        command += [str(edition), "--json"]
        if rate is not None:
            command += ["--rate", str(rate)]
        return subprocess.Popen(  # noqa: S603 (the command is ours)
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
        )

    def await_published(self, process: "subprocess.Popen[str]") -> Published:
        """Wait for the provider, and return what it says."""
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            self.watch()
            self._publisher_peak = max(self._publisher_peak, _peak_bytes(watched))
            time.sleep(_LOOK_SECONDS)
        out, err = process.communicate()
        if process.returncode:
            raise ConfigError(f"publishing failed: {err.strip() or out.strip()}")
        said = json.loads(out)
        return Published(
            inserts=said["inserts"],
            updates=said["updates"],
            deletes=said["deletes"],
            sent=said["sent"],
            sending_seconds=said["sending_seconds"],
        )

    def await_quiet(self, departments: Iterable[Department], seconds: float) -> None:
        """
        Wait until the router and the sinks of `departments` have nothing left to do.

        Raise `ConfigError` if it takes more than `seconds`.
        """
        deadline = time.monotonic() + seconds
        with verification(self.settings) as tools:
            self._await_router(tools, deadline)
            for department in departments:
                self._await_sink(tools, department, deadline)

    def await_flow(self, process: "subprocess.Popen[str]") -> None:
        """Wait until records of the edition that `process` publishes have arrived at the broker."""
        with verification(self.settings) as tools:
            where = self._source(tools)
            before = tools.readers.ends(where)
            while process.poll() is None and tools.readers.ends(where) == before:
                time.sleep(_LOOK_SECONDS / 10)

    def _await_router(self, tools: Verification, deadline: float) -> None:
        partitions = self._source(tools)
        ends = tools.readers.ends(partitions)
        while any(
            tools.readers.group_positions(ROUTER_GROUP, partitions).get(each, 0) < end
            for each, end in ends.items()
        ):
            self._pause("the router is still behind", deadline)

    def _source(self, tools: Verification) -> list[Partition]:
        descriptor = tools.account.control.publication(self.dataset.resource)
        return [Partition(descriptor["topic"], each) for each in range(descriptor["partitions"])]

    def _await_sink(self, tools: Verification, department: Department, deadline: float) -> None:
        subscription = self.subscription(department.code)
        while True:
            descriptor = tools.account.control.subscription(subscription)
            if descriptor["fill_end"] is not None:
                where = Partition(descriptor["topic"], 0)
                if (
                    self._sink_position(department, where.topic)
                    >= tools.readers.ends([where])[where]
                ):
                    return
            self._pause(f"the sink of {department.code} is still behind", deadline)

    def _sink_position(self, department: Department, topic: str) -> int:
        """Return how far the table of a department is; -1 if it is not, or not with this view."""
        try:
            with psycopg.connect(self.dsn(department)) as connection:
                row = connection.execute(
                    "SELECT p.position FROM onesource_sink.position p"
                    " JOIN onesource_sink.subscription s ON s.id = p.subscription"
                    " WHERE p.topic = %s AND s.topic = p.topic AND NOT s.resyncing",
                    (topic,),
                ).fetchone()
        except psycopg.errors.UndefinedTable:
            # The sink has been started, and has not made its tables yet.
            return -1
        return int(row[0]) if row else -1

    def _pause(self, reason: str, deadline: float) -> None:
        self.watch()
        if time.monotonic() > deadline:
            raise ConfigError(f"{reason}; the logs are in {self._folder.root}/logs")
        time.sleep(_LOOK_SECONDS)

    def peaks(self) -> dict[str, int]:
        """Return the peak resident memory of each process, in bytes."""
        peaks = {"publisher": self._publisher_peak}
        for name, identity in self._supervisor.identities().items():
            peaks[name] = _peak_bytes(psutil.Process(int(identity["pid"])))
        peaks["demo"] = _peak_bytes(psutil.Process())
        return peaks

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "ONESOURCE_STATE_FOLDER": str(self._folder.root)}


def _peak_bytes(process: psutil.Process) -> int:
    """Return the most memory that a process has had resident."""
    try:
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return int(process.memory_info().rss)
    except (OSError, psutil.NoSuchProcess):
        return 0
