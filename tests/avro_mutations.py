"""
What may happen to the bytes of a record: seeded mutations, blind ones and ones that know Avro.

Blind ones flip, remove, insert, copy and cut; the others write numbers (lengths, counts, indexes)
and blocks anew where a `strict_avro.Reading` says that they stand.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.strict_avro import Reading

Chance: TypeAlias = random.Random

_BYTES = bytes([0x00, 0x01, 0x02, 0x03, 0x7F, 0x80, 0x81, 0xC0, 0xED, 0xFE, 0xFF])
_EDGES = [
    *(sign * ((1 << bits) + more) for bits in (5, 6, 7, 13, 31, 32, 40, 62) for sign in (1, -1)
      for more in (-1, 0, 1)),
    0, 1, -1, 2, -2, 3, 1024, 1025, -1024, -1025, (1 << 63) - 1, -(1 << 63), 1 - (1 << 63),
]  # fmt: skip
_UUID = b"00000000-0000-4000-8000-00000000000a"
#: What bytes and texts may hold: numbers at the edge of decimals, UUIDs and nearly so, text.
_CONTENTS = [
    *(
        number.to_bytes(17, "big", signed=True)
        for digits in (1, 2, 9, 38)
        for number in (10**digits - 1, 10**digits, 1 - 10**digits, -(10**digits))
    ),
    *(_UUID, _UUID.upper(), _UUID.replace(b"-", b""), _UUID[:-1], _UUID + b"\n"),
    *(b"", b"\0", b"a" * 200 + b"\0", "王".encode(), "王".encode()[:2], b"\xc0\x80", b"\xff"),
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\x7f" * 17),
]
#: The longest varint that a mutation writes, one more than is allowed.
_LONGEST = 11


@dataclass(frozen=True, slots=True)
class Original:
    """A well-formed record, from where its first field begins."""

    body: bytes
    reading: Reading


_Mutation: TypeAlias = Callable[[bytes, Chance, Original], bytes]


def varint(value: int, length: int = 0) -> bytes:
    """Return `value` as a zigzag varint of at least `length` bytes, with or without need."""
    left = value * 2 if value >= 0 else -value * 2 - 1
    groups: list[int] = []
    while left or not groups:
        groups.append(left & 0x7F)
        left >>= 7
    groups += [0] * (length - len(groups))
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def mutate(original: Original, others: Sequence[Original], chance: Chance) -> bytes:
    """Return the body of `original`, changed in one to three ways; parts may be of `others`."""
    if chance.random() < 0.4 and original.reading.numbers:
        body = chance.choice(_KNOWING)(original.body, chance, original)
        if chance.random() < 0.8:
            return body
    else:
        body = original.body
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        body = chance.choice(_BLIND)(body, chance, chance.choice(others))
    return body


def _place(body: bytes, chance: Chance) -> int:
    return chance.randrange(len(body) + 1)


def _flip(body: bytes, chance: Chance, _other: Original) -> bytes:
    if not body:
        return body
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1 :]


def _set(body: bytes, chance: Chance, _other: Original) -> bytes:
    at = _place(body, chance)
    return body[:at] + bytes([chance.choice(_BYTES)]) + body[at + 1 :]


def _remove(body: bytes, chance: Chance, _other: Original) -> bytes:
    at = _place(body, chance)
    return body[:at] + body[at + chance.randint(1, 8) :]


def _insert(body: bytes, chance: Chance, _other: Original) -> bytes:
    at = _place(body, chance)
    return body[:at] + bytes(chance.choices(_BYTES, k=chance.randint(1, 8))) + body[at:]


def _double(body: bytes, chance: Chance, _other: Original) -> bytes:
    at = _place(body, chance)
    return body[:at] + body[at : at + chance.randint(1, 16)] + body[at:]


def _repeat(body: bytes, chance: Chance, _other: Original) -> bytes:
    """Say the same so often that it may be too deep, or too many."""
    at = _place(body, chance)
    times = chance.randint(*chance.choice([(58, 66), (30, 140)]))
    return body[:at] + body[at : at + chance.randint(1, 4)] * times + body[at:]


def _cut(body: bytes, chance: Chance, _other: Original) -> bytes:
    return body[: _place(body, chance)]


def _append(body: bytes, chance: Chance, _other: Original) -> bytes:
    return body + bytes(chance.choices(_BYTES, k=chance.randint(1, 4)))


def _splice(body: bytes, chance: Chance, other: Original) -> bytes:
    """Put the end of another record in the place of this one's."""
    return body[: _place(body, chance)] + other.body[_place(other.body, chance) :]


def _number_anywhere(body: bytes, chance: Chance, _other: Original) -> bytes:
    at = _place(body, chance)
    return body[:at] + varint(chance.choice(_EDGES)) + body[at + 1 :]


def _number(body: bytes, chance: Chance, original: Original) -> bytes:
    """Give a number another value: one near it, or one at an edge."""
    start, end = chance.choice(original.reading.numbers)
    near = _value(body[start:end]) + chance.choice([-2, -1, 1, 2])
    value = near if chance.random() < 0.5 else chance.choice(_EDGES)
    return body[:start] + varint(value) + body[end:]


def _overlong(body: bytes, chance: Chance, original: Original) -> bytes:
    """Write a number with more bytes than it needs."""
    start, end = chance.choice(original.reading.numbers)
    length = chance.randint(end - start, _LONGEST)
    return body[:start] + varint(_value(body[start:end]), length) + body[end:]


def _content(body: bytes, chance: Chance, original: Original) -> bytes:
    """Put other bytes in the place of bytes or a text, with the length that they have."""
    start, end = chance.choice(original.reading.counted)
    content = chance.choice(_CONTENTS)
    return body[:start] + varint(len(content)) + content + body[end:]


def _sized(body: bytes, chance: Chance, original: Original) -> bytes:
    """Say how many bytes a block has, which is legal; now and then, say it wrongly."""
    if not original.reading.blocks:
        return body
    block = chance.choice(original.reading.blocks)
    size = block.end - block.items + chance.choice([0, 0, 0, 0, 1, -1, 40])
    return (
        body[: block.start]
        + varint(-block.count)
        + varint(size)
        + body[block.items : block.end]
        + body[block.end :]
    )


def _in_two(body: bytes, chance: Chance, original: Original) -> bytes:
    """Write the items of a block in two, which is legal if there are two."""
    if not original.reading.blocks:
        return body
    block = chance.choice(original.reading.blocks)
    return (
        body[: block.start]
        + varint(1)
        + body[block.items : block.second]
        + varint(block.count - 1)
        + body[block.second :]
    )


def _value(number: bytes) -> int:
    raw = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(number))
    return (raw >> 1) ^ -(raw & 1)


_BLIND: list[_Mutation] = [
    _flip,
    _set,
    _remove,
    _insert,
    _double,
    _repeat,
    _cut,
    _append,
    _splice,
    _number_anywhere,
]
_KNOWING: list[_Mutation] = [_number, _number, _overlong, _content, _sized, _in_two]
