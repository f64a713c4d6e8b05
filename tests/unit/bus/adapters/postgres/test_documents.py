"""Unit tests of `bus.adapters.postgres.documents`: what is kept comes back as it was."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bus.adapters.postgres.documents import from_document, to_document
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.domain.organisation import Organisation
from bus.domain.view import View
from tests import builders
from tests.domain_strategies import entries, grants, organisations, views


def kept(value: object) -> Any:
    """Return what Postgres holds of a value: JSON, and nothing that JSON has no word for."""
    return json.loads(json.dumps(to_document(value).obj, ensure_ascii=False, allow_nan=False))


@given(value=organisations() | entries() | grants() | views())
def test_a_value_comes_back_equal(value: Organisation | CatalogEntry | Grant | View) -> None:
    assert from_document(type(value), kept(value)) == value


@settings(max_examples=50)
@given(entry=entries())
def test_items_keep_their_types_and_their_order(entry: CatalogEntry) -> None:
    found = from_document(CatalogEntry, kept(entry))

    assert [(item.name, item.type) for item in found.items] == [
        (item.name, item.type) for item in entry.items
    ]
    assert builders.schema_of(found) == builders.schema_of(entry)


@given(view=views())
def test_a_view_keeps_its_id(view: View) -> None:
    """Subscribers and topics are named by it."""
    assert from_document(View, kept(view)).id == view.id


@pytest.mark.parametrize("document", [None, [], {}, {"code": "x"}])
def test_what_is_no_such_value_is_an_error(document: Any) -> None:
    with pytest.raises(ValidationError):
        from_document(Organisation, document)


@given(text=st.text())
def test_text_of_any_kind_survives(text: str) -> None:
    organisation = builders.organisation(title_zh=text)

    assert from_document(Organisation, kept(organisation)).title_zh == text
