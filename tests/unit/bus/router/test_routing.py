"""Unit tests of the router's way with records, on a broker in memory."""

import datetime as dt
import json
import uuid

import pytest

from bus.domain.record_key import partition_of
from bus.ports import Partition
from bus.router.router import SCHEMA_WAIT_SECONDS
from tests.router_harness import (
    SOURCE,
    TOWNS,
    Bus,
    encode,
    towns,
    towns_of,
    towns_view,
)


def headers(record: object) -> dict[str, str]:
    """Return a record's headers as text."""
    said = record.headers() or ()  # type: ignore[attr-defined]
    return {name: value.decode() for name, value in said}


def test_upserts_and_deletes_reach_every_view_they_belong_to() -> None:
    bus = Bus()
    everything, small = towns_view("kind", "size"), towns_view("kind", rows="size < 5")
    bus.declare(towns(), everything, small)
    router = bus.router()
    bus.upsert("a", size=1)
    bus.upsert("b", size=9)
    bus.upsert("c", size=2)
    bus.delete("c")

    bus.settle(router)

    assert bus.rows(everything) == {
        "a": {"id": "a", "kind": "town", "size": 1},
        "b": {"id": "b", "kind": "town", "size": 9},
    }
    assert bus.rows(small) == {"a": {"id": "a", "kind": "town"}}


def test_a_record_that_leaves_a_row_filter_becomes_a_tombstone_that_says_so() -> None:
    """design.md §6: enter and leave."""
    bus = Bus()
    view = towns_view(rows='kind == "town"')
    bus.declare(towns(1), view)
    router = bus.router()
    event = uuid.uuid4()
    bus.upsert("a", kind="town")
    leaving = bus.publish(
        towns_of(bus),
        b"a",
        encode({"id": "a", "kind": "city", "size": 1, "secret": ""}, event_id=event),
    )

    bus.settle(router)

    first, last = bus.committed(view.topic)
    assert first.value() is not None
    assert last.value() is None
    said = headers(last)
    assert said["os-reason"] == "left-view"
    assert said["os-event-id"] == str(event)
    assert said["os-position"] == str(leaving)
    assert said["os-partition"] == "0"
    assert said["os-generation"] == "1"
    assert dt.datetime.fromisoformat(said["os-occurred-at"]).tzinfo is not None


def test_a_record_that_enters_a_row_filter_comes_whole() -> None:
    bus = Bus()
    view = towns_view("kind", "size", rows='kind == "town"')
    bus.declare(towns(1), view)
    router = bus.router()
    bus.upsert("a", kind="village", size=3)
    bus.upsert("a", kind="town", size=3)

    bus.settle(router)

    (record,) = bus.committed(view.topic)
    assert bus.decode(view, record.value() or b"")[1] == {"id": "a", "kind": "town", "size": 3}


def test_a_key_that_was_never_a_member_gets_no_tombstone() -> None:
    """Invariant 2: a tombstone would betray that the key exists."""
    bus = Bus()
    view = towns_view(rows='kind == "town"')
    bus.declare(towns(1), view)
    router = bus.router()
    bus.upsert("secret-city", kind="city")
    bus.upsert("secret-city", kind="village")
    bus.delete("secret-city")

    bus.settle(router)

    assert bus.broker.all_records(view.topic) == []


def test_a_delete_keeps_what_its_provider_says_of_it() -> None:
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    router = bus.router()
    bus.upsert("a")
    event = uuid.uuid4()
    bus.broker.append(
        Partition(SOURCE, 0),
        b"a",
        None,
        headers=[
            ("os-event-id", str(event).encode()),
            ("os-occurred-at", b"2020-01-02T03:04:05+08:00"),
            ("os-reason", b"forged"),
            ("note", b"call 138-0000-0000"),
        ],
    )

    bus.settle(router)

    said = headers(bus.committed(view.topic)[-1])
    assert said["os-event-id"] == str(event)
    assert said["os-occurred-at"] == "2020-01-01T19:04:05+00:00"
    assert said["os-reason"] == "deleted"
    # Nothing else that a provider writes passes.
    assert set(said) == {
        "os-event-id",
        "os-occurred-at",
        "os-generation",
        "os-partition",
        "os-position",
        "os-reason",
    }


@pytest.mark.parametrize(
    "forged",
    [
        [],
        [("os-event-id", b"1234"), ("os-occurred-at", b"yesterday")],
        [("os-event-id", b"\xff\xfe"), ("os-occurred-at", b"2020-01-02")],
        [("os-occurred-at", b"0001-01-01T00:00:00+23:59")],
    ],
)
def test_a_delete_without_proper_headers_gets_an_event_id_of_its_own(
    forged: list[tuple[str, bytes]],
) -> None:
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    router = bus.router()
    bus.broker.append(Partition(SOURCE, 0), b"a", None, headers=forged)

    bus.settle(router)

    said = headers(bus.committed(view.topic)[-1])
    uuid.UUID(said["os-event-id"])
    assert dt.datetime.fromisoformat(said["os-occurred-at"]).tzinfo is not None


def test_view_records_carry_the_time_of_acceptance() -> None:
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    router = bus.router()
    bus.upsert("a")

    bus.settle(router)

    (source,) = bus.committed(SOURCE)
    (routed,) = bus.committed(view.topic)
    assert routed.timestamp()[1] == source.timestamp()[1]


def test_what_breaks_the_contract_is_dead_lettered_and_the_rest_flows_on() -> None:
    """R-118, R-120: nothing is lost silently, and one bad record stops nobody."""
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    router = bus.router()
    bus.upsert("a")
    bad = bus.publish(towns_of(bus), b"b", b"\x00\x00\x00\x00\x01garbage")
    bomb = bus.publish(towns_of(bus), b"c", b"\x00" * 10_000_000)
    bus.upsert("d")

    bus.settle(router)

    assert set(bus.rows(view)) == {"a", "d"}
    first, second = bus.letters()
    assert (first.position, first.key, first.value) == (
        bad,
        b"b",
        b"\x00\x00\x00\x00\x01garbage",
    )
    assert (second.position, second.code, second.size) == (bomb, "RECORD_TOO_LARGE", 10_000_000)
    assert len(second.value or b"") == 64 << 10
    assert not second.whole


def test_a_dead_letter_leaves_what_a_view_holds_of_its_key() -> None:
    bus = Bus()
    view = towns_view(rows='kind == "town"')
    bus.declare(towns(1), view)
    router = bus.router()
    bus.upsert("a")
    bus.publish(towns_of(bus), b"a", b"\x00\x00\x00\x00\x01")

    bus.settle(router)

    assert set(bus.rows(view)) == {"a"}


def test_a_schema_that_is_not_known_yet_is_waited_for() -> None:
    bus = Bus()
    view = towns_view("kind")
    bus.declare(towns(1), view)
    router = bus.router()
    newer = json.loads(TOWNS)
    newer["fields"].append({"name": "mayor", "type": ["null", "string"], "default": None})
    text = json.dumps(newer)
    record = {"id": "a", "kind": "town", "size": 1, "secret": "", "mayor": "Li"}
    bus.publish(towns_of(bus), b"a", encode(record, text, 2))
    bus.upsert("b")
    bus.settle(router)
    assert bus.rows(view) == {}

    bus.declare(towns(1, schemas={1: TOWNS, 2: text}), view)
    bus.settle(router)

    assert set(bus.rows(view)) == {"a", "b"}
    assert bus.letters() == []


def test_a_schema_that_never_comes_is_given_up_and_the_rest_flows_on() -> None:
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    router = bus.router()
    bus.publish(towns_of(bus), b"a", b"\x00\x00\x00\x00\x09nothing")
    bus.publish(towns_of(bus), b"b", b"\x00\x00\x00\x00\x09nothing")
    bus.upsert("c")
    bus.settle(router)
    assert bus.rows(view) == {}

    bus.clock.sleep(SCHEMA_WAIT_SECONDS)
    bus.settle(router)

    assert set(bus.rows(view)) == {"c"}
    # The second one is not waited for again: it is known that nobody has the schema.
    assert [letter.code for letter in bus.letters()] == ["SCHEMA_UNKNOWN", "SCHEMA_UNKNOWN"]


def test_a_waiting_partition_holds_up_no_other() -> None:
    bus = Bus()
    view = towns_view()
    bus.declare(towns(2), view)
    router = bus.router()
    stuck = next(key for key in "abcdefgh" if partition_of(key.encode(), 2) == 0)
    free = next(key for key in "abcdefgh" if partition_of(key.encode(), 2) == 1)
    bus.publish(towns_of(bus), stuck.encode(), b"\x00\x00\x00\x00\x09nothing")
    bus.upsert(free)

    bus.settle(router)

    assert set(bus.rows(view)) == {free}


def test_positions_grow_in_every_view_partition() -> None:
    """Invariant 3."""
    bus = Bus()
    view = towns_view(rows="size < 3")
    bus.declare(towns(3), view)
    router = bus.router()
    for number in range(60):
        bus.upsert(f"k{number % 7}", size=number % 5)

    bus.settle(router)

    last: dict[int, int] = {}
    for record in bus.committed(view.topic):
        value = record.value()
        if value is None:
            said = headers(record)
            partition, position = int(said["os-partition"]), int(said["os-position"])
        else:
            meta, _ = bus.decode(view, value)
            partition, position = meta["partition"], meta["position"]
        assert position > last.get(partition, -1)
        last[partition] = position


def test_a_view_with_as_many_partitions_keeps_the_source_partition() -> None:
    bus = Bus()
    view = towns_view(partitions=3)
    bus.declare(towns(3), view)
    router = bus.router()
    for number in range(20):
        bus.upsert(f"k{number}")

    bus.settle(router)

    for record in bus.committed(view.topic):
        assert record.partition() == partition_of(record.key() or b"", 3)
