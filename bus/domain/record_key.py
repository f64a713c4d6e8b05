"""
The Kafka key of a record and the partition it belongs in (design.md §4).

One key item: its text. Several: a compact JSON array. Partition = murmur2(key) mod n, as Java's
default partitioner and librdkafka's `murmur2_random` compute it.
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Final, TypeAlias

from bus.domain.items import EnumType, ItemType, Scalar

#: What identifies a record must have exactly one spelling.
KEY_SCALARS: Final = frozenset({Scalar.STRING, Scalar.INT, Scalar.LONG, Scalar.DATE, Scalar.UUID})
#: Keys are kept in memory by router and subscribers, and Kafka compacts by them.
KEY_MAX_BYTES: Final = 1024

KeyPart: TypeAlias = str | int | dt.date

_MASK = 0xFFFFFFFF
_MURMUR_SEED = 0x9747B28C
_MURMUR_FACTOR = 0x5BD1E995
_MURMUR_SHIFT = 24


def may_be_key(item_type: ItemType) -> bool:
    """Tell whether an item of this type may be (part of) a record key."""
    return item_type in KEY_SCALARS if isinstance(item_type, Scalar) else _is_enum(item_type)


def record_key(parts: Sequence[KeyPart]) -> bytes:
    """Return the Kafka key of a record whose key items have these values, in catalog order."""
    if len(parts) == 1:
        return _text(parts[0]).encode()
    spelled = [part if isinstance(part, int) else _text(part) for part in parts]
    return json.dumps(spelled, ensure_ascii=False, separators=(",", ":")).encode()


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of `key` in a topic of `partitions` partitions."""
    if partitions == 1:
        return 0
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return the unsigned 32-bit murmur2 hash of `data`, with Kafka's seed."""
    length = len(data)
    whole = length & ~3
    hashed = (_MURMUR_SEED ^ length) & _MASK
    for start in range(0, whole, 4):
        word = data[start] | data[start + 1] << 8 | data[start + 2] << 16 | data[start + 3] << 24
        word = word * _MURMUR_FACTOR & _MASK
        word ^= word >> _MURMUR_SHIFT
        hashed = (hashed * _MURMUR_FACTOR & _MASK) ^ (word * _MURMUR_FACTOR & _MASK)
    if whole != length:
        hashed ^= int.from_bytes(data[whole:], "little")
        hashed = hashed * _MURMUR_FACTOR & _MASK
    hashed ^= hashed >> 13
    hashed = hashed * _MURMUR_FACTOR & _MASK
    return hashed ^ hashed >> 15


def _is_enum(item_type: ItemType) -> bool:
    return isinstance(item_type, EnumType)


def _text(part: KeyPart) -> str:
    if isinstance(part, dt.date):
        return part.isoformat()
    return str(part)
