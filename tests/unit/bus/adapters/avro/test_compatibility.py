"""Unit tests of `bus.adapters.avro.compatibility`."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapters.avro.compatibility import incompatibilities
from bus.domain.entry import CatalogEntry
from bus.domain.items import EnumType, ItemType, Nullable, Scalar
from bus.errors import ContractError
from tests import builders


def entry(*item_types: ItemType) -> CatalogEntry:
    items = [builders.item(f"i{index}", each) for index, each in enumerate(item_types)]
    return builders.entry(items=[builders.key_item(), *items])


OLD = builders.schema_of(entry(Scalar.INT))


@pytest.mark.parametrize(
    "new",
    [
        entry(Scalar.INT),
        entry(Scalar.LONG),
        entry(Scalar.DOUBLE),
        entry(Nullable(Scalar.INT)),
        entry(Scalar.INT, Nullable(Scalar.STRING)),
        entry(),
    ],
    ids=["nothing", "a wider number", "a double", "may be missing", "a nullable item", "one less"],
)
def test_a_version_that_reads_what_was_written_before_is_compatible(new: CatalogEntry) -> None:
    """design.md §4: BACKWARD_TRANSITIVE; a record of an older version stays readable."""
    assert incompatibilities(builders.schema_of(new), [OLD]) == []


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        (entry(Scalar.STRING), "string"),
        (entry(Scalar.BOOLEAN), "boolean"),
        (entry(Scalar.INT, Scalar.STRING), "i1"),
        (entry(EnumType("e", ("A",))), "enum"),
    ],
    ids=["another type", "a narrower type", "a new item that must be there", "an enum"],
)
def test_a_version_that_does_not_is_refused_with_the_reason_and_the_place(
    new: CatalogEntry, complaint: str
) -> None:
    (reason,) = incompatibilities(builders.schema_of(new), [OLD])

    assert complaint in reason
    assert "(at /fields/" in reason


def test_every_older_version_counts() -> None:
    """design.md §4: transitive."""
    older = [builders.schema_of(entry(kind)) for kind in (Scalar.INT, Scalar.LONG, Scalar.DOUBLE)]

    reasons = incompatibilities(builders.schema_of(entry(Scalar.LONG)), older)

    assert len(reasons) == 1
    assert "double" in reasons[0]


def test_nothing_is_incompatible_with_nothing() -> None:
    assert incompatibilities(OLD, []) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "7", '"text"', '{"type": "record"}', '{"type": "enum", "name": "e", "symbols": 3}'],
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        incompatibilities(text, [OLD])


def test_an_older_version_that_is_no_schema_is_refused() -> None:
    with pytest.raises(ContractError):
        incompatibilities(OLD, ["nonsense"])


TYPES = st.sampled_from(
    [
        Scalar.INT,
        Scalar.LONG,
        Scalar.DOUBLE,
        Scalar.STRING,
        Scalar.BYTES,
        Scalar.BOOLEAN,
        Nullable(Scalar.INT),
        Nullable(Scalar.STRING),
        EnumType("e", ("A",)),
        EnumType("e", ("A", "B")),
    ]
)
VALUES: dict[ItemType, Any] = {
    Scalar.INT: 1,
    Scalar.LONG: 1 << 40,
    Scalar.DOUBLE: 0.5,
    Scalar.STRING: "text",
    # Avro lets a string reader read any bytes, and leaves it to their writer that they are UTF-8.
    Scalar.BYTES: b"text",
    Scalar.BOOLEAN: True,
    Nullable(Scalar.INT): None,
    Nullable(Scalar.STRING): None,
    EnumType("e", ("A",)): "A",
    EnumType("e", ("A", "B")): "B",
}


@given(TYPES, TYPES)
def test_a_record_of_a_compatible_older_version_can_be_read(old: ItemType, new: ItemType) -> None:
    """Independent oracle: fastavro reads with the new schema what the old one wrote."""
    writer, reader = (builders.schema_of(entry(each)) for each in (old, new))
    meta = {"event_id": bytes(16), "occurred_at": 0}
    out = io.BytesIO()
    fastavro.schemaless_writer(
        out, json.loads(writer), {"meta": meta, "code": "1", "i0": VALUES[old]}
    )

    if not incompatibilities(reader, [writer]):
        record = fastavro.schemaless_reader(
            io.BytesIO(out.getvalue()), json.loads(writer), json.loads(reader)
        )
        assert isinstance(record, dict)
        assert record["code"] == "1"
