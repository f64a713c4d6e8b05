"""Unit tests of `producers.file_diff`: an edition against what the source topic holds."""

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.memory.broker import (
    MemoryBroker,
    MemoryLogReaders,
    MemoryRecord,
    MemoryTransactionalWriter,
)
from bus.domain.entry import CatalogEntry
from bus.domain.items import Nullable, Scalar
from bus.errors import DeletionsNotConfirmed, DeliveryFailed, EditionInvalid, NotFound
from producers import Publisher, file_diff, publisher
from producers.file_diff import Difference, FileDiff
from tests import builders, stream_builders
from tests.memory_producer import MemoryProducer
from tests.stream_builders import record

#: Two partitions, so that reading the current state has to look at each.
ENTRY = builders.entry(partitions=2)
CONNECTION = KafkaConnection(bootstrap="127.0.0.1:1", username="org-statistics", password="-")
HEADER = "code,name,district,population\n"

#: The schemas of entry versions by id; 1 is `ENTRY`'s.
SCHEMAS = {1: builders.schema_of(ENTRY)}


class Provider:
    """A provider with a source topic, and folders full of editions."""

    def __init__(self, folder: Path, producer: MemoryProducer, of: CatalogEntry = ENTRY) -> None:
        self.folder = folder
        self.producer = producer
        self.broker = producer.broker
        self.of = of
        self.schema_id = 1
        self.schemas = dict(SCHEMAS)
        self.broker.create(of.source_topic, of.partitions)

    def edition(self, *codes: str, name: str = "n", file: str = "edition.csv") -> Path:
        """Write an edition of these records."""
        return self.write("".join(f"{code},{name},d,7\n" for code in codes), file)

    def write(self, lines: str, file: str = "edition.csv") -> Path:
        """Write an edition of these lines."""
        path = self.folder / file
        path.write_text(HEADER + lines, encoding="utf-8")
        return path

    @contextmanager
    def compared(self, *files: Path) -> Iterator[FileDiff]:
        """Yield the comparison of an edition with what has been published."""
        encoder = stream_builders.encoder(self.of, schema_id=self.schema_id)
        with FileDiff(encoder) as diff:
            diff.read_edition(files, lambda *_: None)
            diff.read_current(MemoryLogReaders(self.broker), self.schema, lambda *_: None)
            yield diff

    def difference(self, *files: Path) -> Difference:
        """Return how an edition differs from what has been published."""
        with self.compared(*files) as diff:
            return diff.difference()

    def publish(self, *files: Path, share: float = 1.0, confirmed: bool = False) -> Difference:
        """Publish how an edition differs from what has been published."""
        with self.compared(*files) as diff:
            return diff.publish(
                self.publisher(), lambda *_: None, delete_share=share, confirmed=confirmed
            )

    def publisher(self) -> Publisher:
        """Return a publisher in the provider's name."""
        return Publisher(stream_builders.publication(self.of, schema_id=self.schema_id), CONNECTION)

    def schema(self, schema_id: int) -> str:
        """Return a schema as the control plane does."""
        if schema_id not in self.schemas:
            raise NotFound("unknown")
        return self.schemas[schema_id]

    def put(self, content: stream_builders.Row) -> None:
        """Publish one record by other means."""
        stream_builders.put(self.broker, self.of, content)

    def sent(self) -> list[MemoryRecord]:
        """Return everything on the source topic, partition by partition."""
        return self.broker.all_records(self.of.source_topic)

    def state(self) -> dict[str, str | None]:
        """Return the name in the newest record of each key."""
        newest = {(each.key() or b"").decode(): each.value() for each in self.sent()}
        schema = self.schemas[self.schema_id]
        return {
            key: None if value is None else stream_builders.decoded(schema, value)["name"]
            for key, value in newest.items()
        }


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """Return a provider that has published nothing yet."""
    producer = MemoryProducer(MemoryBroker())
    monkeypatch.setattr(publisher, "Producer", producer.connect)
    return Provider(tmp_path, producer)


def rows(names: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(names, "n")


# --- What is sent ---------------------------------------------------------------------------------


def test_the_first_edition_inserts_everything(provider: Provider) -> None:
    found = provider.publish(provider.edition("1", "2", "3"))

    assert found == Difference(before=0, inserts=3, updates=0, deletes=0, unchanged=0)
    assert found.to_send == 3
    assert provider.state() == rows("123")


def test_the_same_edition_again_sends_nothing(provider: Provider) -> None:
    edition = provider.edition("1", "2", "3")
    provider.publish(edition)

    found = provider.publish(edition)

    assert found == Difference(before=3, inserts=0, updates=0, deletes=0, unchanged=3)
    assert len(provider.sent()) == 3


def test_only_what_differs_is_sent(provider: Provider) -> None:
    """R-132: full editions become inserts, updates and deletes."""
    provider.publish(provider.edition("1", "2", "3", "4"))

    found = provider.publish(provider.write("1,n,d,7\n2,new,d,7\n5,n,d,7\n4,n,d,\n"))

    assert found == Difference(before=4, inserts=1, updates=2, deletes=1, unchanged=1)
    assert provider.state() == {"1": "n", "2": "new", "3": None, "4": "n", "5": "n"}
    assert len(provider.sent()) == 8


def test_inserts_and_updates_come_in_the_order_of_the_files_and_deletes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = MemoryProducer(MemoryBroker())
    monkeypatch.setattr(publisher, "Producer", producer.connect)
    provider = Provider(tmp_path, producer, of=builders.entry(partitions=1))
    provider.publish(provider.edition("0", "b"))
    first = provider.edition("z", "b", name="m", file="1.csv")
    second = provider.edition("a", "k", file="2.csv")

    provider.publish(first, second)

    assert [each.key() for each in provider.sent()[2:]] == [b"z", b"b", b"a", b"k", b"0"]


def test_a_deleted_record_that_comes_back_is_inserted(provider: Provider) -> None:
    provider.publish(provider.edition("1", "2"))
    provider.publish(provider.edition("1"))

    found = provider.publish(provider.edition("1", "2"))

    assert found == Difference(before=1, inserts=1, updates=0, deletes=0, unchanged=1)


def test_the_newest_record_of_a_key_is_the_one_that_counts(provider: Provider) -> None:
    provider.put(record("1", name="old"))
    provider.put(record("1", name="n", district="d", population=7))

    assert provider.difference(provider.edition("1")).unchanged == 1


def test_an_aborted_transaction_is_no_part_of_the_current_state(provider: Provider) -> None:
    writer = MemoryTransactionalWriter(provider.broker, transactional_id="t")
    writer.begin()
    writer.write(ENTRY.source_topic, 0, b"1", stream_builders.source_value(record("1")))
    writer.abort()

    assert provider.difference(provider.edition("2")).before == 0


def test_what_comes_while_the_state_is_read_is_left_for_the_next_time(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.put(record("1"))
    late = MemoryLogReaders(provider.broker)
    ends = late.ends

    def ends_and_more(*asked: object) -> object:
        found = ends(*asked)  # type: ignore[arg-type]
        provider.put(record("2"))
        return found

    monkeypatch.setattr(late, "ends", ends_and_more)

    with FileDiff(stream_builders.encoder(ENTRY)) as diff:
        diff.read_current(late, provider.schema, lambda *_: None)

        assert diff.difference().before == 1


def test_a_dry_run_sends_nothing(provider: Provider) -> None:
    assert provider.difference(provider.edition("1")).to_send == 1

    assert provider.sent() == []


# --- Older entry versions -------------------------------------------------------------------------


def newer_version(provider: Provider) -> CatalogEntry:
    """Publish a new entry version with schema 2: one more item, one promoted."""
    items = list(ENTRY.items)
    newer = builders.entry(
        partitions=2,
        items=[
            *items[:3],
            builders.item("population", Nullable(Scalar.DOUBLE)),
            builders.item("mayor", Nullable(Scalar.STRING)),
        ],
    )
    provider.of, provider.schema_id = newer, 2
    provider.schemas[2] = builders.schema_of(newer)
    return newer


def test_records_of_an_older_entry_version_are_compared_by_what_they_say(
    provider: Provider,
) -> None:
    provider.publish(provider.edition("1", "2", "3"))
    newer_version(provider)
    path = provider.folder / "new.csv"
    path.write_text("code,name,district,population,mayor\n1,n,d,7,\n2,n,d,7,Li\n3,n,d,8,\n")

    found = provider.difference(path)

    assert found == Difference(before=3, inserts=0, updates=2, deletes=0, unchanged=1)


def test_an_older_record_that_does_not_fit_any_more_is_sent_again(provider: Provider) -> None:
    items = [replace(each, type=Nullable(each.type)) for each in ENTRY.items if not each.key]
    old = builders.entry(partitions=2, items=[ENTRY.items[0], *items[:2]])
    provider.schemas[9] = builders.schema_of(old)
    nameless = {"code": "1", "name": None, "district": "d"}
    stream_builders.put(provider.broker, ENTRY, nameless, schema=provider.schemas[9], schema_id=9)

    found = provider.difference(provider.edition("1"))

    assert found == Difference(before=1, inserts=0, updates=1, deletes=0, unchanged=0)


def test_only_what_differs_is_written_with_the_newer_schema(provider: Provider) -> None:
    provider.publish(provider.edition("1", "2"))
    newer_version(provider)
    path = provider.folder / "new.csv"
    path.write_text("code,name,district,population,mayor\n1,n,d,7,\n2,n,d,7,Li\n")

    provider.publish(path)
    again = provider.publish(path)

    ids = [int.from_bytes((each.value() or b"")[1:5], "big") for each in provider.sent()]
    assert sorted(ids) == [1, 1, 2]
    assert again.to_send == 0


# --- Records that the bus will have refused -------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00\x00",
        b"\x00\x00\x00\x00\x01",
        b"\x00\x00\x00\x00\x01" + b"\xff" * 40,
        b"\x00\x00\x00\x00\x63 of an unknown schema",
        stream_builders.source_value(record("1")) + b"trailing",
    ],
    ids=["empty", "no prefix", "cut off", "garbage", "unknown schema", "trailing bytes"],
)
def test_a_refused_record_is_sent_again_as_the_edition_says(
    provider: Provider, value: bytes
) -> None:
    stream_builders.put_bytes(provider.broker, ENTRY, b"1", value)

    found = provider.publish(provider.edition("1"))

    assert found.updates == 1
    assert provider.state() == {"1": "n"}


def test_a_key_of_which_the_newest_record_was_refused_is_deleted_if_the_edition_lacks_it(
    provider: Provider,
) -> None:
    """Invariant 1: the views hold what the key was before the refused record."""
    provider.put(record("1"))
    stream_builders.put_bytes(provider.broker, ENTRY, b"1", b"\x00\x00\x00\x00\x63?")
    provider.put(record("2", name="n", district="d", population=7))

    found = provider.publish(provider.edition("2"))

    assert found == Difference(before=2, inserts=0, updates=0, deletes=1, unchanged=1)
    assert provider.sent()[-1].value() is None or provider.state()["1"] is None


def test_an_unreadable_time_in_an_older_record_does_not_end_the_comparison(
    provider: Provider,
) -> None:
    old = builders.entry(
        partitions=2, items=[*ENTRY.items, builders.item("at", Nullable(Scalar.TIMESTAMP_MICROS))]
    )
    provider.schemas[9] = builders.schema_of(old)
    good = stream_builders.source_value(
        record("1", at=None), schema=provider.schemas[9], schema_id=9
    )
    stream_builders.put_bytes(
        provider.broker, ENTRY, b"1", good[:-1] + b"\x02" + b"\xfe" + b"\xff" * 8 + b"\x01"
    )

    assert provider.difference(provider.edition("1")).updates == 1


# --- Deletions ------------------------------------------------------------------------------------


def test_an_edition_that_deletes_too_much_is_held_back(provider: Provider) -> None:
    provider.publish(provider.edition(*"0123456789"))

    with pytest.raises(DeletionsNotConfirmed, match="would delete 3 of 10 records, more than 20%"):
        provider.publish(provider.edition(*"0123456", name="changed"), share=0.2)

    assert len(provider.sent()) == 10


def test_an_edition_that_deletes_no_more_than_agreed_is_published(provider: Provider) -> None:
    provider.publish(provider.edition(*"0123456789"))

    found = provider.publish(provider.edition(*"01234567"), share=0.2)

    assert found.deletes == 2


def test_a_confirmed_deletion_is_published(provider: Provider) -> None:
    provider.publish(provider.edition(*"0123456789"))

    found = provider.publish(provider.edition("0"), share=0.2, confirmed=True)

    assert found.deletes == 9


# --- What is wrong with an edition ----------------------------------------------------------------


def test_a_key_that_stands_twice_is_refused_with_both_places(provider: Provider) -> None:
    first = provider.edition("1", "2", file="north.csv")
    second = provider.edition("3", "2", file="south.csv")

    with pytest.raises(EditionInvalid) as refused:
        provider.difference(first, second)

    assert str(refused.value) == f"{second}:3: the key '2' stands already in {first}, line 3"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("2,n,d,9223372036854775808\n", "population: a whole number of 64 bits is wanted"),
        (",n,d,7\n", "the key has 0 bytes; 1 to 1024 are allowed"),
        (f"{'x' * 1025},n,d,7\n", "the key has 1025 bytes; 1 to 1024 are allowed"),
        ("2,a\0b,d,7\n", "name: the text contains U+0000"),
    ],
    ids=["value out of range", "no key", "key too long", "nul"],
)
def test_a_record_that_does_not_fit_is_refused_with_its_place_and_nothing_is_sent(
    provider: Provider, line: str, complaint: str
) -> None:
    """R-120: everything is checked before anything is published."""
    path = provider.write("1,n,d,7\n" + line)

    with pytest.raises(EditionInvalid) as refused:
        provider.publish(path)

    assert str(refused.value).startswith(f"{path}:3: {complaint}")
    assert provider.sent() == []


# --- Sending --------------------------------------------------------------------------------------


def test_what_the_broker_does_not_accept_is_a_failure_and_sent_the_next_time(
    provider: Provider,
) -> None:
    """R-118: nothing is lost silently; doing it again sends what is missing."""
    provider.producer.refuse = {b"2": KafkaError.TOPIC_AUTHORIZATION_FAILED}
    edition = provider.edition("1", "2")
    with pytest.raises(DeliveryFailed):
        provider.publish(edition)
    provider.producer.refuse = {}

    found = provider.publish(edition)

    assert found == Difference(before=1, inserts=1, updates=0, deletes=0, unchanged=1)
    assert provider.state() == rows("12")


def test_progress_is_told_while_reading_and_sending(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_diff, "_PROGRESS_EVERY", 2)
    monkeypatch.setattr(file_diff, "_BATCH", 2)
    provider.publish(provider.edition(*"12345"))
    read: list[tuple[int, int]] = []
    sent: list[tuple[int, int]] = []

    with FileDiff(stream_builders.encoder(ENTRY)) as diff:
        diff.read_edition([provider.edition(*"12345", name="m")], lambda *_: None)
        diff.read_current(
            MemoryLogReaders(provider.broker), provider.schema, lambda *told: read.append(told)
        )
        diff.publish(provider.publisher(), lambda *told: sent.append(told))

    assert read[-1] == (5, 5)
    assert read == sorted(read)
    assert sent == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert diff.sending_seconds >= 0


def test_a_gentle_load_waits_between_records(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    stopped = SimpleNamespace(monotonic=lambda: 100.0, sleep=slept.append)
    monkeypatch.setattr(file_diff, "time", stopped)

    with provider.compared(provider.edition("1", "2", "3")) as diff:
        diff.publish(provider.publisher(), lambda *_: None, rate=10)

    assert slept == pytest.approx([0, 0.1, 0.2])


# --- Memory ---------------------------------------------------------------------------------------


def peak_of(work: Callable[[], object]) -> int:
    """Return the most memory that Python objects took during `work`."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_edition(provider: Provider) -> None:
    lines = 8_000
    padding = "x" * 200
    large = provider.write("".join(f"{n},{padding}{n},d,{n}\n" for n in range(lines)), "large.csv")
    assert large.stat().st_size > 1_500_000

    peak = peak_of(lambda: provider.difference(large))

    assert peak < 500_000
