"""Unit tests of `tests.faults.soak_platform`: what its brokers are told."""

from pathlib import Path

import pytest

from tests.faults.soak_platform import ProxiedNode

_PRODUCTION = Path(__file__).parents[3] / "docker" / "kafka" / "server.properties"
_VOTERS = [(1, 11093), (2, 12093), (3, 13093)]


def properties(text: str) -> dict[str, str]:
    """Return what a file of properties says: of what it says twice, the last."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def production() -> dict[str, str]:
    return properties(_PRODUCTION.read_text(encoding="utf-8"))


def told(folder: Path, *, node_id: int, voters: list[tuple[int, int]]) -> dict[str, str]:
    """Return what a node is told whose storage has been formatted."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").touch()
    ProxiedNode(
        folder=folder,
        jars=[],
        client_port=19092,
        controller_port=19093,
        admin_password="admin-secret",
        controller_password="controller-secret",
        node_id=node_id,
        voters=voters,
        behind_port=19094,
        proxy_port=19095,
    ).prepare()
    return properties((folder / "server.properties").read_text(encoding="utf-8"))


def test_three_brokers_are_replicated_as_in_production(
    tmp_path: Path, production: dict[str, str]
) -> None:
    node = told(tmp_path, node_id=2, voters=_VOTERS)

    names = {name for name in production if name.endswith(("replication.factor", "min.isr"))}
    names |= {
        "min.insync.replicas",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
    }
    assert {name: node[name] for name in names} == {name: production[name] for name in names}
    assert node["default.replication.factor"] == "3"
    assert node["min.insync.replicas"] == "2"


def test_each_of_three_is_a_voter_with_a_number_of_its_own(tmp_path: Path) -> None:
    node = told(tmp_path, node_id=2, voters=_VOTERS)

    assert node["node.id"] == "2"
    assert node["process.roles"] == "broker,controller"
    assert (
        node["controller.quorum.voters"] == "1@127.0.0.1:11093,2@127.0.0.1:12093,3@127.0.0.1:13093"
    )


def test_a_lone_broker_is_what_the_product_starts(tmp_path: Path) -> None:
    node = told(tmp_path, node_id=1, voters=_VOTERS[:1])

    assert node["default.replication.factor"] == "1"
    assert node["controller.quorum.voters"] == "1@127.0.0.1:19093"


def test_routers_are_sent_to_the_proxy_and_nobody_else(tmp_path: Path) -> None:
    node = told(tmp_path, node_id=2, voters=_VOTERS)

    assert node["advertised.listeners"] == "CLIENT://127.0.0.1:19092,ROUTER://127.0.0.1:19095"
    assert "ROUTER://127.0.0.1:19094" in node["listeners"]
    assert node["inter.broker.listener.name"] == "CLIENT"
