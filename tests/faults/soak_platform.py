"""
An embedded platform of one broker or of three, with a proxy on the routers' way to each of them.

A broker has a listener more than the product's, and advertises its proxy's port for it: so routers
reach it through the proxy alone, and everybody else as ever. It compacts nothing, so that in the
end each topic still has its whole history. Three brokers are replicated as `docker/` has it.
"""

import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
from typing_extensions import override

from bus.adapters.embedded.kafka import KafkaNode, new_cluster_id
from bus.adapters.embedded.processes import free_port, spawn
from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.embedded.supervisor import Part, Supervisor
from bus.bootstrap.embedded_platform import EmbeddedPlatform
from tests import builders
from tests.faults.proxy import Proxy
from tests.live_platform import LivePlatform

_KAFKA = "kafka"
_STOP_SECONDS = 40.0
#: What the broker says of transactions: who looks for the cause of a violation wants to know.
_LOUDER = """\
logger.transactions.name = kafka.coordinator.transaction
logger.transactions.level = info
logger.logs.name = org.apache.kafka.storage.internals.log
logger.logs.level = info
"""


#: Three Java machines on two cores: quickly started rather than quick for long.
_SMALL = ("-Xmx320m", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiedNode(KafkaNode):
    """A node with a listener for the proxy, one of those in `voters` (node id -> port)."""

    node_id: int
    voters: Sequence[tuple[int, int]]
    behind_port: int
    proxy_port: int

    @override
    def prepare(self) -> None:
        KafkaNode.prepare(self)
        with self._log4j.open("a", encoding="utf-8") as file:
            file.write(_LOUDER)

    @override
    def _configuration(self) -> str:
        told: dict[str, object] = {
            "listeners": (
                f"CLIENT://127.0.0.1:{self.client_port},"
                f"CONTROLLER://127.0.0.1:{self.controller_port},"
                f"ROUTER://127.0.0.1:{self.behind_port}"
            ),
            "advertised.listeners": (
                f"CLIENT://127.0.0.1:{self.client_port},ROUTER://127.0.0.1:{self.proxy_port}"
            ),
            "listener.security.protocol.map": (
                "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,ROUTER:SASL_PLAINTEXT"
            ),
            "listener.name.router.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "log.cleaner.enable": "false",
        }
        if len(self.voters) > 1:
            told |= self._replicated()
        # A property that is said twice is what was said last.
        text = "".join(f"{name}={value}\n" for name, value in told.items())
        return KafkaNode._configuration(self) + text

    def _replicated(self) -> dict[str, object]:
        """Return what `docker/kafka/server.properties` says of three brokers, too."""
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in self.voters)
        factors = dict.fromkeys(
            (
                "default.replication.factor",
                "offsets.topic.replication.factor",
                "transaction.state.log.replication.factor",
                "share.coordinator.state.topic.replication.factor",
            ),
            len(self.voters),
        )
        in_sync = dict.fromkeys(
            (
                "min.insync.replicas",
                "transaction.state.log.min.isr",
                "share.coordinator.state.topic.min.isr",
            ),
            len(self.voters) - 1,
        )
        return {
            "node.id": self.node_id,
            "controller.quorum.voters": voters,
            **factors,
            **in_sync,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 2_000,
        }


class ProxiedPlatform(EmbeddedPlatform):
    """An embedded platform with such nodes."""

    def __init__(self, folder: StateFolder, *, supervisor: Supervisor, brokers: int) -> None:
        super().__init__(folder, supervisor=supervisor, on_step=lambda _: None)
        self.brokers = (_KAFKA, *(f"{_KAFKA}-{number}" for number in range(2, brokers + 1)))
        self._cluster_id = new_cluster_id()

    @override
    def _choose_ports(self) -> None:
        super()._choose_ports()
        for name in self.brokers:
            self._ports[_behind(name)] = free_port()
            self._ports[_proxy(name)] = free_port()

    @override
    def _kafka_node(self, name: str, jars: list[Path]) -> KafkaNode:
        plain = super()._kafka_node(name, jars)
        given = {field.name: getattr(plain, field.name) for field in fields(plain)}
        alone = len(self.brokers) == 1
        return ProxiedNode(
            **given
            | {"cluster_id": self._cluster_id, "jvm": plain.jvm if alone else _SMALL}
            | {"node_id": self.brokers.index(name) + 1, "voters": self._voters()},
            behind_port=self._ports[_behind(name)],
            proxy_port=self._ports[_proxy(name)],
        )

    def _voters(self) -> list[tuple[int, int]]:
        return [
            (number, self._ports[f"{name}-controller"])
            for number, name in enumerate(self.brokers, 1)
        ]


class SoakPlatform(LivePlatform):
    """Kafka, Postgres and control; routers are started, and ended, by who tests them."""

    def __init__(self, root: Path, *, brokers: int = 1) -> None:
        super().__init__(root)
        self._platform = ProxiedPlatform(self.folder, supervisor=self.supervisor, brokers=brokers)
        self.proxies: list[Proxy] = []

    @override
    def start(self) -> None:
        self._platform.start(processes=False)
        for name in self._platform.brokers:
            proxy = Proxy(port=self.port(_proxy(name)), target=self.port(_behind(name)))
            proxy.start()
            self.proxies.append(proxy)
        self.supervisor.start(self._platform.process_part("control", "control"))
        self._platform.save()
        for code in (builders.PROVIDER, builders.CONSUMER):
            self._organisations[code] = builders.organisation(code)
        self.apply(wait=False)

    @override
    def stop(self) -> None:
        if len(self.proxies) > 1:
            # Asked to end one by one, the last two would wait for a quorum that there is no more.
            for broker in self.brokers():
                broker.kill()
        super().stop()
        for proxy in self.proxies:
            proxy.close()

    def brokers(self) -> "list[Broker]":
        """Return the brokers' processes."""
        return [Broker(self, name) for name in self._platform.brokers]

    @property
    def router_environment(self) -> dict[str, str]:
        """What tells a router where the brokers are: behind their proxies."""
        return {
            "ONESOURCE_STATE_FOLDER": str(self.folder.root),
            "ONESOURCE_HTTP__PORT": "0",
            "ONESOURCE_LOG_FORMAT": "json",
            "ONESOURCE_KAFKA__BOOTSTRAP": ",".join(
                f"127.0.0.1:{proxy.port}" for proxy in self.proxies
            ),
        }

    def segments(self, topic: str, partition: int) -> Path:
        """Return the folder with the segment files of a partition: any replica's, all in sync."""
        return self.folder.root / "kafka" / "data" / f"{topic}-{partition}"


class Broker:
    """A broker's process, for who ends and starts it as he likes."""

    def __init__(self, platform: SoakPlatform, name: str) -> None:
        self._platform = platform
        self._name = name
        self._part: Part = platform.supervisor.part(name)

    @property
    def _process(self) -> "subprocess.Popen[bytes]":
        return self._platform.supervisor._running[self._name].process

    @property
    def runs(self) -> bool:
        """Whether there is a process, standing still or not."""
        return self._process.poll() is None

    def has_ended(self) -> bool:
        """Tell whether there is no process any more."""
        return not self.runs

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order; return at once."""
        self._process.terminate()

    def stand_still(self) -> None:
        """Let it do nothing."""
        psutil.Process(self._process.pid).suspend()

    def go_on(self) -> None:
        """Let it go on."""
        psutil.Process(self._process.pid).resume()

    def start(self) -> None:
        """Start it again; wait for the end of the one before, not for it to be ready."""
        self._process.wait(_STOP_SECONDS)
        self._platform.supervisor._running[self._name].process = spawn(
            self._part.command,
            log=self._part.log,
            environment=self._part.environment,
            on_orphaned=self._part.stop_signal,
        )

    def listens(self) -> bool:
        """Tell whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self._platform.port(self._name)), 0.2).close()
        except OSError:
            return False
        return True


def _behind(broker: str) -> str:
    """Return the name of the port where a broker listens for its proxy."""
    return f"{broker}-behind-proxy"


def _proxy(broker: str) -> str:
    """Return the name of the port where the proxy of a broker listens."""
    return f"{broker}-proxy"
