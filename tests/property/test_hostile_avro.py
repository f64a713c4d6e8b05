"""
Mutated records, differential: what passes is a record to every reader, what is one passes.

    HOSTILE_CASES=1000000 .venv/bin/pytest -s tests/property/test_hostile_avro.py

Each case is one record of a random schema, changed in a few places. The oracle
(`tests.strict_avro`) says what must become of it, byte for byte; whatever passes is read by Apache
avro and by fastavro, too, to its exact end and with equal values. The same seed and number of cases
give the same digest, whichever way the kernel was built. HOSTILE_SEED chooses other cases.
"""

import hashlib
import io
import json
import os
import random
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import avro.schema
import fastavro
import pytest

from bus.domain.avro_schema import VIEW_META
from bus.domain.masking import partly
from bus.domain.pseudonyms import pseudonym
from bus.domain.view import Treatment
from bus.views.plan import Outcome, Plan, Reject, SchemaPending, Upsert
from tests.avro_generator import Generator
from tests.avro_mutations import Original, mutate, varint
from tests.hostile_avro import FOREIGN_ID, PREFIX, VIEW_IDS, keep_plan, text
from tests.pseudonym_secrets import PSEUDONYMS, SECRETS
from tests.strict_avro import Reading, Refused, StrictReader, physical, read_by_apache

CASES = int(os.environ.get("HOSTILE_CASES", "20000"))
SEED = int(os.environ.get("HOSTILE_SEED", "20261122"))
#: Of each schema, because to compile one costs as much as some hundred records.
_RECORDS, _MUTATIONS = 4, 25
_POSITION = 300
_KEY = PSEUDONYMS.derive(SECRETS.secret(1))
_VIEW_META = fastavro.parse_schema(physical(VIEW_META))
_CHECKED_AGAIN = 64


@dataclass(slots=True)
class Tally:
    """What has become of the cases."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    """Seconds of this thread: not those in which something else ran."""
    slowest_record: str = ""
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, found: Outcome, seconds: float, value: bytes) -> None:
        self.cases += 1
        self.outcomes[_code(found)] += 1
        if seconds > self.slowest:
            about = f"{_code(found)}, {len(value):,} bytes, {value.hex()[:160]}"
            self.slowest, self.slowest_record = seconds, about
        written = found.projections if isinstance(found, Upsert) else ()
        self.digest.update(repr((_code(found), written)).encode())


class Subject:
    """One schema: the plan, and those who judge it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._generator = Generator(chance)
        self.text = self._generator.text
        self.types = {each["name"]: each["type"] for each in self._generator.schema["fields"][1:]}
        self.views = [
            dict.fromkeys(self.types, Treatment.KEEP),
            {name: Treatment.KEEP for name in self.types if name == "id" or chance.random() < 0.5},
            {name: self._treatment(name) for name in self.types},
        ]
        self.plan: Plan = keep_plan(self.text, *self.views)
        self.oracle = StrictReader(self.text)
        self._codec = fastavro.parse_schema(self._generator.physical)
        self._logical = fastavro.parse_schema(json.loads(self.text))
        self._apache = avro.schema.parse(json.dumps(self._generator.physical))
        self._apache_logical = avro.schema.parse(self.text)

    def _treatment(self, name: str) -> Treatment:
        kind = self.types[name]
        if name == "id" or (isinstance(kind, list) and "null" not in kind):
            return Treatment.KEEP
        found = [Treatment.KEEP, Treatment.NULL]
        if kind == "string":
            found += [Treatment.PARTIAL, Treatment.HMAC, Treatment.FIXED] * 2
        return self._chance.choice(found)

    def treated(self, name: str, how: Treatment, written: bytes, value: Any) -> bytes:
        """Return what a view shows of an item that is `written` so."""
        match how:
            case Treatment.NULL:
                kind = self.types[name]
                return varint(kind.index("null") if isinstance(kind, list) else 0)
            case Treatment.PARTIAL:
                return text(partly(value).encode())
            case Treatment.HMAC:
                return text(pseudonym(_KEY, value.encode()).encode())
            case Treatment.FIXED:
                return text(b"***")
            case _:
                return written

    def original(self) -> tuple[bytes, Original]:
        """Return a key, and a record with it as fastavro writes it; the kernel lets it pass."""
        key = self._chance.choice(["k", "k1", "key", "王", "x" * 80])
        record = self._generator.record(key)
        body = self.encode(record)
        reading = self.oracle.read(body)
        assert reading.value == record
        assert reading.ends[-1] == len(body)
        return key.encode(), Original(body, reading)

    def encode(self, record: Any) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._codec, record)
        return out.getvalue()

    def check_readers(self, body: bytes, reading: Reading) -> None:
        """Whatever passes is read by others to its end, with the same values, and written again."""
        value, end = read_by_apache(self._apache, body)
        assert (end, repr(value)) == (len(body), repr(reading.value))
        assert read_by_apache(self._apache_logical, body)[1] == len(body)
        for schema in (self._codec, self._logical):
            stream = io.BytesIO(body)
            value = fastavro.schemaless_reader(stream, schema, None)
            assert stream.tell() == len(body)
            if schema is self._codec:
                assert repr(value) == repr(reading.value)
        if reading.plain:
            assert self.encode(reading.value) == body


def _code(found: Outcome) -> str:
    match found:
        case Upsert():
            return "passed"
        case Reject(code, _):
            return code
        case SchemaPending():
            return "SCHEMA_UNKNOWN"
        case _:
            return "deleted"


def _expected(subject: Subject, key: bytes, value: bytes) -> tuple[str, Reading | None]:
    """Return what the oracle says of a value."""
    if len(value) > 1_000_000:
        return "RECORD_TOO_LARGE", None
    if len(value) < len(PREFIX) or value[0]:
        return "BAD_MAGIC", None
    if value[: len(PREFIX)] != PREFIX:
        foreign = int.from_bytes(value[1 : len(PREFIX)], "big") == FOREIGN_ID
        return "SCHEMA_FOREIGN" if foreign else "SCHEMA_UNKNOWN", None
    try:
        reading = subject.oracle.read(value, len(PREFIX))
    except Refused as refused:
        return refused.code, None
    if reading.ends[-1] != len(value):
        return "TRAILING_BYTES", None
    if reading.value["id"].encode() != key:
        return "KEY_MISMATCH", None
    return "passed", reading


def _projections(subject: Subject, value: bytes, reading: Reading) -> tuple[tuple[int, bytes], ...]:
    """Return what the views must have: `meta` as fastavro writes it, and the kept fields."""
    said = reading.value["meta"]
    known = {"source": "provider", "entry_version": 1, "generation": 1, "partition": 0}
    meta = io.BytesIO()
    fastavro.schemaless_writer(
        meta, _VIEW_META, {**said, **known, "position": _POSITION, "mark": None}
    )
    spans = zip(subject.types, reading.ends[1:], reading.ends[2:], strict=False)
    written = {name: value[start:end] for name, start, end in spans}
    return tuple(
        (
            index,
            b"\x00"
            + VIEW_IDS[index].to_bytes(4, "big")
            + meta.getvalue()
            + b"".join(
                subject.treated(name, how, written[name], reading.value[name])
                for name, how in view.items()
            ),
        )
        for index, view in enumerate(subject.views)
    )


def _apply(plan: Plan, key: bytes, value: bytes) -> tuple[Outcome, float]:
    started = time.thread_time()
    (found,) = plan.apply(0, [(_POSITION, key, value)])
    return found, time.thread_time() - started


def _check(subject: Subject, key: bytes, value: bytes, tally: Tally) -> None:
    found, seconds = _apply(subject.plan, key, value)
    if seconds > tally.slowest:
        # Was it the record, or chance?
        seconds = min(seconds, *(_apply(subject.plan, key, value)[1] for _ in range(5)))
    tally.add(found, seconds, value)
    expected, reading = _expected(subject, key, value)
    about = f"{subject.text}\nkey {key!r}, value {value.hex()}\n{found!r}"
    assert _code(found) == expected, about
    if isinstance(found, Upsert) and reading is not None:
        assert found.projections == _projections(subject, value, reading), about
        try:
            subject.check_readers(value[len(PREFIX) :], reading)
        except Exception as error:
            raise AssertionError(f"{about}\n{error!r}") from error


def _mutated(
    chance: random.Random, key: bytes, one: Original, all_: list[Original], subject: Subject
) -> tuple[bytes, bytes]:
    """Return a mutated value, and its key: mostly the one that it still has."""
    value = PREFIX + mutate(one, all_, chance)
    if chance.random() < 0.03:
        at = chance.randrange(len(PREFIX))
        value = value[:at] + bytes([chance.randrange(256)]) + value[at + chance.randint(0, 2) :]
        return key, value
    if chance.random() < 0.7:
        code, reading = _expected(subject, key, value)
        if code == "KEY_MISMATCH":
            reading = subject.oracle.read(value, len(PREFIX))
            key = reading.value["id"].encode()[:1024] or key
    return key, value


def run(cases: int, seed: int) -> Tally:
    """Check `cases` records, and return what has become of them."""
    chance = random.Random(seed)
    tally = Tally()
    while tally.cases < cases:
        subject = Subject(chance)
        originals = [subject.original() for _ in range(_RECORDS)]
        bodies = [original for _, original in originals]
        # The plan is compiled when the first record comes; that is no record's time.
        subject.plan.apply(0, [(_POSITION, b"k", PREFIX)])
        for key, original in originals:
            _check(subject, key, PREFIX + original.body, tally)
            for _ in range(_MUTATIONS):
                _check(subject, *_mutated(chance, key, original, bodies, subject), tally)
    return tally


def _resident() -> int:
    """Return the resident memory of this process in KiB, where the system says it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (line,) = [each for each in status.read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1])


@pytest.mark.timeout(max(300, CASES // 300))
def test_mutated_records_pass_if_and_only_if_they_are_records() -> None:
    """Never a crash, a hang, a wrongly passed or a wrongly refused record."""
    with warnings.catch_warnings():
        # Apache avro says that fixed types of no bytes and the like are unusual.
        warnings.simplefilter("ignore")
        run(_CHECKED_AGAIN, SEED)
        before = _resident()
        started = time.monotonic()
        tally = run(CASES, SEED)
    seconds = time.monotonic() - started

    print(f"\n{tally.cases:,} records in {seconds:.0f} s, seed {SEED}")
    for code, count in tally.outcomes.most_common():
        print(f"{count:>10,} {code}")
    print(f"slowest: {tally.slowest * 1e6:,.0f} µs ({tally.slowest_record})")
    print(f"resident memory: {before:,} KiB before, {_resident():,} KiB after")
    print(f"digest: {tally.digest.hexdigest()}")
    # Neither side of the oracle is without work.
    assert tally.outcomes["passed"] > tally.cases // 20
    assert sum(tally.outcomes.values()) - tally.outcomes["passed"] > tally.cases // 4
    assert len(tally.outcomes) > 8


def test_the_same_seed_gives_the_same_cases() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = run(300, 7), run(300, 7)

    assert first.digest.hexdigest() == second.digest.hexdigest()
