"""What a new version of an entry changed, in words that the holders of grants are told (R-028)."""

from collections.abc import Iterator
from dataclasses import fields

from bus.domain.class_change import class_changes
from bus.domain.entry import CatalogEntry

#: What is told in words of its own.
_SPELLED_OUT = frozenset({"items", "groups"})


def difference(old: CatalogEntry, new: CatalogEntry) -> tuple[str, ...]:
    """Return what differs, each as one line; empty: the versions say the same."""
    return tuple(_differences(old, new))


def _differences(old: CatalogEntry, new: CatalogEntry) -> Iterator[str]:
    before, after = old.item_by_name, new.item_by_name
    for name in sorted(after.keys() - before.keys()):
        yield f"item {name} is new"
    for name in sorted(before.keys() - after.keys()):
        yield f"item {name} is gone"
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield f"item {name} is described anew"
    for change in class_changes(old, new):
        if change.item in before and change.item in after:
            was, becomes = change.before or "not offered", change.after or "not offered"
            yield f"item {change.item}, {change.scope}: {was} becomes {becomes}"
    for field in fields(CatalogEntry):
        if field.name not in _SPELLED_OUT and getattr(old, field.name) != getattr(new, field.name):
            yield f"{field.name} is {_worded(getattr(new, field.name))}"
    if old.groups != new.groups and not class_changes(old, new):
        yield "the conditions of sharing are worded anew"


def _worded(value: object) -> str:
    if isinstance(value, frozenset | tuple):
        return ", ".join(sorted(map(str, value))) or "empty"
    return "empty" if value is None or value == "" else str(value)
