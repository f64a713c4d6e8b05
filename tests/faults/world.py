"""Random resources, records, row filters and grants, all from one seed."""

import datetime as dt
import decimal
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.domain.items import (
    ArrayType,
    DataItem,
    DecimalType,
    EnumType,
    FixedType,
    ItemType,
    MapType,
    Nullable,
    RecordField,
    RecordType,
    Scalar,
)
from bus.domain.view import Treatment
from tests import builders

WORDS = ["a", "b", "ab", "街道", "镇", ""]
KEYS = [f"k{number}" for number in range(9)] + ["镇"]
MOMENT = 'timestamp("2020-06-01T00:00:00Z")'

Values = Callable[[random.Random], Any]
#: (name of the item, chance) -> a row filter on it
Filters = Callable[[str, random.Random], str]


def _date(chance: random.Random) -> dt.date:
    return dt.date(2020, 1, 1) + dt.timedelta(days=chance.randrange(365))


def _moment(chance: random.Random) -> dt.datetime:
    return dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=chance.randrange(31536000))


def _any_of(*forms: str) -> Filters:
    return lambda name, chance: chance.choice(forms).replace("@", name)


def _plain_types(name: str) -> list[tuple[ItemType, Values, Filters | None]]:
    """Return types for an item called `name`, each with values and filters for it."""
    return [
        (
            Scalar.STRING,
            lambda chance: chance.choice(WORDS),
            _any_of(
                '@ == "a"', '@ != "b"', '@ in ["a", "镇"]', '@.contains("街")', '@.startsWith("a")'
            ),
        ),
        (Scalar.INT, lambda chance: chance.randrange(-3, 4), _any_of("@ > 0", "@ in [1, 2]")),
        (Scalar.LONG, lambda chance: chance.randrange(-3, 4), _any_of("@ <= 1", "!(@ == 2)")),
        (Scalar.BOOLEAN, lambda chance: chance.random() < 0.5, _any_of("@", "!@")),
        (
            Scalar.DOUBLE,
            lambda chance: chance.choice([-0.5, 0.0, 0.25, 1e9]),
            _any_of("@ >= 0.25", "@ < 0.0"),
        ),
        (Scalar.DATE, _date, _any_of(f"@ > {MOMENT}")),
        (Scalar.TIMESTAMP_MICROS, _moment, _any_of(f"@ <= {MOMENT}")),
        (
            DecimalType(6, 2),
            lambda chance: decimal.Decimal(chance.randrange(-300, 300)) / 100,
            _any_of("@ > 1.5", "@ < 0.0"),
        ),
        (
            EnumType(f"{name}_enum", ("TOWN", "CITY")),
            lambda chance: chance.choice(["TOWN", "CITY"]),
            _any_of('@ == "TOWN"'),
        ),
        (Scalar.BYTES, lambda chance: chance.randbytes(chance.randrange(4)), None),
        (FixedType(f"{name}_fixed", 3), lambda chance: chance.randbytes(3), None),
        (Scalar.UUID, lambda chance: uuid.UUID(int=chance.getrandbits(128)), None),
        (
            ArrayType(Scalar.STRING),
            lambda chance: chance.choices(WORDS, k=chance.randrange(3)),
            _any_of('@.exists(e, e == "a")', "size(@) > 1"),
        ),
        (
            MapType(Scalar.LONG),
            lambda chance: dict.fromkeys(chance.sample(WORDS, chance.randrange(3)), 1),
            _any_of('"a" in @'),
        ),
        (
            RecordType(
                f"{name}_record",
                (RecordField("label", Scalar.STRING), RecordField("n", Nullable(Scalar.LONG))),
            ),
            lambda chance: {
                "label": chance.choice(WORDS),
                "n": chance.choice([None, 1, 5]),
            },
            _any_of('@.label == "a"', "@.n > 2"),
        ),
        (
            Nullable(Scalar.INT),
            lambda chance: chance.choice([None, -1, 3]),
            _any_of("@ > 0", "@ == null || @ < 0"),
        ),
        (
            Nullable(Scalar.TIMESTAMP_MICROS),
            lambda chance: chance.choice([None, _moment(chance)]),
            _any_of(f"@ != null && @ > {MOMENT}"),
        ),
    ]


@dataclass
class Resource:
    """A random resource as it is now: its entry, values for its items, filters on them."""

    entry: CatalogEntry
    values: dict[str, Values]
    filters: dict[str, Filters]
    grants: dict[str, Grant]

    def record(self, key: str, chance: random.Random) -> dict[str, Any]:
        """Return a random record."""
        record: dict[str, Any] = {"code": key}
        record.update({name: make(chance) for name, make in self.values.items()})
        return record

    def row_filter(self, chance: random.Random) -> str | None:
        """Return a random row filter, or none."""
        if not self.filters or chance.random() < 0.25:
            return None
        names = chance.choices(sorted(self.filters), k=chance.randint(1, 2))
        parts = [f"({self.filters[name](name, chance)})" for name in names]
        return chance.choice([" && ", " || "]).join(parts)

    def random_grant(self, code: str, chance: random.Random) -> Grant:
        """Return a random grant on this resource."""
        kept = ["code", *(name for name in self.values if chance.random() < 0.6)]
        return builders.grant(
            code, resource=self.entry.resource, row_filter=self.row_filter(chance), items=kept
        )

    def amended(self, grant: Grant, chance: random.Random) -> Grant:
        """Return `grant` with another filter, or other items."""
        if chance.random() < 0.6:
            return replace(grant, row_filter=self.row_filter(chance))
        kept = {"code", *(name for name in self.values if chance.random() < 0.6)}
        return replace(grant, treatments=dict.fromkeys(sorted(kept), Treatment.KEEP))

    def grow(self, chance: random.Random) -> None:
        """Add a nullable item: a new entry version."""
        name = f"x{len(self.values)}"
        item_type, make, _ = chance.choice(
            [each for each in _plain_types(name) if not isinstance(each[0], Nullable)]
        )
        item = builders.item(name, Nullable(item_type))
        self.entry = replace(self.entry, items=(*self.entry.items, item))
        self.values[name] = lambda inner: make(inner) if inner.random() < 0.7 else None


def random_resource(code: str, chance: random.Random) -> Resource:
    """Return a random resource without grants."""
    items: list[DataItem] = [builders.key_item("code")]
    values: dict[str, Values] = {}
    filters: dict[str, Filters] = {}
    for number in range(chance.randint(1, 5)):
        name = f"i{number}"
        item_type, make, make_filter = chance.choice(_plain_types(name))
        items.append(builders.item(name, item_type))
        values[name] = make
        if make_filter is not None:
            filters[name] = make_filter
    entry = builders.entry(code, items=items, partitions=chance.choice([1, 1, 2, 3]))
    return Resource(entry, values, filters, {})
