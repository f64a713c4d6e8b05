"""Unit tests of `bus.adapters.avro.bus_events`."""

import json
from importlib import resources
from typing import Any

import avro.schema
import fastavro
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.avro.bus_events import decode_event, encode_event
from bus.errors import ContractError

HEARTBEAT = {"version": 7}
EVENT_NAMES = [
    "policy_resource",
    "policy_view",
    "policy_version",
    "policy_heartbeat",
    "router_state",
    "dead_letter",
]


def crc_64_avro(data: bytes) -> int:
    """Compute the fingerprint as the Avro specification's pseudo code does."""
    empty = 0xC15D213AA4D7A795
    table = []
    for index in range(256):
        entry = index
        for _ in range(8):
            entry = (entry >> 1) ^ (empty if entry & 1 else 0)
        table.append(entry)
    found = empty
    for byte in data:
        found = (found >> 8) ^ table[(found ^ byte) & 0xFF]
    return found


def schema_of(name: str) -> Any:
    path = resources.files("schemas").joinpath(f"{name}.avsc")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("written", "expected"),
    # From `share/test/data/schema-tests.txt` of Apache Avro, as signed 64-bit numbers.
    [
        ('"null"', 7195948357588979594),
        ('"int"', 8247732601305521295),
        ('"string"', -8142146995180207161),
        ('{"type":"fixed","name":"foo","size":15}', 1756455273707447556),
    ],
)
def test_the_fingerprint_is_that_of_the_avro_specification(written: str, expected: int) -> None:
    """Two ways to compute it, and the specification's own values."""
    canonical = to_parsing_canonical_form(json.loads(written))

    computed = int.from_bytes(bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")), "little")

    assert crc_64_avro(canonical.encode()) == expected % (1 << 64)
    assert computed == expected % (1 << 64)


def test_an_event_begins_with_the_marker_and_the_fingerprint_of_its_schema() -> None:
    """Avro specification, "Single object encoding": C3 01, little-endian CRC-64-AVRO, body."""
    canonical = to_parsing_canonical_form(schema_of("policy_heartbeat"))

    data = encode_event("policy_heartbeat", HEARTBEAT)

    assert data[:2] == b"\xc3\x01"
    assert data[2:10] == crc_64_avro(canonical.encode()).to_bytes(8, "little")
    assert data[10:] == b"\x0e"


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("policy_resource", "c1cdc1bad92c8a3c"),
        ("policy_view", "44497a2f0c1e28de"),
        ("policy_version", "9f488209a9efd083"),
        ("policy_heartbeat", "f359daad9ca77797"),
        ("router_state", "f1cdc172ca287508"),
        ("dead_letter", "61e3f9b60cee49ad"),
    ],
)
def test_the_schema_of_an_event_does_not_change_unnoticed(name: str, prefix: str) -> None:
    """Topics hold events of older releases: a changed schema needs a reader of the old one."""
    canonical = to_parsing_canonical_form(schema_of(name))

    assert crc_64_avro(canonical.encode()).to_bytes(8, "little").hex() == prefix


@pytest.mark.parametrize("name", EVENT_NAMES)
def test_the_schema_of_an_event_is_valid_for_both_implementations(name: str) -> None:
    avro.schema.parse(json.dumps(schema_of(name)))
    fastavro.parse_schema(schema_of(name))


def test_every_schema_file_is_an_event() -> None:
    files = {path.name for path in resources.files("schemas").iterdir()}

    assert {name.removesuffix(".avsc") for name in files if name.endswith(".avsc")} == set(
        EVENT_NAMES
    )


def test_an_event_says_again_what_it_was_made_of() -> None:
    data = encode_event("policy_heartbeat", HEARTBEAT)

    assert decode_event(data) == ("policy_heartbeat", HEARTBEAT)


def test_two_events_of_one_shape_are_told_apart() -> None:
    """`PolicyVersion` and `PolicyHeartbeat` have the same fields."""
    version, heartbeat = (
        encode_event(name, HEARTBEAT) for name in ("policy_version", "policy_heartbeat")
    )

    assert version != heartbeat
    assert decode_event(version)[0] == "policy_version"


def test_an_event_with_a_field_too_many_or_too_few_is_not_written() -> None:
    with pytest.raises(ValueError, match="extra"):
        encode_event("policy_heartbeat", {"version": 7, "extra": 1})
    with pytest.raises(ValueError, match="version"):
        encode_event("policy_heartbeat", {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc3\x01",
        b"\x00\x00\x00\x00\x01\x0e",
        b"{}",
        b"\xc3\x01" + bytes(8) + b"\x0e",
        b"\xc3\x00" + encode_event("policy_heartbeat", HEARTBEAT)[2:],
    ],
    ids=["nothing", "a marker", "a Confluent record", "JSON", "another schema", "another marker"],
)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ContractError, match="not an event of the bus"):
        decode_event(data)


@given(st.binary(max_size=60))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ContractError):
        decode_event(data)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("policy_heartbeat", {"version": 1 << 40}),
        ("router_state", {"phase": "LIVE", "policy_version": 3, "start": 4, "next": 5}),
    ],
)
def test_a_truncated_event_is_refused(name: str, event: dict[str, Any]) -> None:
    data = encode_event(name, event)

    for length in range(10, len(data)):
        with pytest.raises(ContractError):
            decode_event(data[:length])


def test_an_event_with_bytes_behind_it_is_refused() -> None:
    with pytest.raises(ContractError):
        decode_event(encode_event("policy_heartbeat", HEARTBEAT) + b"\x00")


@given(st.sampled_from(EVENT_NAMES), st.binary(max_size=60))
def test_whatever_follows_a_known_prefix_is_an_event_or_refused(name: str, body: bytes) -> None:
    """A reader of the policy must never fall over bytes."""
    canonical = to_parsing_canonical_form(schema_of(name))
    prefix = b"\xc3\x01" + crc_64_avro(canonical.encode()).to_bytes(8, "little")

    try:
        found, _ = decode_event(prefix + body)
    except ContractError:
        return
    assert found == name
