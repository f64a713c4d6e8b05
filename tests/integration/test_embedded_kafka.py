"""The embedded Kafka's own tools, run for real."""

from pathlib import Path

import pytest

from bus.adapters.embedded.jars import default_cache, fetch_jars, locked_jars
from bus.adapters.embedded.kafka import KafkaNode
from bus.adapters.embedded.processes import free_port
from bus.errors import PlatformDamaged


def test_a_storage_tool_that_fails_says_why_and_no_secret(tmp_path: Path) -> None:
    node = KafkaNode(
        folder=tmp_path / "kafka",
        jars=fetch_jars(locked_jars(), default_cache()),
        client_port=free_port(None),
        controller_port=free_port(None),
        admin_password="a-password-of-the-admin",
        controller_password="a-password-of-the-controller",
    )
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "data").write_text("not a folder", encoding="utf-8")

    with pytest.raises(PlatformDamaged) as refused:
        node.prepare()

    said = str(refused.value)
    assert "could not format" in said
    assert len(said.splitlines()) > 1
    for secret in ("a-password-of", "salt", "storedKey", "serverKey"):
        assert secret not in said
