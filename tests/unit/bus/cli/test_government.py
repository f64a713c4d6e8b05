"""Unit tests of `bus.cli.government`."""

from bus.cli.government import treated_items


def test_items_are_kept_unless_another_treatment_is_named() -> None:
    """R-090: an approval may be partial, down to a part of an item."""
    assert treated_items(["code", "phone=partial", "name="]) == {
        "code": "keep",
        "phone": "partial",
        "name": "",
    }
