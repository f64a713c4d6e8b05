"""
What a soak does on the bus: a publisher that writes, and a clerk who gives and ends grants.

Both are threads that go on until they are told to stop, and all they do follows from a seed. What
the publisher was told about each record is part of the history.
"""

import datetime as dt
import io
import json
import random
import threading
import uuid
from collections import Counter
from dataclasses import replace
from functools import partial

import fastavro
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bus.adapters.kafka.connection import LOGGER, KafkaConnection
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.domain.items import Nullable, Scalar
from bus.domain.record_key import partition_of
from bus.domain.view import Treatment
from bus.errors import BusError
from tests import builders
from tests.faults.history import Row, Sent
from tests.faults.model import PSEUDONYM, ROW_FILTERS
from tests.live_platform import LivePlatform

#: Headers of source records, for the history alone: the router passes nothing of them on.
NUMBER_HEADER = "soak-number"
BAD_HEADER = "soak-bad"
DISTRICTS = ("east", "west", "north")
NAMES = ("a", "ab", "街道", "双桥镇", "a long name of a town")
_OCCURRED = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
#: No magic, nothing after it, cut off, no value at all: each is a dead letter.
BAD_VALUES = (b"", b"\x01\x00\x00\x00\x00", b"\x00\x00\x00", b"?")
_KEYS = 60
_BAD, _DELETED = 0.01, 0.15
_MOST_AT_ONCE = 60
_MOST_WAITING = 5_000
_FLUSH_SECONDS = 150.0
#: What views do to the items; each is named at most once.
TREATMENTS: tuple[dict[str, Treatment], ...] = (
    dict.fromkeys(("code", "name", "district", "population", "number"), Treatment.KEEP),
    {"code": Treatment.KEEP, "name": Treatment.PARTIAL, "number": Treatment.KEEP},
    {"code": Treatment.KEEP, "name": Treatment.FIXED, "population": Treatment.NULL},
    {"code": Treatment.KEEP, "district": Treatment.KEEP},
    {"code": Treatment.KEEP, "name": Treatment.HMAC, "number": Treatment.KEEP},
)
_FEWEST_GRANTS, _MOST_GRANTS = 3, 6


def soak_entry(code: str, *, partitions: int) -> CatalogEntry:
    """Return an entry for the records of a soak."""
    return builders.entry(
        code,
        partitions=partitions,
        items=(
            builders.key_item("code"),
            builders.item("name"),
            builders.item("district"),
            builders.item("population", Nullable(Scalar.LONG)),
            builders.item("number", Scalar.LONG),
        ),
    )


class Publishing:
    """Publishes random records of one resource, and keeps what it was told of each."""

    def __init__(
        self, platform: LivePlatform, entry: CatalogEntry, chance: random.Random, *, rate: float
    ) -> None:
        descriptor = platform.provider().control.publication(entry.resource)
        self.entry = entry
        self.sent: dict[int, Sent] = {}
        self.failed: Counter[str] = Counter()
        self.faults: list[str] = []
        self._chance = chance
        self._rate = rate
        self._connection: KafkaConnection = platform.provider().kafka
        self._schema = fastavro.parse_schema(json.loads(descriptor["schema"]))
        self._prefix = b"\x00" + int(descriptor["schema_id"]).to_bytes(4, "big")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"publish {entry.resource}")

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self) -> None:
        """Publish no more; return when the broker has said what became of everything."""
        self._over.set()
        self._thread.join(_FLUSH_SECONDS + 30)
        if self._thread.is_alive():
            self.faults.append("the publisher does not end")

    def _run(self) -> None:
        producer = self._producer()
        try:
            while not self._over.is_set():
                burst = self._chance.randint(1, _MOST_AT_ONCE)
                for _ in range(burst):
                    try:
                        self._publish(producer)
                    except (BufferError, KafkaException) as error:
                        # A producer that is dead says so once more for each record.
                        self.failed[str(error)] += 1
                        producer.flush(1)
                        producer = self._producer()
                producer.poll(0)
                self._over.wait(self._chance.uniform(0, 2) * burst / self._rate)
                while len(producer) > _MOST_WAITING and not self._over.is_set():
                    producer.poll(0.1)
        except BaseException as error:
            self.faults.append(repr(error))
            raise
        finally:
            if left := producer.flush(_FLUSH_SECONDS):
                self.faults.append(f"{left} records without an answer")

    def _producer(self) -> Producer:
        config = self._connection.client(
            enable_idempotence=True, acks="all", linger_ms=5, delivery_timeout_ms=120_000
        )
        return Producer(config, logger=LOGGER)

    def _publish(self, producer: Producer) -> None:
        number = len(self.sent)
        key = f"k{self._chance.randrange(_KEYS)}" if self._chance.random() < 0.98 else "镇"
        partition = partition_of(key.encode(), self.entry.partitions)
        headers: list[tuple[str, str | bytes | None]] = [(NUMBER_HEADER, str(number).encode())]
        draw = self._chance.random()
        value: bytes | None
        if draw < _BAD:
            value = self._chance.choice(BAD_VALUES)
            headers.append((BAD_HEADER, b"1"))
        elif draw < _BAD + _DELETED:
            value = None
            headers += [
                ("os-event-id", str(uuid.UUID(int=number)).encode()),
                ("os-occurred-at", _OCCURRED.isoformat().encode()),
            ]
        else:
            value = self._value(self._row(key, number), number)
        self.sent[number] = Sent(number, key, partition, None)
        told = partial(self._told, number)
        producer.produce(
            self.entry.source_topic,
            value,
            key.encode(),
            partition,
            headers=headers,
            on_delivery=told,
        )

    def _row(self, key: str, number: int) -> Row:
        return {
            "code": key,
            "name": self._chance.choice(NAMES),
            "district": self._chance.choice(DISTRICTS),
            "population": self._chance.choice([None, *range(10)]),
            "number": number,
        }

    def _value(self, row: Row, number: int) -> bytes:
        meta = {"event_id": uuid.UUID(int=number).bytes, "occurred_at": _OCCURRED}
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._schema, {"meta": meta, **row})
        return self._prefix + out.getvalue()

    def _told(self, number: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed[error.name()] += 1
        else:
            self.sent[number] = replace(self.sent[number], position=message.offset())


class Clerk:
    """Gives, changes and ends grants on some resources, one act after the other."""

    def __init__(
        self,
        platform: LivePlatform,
        entries: tuple[CatalogEntry, ...],
        chance: random.Random,
        *,
        pause: float,
    ) -> None:
        self.acts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self._platform = platform
        self._entries = entries
        self._chance = chance
        self._pause = pause
        self._held: dict[str, dict[str, Grant]] = {entry.resource: {} for entry in entries}
        self._pending = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk")

    def begin(self) -> None:
        """Give the first grants, of all rows among them, and go on from there in a thread."""
        for entry in self._entries:
            self._give(entry, None)
            for _ in range(_FEWEST_GRANTS):
                self._give(entry, self._chance.choice(list(ROW_FILTERS)))
        self._settle()
        self._thread.start()

    def stop(self) -> None:
        """Do nothing any more, once what was begun has been taken in."""
        self._over.set()
        self._thread.join(300)
        if self._thread.is_alive() or self._pending:
            raise AssertionError(f"the catalog could not be applied: {self.refusals}")

    def _run(self) -> None:
        while not self._over.wait(self._chance.expovariate(1 / self._pause)):
            self._act()
            self._settle()
        # In the end the broker runs and nobody does it any harm.
        for _ in range(20):
            if not self._pending:
                break
            threading.Event().wait(1)
            self._settle()

    def _act(self) -> None:
        entry = self._chance.choice(self._entries)
        held = self._held[entry.resource]
        draw = self._chance.random()
        if len(held) <= _FEWEST_GRANTS or (draw < 0.4 and len(held) < _MOST_GRANTS):
            self._give(entry, self._chance.choice(list(ROW_FILTERS)))
        elif draw < 0.7:
            self._change(self._chance.choice(sorted(held)), entry)
        else:
            self._end(self._chance.choice(sorted(held)), entry)

    def _give(self, entry: CatalogEntry, rows: str | None) -> None:
        code = self._platform.new_code(f"{entry.resource}-g")
        grant = builders.grant(
            code,
            resource=entry.resource,
            row_filter=rows,
            treatments=self._chance.choice(TREATMENTS),
        )
        self._note(entry, code, grant, "grant given")

    def _change(self, code: str, entry: CatalogEntry) -> None:
        held = self._held[entry.resource][code]
        rows = self._chance.choice(list(ROW_FILTERS))
        changed = replace(held, row_filter=rows, treatments=self._chance.choice(TREATMENTS))
        self._note(entry, code, changed, "grant changed")

    def _end(self, code: str, entry: CatalogEntry) -> None:
        self._note(entry, code, None, "grant ended")

    def _note(self, entry: CatalogEntry, code: str, grant: Grant | None, act: str) -> None:
        held, declared = self._held[entry.resource], self._platform._grants
        if grant is None:
            del held[code], declared[code]
        else:
            held[code] = declared[code] = grant
        self.acts[act] += 1
        self._pending = True

    def _settle(self) -> None:
        """Apply what was decided; a platform that is not well is asked again the next time."""
        try:
            self._platform.apply(wait=False)
        except BusError as error:
            self.refusals[error.code] += 1
        else:
            self._pending = False


def view_definitions(
    entry: CatalogEntry, secret: bytes
) -> dict[str, tuple[str | None, dict[str, str]]]:
    """
    Return (row filter, treatments) of all views that a clerk may bring to life, by view id.

    `secret` is the platform's first of pseudonyms.
    """
    info = f"onesource pseudonyms {builders.CONSUMER}#1".encode()
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
    found: dict[str, tuple[str | None, dict[str, str]]] = {}
    for rows in ROW_FILTERS:
        for treatments in TREATMENTS:
            grant = builders.grant(resource=entry.resource, row_filter=rows, treatments=treatments)
            said = {
                name: f"{PSEUDONYM}{key.hex()}" if how is Treatment.HMAC else str(how)
                for name, how in treatments.items()
            }
            found[grant.view(entry).id] = (rows, said)
    return found
