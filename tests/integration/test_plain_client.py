"""
A subscriber without any of our code: confluent's registry client, deserializer and consumer; kcat.

It has what the credentials file and the descriptor say, and nothing else.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from bus.domain.grant import Grant
from bus.domain.names import group_prefix, provider_principal, subscription_principal
from tests import builders
from tests.integration.test_end_to_end import town
from tests.live_platform import DEADLINE_SECONDS, LivePlatform, wait_until


@pytest.fixture(scope="module")
def grant(platform: LivePlatform) -> Grant:
    """Return a grant on a resource from which a record has been removed."""
    entry = platform.new_resource()
    given = platform.new_grant(entry, row_filter='district == "east"', items=["code", "name"])
    with platform.publisher(entry) as publisher:
        publisher.upsert(town("1"))
        publisher.upsert(town("2", district="west"))
        publisher.upsert(town("3"))
        publisher.delete({"code": "1"})
        publisher.upsert(town("3", district="west"))
    return given


@contextmanager
def registry(
    platform: LivePlatform, principal: str, password: str | None = None
) -> Iterator[SchemaRegistryClient]:
    """Open confluent's client of our registry endpoint, with a principal's own credentials."""
    user = f"{principal}:{password or platform.kafka(principal).password}"
    url = f"http://127.0.0.1:{platform.port('control')}"
    with SchemaRegistryClient({"url": url, "basic.auth.user.info": user}) as client:
        yield client


def messages(platform: LivePlatform, principal: str, topic: str, count: int) -> Iterator[Message]:
    """Read the first `count` messages of a topic with a plain consumer."""
    kafka = platform.kafka(principal)
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "security.protocol": kafka.protocol,
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": kafka.username,
            "sasl.password": kafka.password,
            "group.id": f"{group_prefix(principal)}plain",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    try:
        for _ in range(count):
            message = consumer.poll(DEADLINE_SECONDS)
            assert message is not None
            assert message.error() is None, message.error()
            yield message
    finally:
        consumer.close()


def test_confluents_own_client_reads_a_view_record_by_record(
    platform: LivePlatform, grant: Grant
) -> None:
    """design.md §4: any Avro-aware Kafka tool reads it; a delete is a null value with headers."""
    principal = subscription_principal(grant.id)
    topic = platform.descriptor(grant)["topic"]
    context = SerializationContext(topic, MessageField.VALUE)

    with registry(platform, principal) as client:
        decode = AvroDeserializer(client)
        found = [
            (message, decode(message.value(), context))
            for message in messages(platform, principal, topic, 4)
        ]

    assert [(message.key(), _items(value)) for message, value in found] == [
        (b"1", {"code": "1", "name": "镇1"}),
        (b"3", {"code": "3", "name": "镇3"}),
        (b"1", None),
        (b"3", None),
    ]
    first = found[0][1]
    assert first["meta"]["source"] == builders.PROVIDER
    assert first["meta"]["position"] == 0
    reasons = [dict(message.headers() or [])["os-reason"] for message, _ in found[2:]]
    assert reasons == [b"deleted", b"left-view"]
    assert [message.headers() for message, _ in found[:2]] == [None, None]


def _items(value: dict[str, Any] | None) -> dict[str, Any] | None:
    return value and {name: item for name, item in value.items() if name != "meta"}


def test_the_registry_shows_a_subscriber_its_own_subject_alone(
    platform: LivePlatform, grant: Grant
) -> None:
    subject = platform.descriptor(grant)["subject"]
    another = f"os.src.cn.{builders.PROVIDER}.{grant.resource}.1-value"

    with registry(platform, subscription_principal(grant.id)) as mine:
        assert mine.get_subjects() == [subject]
        latest = mine.get_latest_version(subject)
        assert latest.schema_id is not None
        text = _text(latest.schema)
        assert _text(mine.get_schema(latest.schema_id)) == text
        with pytest.raises(SchemaRegistryError) as refused:
            mine.get_latest_version(another)

    assert [field["name"] for field in json.loads(text)["fields"]] == ["meta", "code", "name"]
    assert (refused.value.http_status_code, refused.value.error_code) == (404, 40401)


def test_the_registry_refuses_a_wrong_password(platform: LivePlatform, grant: Grant) -> None:
    name = subscription_principal(grant.id)

    with registry(platform, name, "wrong") as client, pytest.raises(SchemaRegistryError) as refused:
        client.get_subjects()

    assert refused.value.http_status_code == 401


def test_a_provider_publishes_with_confluents_serializer(
    platform: LivePlatform, grant: Grant
) -> None:
    """Registering the schema that is there already gives its id; another one is refused."""
    topic = f"os.src.cn.{builders.PROVIDER}.{grant.resource}.1"
    context = SerializationContext(topic, MessageField.VALUE)
    record = {**town("9"), "meta": {"event_id": bytes(16), "occurred_at": 0}}

    with registry(platform, provider_principal(builders.PROVIDER)) as client:
        known = client.get_latest_version(f"{topic}-value")
        text = _text(known.schema)
        value = AvroSerializer(client, text)(record, context)

        changed = json.loads(text)
        changed["fields"][-1]["name"] = "inhabitants"
        other = AvroSerializer(client, json.dumps(changed))
        with pytest.raises(SchemaRegistryError) as refused:
            other({**record, "inhabitants": None}, context)

    assert value is not None
    assert value[:5] == b"\0" + (known.schema_id or 0).to_bytes(4, "big")
    assert refused.value.http_status_code == 409


def _text(schema: Schema | None) -> str:
    assert schema is not None
    return schema.schema_str or ""


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")
def test_kcat_reads_the_same_topic_raw(platform: LivePlatform, grant: Grant) -> None:
    principal = subscription_principal(grant.id)
    kafka = platform.kafka(principal)
    topic = platform.descriptor(grant)["topic"]

    # SCRAM to Kafka 4 needs librdkafka 2.6.1 (confluentinc/librdkafka#4895); Debian 12's kcat
    # comes with 2.0.2, so it is lent the one of confluent-kafka's wheel.
    wheel = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    (library,) = wheel.glob("librdkafka-*.so.1")

    def kcat(of: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *["kcat", "-C", "-b", kafka.bootstrap, "-t", of, "-e", "-q", "-o", "beginning"],
                *["-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=SCRAM-SHA-512"],
                *["-X", f"sasl.username={principal}", "-X", f"sasl.password={kafka.password}"],
                *["-f", "%k %S\\n"],
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            env={**os.environ, "LD_PRELOAD": str(library)},
        )

    assert kcat(topic).stderr == ""
    wait_until(lambda: kcat(topic).stdout.count("\n") == 4, "all four records are there")
    keys = [line.split() for line in kcat(topic).stdout.splitlines()]
    assert [key for key, _ in keys] == ["1", "3", "1", "3"]
    assert [size for _, size in keys[2:]] == ["-1", "-1"]
    refused = kcat(f"os.src.cn.{builders.PROVIDER}.{grant.resource}.1")
    assert refused.returncode != 0
    assert KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED).str() in refused.stderr
