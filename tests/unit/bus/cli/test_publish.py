"""Unit tests of `bus.cli.publish`: records on the command line, and what was sent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bus.adapters.credentials_files import save_credentials
from bus.cli import publish as module
from bus.domain.access import OPERATOR
from producers import publisher
from producers.file_diff import Difference
from tests import builders, stream_builders
from tests.command_line import CommandLine
from tests.control_http import PROVIDER, ControlHTTP
from tests.memory_producer import MemoryProducer

ENTRY = builders.entry()
RECORD = {"code": "110101", "name": "东城", "district": "1101", "population": 7}


@pytest.fixture
def producer(onesource: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryProducer]:
    """Return the client of Kafka that commands publish with; everything else is real."""
    control = ControlHTTP()
    producer = MemoryProducer(control.plane.broker)
    monkeypatch.setattr(publisher, "Producer", producer.connect)
    for principal in (OPERATOR, PROVIDER):
        save_credentials(
            onesource.folder / ".onesource" / "credentials",
            principal,
            control.passwords[principal],
        )
    # The server is in this process: what it logs is not the command's output.
    with structlog.testing.capture_logs(), control.served() as url:
        monkeypatch.setenv("ONESOURCE_CONTROL__URL", url)
        monkeypatch.setenv("ONESOURCE_KAFKA__BOOTSTRAP", "127.0.0.1:1")
        yield producer


def published(producer: MemoryProducer) -> list[tuple[bytes | None, dict[str, Any] | None]]:
    """Return keys and items of what is on the source topic; no items: a delete."""
    found: list[tuple[bytes | None, dict[str, Any] | None]] = []
    for each in producer.broker.all_records(ENTRY.source_topic):
        value = each.value()
        items = None
        if value is not None:
            items = stream_builders.decoded(builders.schema_of(ENTRY), value)
            del items["meta"]
        found.append((each.key(), items))
    return found


def test_a_record_on_the_line_is_published_in_its_providers_name(
    onesource: CommandLine, producer: MemoryProducer
) -> None:
    """On the machine of the platform nobody has to say whose the resource is."""
    ran = onesource("publish", "record", "divisions", json.dumps(RECORD))

    assert (ran.status, ran.out, ran.err) == (0, "accepted\n", "")
    assert published(producer) == [(b"110101", RECORD)]
    assert producer.config["sasl.username"] == PROVIDER


@pytest.mark.parametrize("arguments", [[], ["-"]], ids=["by default", "asked for"])
def test_a_record_may_come_from_standard_input(
    onesource: CommandLine, producer: MemoryProducer, arguments: list[str]
) -> None:
    onesource("publish", "record", "divisions", *arguments, stdin=json.dumps(RECORD))

    assert published(producer) == [(b"110101", RECORD)]


def test_a_delete_names_the_key_items(onesource: CommandLine, producer: MemoryProducer) -> None:
    ran = onesource("publish", "record", "divisions", '{"code": "110101"}', "--delete")

    assert ran.status == 0
    assert published(producer) == [(b"110101", None)]


def test_a_resource_that_there_is_not_is_not_found(
    onesource: CommandLine, producer: MemoryProducer
) -> None:
    ran = onesource("publish", "record", "nothing", json.dumps(RECORD))

    assert ran.status == 3
    assert ran.err.startswith("error [NOT_FOUND]\nthere is no resource 'nothing'")
    assert published(producer) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("code=110101", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "a JSON object is wanted"),
        ("7", "a JSON object is wanted"),
        ('{"code": "1", "nothing": 2}', "nothing"),
        ('{"code": 1}', "code"),
    ],
    ids=["cut off", "no JSON", "too deep", "a list", "a number", "an unknown item", "a wrong type"],
)
def test_what_is_no_record_is_refused_and_nothing_is_sent(
    onesource: CommandLine, producer: MemoryProducer, text: str, said: str
) -> None:
    ran = onesource("publish", "record", "divisions", stdin=text)

    assert ran.status == 3
    assert ran.err.startswith("error [RECORD_INVALID]\n")
    assert said in ran.err
    assert published(producer) == []


def test_numbers_keep_their_digits() -> None:
    """A float would lose digits of a decimal item."""
    value = module._object('{"amount": 0.10000000000000000001}')["amount"]

    assert str(value) == "0.10000000000000000001"


@pytest.mark.parametrize(("dry_run", "verb", "sent"), [(True, "would send", 0), (False, "sent", 6)])
def test_what_was_sent_is_said_for_people_and_for_machines(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    dry_run: bool,
    verb: str,
    sent: int,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    difference = Difference(before=10, inserts=1, updates=2, deletes=3, unchanged=4)

    module._print_difference(difference, dry_run=dry_run)
    for_people = capsys.readouterr().out
    module._print_json(difference, dry_run=dry_run, sending_seconds=0.12345)
    for_machines = json.loads(capsys.readouterr().out)

    assert for_people == f"{verb} 6 records: 1 inserts, 2 updates, 3 deletes; 4 unchanged\n"
    assert for_machines == {
        "before": 10,
        "inserts": 1,
        "updates": 2,
        "deletes": 3,
        "unchanged": 4,
        "sent": sent,
        "sending_seconds": 0.123,
    }
