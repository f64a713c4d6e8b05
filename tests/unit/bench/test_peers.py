"""Peers do the router's work: the same records pass, and their views are the same bytes."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.peers import process
from bench.peers.process import PeerFailed, PeerProcess
from bench.peers.projection import Projection
from bench.records import ITEMS, KEPT, TIERS, Register
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.embedded.jars import locked_jars, parse_lock
from bus.domain.avro_schema import source_schema, view_schema
from bus.domain.policy import ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.view import Treatment, make_view
from bus.views.plan import SourceRecord, Upsert, compile_plan
from producers import Publication

_PEERS = Path(process.__file__).parent
_SCHEMA = source_schema("bench", "streets", ITEMS)
_SOURCE_ID, _VIEW_ID = 1, 2
_RECORDS = 40
#: A program that doubles what it is given, and ends when there is no more.
_DOUBLE = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"seconds": 2 * json.loads(line)["seconds"]}), flush=True)
"""


@pytest.fixture
def peer(tmp_path: Path) -> Callable[[str], PeerProcess]:
    return lambda code: PeerProcess([sys.executable, "-c", code], log=tmp_path / "peer.log")


@pytest.mark.parametrize(
    ("rows", "highest_tier"), [("tier == 0", 0), ("tier >= 0", TIERS)], ids=["a tenth", "all"]
)
def test_the_projection_of_the_peers_makes_the_bytes_of_the_kernel(
    rows: str, highest_tier: int
) -> None:
    records = _records()
    projection = Projection(_job(highest_tier))

    made = [
        projection.encode(record, position)
        for position, _, value in records
        if projection.passes(record := projection.decode(value or b""))
    ]

    assert made == _routed(rows, records)


def test_records_of_another_schema_are_refused() -> None:
    (_, _, value), *_ = _records()
    job = {**_job(0), "source_schema_id": _SOURCE_ID + 1}

    with pytest.raises(ValueError, match="another schema"):
        Projection(job).decode(value or b"")


def test_a_peer_that_stays_does_one_job_after_the_other(peer: Callable[[str], PeerProcess]) -> None:
    process = peer(_DOUBLE)

    answers = [process.seconds({"seconds": each}, stays=True) for each in (1, 2)]
    process.close()

    assert answers == [2.0, 4.0]


def test_a_peer_that_does_not_stay_is_started_for_each_job(
    peer: Callable[[str], PeerProcess],
) -> None:
    process = peer("import json, os; input(); print(json.dumps({'seconds': os.getpid()}))")

    first, second = (process.seconds({}, stays=False) for _ in range(2))

    assert first != second


def test_a_peer_that_fails_is_quoted(peer: Callable[[str], PeerProcess]) -> None:
    with pytest.raises(PeerFailed, match="no such topic"):
        peer("raise SystemExit('no such topic')").seconds({}, stays=True)


def test_a_peer_that_does_not_answer_is_ended(
    peer: Callable[[str], PeerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.1)

    with pytest.raises(PeerFailed):
        peer("input(); input()").seconds({}, stays=True)


def test_kafka_streams_and_the_broker_are_of_one_version() -> None:
    own = parse_lock((_PEERS / "jars.lock").read_text(encoding="utf-8"))

    assert _version("kafka-streams", own) == _version("kafka-clients", locked_jars())


def _version(artifact: str, jars: Sequence[Any]) -> str:
    (version,) = (
        found for jar in jars for _, name, found in [jar.coordinates.split(":")] if name == artifact
    )
    return str(version)


def _job(highest_tier: int) -> dict[str, Any]:
    return {
        "source_schema_id": _SOURCE_ID,
        "source_schema": _SCHEMA,
        "view_schema_id": _VIEW_ID,
        "view_schema": view_schema(_SCHEMA, KEPT),
        "highest_tier": highest_tier,
        "provider": "registry",
        "entry_version": 1,
        "generation": 1,
    }


def _records() -> list[SourceRecord]:
    publication = Publication(
        resource="streets",
        topic="os.src.bench.registry.streets.1",
        partitions=1,
        generation=1,
        entry_version=1,
        principal="org-registry",
        key_items=("code",),
        schema_id=_SOURCE_ID,
        schema=_SCHEMA,
    )
    register = Register(seed=1)
    encoded = register.encode(publication, register.take(_RECORDS))
    return [(position, key, value) for position, (key, value) in enumerate(encoded)]


def _routed(rows: str, records: list[SourceRecord]) -> list[bytes]:
    view = make_view(
        jurisdiction="bench",
        resource="streets",
        generation=1,
        row_filter=rows,
        treatments=dict.fromkeys(KEPT, Treatment.KEEP),
    )
    resource = ResourcePolicy(
        jurisdiction="bench",
        resource="streets",
        provider="registry",
        generation=1,
        topic="os.src.bench.registry.streets.1",
        partitions=1,
        dead_letter_topic="os.dlq.bench.streets",
        key_items=("code",),
        schemas=(WriterSchema(_SOURCE_ID, 1, _SCHEMA),),
    )
    policy = ViewPolicy(
        view=view,
        incarnation=1,
        topic="os.view.bench.streets.1",
        partitions=1,
        projections={_SOURCE_ID: _VIEW_ID},
    )
    plan = compile_plan(resource, [policy], compile_filter=compile_filter)
    return [
        value
        for outcome in plan.apply(0, records)
        if isinstance(outcome, Upsert)
        for _, value in outcome.projections
    ]
