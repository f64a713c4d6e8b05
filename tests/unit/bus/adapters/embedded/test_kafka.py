"""Unit tests of `bus.adapters.embedded.kafka`: what the node is told, before it is started."""

import stat
import uuid
from pathlib import Path

import pytest

from bus.adapters.embedded.kafka import KafkaNode, new_cluster_id


@pytest.fixture
def node(tmp_path: Path) -> KafkaNode:
    """Return a node whose storage has been formatted."""
    folder = tmp_path / "kafka"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").touch()
    return KafkaNode(
        folder=folder,
        jars=[tmp_path / "a.jar", tmp_path / "b.jar"],
        client_port=19092,
        controller_port=19093,
        admin_password="admin-secret",
        controller_password="controller-secret",
    )


def properties(node: KafkaNode) -> dict[str, str]:
    """Return the configuration that the node has written."""
    node.prepare()
    text = (node.folder / "server.properties").read_text(encoding="utf-8")
    return dict(line.split("=", 1) for line in text.splitlines())


def test_nobody_comes_in_without_a_password_and_nobody_else_is_a_super_user(
    node: KafkaNode,
) -> None:
    """An anonymous super user on the controller's port would open everything."""
    told = properties(node)

    assert told["listener.security.protocol.map"] == (
        "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
    )
    assert told["super.users"] == "User:admin;User:controller"
    assert told["authorizer.class.name"].endswith(".StandardAuthorizer")
    assert "allow.everyone.if.no.acl.found" not in told
    assert "ANONYMOUS" not in str(told)
    assert told["sasl.enabled.mechanisms"] == "SCRAM-SHA-512"


def test_it_listens_on_this_machine_only(node: KafkaNode) -> None:
    told = properties(node)

    assert told["listeners"] == "CLIENT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert told["advertised.listeners"] == "CLIENT://127.0.0.1:19092"
    assert node.bootstrap == "127.0.0.1:19092"


def test_the_file_with_its_passwords_is_for_its_owner_only(node: KafkaNode) -> None:
    told = properties(node)

    path = node.folder / "server.properties"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "admin-secret" in told["listener.name.client.scram-sha-512.sasl.jaas.config"]
    assert "controller-secret" in told["listener.name.controller.plain.sasl.jaas.config"]


def test_no_password_stands_on_its_command_line(node: KafkaNode) -> None:
    command = node.command()

    assert command[-2:] == ["kafka.Kafka", str(node.folder / "server.properties")]
    assert command[command.index("-cp") + 1] == ":".join(str(jar) for jar in node.jars)
    assert "secret" not in " ".join(command)


def test_topics_are_made_by_the_bus_alone(node: KafkaNode) -> None:
    assert properties(node)["auto.create.topics.enable"] == "false"


def test_positions_are_remembered_longer_than_the_replay_window(node: KafkaNode) -> None:
    """Who stays away too long must find its place gone stale rather than forgotten."""
    minutes = int(properties(node)["offsets.retention.minutes"])

    assert minutes > 30 * 24 * 60


def test_storage_that_is_formatted_is_left_as_it_is(node: KafkaNode) -> None:
    kept = node.folder / "data" / "meta.properties"
    kept.write_text("cluster.id=x", encoding="utf-8")

    node.prepare()
    node.prepare()

    assert kept.read_text(encoding="utf-8") == "cluster.id=x"


def test_a_cluster_id_is_never_taken_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """One id of 64 began with a hyphen, and Kafka's storage tool refused it."""
    drawn = [uuid.UUID(bytes=b"\xf8" + bytes(15)), uuid.UUID(bytes=bytes(16))]
    monkeypatch.setattr(uuid, "uuid4", lambda: drawn.pop(0))

    assert new_cluster_id() == "A" * 22
    assert drawn == []


def test_forgotten_transactions_are_looked_for_when_partitions_have_a_leader_again(
    node: KafkaNode,
) -> None:
    """After a kill the one broker is out of its cluster when its former session ends: at 9 s."""
    told = properties(node)
    session = int(told.get("broker.session.timeout.ms", 9_000))

    assert int(told["transaction.abort.timed.out.transaction.cleanup.interval.ms"]) > session
