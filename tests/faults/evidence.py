"""Gather the history of a run, once all is quiet, from the topics and from the segment files."""

import io
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from bus.adapters.kafka.connection import LOGGER
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.bootstrap.catalog import catalog
from bus.bootstrap.pseudonyms import pseudonym_secrets
from bus.domain.access import OPERATOR
from bus.domain.dead_letter import DeadLetter
from bus.domain.names import ROUTER_STATE_TOPIC
from bus.domain.router_state import Phase, RouterState
from bus.ports import Partition
from tests import builders
from tests.faults.doomed_router import FILL
from tests.faults.history import Copy, History, Row, Source, ViewLife, What
from tests.faults.model import sequence
from tests.faults.segments import fates_of
from tests.faults.soak_platform import SoakPlatform
from tests.faults.witness import Witness
from tests.faults.workload import BAD_HEADER, NUMBER_HEADER, Publishing, view_definitions

VIEWS = "os.view."
_READ_SECONDS = 180.0
#: A record whose meta names another source than it has.
_FORGED = -1


class Evidence:
    """Everything that stands on the topics of a platform at rest."""

    def __init__(self, platform: SoakPlatform, witness: Witness) -> None:
        self._platform = platform
        self._witness = witness
        self._schemas: dict[int, Any] = {}
        self._topics = self._list_topics()
        state = Partition(ROUTER_STATE_TOPIC, 0)
        self._starts = self._fill_starts(self._read([state], committed=True)[state])
        self._said = self._said_starts()
        with catalog(platform.settings) as parts, parts.store.transaction() as transaction:
            self._standing = {each.topic for each in transaction.incarnations()}
        #: Transactions that view topics took part in, by how they ended.
        self.transactions: Counter[str] = Counter()

    def history(self, publishing: Publishing) -> History:
        """Return what happened to one resource."""
        entry = publishing.entry
        secrets = pseudonym_secrets(self._platform.settings)
        definitions = view_definitions(entry, secrets.secret(1))
        prefix = f"{VIEWS}{entry.jurisdiction}.{entry.resource}."
        sources = [Partition(entry.source_topic, each) for each in range(entry.partitions)]
        letters = Partition(entry.dead_letter_topic, 0)
        views = [Partition(topic, 0) for topic in self._topics if topic.startswith(prefix)]
        committed = self._read([*sources, letters], committed=True)
        written = self._read(views, committed=False)
        source = tuple(record for each in sources for record in self._source(committed[each]))
        return History(
            resource=entry.resource,
            sent=tuple(publishing.sent[number] for number in sorted(publishing.sent)),
            source=source,
            letters=tuple(self._letters(committed[letters])),
            views=tuple(
                self._life(
                    view.topic,
                    source,
                    definitions[view.topic.removeprefix(prefix).split(".")[0]],
                    written[view],
                )
                for view in views
            ),
        )

    def _source(self, messages: Iterable[Message]) -> Iterable[Source]:
        for message in messages:
            said: dict[str, Any] = dict(message.headers() or ())
            value = message.value()
            what, row = What.UPSERT, None
            if BAD_HEADER in said:
                what = What.REFUSED
            elif value is None:
                what = What.DELETE
            else:
                _, row = self._decode(value)
            yield Source(
                number=int(said[NUMBER_HEADER]),
                key=(message.key() or b"").decode(),
                partition=message.partition() or 0,
                position=message.offset() or 0,
                what=what,
                row=row,
            )

    def _letters(self, messages: Iterable[Message]) -> Iterable[tuple[int, int]]:
        for message in messages:
            letter = self._platform.codec.decode(message.value() or b"")
            assert isinstance(letter, DeadLetter)
            yield letter.partition, letter.position

    def _life(
        self,
        topic: str,
        source: tuple[Source, ...],
        definition: tuple[str | None, dict[str, str]],
        messages: Iterable[Message],
    ) -> ViewLife:
        fates = fates_of(self._platform.segments(topic, 0))
        log = tuple(self._copy(message) for message in messages)
        self.transactions["committed"] += fates.transactions - fates.aborts
        self.transactions["aborted"] += fates.aborts
        standing = {copy.offset for copy in log}
        rows, treatments = definition
        life = ViewLife(
            topic=topic,
            rows=rows,
            treatments=treatments,
            starts={},
            ended=topic not in self._standing,
            log=log,
            aborted=frozenset(fates.aborted & standing),
            unfinished=frozenset(fates.unfinished & standing),
            seen=tuple(self._copy(message) for message in self._witness.seen(topic)),
        )
        starts = {
            number: self._start(life, number, start, source)
            for (view, number), start in self._starts.items()
            if view == topic
        }
        return replace(life, starts=starts)

    def _start(
        self, life: ViewLife, partition: int, noted: int | None, source: tuple[Source, ...]
    ) -> int:
        """
        Return where a view began in a source partition.

        If the state topic does not say, it is the beginning, or one of the starts that routers
        said: the one that what was committed agrees with, position by position.
        """
        if noted is not None:
            return noted
        records = [record for record in source if record.partition == partition]
        gone = life.aborted | life.unfinished
        got = [
            copy.position
            for copy in life.log
            if copy.partition == partition and copy.offset not in gone
        ]
        starts: set[int] = {0} | self._said.get((life.topic, partition), set())
        for start in sorted(starts):
            gets = sequence(records, rows=life.rows, treatments=life.treatments, start=start)
            wants = [each.position for each in gets]
            if got == (wants[: len(got)] if life.ended else wants):
                return start
        return 0

    def _copy(self, message: Message) -> Copy:
        value = message.value()
        row: Row | None = None
        reason: str | None = None
        if value is None:
            headers: dict[str, Any] = dict(message.headers() or ())
            said = {name: text.decode() for name, text in headers.items()}
            number = uuid.UUID(said["os-event-id"]).int
            partition, position = int(said["os-partition"]), int(said["os-position"])
            reason = said["os-reason"]
        else:
            meta, row = self._decode(value)
            number = int.from_bytes(meta["event_id"], "big")
            if meta["source"] != builders.PROVIDER:
                number = _FORGED
            partition, position = meta["partition"], meta["position"]
        key = (message.key() or b"").decode()
        return Copy(message.offset() or 0, key, row, number, partition, position, reason)

    def _decode(self, value: bytes) -> tuple[dict[str, Any], Row]:
        number = int.from_bytes(value[1:5], "big")
        if number not in self._schemas:
            text = self._platform.account(OPERATOR).control.schema(number)
            self._schemas[number] = fastavro.parse_schema(json.loads(text))
        record = fastavro.schemaless_reader(io.BytesIO(value[5:]), self._schemas[number], None)
        assert isinstance(record, dict)
        return record.pop("meta"), record

    def _fill_starts(self, messages: Iterable[Message]) -> dict[tuple[str, int], int | None]:
        """Return where views began, by view topic and source partition; None: it does not say."""
        starts: dict[tuple[str, int], int | None] = {}
        for message in messages:
            where = (message.key() or b"").decode().split("/")
            value = message.value()
            if value is None or len(where) < 3:
                continue
            state = self._platform.codec.decode(value)
            assert isinstance(state, RouterState)
            start = state.start if state.phase is Phase.FILLING else None
            # What is said first is where it began.
            starts.setdefault((where[2], int(where[1])), start)
        return starts

    def _said_starts(self) -> dict[tuple[str, int], set[int]]:
        """Return where routers said that they begin to fill views."""
        said: dict[tuple[str, int], set[int]] = {}
        for log in (self._platform.folder.root / "logs").glob("router-*.log"):
            for line in log.read_text(errors="replace").splitlines():
                if FILL in line:
                    fill = json.loads(line)[FILL]
                    where = (fill["view"], fill["partition"])
                    said.setdefault(where, set()).add(int(fill["start"]))
        return said

    def _list_topics(self) -> list[str]:
        admin = AdminClient(self._platform.admin().client(), logger=LOGGER)
        return sorted(admin.list_topics(timeout=30).topics)

    def _read(
        self, partitions: list[Partition], *, committed: bool
    ) -> dict[Partition, list[Message]]:
        """Return all records of partitions; without `committed`, those of aborted transactions."""
        ends = {each: end for each, end in _ends(self._platform, partitions).items() if end}
        consumer = Consumer(
            self._platform.admin().client(
                group_id="soak.evidence",
                isolation_level="read_committed" if committed else "read_uncommitted",
                enable_auto_commit=False,
                auto_offset_reset="error",
                enable_partition_eof=True,
            ),
            logger=LOGGER,
        )
        found: dict[Partition, list[Message]] = {each: [] for each in partitions}
        waiting = set(ends)
        consumer.assign([TopicPartition(*each, 0) for each in ends])
        deadline = time.monotonic() + _READ_SECONDS
        while waiting and time.monotonic() < deadline:
            for message in consumer.consume(10_000, 0.1):
                where = Partition(message.topic() or "", message.partition() or 0)
                fault = message.error()
                if fault is None:
                    found[where].append(message)
                elif (
                    fault.code() == KafkaError._PARTITION_EOF
                    and (message.offset() or 0) >= ends[where]
                ):
                    waiting.discard(where)
        consumer.close()
        assert not waiting, f"could not be read to the end: {waiting}"
        return found


def view_ends(platform: SoakPlatform, topics: Iterable[str]) -> Mapping[Partition, int]:
    """Return where the view topics among `topics` end."""
    views = [Partition(topic, 0) for topic in topics if topic.startswith(VIEWS)]
    return {each: end for each, end in _ends(platform, views).items() if end}


def _ends(platform: SoakPlatform, partitions: list[Partition]) -> Mapping[Partition, int]:
    return KafkaLogReaders(platform.admin(), group="soak.readers").ends(partitions)
