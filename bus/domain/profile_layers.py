"""
Layers of a jurisdiction profile: what each text says, and what they say together (§2.2, R-266).

A profile lies over its parent, that one over its own parent, the last one over the defaults. Maps
merge key by key, lists and single values replace; silence (null, or no such key) lets the next
layer speak. Nothing is forgotten on the way: each value knows which layer said it, and by which
clause.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from typing_extensions import override

from bus.domain.profile_keys import ALL, KEYS, SECTIONS, Key

#: The layer below all others: values that no regulation states.
DEFAULTS = "defaults"
#: A key, and the label below it (a scope, a library) if its value is a map.
Place: TypeAlias = tuple[str, str | None]
KeyPath: TypeAlias = tuple[str, ...]


class OriginKind(StrEnum):
    """Which layer a value comes from."""

    OWN = "own"
    """The profile's own text says so."""
    PARENT = "parent"
    """A profile above says so, and this one does not say otherwise."""
    DEFAULT = "default"
    """No regulation says so: a default, not law."""
    SILENT = "silent"
    """Nobody says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a value comes from."""

    kind: OriginKind
    profile: str | None = None
    """The profile that says so."""
    clause: str | None = None
    """Where in its regulation, e.g. `001 §17`; `assumed: …` where we had to read it into it."""

    @override
    def __str__(self) -> str:
        match self.kind:
            case OriginKind.OWN:
                return self.clause or f"{self.profile} (no clause recorded)"
            case OriginKind.PARENT:
                return f"parent {self.profile}: {self.clause or '(no clause recorded)'}"
            case OriginKind.DEFAULT:
                return "default, not law"
            case OriginKind.SILENT:
                return "silent"


SILENT = Origin(kind=OriginKind.SILENT)


@dataclass(frozen=True, slots=True)
class Stated:
    """A value as a layer states it; lists are tuples."""

    value: Any
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """A value that holds, and where it comes from."""

    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Layer:
    """Everything that one text states."""

    name: str
    stated: Mapping[Place, Stated]


@dataclass(frozen=True, slots=True)
class LayerFault:
    """What is wrong with a layer, and at which key."""

    path: KeyPath
    message: str


@dataclass(slots=True)
class _Reading:
    values: dict[Place, Any] = field(default_factory=dict)
    faults: list[LayerFault] = field(default_factory=list)

    def section(self, content: Mapping[Any, Any], path: KeyPath) -> None:
        for name, value in content.items():
            here = (*path, str(name))
            dotted = ".".join(here)
            if dotted in KEYS:
                self._key(KEYS[dotted], value, here)
            elif dotted not in SECTIONS:
                self.faults.append(LayerFault(here, "there is no such key"))
            elif isinstance(value, Mapping):
                self.section(value, here)
            elif value is not None:
                self.faults.append(LayerFault(here, f"a mapping is wanted here, not {value!r}"))

    def _key(self, key: Key, value: object, path: KeyPath) -> None:
        if key.keyed and isinstance(value, Mapping):
            for label, labelled in value.items():
                if key.takes_label(str(label)):
                    self._value(key, str(label), labelled, (*path, str(label)))
                else:
                    self.faults.append(LayerFault((*path, str(label)), "there is no such key"))
        else:
            self._value(key, ALL if key.keyed else None, value, path)

    def _value(self, key: Key, label: str | None, value: object, path: KeyPath) -> None:
        if value is None:
            return
        fault = key.fault(value)
        if fault is not None:
            self.faults.append(LayerFault(path, fault))
            return
        self.values[key.name, label] = tuple(value) if isinstance(value, list) else value


def read_layer(
    name: str, content: Mapping[Any, Any], clauses: Mapping[Any, Any]
) -> tuple[Layer, Sequence[LayerFault]]:
    """
    Return the layer that `content` (nested, as in a file) states, and everything wrong with it.

    `clauses` maps keys, or whole sections, to where the regulation says so; the longest name wins.
    """
    reading = _Reading()
    reading.section(content, ())
    faults = [*reading.faults, *_clause_faults(clauses)]
    stated = {
        (key, label): Stated(value, _clause(clauses, key, label))
        for (key, label), value in reading.values.items()
    }
    return Layer(name, stated), faults


def _clause_faults(clauses: Mapping[Any, Any]) -> Iterator[LayerFault]:
    for name, clause in clauses.items():
        path = ("clauses", str(name))
        above, _, label = str(name).rpartition(".")
        labelled = above in KEYS and KEYS[above].keyed and KEYS[above].takes_label(label)
        if name not in KEYS and name not in SECTIONS and not labelled:
            yield LayerFault(path, "there is no such key")
        elif not isinstance(clause, str) or not clause.strip():
            yield LayerFault(path, f"a text is wanted here, not {clause!r}")


def _clause(clauses: Mapping[Any, Any], key: str, label: str | None) -> str | None:
    parts = key.split(".") if label is None else [*key.split("."), label]
    for length in range(len(parts), 0, -1):
        found = clauses.get(".".join(parts[:length]))
        if isinstance(found, str):
            return found
    return None


def merge(layers: Sequence[Layer]) -> dict[Place, Effective]:
    """Return what holds, when each layer lies over those after it; the first is the profile."""
    effective: dict[Place, Effective] = {}
    for depth, layer in enumerate(layers):
        for place, stated in layer.stated.items():
            if place not in effective:
                effective[place] = Effective(stated.value, _origin(layer, stated, depth))
    return effective


def _origin(layer: Layer, stated: Stated, depth: int) -> Origin:
    if layer.name == DEFAULTS:
        return Origin(kind=OriginKind.DEFAULT)
    kind = OriginKind.OWN if depth == 0 else OriginKind.PARENT
    return Origin(kind=kind, profile=layer.name, clause=stated.clause)
