"""
Catalog entries (目录): what a resource is and who may receive which part of it (R-020).

Whoever builds a `CatalogEntry` calls `faults()` and publishes only if there are none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bus.domain import items as item_types
from bus.domain.items import DataItem, RecordReference, RecordType
from bus.domain.names import (
    dead_letter_topic,
    is_code,
    is_item_name,
    is_symbol,
    is_type_name,
    source_topic,
)
from bus.domain.organisation import Level
from bus.domain.record_key import may_be_key
from bus.domain.share import ItemGroup, Scope, ShareRule

#: Deeper records than this are refused on the wire, so no entry may ask for them.
MAX_DEPTH = 64
MAX_ITEMS = 1000
MAX_PARTITIONS = 256
MAX_DECIMAL_DIGITS = 38
MAX_FIXED_BYTES = 1 << 16


class Category(StrEnum):
    """The kind of a resource (R-032)."""

    BASE = "base"
    """基础信息资源"""
    THEME = "theme"
    """主题信息资源"""
    BUSINESS = "business"
    """业务信息资源"""


class DeliveryMode(StrEnum):
    """How a subscriber may be served (R-111)."""

    KAFKA = "kafka"
    """System docking: the subscriber's system reads its view topic."""
    FRONT_END = "front-end"
    """前置库: the bus keeps tables at the subscriber up to date."""


class Origin(StrEnum):
    """How the organisation came by the information (R-039, R-040)."""

    OWN = "own"
    """Collected by itself, in its duties."""
    THIRD_PARTY = "third-party"
    """Collected through third parties."""
    DELEGATED = "delegated"
    """Managed under legal delegation."""
    SYSTEM = "system"
    """Produced inside an information system."""
    REPORTED = "reported"
    """Reported upward by authorities of a lower level."""


class Secrecy(StrEnum):
    """The secrecy marking (密级); the bus handles nothing that carries one (R-064)."""

    NONE = "none"
    CONFIDENTIAL = "confidential"
    """秘密"""
    SECRET = "secret"  # noqa: S105 (a marking)
    """机密"""
    TOP_SECRET = "top-secret"  # noqa: S105 (a marking)
    """绝密"""


@dataclass(frozen=True, slots=True)
class SpecialRegime:
    """Rules of their own instead of the general ones: geographic information, … (R-037)."""

    code: str
    """As in the profile: `geographic_information`."""
    governing_rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One version of the catalog entry of one information resource."""

    resource: str
    jurisdiction: str
    provider: str
    title_zh: str
    title_en: str
    category: Category
    classification: str
    """Where the resource stands in the catalog (类/项/目)."""
    format: str
    update_limit_days: int
    usage_requirement: str
    delivery_modes: frozenset[DeliveryMode]
    generation: int
    partitions: int
    groups: tuple[ItemGroup, ...]
    items: tuple[DataItem, ...]
    origin: Origin = Origin.OWN
    reporting_level: Level | None = None
    """The level that reported the information upward (R-040)."""
    base_library: str | None = None
    """The base library (基础信息资源库) that this belongs to, as the profile calls it."""
    upper_resource: str | None = None
    """The resource of the higher-level platform that this one would repeat (R-030)."""
    special_regime: SpecialRegime | None = None
    controlled_parameters: tuple[str, ...] = ()
    """管控参数 of the service interface: with any, access needs a review (R-062)."""
    secrecy: Secrecy = Secrecy.NONE

    @property
    def source_topic(self) -> str:
        """The topic of this generation that the provider writes."""
        return source_topic(self.jurisdiction, self.provider, self.resource, self.generation)

    @property
    def dead_letter_topic(self) -> str:
        """The topic of this resource's refused records."""
        return dead_letter_topic(self.jurisdiction, self.resource)

    @property
    def key_items(self) -> tuple[DataItem, ...]:
        """The items that identify a record, in catalog order."""
        return tuple(item for item in self.items if item.key)

    @property
    def item_by_name(self) -> Mapping[str, DataItem]:
        """The items by name."""
        return {item.name: item for item in self.items}

    def rule(self, item: DataItem, scope: Scope) -> ShareRule | None:
        """Return the share rule of `item` for `scope`; None: not offered to that scope."""
        for group in self.groups:
            if group.name == item.group:
                return group.rules.get(scope)
        return None

    def faults(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield (path of the key, what is wrong there) for everything that forbids publication."""
        if not is_code(self.resource):
            yield ("resource",), f"{self.resource!r} is not a code (lower-case words, hyphens)"
        if not is_code(self.jurisdiction):
            yield ("jurisdiction",), f"{self.jurisdiction!r} is not a code (becomes part of topics)"
        if not 1 <= self.partitions <= MAX_PARTITIONS:
            yield ("partitions",), f"must be between 1 and {MAX_PARTITIONS}"
        if self.generation < 1:
            yield ("generation",), "must be 1 or more"
        if self.update_limit_days < 1:
            yield ("update_limit_days",), "must be 1 or more"
        if not self.delivery_modes:
            yield ("delivery_modes",), "name at least one delivery mode"
        yield from self._group_faults()
        yield from self._item_faults()

    def _group_faults(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if not self.groups:
            yield ("groups",), "name at least one item group with its share class"
        for group in self.groups:
            if not group.rules:
                yield ("groups", group.name, "share"), "give a share class for at least one scope"
            for scope, rule in group.rules.items():
                for fault in rule.faults():
                    yield ("groups", group.name, "share", scope), fault

    def _item_faults(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if not self.key_items:
            yield ("items",), "no item has `key: true`; a record could not be identified"
        if len(self.items) > MAX_ITEMS:
            yield ("items",), f"more than {MAX_ITEMS} items"
        groups = {group.name for group in self.groups}
        seen: set[str] = set()
        for index, item in enumerate(self.items):
            path = ("items", str(index))
            if not is_item_name(item.name):
                yield (*path, "name"), f"{item.name!r} cannot name an item (ASCII, no CEL word)"
            if item.name in seen:
                yield (*path, "name"), f"item {item.name!r} stands twice"
            seen.add(item.name)
            if item.group not in groups:
                yield (*path, "group"), f"there is no item group {item.group!r}"
            if item.key and not may_be_key(item.type):
                yield (*path, "type"), "a key item must be string, int, long, date, uuid or enum"
            for fault in _type_faults(item):
                yield (*path, "type"), fault
        yield from self._type_name_faults()

    def _type_name_faults(self) -> Iterator[tuple[tuple[str, ...], str]]:
        named: dict[str, int] = {}
        for index, item in enumerate(self.items):
            for nested in item_types.nested_types(item.type):
                match nested:
                    case (
                        item_types.EnumType(name=name)
                        | item_types.FixedType(name=name)
                        | RecordType(name=name)
                    ):
                        path = ("items", str(index), "type")
                        if not is_type_name(name):
                            yield path, f"{name!r} cannot name a type, or is taken by Avro or us"
                        if name in named:
                            yield path, f"type name {name!r} stands twice"
                        named[name] = index
                    case _:
                        pass


def _type_faults(item: DataItem) -> Iterator[str]:
    if item_types.depth(item.type) >= MAX_DEPTH:
        yield f"nested deeper than {MAX_DEPTH} levels"
    yield from _nested_faults(item.type, {})


def _nested_faults(item_type: item_types.ItemType, enclosing: Mapping[str, bool]) -> Iterator[str]:
    """
    Yield what is wrong inside `item_type`.

    `enclosing` names the records around this place, and whether something between them and here
    (a nullable, an array, a map) lets a value end; a record that holds itself needs that.
    """
    match item_type:
        case item_types.Nullable(inner) | item_types.ArrayType(inner) | item_types.MapType(inner):
            if isinstance(item_type, item_types.Nullable) and isinstance(
                inner, item_types.Nullable
            ):
                yield "nullable twice"
            yield from _nested_faults(inner, dict.fromkeys(enclosing, True))
        case RecordType(name, fields):
            names = [field.name for field in fields]
            if not names or len(set(names)) != len(names):
                yield f"record {name!r} needs fields, each once"
            for field in fields:
                if not is_symbol(field.name):
                    yield f"{field.name!r} cannot name a field (ASCII letters, digits, _)"
                yield from _nested_faults(field.type, {**enclosing, name: False})
        case RecordReference(name):
            if name not in enclosing:
                yield f"{name!r} is neither a type nor a record that encloses this place"
            elif not enclosing[name]:
                yield f"record {name!r} holds itself without end; make the reference nullable"
        case _:
            yield from _leaf_faults(item_type)


def _leaf_faults(item_type: item_types.ItemType) -> Iterator[str]:
    match item_type:
        case item_types.DecimalType(precision, scale):
            if not (1 <= precision <= MAX_DECIMAL_DIGITS and 0 <= scale <= precision):
                yield f"a decimal needs 1 to {MAX_DECIMAL_DIGITS} digits, and no larger scale"
        case item_types.EnumType(_, symbols):
            if not symbols or len(set(symbols)) != len(symbols):
                yield "an enum needs symbols, each once"
            for symbol in symbols:
                if not is_symbol(symbol):
                    yield f"{symbol!r} cannot be an enum symbol (ASCII letters, digits, _)"
        case item_types.FixedType(_, size):
            if not 1 <= size <= MAX_FIXED_BYTES:
                yield f"a fixed needs 1 to {MAX_FIXED_BYTES} bytes"
        case _:
            pass
