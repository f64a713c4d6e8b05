"""Unit tests of `bus.views.plan`: what a batch of bytes becomes for each view."""

import io
import json
import uuid
from collections.abc import Collection, Mapping
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.cel.cel_cpp import compile_filter
from bus.domain.avro_schema import view_schema
from bus.domain.policy import ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.pseudonyms import pseudonym
from bus.domain.record_key import partition_of
from bus.domain.view import Treatment, make_view
from bus.errors import ContractError, PseudonymKeyUnusable
from bus.views.filter_form import FilterForm
from bus.views.plan import (
    MAX_VALUE_BYTES,
    Delete,
    Plan,
    Reject,
    SchemaPending,
    Upsert,
    compile_plan,
)
from bus.views.row_filter import Equality, FilterType, RowFilter
from tests.avro_cases import comparable, record_cases
from tests.pseudonym_secrets import PSEUDONYMS, SECRETS, GivenSecrets

EVENT = uuid.UUID("00000000-0000-4000-8000-000000000001")
PEOPLE = json.dumps(
    {
        "type": "record",
        "name": "Record",
        "fields": [
            {
                "name": "meta",
                "type": {
                    "type": "record",
                    "name": "SourceMeta",
                    "fields": [
                        {
                            "name": "event_id",
                            "type": {"type": "fixed", "name": "EventId", "size": 16},
                        },
                        {"name": "occurred_at", "type": "long"},
                    ],
                },
            },
            {"name": "id", "type": "string"},
            {"name": "name", "type": "string"},
            {"name": "age", "type": ["null", "int"]},
            {"name": "secret", "type": "string"},
        ],
    }
)
OTHER_SCHEMA = 77


def resource(
    *schemas: str, partitions: int = 1, key_items: tuple[str, ...] = ("id",)
) -> ResourcePolicy:
    """Return a resource whose writer schemas have the ids 1, 2 and so on."""
    return ResourcePolicy(
        jurisdiction="cn",
        resource="people",
        provider="police",
        generation=3,
        topic="os.src.cn.police.people.3",
        partitions=partitions,
        dead_letter_topic="os.dlq.cn.people",
        key_items=key_items,
        schemas=tuple(WriterSchema(at, at, text) for at, text in enumerate(schemas, start=1)),
    )


def view(
    *kept: str,
    treated: Mapping[str, Treatment] | None = None,
    rows: str | None = None,
    name: str = "v",
) -> ViewPolicy:
    """Return a view of items; records of writer schema n become view schema 100 + n."""
    return ViewPolicy(
        view=make_view(
            jurisdiction="cn",
            resource="people",
            generation=3,
            row_filter=rows,
            treatments=dict.fromkeys(kept, Treatment.KEEP) | dict(treated or {}),
            pseudonyms_for=PSEUDONYMS,
        ),
        incarnation=1,
        topic=f"os.view.cn.people.{name}.1",
        partitions=1,
        projections={at: 100 + at for at in range(1, 5)},
    )


def plan(source: ResourcePolicy, *views: ViewPolicy) -> Plan:
    """Compile with the engine that the router uses."""
    return compile_plan(
        source,
        views,
        compile_filter=compile_filter,
        registered={OTHER_SCHEMA},
        secrets=SECRETS,
    )


def encode(record: Mapping[str, Any], schema: str = PEOPLE, schema_id: int = 1) -> bytes:
    """Return `record` in Confluent wire format."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(schema)), dict(record))
    return b"\x00" + schema_id.to_bytes(4, "big") + out.getvalue()


def decode(value: bytes, writer: str, kept: set[str], nulled: Collection[str] = ()) -> Any:
    """Return a view record, read with the schema that the catalog registers for it."""
    schema = fastavro.parse_schema(json.loads(view_schema(writer, kept, nulled)))
    body = io.BytesIO(value[5:])
    record = fastavro.schemaless_reader(body, schema, None)
    assert body.read() == b""
    return record


def person(**changes: Any) -> dict[str, Any]:
    """Return a record of PEOPLE."""
    meta = {"event_id": EVENT.bytes, "occurred_at": 1_700_000_000_000_000}
    return {"meta": meta, "id": "p1", "name": "王", "age": 30, "secret": "s3cret", **changes}


def test_a_view_has_its_items_and_the_meta_of_the_bus() -> None:
    """R-058, R-123: only the kept items, with source, version, generation and position."""
    compiled = plan(resource(PEOPLE), view("id", "age"))

    (outcome,) = compiled.apply(0, [(42, b"p1", encode(person()))])

    assert isinstance(outcome, Upsert)
    ((index, value),) = outcome.projections
    assert (index, value[:5]) == (0, b"\x00" + (101).to_bytes(4, "big"))
    record = decode(value, PEOPLE, {"id", "age"})
    assert record == {
        "meta": {
            "event_id": EVENT.bytes,
            "occurred_at": record["meta"]["occurred_at"],
            "source": "police",
            "entry_version": 1,
            "generation": 3,
            "partition": 0,
            "position": 42,
            "mark": None,
        },
        "id": "p1",
        "age": 30,
    }
    assert b"s3cret" not in value


def test_items_are_treated_and_their_neighbours_copied() -> None:
    """design.md §5: null, partial, fixed; invariant 2: what is hidden is nowhere in the bytes."""
    treated = {
        "name": Treatment.PARTIAL,
        "age": Treatment.NULL,
        "secret": Treatment.FIXED,
    }
    compiled = plan(resource(PEOPLE), view("id", treated=treated))

    (outcome,) = compiled.apply(
        0, [(42, b"p1", encode({**person(), "name": "13812341234", "secret": "s3cret"}))]
    )

    assert isinstance(outcome, Upsert)
    ((_, value),) = outcome.projections
    record = decode(value, PEOPLE, {"id", *treated}, {"age"})
    del record["meta"]
    assert record == {"id": "p1", "name": "138****1234", "age": None, "secret": "***"}
    assert b"3812" not in value
    assert b"s3cret" not in value


@pytest.mark.parametrize(
    ("treatment", "value", "shown"),
    [
        (Treatment.PARTIAL, None, None),
        (Treatment.PARTIAL, "王小明", "王*明"),
        (Treatment.FIXED, None, "***"),
        (Treatment.FIXED, "王小明", "***"),
        (Treatment.NULL, "王小明", None),
        (Treatment.HMAC, None, None),
        (Treatment.HMAC, "", "a7c8023cd5ffbf8e0a5f7f0745a236a7"),
        (Treatment.HMAC, "王小明", "4858b1528c5fca8396ff6789221fdc41"),
    ],
)
def test_nullable_texts_are_treated(
    treatment: Treatment, value: str | None, shown: str | None
) -> None:
    schema = json.loads(PEOPLE)
    schema["fields"][-1]["type"] = ["null", "string"]
    name, text = schema["fields"][-1]["name"], json.dumps(schema)
    compiled = plan(resource(text), view("id", treated={name: treatment}))

    (outcome,) = compiled.apply(0, [(42, b"p1", encode({**person(), name: value}, text))])

    assert isinstance(outcome, Upsert)
    ((_, written),) = outcome.projections
    nulled = {name} if treatment is Treatment.NULL else set()
    assert decode(written, text, {"id", name}, nulled)[name] == shown


def test_pseudonyms_stand_in_the_place_of_texts() -> None:
    """Invariant 2: what is hidden is nowhere in the bytes. A filter sees what was published."""
    rows = 'name == "13812341234"'
    compiled = plan(resource(PEOPLE), view("id", treated={"name": Treatment.HMAC}, rows=rows))

    (outcome,) = compiled.apply(0, [(42, b"p1", encode({**person(), "name": "13812341234"}))])

    assert isinstance(outcome, Upsert)
    ((_, value),) = outcome.projections
    key = PSEUDONYMS.derive(SECRETS.secret(1))
    assert decode(value, PEOPLE, {"id", "name"})["name"] == pseudonym(key, b"13812341234")
    assert b"3812" not in value


@pytest.mark.parametrize("secrets", [None, GivenSecrets({2: bytes(32)})])
def test_without_the_secret_there_is_no_plan(secrets: GivenSecrets | None) -> None:
    """Before any record is looked at: nothing is passed in the place of a pseudonym."""
    pseudonymous = view("id", treated={"name": Treatment.HMAC})

    with pytest.raises(PseudonymKeyUnusable):
        compile_plan(
            resource(PEOPLE),
            [view("id"), pseudonymous],
            compile_filter=compile_filter,
            secrets=secrets,
        )


def test_a_plan_does_not_show_its_keys() -> None:
    """Logs and tracebacks show plans."""
    compiled = plan(resource(PEOPLE), view("id", treated={"name": Treatment.HMAC}))

    assert repr(PSEUDONYMS.derive(SECRETS.secret(1))) not in repr(compiled)


@pytest.mark.parametrize("treatment", [Treatment.PARTIAL, Treatment.FIXED, Treatment.HMAC])
def test_what_is_no_text_is_not_masked(treatment: Treatment) -> None:
    """A view that was never checked does not show more than was decided."""
    compiled = plan(resource(PEOPLE), view("id", treated={"age": treatment}))

    with pytest.raises(ContractError, match="cannot be treated"):
        compiled.apply(0, [(42, b"p1", encode(person()))])


def test_a_filter_may_test_what_the_view_omits() -> None:
    compiled = plan(resource(PEOPLE), view("id", rows='secret == "s3cret"'))

    first, second = compiled.apply(
        0, [(0, b"p1", encode(person())), (1, b"p1", encode(person(secret="x")))]
    )

    assert isinstance(first, Upsert)
    assert len(first.projections) == 1
    assert second == Upsert(())


def test_a_comparison_with_null_is_no_match_and_is_counted() -> None:
    compiled = plan(resource(PEOPLE), view("id", rows="age > 18"), view("id", rows="!(age > 18)"))

    (outcome,) = compiled.apply(0, [(0, b"p1", encode(person(age=None)))])

    assert outcome == Upsert(())
    assert compiled.filter_errors == [1, 1]


def test_several_views_of_one_record() -> None:
    compiled = plan(
        resource(PEOPLE), view("id"), view("id", rows="age == 1"), view("id", "name", "secret")
    )

    (outcome,) = compiled.apply(0, [(0, b"p1", encode(person()))])

    assert isinstance(outcome, Upsert)
    assert [index for index, _ in outcome.projections] == [0, 2]


def test_work_can_be_restricted_to_some_views() -> None:
    compiled = plan(resource(PEOPLE), view("id"), view("id", "name"))

    (outcome,) = compiled.apply(0, [(0, b"p1", encode(person()))], frozenset({1}))

    assert isinstance(outcome, Upsert)
    assert [index for index, _ in outcome.projections] == [1]


def test_a_null_value_is_a_delete() -> None:
    assert plan(resource(PEOPLE), view("id")).apply(0, [(0, b"p1", None)]) == [Delete()]


def test_records_of_several_entry_versions_mix() -> None:
    """design.md §4: each view record carries the schema of its own writer schema."""
    old = json.loads(PEOPLE)
    old["fields"] = [field for field in old["fields"] if field["name"] != "age"]
    older = json.dumps(old)
    compiled = plan(resource(older, PEOPLE), view("id", "age"), view("id", rows="age == 30"))
    without_age = {key: value for key, value in person().items() if key != "age"}

    first, second = compiled.apply(
        0, [(0, b"p1", encode(without_age, older, 1)), (1, b"p1", encode(person(), PEOPLE, 2))]
    )

    assert isinstance(first, Upsert)
    assert isinstance(second, Upsert)
    # A filter on an item that the older schema lacks matches none of its records.
    assert [index for index, _ in first.projections] == [0]
    assert [index for index, _ in second.projections] == [0, 1]
    assert set(decode(first.projections[0][1], older, {"id", "age"})) == {"meta", "id"}
    assert decode(second.projections[0][1], PEOPLE, {"id", "age"})["meta"]["entry_version"] == 2


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        (None, encode(person()), "KEY_MISSING"),
        (b"", encode(person()), "KEY_MISSING"),
        (b"p2", encode(person()), "KEY_MISMATCH"),
        (b"\xff", encode(person()), "BAD_UTF8"),
        (b"k" * 1025, None, "KEY_TOO_LONG"),
        (b"p1", b"", "BAD_MAGIC"),
        (b"p1", b"\x01\x00\x00\x00\x01", "BAD_MAGIC"),
        (b"p1", encode(person())[:-1], "TRUNCATED"),
        (b"p1", encode(person()) + b"\x00", "TRAILING_BYTES"),
        (b"p1", encode(person(), schema_id=OTHER_SCHEMA), "SCHEMA_FOREIGN"),
        (b"p1", b"\x00" * 10_000_000, "RECORD_TOO_LARGE"),
        (b"p1", encode(person(name="x" * MAX_VALUE_BYTES)), "RECORD_TOO_LARGE"),
    ],
)
def test_what_breaks_the_contract_is_rejected(
    key: bytes | None, value: bytes | None, code: str
) -> None:
    """R-120: refused with the violated rule, and no view gets anything."""
    (outcome,) = plan(resource(PEOPLE), view("id")).apply(0, [(0, key, value)])

    assert isinstance(outcome, Reject)
    assert outcome.code == code
    assert outcome.reason


def test_a_record_in_the_wrong_partition_is_rejected() -> None:
    source = resource(PEOPLE, partitions=4)
    right = partition_of(b"p1", 4)
    compiled = plan(source, view("id"))

    for partition in range(4):
        (upsert,) = compiled.apply(partition, [(0, b"p1", encode(person()))])
        (delete,) = compiled.apply(partition, [(0, b"p1", None)])
        if partition == right:
            assert isinstance(upsert, Upsert)
            assert isinstance(delete, Delete)
        else:
            assert isinstance(upsert, Reject)
            assert isinstance(delete, Reject)
            assert upsert.code == delete.code == "WRONG_PARTITION"


def test_an_unknown_schema_is_reported_as_pending() -> None:
    """The policy may be about to bring it; the router waits before it gives up."""
    (outcome,) = plan(resource(PEOPLE), view("id")).apply(
        0, [(0, b"p1", encode(person(), PEOPLE, 9))]
    )

    assert outcome == SchemaPending(9)


def test_a_key_of_several_items_is_a_json_array() -> None:
    source = resource(PEOPLE, key_items=("id", "name"))
    compiled = plan(source, view("id", "name"))

    right, wrong = compiled.apply(
        0, [(0, '["p1","王"]'.encode(), encode(person())), (1, b"p1", encode(person()))]
    )

    assert isinstance(right, Upsert)
    assert isinstance(wrong, Reject)
    assert wrong.code == "KEY_MISMATCH"


class _Parity:
    """A stand-in filter that needs no engine: whether the key has an even number of letters."""

    items = frozenset({"id"})

    equality: Equality | None = None
    form: FilterForm | None = None

    def matches(self, values: Mapping[str, object]) -> bool:
        return len(str(values["id"])) % 2 == 0


def _parity(expression: str, types: Mapping[str, FilterType]) -> RowFilter:
    assert types["id"] is FilterType.STRING
    return _Parity()


@given(st.data())
def test_spliced_records_equal_the_fastavro_oracle(data: st.DataObject) -> None:
    """Invariants 1 and 2 for one record: exactly the kept items, whatever their types."""
    schema, records = data.draw(record_cases())
    names = [field["name"] for field in json.loads(schema)["fields"][1:]]
    kept = {"id", *data.draw(st.lists(st.sampled_from(names), max_size=3))}
    record = data.draw(records)
    compiled = compile_plan(
        resource(schema),
        [view(*kept), view(*kept, rows="parity", name="w")],
        compile_filter=_parity,
    )

    (outcome,) = compiled.apply(0, [(5, record["id"].encode(), encode(record, schema))])

    assert isinstance(outcome, Upsert)
    matching = [0, 1] if len(record["id"]) % 2 == 0 else [0]
    assert [index for index, _ in outcome.projections] == matching
    expected = {name: value for name, value in record.items() if name in kept}
    for _, value in outcome.projections:
        found = decode(value, schema, kept)
        meta = found.pop("meta")
        assert comparable(found) == comparable(expected)
        assert meta["event_id"] == record["meta"]["event_id"]
        assert meta["occurred_at"] == record["meta"]["occurred_at"]
        assert meta["position"] == 5


@given(st.data())
def test_mutated_records_never_raise_and_never_pass_the_wrong_key(data: st.DataObject) -> None:
    schema, records = data.draw(record_cases())
    record = data.draw(records)
    value = bytearray(encode(record, schema))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(5, len(value) - 1))] = data.draw(st.integers(0, 255))

    (outcome,) = compile_plan(resource(schema), [view("id")], compile_filter=_parity).apply(
        0, [(0, record["id"].encode(), bytes(value))]
    )

    if isinstance(outcome, Upsert):
        ((_, projected),) = outcome.projections
        assert decode(projected, schema, {"id"})["id"] == record["id"]
    else:
        assert isinstance(outcome, Reject)
