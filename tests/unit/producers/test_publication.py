"""Unit tests of `producers.publication`, on what the control plane really answers."""

import producers
from bus.control.delivery_routes import _publication
from producers import Publication
from tests import builders, stream_builders


def test_a_publication_is_what_the_control_plane_describes() -> None:
    entry = builders.entry(
        items=[builders.key_item("b"), builders.item("x"), builders.key_item("a")],
        partitions=3,
        generation=2,
    )
    answer = _publication(builders.publication(entry, version=4, schema_id=9))

    found = Publication.from_descriptor(answer)

    assert found == stream_builders.publication(entry, version=4, schema_id=9)
    assert found.key_items == ("b", "a")


def test_the_public_names_of_the_providers_side_are_these() -> None:
    assert producers.__all__ == ["FlushReport", "Publication", "Publisher", "Unaccepted"]
    assert all(hasattr(producers, name) for name in producers.__all__)
