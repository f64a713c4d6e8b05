"""
The view kernel, compiled and interpreted: one source, the same bytes, the same refusals.

KERNEL_CASES says how many records are compared; the default is for every run.
"""

import io
import json
import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.adapters.cel.cel_cpp import compile_filter
from bus.domain.policy import ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.view import Treatment, make_view
from bus.views import walker
from bus.views.outcome import Outcome, Reject, SourceRecord, Upsert
from bus.views.plan import compile_plan
from tests.avro_cases import record_cases
from tests.interpreted_kernel import interpreted_compile_plan
from tests.pseudonym_secrets import PSEUDONYMS, SECRETS

_CASES = int(os.environ.get("KERNEL_CASES", "5000"))
_AT_ONCE = 50
_ROWS = ('id == "a"', 'id in ["b", "ab"]', 'id.startsWith("c")', None)

pytestmark = pytest.mark.skipif(not walker.COMPILED, reason="the kernel is not compiled here")
_interpreted: Callable[..., Any] = interpreted_compile_plan()


def resource(schema: str, partitions: int) -> ResourcePolicy:
    """Return a resource with one writer schema, whose key is `id`."""
    return ResourcePolicy(
        jurisdiction="cn",
        resource="cases",
        provider="police",
        generation=1,
        topic="os.src.cn.police.cases.1",
        partitions=partitions,
        dead_letter_topic="os.dlq.cn.cases",
        key_items=("id",),
        schemas=(WriterSchema(1, 1, schema),),
    )


def view(kept: Sequence[str], rows: str | None) -> ViewPolicy:
    """Return a view of `kept` items; the key item is shown in part, or as its pseudonym."""
    how = Treatment.PARTIAL if rows is None else Treatment.HMAC
    treatments = dict.fromkeys(kept, Treatment.KEEP) | {"id": how}
    return ViewPolicy(
        view=make_view(
            jurisdiction="cn",
            resource="cases",
            generation=1,
            row_filter=rows,
            treatments=treatments,
            pseudonyms_for=PSEUDONYMS,
        ),
        incarnation=1,
        topic=f"os.view.cn.cases.{len(kept)}.{rows}.1",
        partitions=1,
        projections={1: 2},
    )


def encode(record: Any, schema: str) -> bytes:
    """Return `record` in Confluent wire format."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(schema)), record)
    return b"\x00\x00\x00\x00\x01" + out.getvalue()


def mutated(value: bytes, chance: random.Random) -> bytes:
    """Return `value` with a few bytes changed, put in or taken away."""
    written = bytearray(value)
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(written))
        match chance.randrange(4):
            case 0:
                written[at] = chance.randrange(256)
            case 1:
                written[at] ^= 1 << chance.randrange(8)
            case 2:
                written[at:at] = chance.randbytes(chance.randint(1, 9))
            case _:
                del written[at : at + chance.randint(1, 3)]
        if not written:
            return b""
    return bytes(written)


@given(st.data())
@settings(max_examples=max(1, _CASES // _AT_ONCE))
def test_both_make_the_same_of_every_record(data: st.DataObject) -> None:
    """design.md §5: compiled if there is a compiler, else interpreted with the same results."""
    schema, records = data.draw(record_cases())
    names = [field["name"] for field in json.loads(schema)["fields"][2:]]
    kept = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    whole = [data.draw(records) for _ in range(2)]
    chance = random.Random(data.draw(st.integers(0, 1 << 32)))
    partitions = data.draw(st.sampled_from([1, 3]))
    cases: list[SourceRecord] = []
    for position in range(_AT_ONCE):
        record = chance.choice(whole)
        key = record["id"].encode() if chance.random() < 0.9 else chance.randbytes(3)
        cases.append((position, key, mutated(encode(record, schema), chance)))
    cases += [(0, None, b""), (1, b"a", None), (2, b"\xff", None), (3, b"x" * 2000, None)]
    plans = [
        compiled(
            resource(schema, partitions),
            [view(kept, rows) for rows in _ROWS],
            compile_filter=compile_filter,
            secrets=SECRETS,
        )
        for compiled in (compile_plan, _interpreted)
    ]

    for partition in range(partitions):
        one, other = (plan.apply(partition, cases) for plan in plans)
        assert one == other


def test_the_kernels_are_two_and_both_pass_and_refuse() -> None:
    """What the property compares is not one kernel with itself, nor nothing but refusals."""
    schema = json.dumps(
        {
            "type": "record",
            "name": "R",
            "fields": [
                {
                    "name": "meta",
                    "type": {
                        "type": "record",
                        "name": "M",
                        "fields": [{"name": "occurred_at", "type": "long"}],
                    },
                },
                {"name": "id", "type": "string"},
            ],
        }
    )
    record = encode({"meta": {"occurred_at": 1 << 40}, "id": "a"}, schema)
    found: list[list[Outcome]] = []
    for compiled in (compile_plan, _interpreted):
        plan = compiled(
            resource(schema, 1),
            [view([], 'id == "a"')],
            compile_filter=compile_filter,
            secrets=SECRETS,
        )
        found.append(plan.apply(0, [(0, b"a", record), (1, b"a", record + b"x")]))
        assert type(plan).__module__ == "bus.views.plan"

    assert _interpreted is not compile_plan
    assert found[0] == found[1]
    assert isinstance(found[0][0], Upsert)
    assert len(found[0][0].projections) == 1
    assert found[0][1] == Reject("TRAILING_BYTES", "1 bytes after the end of the record")
