"""
The records that are measured with: 10 items, about 86 bytes in Avro, each with a key of its own.

They look like entries of an address register, and follow from a seed.
"""

import datetime as dt
import random
import string
import uuid
from collections.abc import Sequence
from typing import Any, TypeAlias

from bus.domain.items import DataItem, EnumType, ItemType, Nullable, Scalar
from producers.publication import Publication
from producers.record_encoder import RecordEncoder

#: Item name -> value.
Content: TypeAlias = dict[str, Any]
#: Key and value as they stand on the source topic.
Encoded: TypeAlias = tuple[bytes, bytes]

#: A row filter on `tier` passes one record in ten, or all.
TIERS = 10
ONE_IN_TEN = "tier == 0"
EVERY_ONE = "tier >= 0"

_GROUP = "base"
_TYPES: dict[str, ItemType] = {
    "code": Scalar.STRING,
    "name": Scalar.STRING,
    "county": Scalar.STRING,
    "tier": Scalar.INT,
    "kind": EnumType("Kind", ("URBAN", "RURAL", "MIXED")),
    "population": Nullable(Scalar.LONG),
    "since": Scalar.DATE,
    "address": Scalar.STRING,
    "area": Scalar.DOUBLE,
    "phone": Scalar.STRING,
}
ITEMS = tuple(
    DataItem(
        name=name,
        title_zh=f"数据项 {name}",
        title_en=name,
        type=item_type,
        group=_GROUP,
        key=name == "code",
    )
    for name, item_type in _TYPES.items()
)
#: What the views leave out. What the router adds to `meta` makes up for it: records of source and
#: view have about the same size.
_OMITTED = frozenset({"area", "phone"})
KEPT = tuple(item.name for item in ITEMS if item.name not in _OMITTED)

_POOL_LETTERS = 100_000

_NAMES = ("永安街道社区", "新华街道社区", "东风街道社区", "和平街道社区")
_FIRST_DAY = dt.date(1990, 1, 1).toordinal()
_DAYS = 12_000
_OCCURRED_AT = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


class Register:
    """Makes records; no two have the same key."""

    def __init__(self, seed: int, *, padding: int = 0) -> None:
        """Make records whose address, which views keep, is `padding` bytes longer."""
        self._random = random.Random(seed)
        self._padding = padding
        #: Cut from this at random places, so that records do not compress better for being padded.
        self._pool = "".join(
            random.Random(seed).choices(string.ascii_letters, k=_POOL_LETTERS + padding)
        )
        self._made = 0

    def take(self, count: int, *, counties: int = 100) -> list[Content]:
        """Return the next `count` records; tiers and counties come in turn."""
        return [self._next(number, counties) for number in range(count)]

    def encode(self, publication: Publication, contents: Sequence[Content]) -> list[Encoded]:
        """Return records as their provider writes them."""
        encoder = RecordEncoder(publication)
        return [
            (
                encoder.key(content),
                encoder.value(
                    encoder.items(content),
                    event_id=uuid.UUID(bytes=self._random.randbytes(16)),
                    occurred_at=_OCCURRED_AT + dt.timedelta(milliseconds=number),
                ),
            )
            for number, content in enumerate(contents)
        ]

    def _next(self, number: int, counties: int) -> Content:
        self._made += 1
        chance = self._random
        start = chance.randrange(_POOL_LETTERS) if self._padding else 0
        padding = self._pool[start : start + self._padding]
        return {
            "code": f"{self._made:012d}",
            "name": chance.choice(_NAMES),
            "county": county(number % counties),
            "tier": number % TIERS,
            "kind": chance.choice(("URBAN", "RURAL", "MIXED")),
            "population": chance.randrange(10_000, 1_000_000),
            "since": dt.date.fromordinal(_FIRST_DAY + chance.randrange(_DAYS)),
            "address": f"中山路{chance.randrange(100, 1000)}号{padding}",
            "area": chance.random() * 100,
            "phone": f"0898-{chance.randrange(10_000_000, 100_000_000)}",
        }


def county(number: int) -> str:
    """Return a county code."""
    return f"{460_000 + number}"
