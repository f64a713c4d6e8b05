"""
Random lives of a router on a broker in memory.

Upserts, deletes, malformed records, views that come and go, new writer schemas, commits that fail
in every way, crashes, rebalances and compaction, in any order: when it is quiet, every view holds
what the oracle says (invariant 1), nothing that was ever written is outside its view (2), positions
grow (3), and nothing was written twice (4).
"""

import io
import json
from typing import Any

import fastavro
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from typing_extensions import override

from bus.adapters.cel.cel_python import row_predicate
from bus.adapters.memory.broker import Fault, MemoryGroupConsumer
from bus.domain.policy import ViewPolicy
from bus.domain.view import Treatment
from bus.errors import WriterFenced
from bus.router import fill
from bus.router.router import SCHEMA_WAIT_SECONDS, Router
from bus.services.verification.oracle import ViewOracle
from tests.pseudonym_secrets import SECRETS
from tests.router_harness import (
    SOURCE,
    TOWNS,
    Bus,
    Row,
    encode,
    towns,
    towns_of,
    towns_view,
)

# cel-python raises the recursion limit when first used; hypothesis must see it raised already.
row_predicate("true")

FILTERS = [
    None,
    'kind == "town"',
    'kind != "town"',
    "size > 3",
    "size == null || size < 3",
    'id.startsWith("a") && size in [1, 2, 3]',
    'secret.contains("x")',
]
KEYS = st.sampled_from(["a", "b", "c", "aa", "ab", "镇"])
#: No magic, a record that is cut off, a schema that nobody has.
MALFORMED = [b"", b"\x00\x00\x00\x00\x01bad", b"\x00\x00\x00\x00\x09"]
NEWER = json.loads(TOWNS)
NEWER["fields"].append({"name": "mayor", "type": ["null", "string"], "default": None})
NEWER_ID = 2
SCHEMAS = {1: TOWNS, NEWER_ID: json.dumps(NEWER)}


class RouterLife(RuleBasedStateMachine):
    """One random life."""

    @initialize(partitions=st.integers(1, 3), step=st.sampled_from([1, 3, 5000]))
    def begin(self, partitions: int, step: int) -> None:
        fill.STEP_RECORDS = step
        self.bus = Bus()
        self.partitions = partitions
        self.schemas = {1: TOWNS}
        self.views: list[ViewPolicy] = []
        self.incarnations: dict[str, int] = {}
        self.routers: dict[str, Router] = {}
        self._declare()
        self.routers["0"] = self.bus.router("0")

    def _declare(self) -> None:
        self.bus.declare(towns(self.partitions, schemas=self.schemas), *self.views)

    @rule(key=KEYS, kind=st.sampled_from(["town", "city"]), size=st.none() | st.integers(0, 6))
    def upsert(self, key: str, kind: str, size: int | None) -> None:
        self.bus.upsert(key, kind=kind, size=size, secret="x" if size == 1 else "")

    @precondition(lambda self: NEWER_ID in self.schemas)
    @rule(key=KEYS, size=st.integers(0, 6))
    def upsert_newer(self, key: str, size: int) -> None:
        record = {"id": key, "kind": "town", "size": size, "secret": "", "mayor": None}
        value = encode(record, SCHEMAS[NEWER_ID], NEWER_ID)
        self.bus.publish(towns_of(self.bus), key.encode(), value)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.bus.delete(key)

    @rule(
        key=KEYS, what=st.sampled_from([b"", b"\x00\x00\x00\x00\x01bad", b"\x00\x00\x00\x00\x09"])
    )
    def malformed(self, key: str, what: bytes) -> None:
        self.bus.publish(towns_of(self.bus), key.encode(), what)

    @rule(
        rows=st.sampled_from(FILTERS),
        kind=st.sampled_from(sorted(Treatment)),
        size=st.sampled_from([Treatment.KEEP, Treatment.OMIT, Treatment.NULL]),
    )
    def add_view(self, rows: str | None, kind: Treatment, size: Treatment) -> None:
        treated = {"kind": kind, "size": size}
        view = towns_view(treated=treated, rows=rows)
        if any(each.view.id == view.view.id for each in self.views) or len(self.views) >= 4:
            return
        number = self.incarnations[view.view.id] = self.incarnations.get(view.view.id, 0) + 1
        self.views.append(towns_view(treated=treated, rows=rows, incarnation=number))
        self._declare()

    @precondition(lambda self: self.views)
    @rule(at=st.integers(0, 3))
    def end_view(self, at: int) -> None:
        del self.views[at % len(self.views)]
        self._declare()

    @precondition(lambda self: NEWER_ID not in self.schemas)
    @rule()
    def add_schema(self) -> None:
        self.schemas = dict(SCHEMAS)
        self._declare()

    @rule(steps=st.integers(1, 6))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            for instance in list(self.routers):
                self._step(instance)

    def _step(self, instance: str) -> None:
        try:
            self.routers[instance].step()
        except WriterFenced:
            self.routers[instance] = self.bus.router(instance)

    @rule(fault=st.sampled_from(Fault))
    def break_a_commit(self, fault: Fault) -> None:
        self.bus.broker.faults.append(fault)

    @rule(instance=st.sampled_from(["0", "1"]), half=st.booleans())
    def kill(self, instance: str, half: bool) -> None:  # noqa: FBT001 (drawn)
        router = self.routers.get(instance)
        if router is None:
            return
        if half and self.views:
            # It dies with a transaction open, which holds readers back until it is ended.
            router._writer.begin()
            router._writer.write(self.views[0].topic, 0, b"never seen", None)
        self.routers[instance] = self.bus.router(instance)

    @rule()
    def join(self) -> None:
        if "1" not in self.routers:
            self.routers["1"] = self.bus.router("1")

    @precondition(lambda self: "1" in self.routers)
    @rule()
    def leave(self) -> None:
        router = self.routers.pop("1")
        consumer = router._consumer
        assert isinstance(consumer, MemoryGroupConsumer)
        consumer.leave()

    @rule(what=st.sampled_from(["source", "views"]))
    def compact(self, what: str) -> None:
        for topic in [SOURCE] if what == "source" else [view.topic for view in self.views]:
            self.bus.broker.compact(topic)

    @rule()
    def compare(self) -> None:
        self._settle()
        for view in self.views:
            self._compare(view)

    @override
    def teardown(self) -> None:
        if not hasattr(self, "bus"):
            return
        self._settle()
        for view in self.views:
            self._compare(view)
        for view in self.bus.all_views.values():
            self._check_history(view)

    def _settle(self) -> None:
        self.bus.broker.faults.clear()
        # Twice, because a schema that nobody has is waited for first.
        for _ in range(2):
            self.bus.settle(*self.routers.values(), rounds=2000)
            self.bus.clock.sleep(SCHEMA_WAIT_SECONDS)
        self.bus.settle(*self.routers.values(), rounds=2000)

    def _compare(self, view: ViewPolicy) -> None:
        """Compare a view with the verification's oracle, which shares no code with the router."""
        expected, undecided = self._expected(view)
        found = self.bus.rows(view)
        for key in undecided:
            found.pop(key.decode(), None)
        assert found == expected, view

    def _expected(self, view: ViewPolicy) -> tuple[dict[str, Row], frozenset[bytes]]:
        """Return what the oracle says that a view holds, and the keys that it leaves open."""
        rows = view.view.row_filter
        letters = {
            (letter.partition, letter.position): letter.key or b"" for letter in self.bus.letters()
        }
        oracle = ViewOracle(
            towns_of(self.bus),
            view.view,
            None if rows is None else row_predicate(rows),
            letters.values(),
            secrets=SECRETS,
        )
        expected: dict[str, Row] = {}
        for record in self.bus.committed(SOURCE):
            where = (record.partition(), record.offset())
            counts, row = oracle.row(
                *where,
                record.key() or b"",
                record.value(),
                dead_lettered=where in letters,
            )
            key = (record.key() or b"").decode()
            if counts and row is None:
                expected.pop(key, None)
            elif row is not None:
                expected[key] = row
        assert oracle.wrongly_refused == []
        assert oracle.unexplained == []
        return expected, oracle.undecided

    def _check_history(self, view: ViewPolicy) -> None:
        """Check invariants 2, 3 and 4 on everything that was ever written to a view topic."""
        matches = (
            (lambda _: True)
            if view.view.row_filter is None
            else row_predicate(view.view.row_filter)
        )
        sources: dict[tuple[int, int], Any] = {
            (record.partition(), record.offset()): record
            for record in self.bus.broker.all_records(SOURCE)
        }
        for record in self.bus.broker.all_records(view.topic):
            if record.value() is None:
                continue
            meta, row = self.bus.decode(view, record.value() or b"")
            assert row.keys() <= view.view.kept()
            source = sources.get((meta["partition"], meta["position"]))
            if source is not None:
                assert matches(source_row(source.value()))
        last: dict[int, int] = {}
        for record in self.bus.committed(view.topic):
            value = record.value()
            if value is None:
                said = {name: each.decode() for name, each in record.headers() or ()}
                partition, position = int(said["os-partition"]), int(said["os-position"])
            else:
                meta, _ = self.bus.decode(view, value)
                partition, position = meta["partition"], meta["position"]
            # Strictly: what grows strictly was not written twice, either.
            assert position > last.get(partition, -1), view
            last[partition] = position


def source_row(value: bytes) -> Row:
    """Return the items, and the `meta`, of a source record."""
    schema = fastavro.parse_schema(json.loads(SCHEMAS[int.from_bytes(value[1:5], "big")]))
    record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
    assert isinstance(record, dict)
    return record


TestRouterLife = RouterLife.TestCase
TestRouterLife.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
