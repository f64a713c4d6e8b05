"""Unit tests of `bus.services.verification.verifier`: planted differences are found."""

from collections.abc import Mapping
from typing import Any

import pytest

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.cel.cel_python import row_predicate
from bus.adapters.memory.broker import MemoryBroker, MemoryLogReaders, MemoryTransactionalWriter
from bus.adapters.memory.clock import ManualClock
from bus.domain.avro_schema import view_schema
from bus.domain.dead_letter import DeadLetter, dead_letter
from bus.domain.names import ROUTER_GROUP
from bus.domain.record_key import partition_of
from bus.errors import ConfigError, NotFound
from bus.ports import Committed, Partition
from bus.services.verification.verifier import Verified, Verifier
from bus.views.plan import Reject, Upsert, compile_plan
from tests import builders, stream_builders
from tests.stream_builders import Row, record, view_value

ENTRY = builders.entry(partitions=2)
VIEW = builders.view_policy(
    builders.incarnation(builders.view(row_filter='district == "1101"'), partitions=2)
)
POLICY = builders.policy(resources=[builders.resource_policy(ENTRY)], views=[VIEW])
SCHEMA = view_schema(builders.schema_of(ENTRY), VIEW.view.kept())
LETTERS = Partition(ENTRY.dead_letter_topic, 0)


class Routed:
    """A source, its view and its dead letters, as a router without faults leaves them."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.clock = ManualClock()
        self.codec = AvroEventCodec()
        self.broker.create(ENTRY.source_topic, ENTRY.partitions)
        self.broker.create(VIEW.topic, VIEW.partitions)
        self.broker.create(ENTRY.dead_letter_topic, 1)
        self.plan = compile_plan(
            builders.resource_policy(ENTRY), [VIEW], compile_filter=compile_filter
        )
        for code in ("1", "2", "3"):
            self.upsert(code)
        self.upsert("4", district="1102")

    def upsert(self, code: str, **items: Any) -> None:
        """Publish a record, and route it."""
        self.publish(code.encode(), stream_builders.source_value(record(code, **items)))

    def publish(self, key: bytes, value: bytes | None) -> None:
        """Publish bytes, and route them."""
        number = partition_of(key, ENTRY.partitions)
        position = stream_builders.put_bytes(self.broker, ENTRY, key, value)
        self.commit(number, position + 1)
        (outcome,) = self.plan.apply(number, [(position, key, value)])
        match outcome:
            case Reject(code, reason):
                self.refuse(number, position, code=code, reason=reason, key=key, value=value)
            case Upsert(projections) if projections:
                self.write(key, projections[0][1])
            case _:
                self.write(key, None)

    def write(self, key: bytes, value: bytes | None) -> None:
        """Write to the view."""
        number = partition_of(key, ENTRY.partitions)
        self.broker.append(Partition(VIEW.topic, number), key, value)

    def refuse(
        self,
        partition: int,
        position: int,
        *,
        code: str = "TRUNCATED",
        reason: str = "because",
        key: bytes = b"1",
        value: bytes | None = b"",
        positions: int = 1,
    ) -> None:
        """Write a dead letter."""
        letter = dead_letter(
            code=code,
            reason=reason,
            topic=ENTRY.source_topic,
            partition=partition,
            position=position,
            accepted_at=builders.NOW,
            key=key,
            value=value,
            positions=positions,
        )
        self.put(letter)

    def put(self, letter: DeadLetter) -> None:
        self.broker.append(LETTERS, letter.key, self.codec.encode(letter))

    def commit(self, number: int, position: int) -> None:
        """Commit the router's position in a source partition."""
        where = Partition(ENTRY.source_topic, number)
        self.broker.commit_positions(ROUTER_GROUP, {where: Committed(position, "")})

    def verify(self, topic: str = VIEW.topic, wait_seconds: float = 1.0) -> Verified:
        """Verify the view."""
        verifier = Verifier(MemoryLogReaders(self.broker), self.codec, self.clock, row_predicate)
        return verifier.verify(
            POLICY, topic, rows, wait_seconds=wait_seconds, on_progress=lambda *_: None
        )


def rows(value: bytes) -> Mapping[str, Any]:
    """Return the items of a view record."""
    found: Row = stream_builders.decoded(SCHEMA, value)
    del found["meta"]
    return found


def in_view(code: str, **items: Any) -> bytes:
    """Return a view record."""
    return view_value(record(code, **items), schema_id=2)


@pytest.fixture
def routed() -> Routed:
    return Routed()


# --- A view that is right -------------------------------------------------------------------------


def test_a_view_that_is_right_is_found_right(routed: Routed) -> None:
    """Invariant 1."""
    found = routed.verify()

    assert found.well
    assert found.view.equal
    assert (found.view.expected, found.view.found) == (3, 3)
    assert found.view.expected_digest == found.view.found_digest
    assert (found.topic, found.source_records, found.refused) == (VIEW.topic, 4, 0)


def test_updates_deletes_entering_and_leaving_are_followed(routed: Routed) -> None:
    routed.upsert("1", name="new")
    routed.publish(b"2", None)
    routed.upsert("3", district="1102")
    routed.upsert("4", district="1101")

    found = routed.verify()

    assert found.well
    assert found.view.expected == 2


def test_a_bad_record_with_its_letter_is_right(routed: Routed) -> None:
    routed.publish(b"1", b"garbage")

    found = routed.verify()

    assert found.well
    assert found.refused == 1
    assert (found.wrongly_refused, found.unexplained) == ((), ())
    assert found.view.expected == 3


def test_compacted_topics_are_found_right(routed: Routed) -> None:
    routed.upsert("1", name="new")
    routed.publish(b"2", None)
    for topic in (ENTRY.source_topic, VIEW.topic):
        routed.broker.compact(topic)

    assert routed.verify().well


def test_aborted_transactions_are_no_part_of_a_view(routed: Routed) -> None:
    writer = MemoryTransactionalWriter(routed.broker, transactional_id="os.router.0")
    writer.begin()
    writer.write(VIEW.topic, 0, b"9", in_view("9"))
    writer.abort()

    assert routed.verify().well


def test_nothing_in_the_source_is_nothing_in_the_view() -> None:
    routed = Routed()
    for topic in (ENTRY.source_topic, VIEW.topic):
        routed.broker.delete(topic)
        routed.broker.create(topic, 2)
    routed.broker.commit_positions(
        ROUTER_GROUP, {Partition(ENTRY.source_topic, n): Committed(0, "") for n in range(2)}
    )

    found = routed.verify()

    assert found.well
    assert found.source_records == 0


# --- Planted differences --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "example"),
    [
        (b"1", None, "missing: 1"),
        (b"4", in_view("4", district="1102"), "not granted: 4"),
        (b"9", in_view("9"), "not granted: 9"),
        (b"2", in_view("2", name="forged"), "different: 2"),
    ],
    ids=["a record lost", "a row outside the filter", "a row from nowhere", "another value"],
)
def test_a_planted_difference_is_found(
    routed: Routed, key: bytes, value: bytes | None, example: str
) -> None:
    """Invariants 1 and 2."""
    routed.write(key, value)

    found = routed.verify()

    assert not found.well
    assert found.view.examples == (example,)


def test_an_item_that_the_view_does_not_have_is_found(routed: Routed) -> None:
    """Invariant 2: no forbidden byte."""
    verifier = Verifier(MemoryLogReaders(routed.broker), routed.codec, routed.clock, row_predicate)

    found = verifier.verify(
        POLICY,
        VIEW.topic,
        lambda value: {**rows(value), "district": "1101"},
        wait_seconds=1,
        on_progress=lambda *_: None,
    )

    assert found.view.different == 3


def test_a_delete_that_did_not_arrive_is_found(routed: Routed) -> None:
    routed.publish(b"1", None)
    routed.write(b"1", in_view("1"))

    assert routed.verify().view.examples == ("not granted: 1",)


def test_a_clean_record_with_a_letter_is_found(routed: Routed) -> None:
    """A router that refuses what it does not like would otherwise be always right."""
    number = partition_of(b"1", 2)
    routed.refuse(number, 0)
    for key in (b"1", b"2", b"3"):
        if partition_of(key, 2) == number:
            routed.write(key, None)

    found = routed.verify()

    assert not found.well
    assert found.wrongly_refused == (0,)


def test_a_bad_record_without_a_letter_is_found_but_may_be_old(routed: Routed) -> None:
    """Dead letters are kept for 90 days, source records for ever."""
    number = partition_of(b"1", 2)
    position = stream_builders.put_bytes(routed.broker, ENTRY, b"1", b"garbage")
    routed.commit(number, position + 1)

    found = routed.verify()

    assert found.unexplained == (position,)


def test_a_letter_about_a_whole_batch_speaks_for_each_position(routed: Routed) -> None:
    number = partition_of(b"1", 2)
    start = routed.broker.end(Partition(ENTRY.source_topic, number))
    for _ in range(3):
        stream_builders.put_bytes(routed.broker, ENTRY, b"1", b"unreadable")
    routed.commit(number, start + 3)
    routed.refuse(number, start, positions=3, value=None)

    found = routed.verify()

    assert found.refused == 3
    assert found.unexplained == ()
    assert found.well


def test_letters_of_another_generation_say_nothing_about_this_one(routed: Routed) -> None:
    routed.put(
        dead_letter(
            code="TRUNCATED",
            reason="of generation 0",
            topic="os.src.cn.statistics.divisions.0",
            partition=0,
            position=0,
            accepted_at=builders.NOW,
            key=b"1",
            value=b"",
        )
    )

    found = routed.verify()

    assert found.refused == 0
    assert found.well


def test_a_key_of_which_only_refused_records_are_left_is_left_out(routed: Routed) -> None:
    """After compaction, views of different age rightly differ in such a key."""
    routed.publish(b"1", b"garbage")
    routed.broker.compact(ENTRY.source_topic)

    still_held = routed.verify()
    routed.write(b"1", None)
    gone = routed.verify()

    assert still_held.undecided == gone.undecided == {b"1"}
    assert still_held.well
    assert gone.well


# --- When it can be done --------------------------------------------------------------------------


def test_a_view_that_the_policy_does_not_have_is_not_found(routed: Routed) -> None:
    with pytest.raises(NotFound, match=r"the policy has no view os\.view\.other"):
        routed.verify("os.view.other")


def test_a_view_without_its_resource_is_not_found(routed: Routed) -> None:
    verifier = Verifier(MemoryLogReaders(routed.broker), routed.codec, routed.clock, row_predicate)
    alone = builders.policy(resources=[], views=[VIEW])

    with pytest.raises(NotFound, match="no resource of the view"):
        verifier.verify(alone, VIEW.topic, rows, wait_seconds=0, on_progress=lambda *_: None)


def test_a_router_that_does_not_catch_up_makes_it_impossible(routed: Routed) -> None:
    number = partition_of(b"1", 2)
    behind = routed.broker.end(Partition(ENTRY.source_topic, number)) - 1
    routed.commit(number, behind)

    with pytest.raises(ConfigError, match="the router is 1 records behind"):
        routed.verify(wait_seconds=3)

    assert routed.clock.monotonic() >= 3


def test_a_router_that_is_behind_is_waited_for(
    routed: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = partition_of(b"1", 2)
    end = routed.broker.end(Partition(ENTRY.source_topic, number))
    routed.commit(number, end - 1)
    monkeypatch.setattr(routed.clock, "sleep", lambda _: routed.commit(number, end))

    assert routed.verify().well


def test_the_marker_of_a_transaction_at_the_end_is_nothing_to_wait_for(routed: Routed) -> None:
    writer = MemoryTransactionalWriter(routed.broker, transactional_id="a provider's")
    writer.begin()
    writer.write(ENTRY.source_topic, 0, b"9", b"")
    writer.abort()

    found = routed.verify(wait_seconds=0)

    assert found.source_records == 4


def test_progress_is_told_for_each_thing_that_is_read(routed: Routed) -> None:
    told: list[tuple[str, int, int]] = []
    verifier = Verifier(MemoryLogReaders(routed.broker), routed.codec, routed.clock, row_predicate)

    verifier.verify(
        POLICY,
        VIEW.topic,
        rows,
        wait_seconds=0,
        on_progress=lambda what, done, total: told.append((what, done, total)),
    )

    assert {what for what, _, _ in told} == {"source", "view"}
    assert all(done <= total for _, done, total in told)
    assert ("source", 4, 4) in told
