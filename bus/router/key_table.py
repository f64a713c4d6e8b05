"""
Keys and what goes with each, in little memory: 20 to 35 bytes a key besides the key itself.

A dictionary takes ten times as much, and a router has to hold ten million keys. The module is
compiled where there is a C compiler: `key_table.pxd` has the types.
"""

from array import array
from collections.abc import Iterator
from typing import Final

_FEWEST: Final = 1024
#: A slot is a number of 64 bits.
_HALF = 32
_LOWER = 0xFFFFFFFF
#: Whether this runs as compiled code.
_COMPILED = not __file__.endswith(".py")


class KeyTable:
    """
    Key -> bits; 0 means that the key is not there. Exact: keys are stored and compared whole.

    An open hash table, over entries in the order in which they came: where the key ends in one long
    buffer, and the number of its bits among the few that occur. A slot holds a hash and the number
    of an entry, so that looking for what is not there, the most frequent case, reads little else.
    Entries whose bits have become 0 stay until the table is built anew.
    """

    def __init__(self) -> None:
        self._patterns: list[int] = [0]
        self._numbers: dict[int, int] = {0: 0}
        self._entries = 0
        self._live = 0
        self._used = 0
        self._allocate(_FEWEST, _FEWEST * 16)

    def __len__(self) -> int:
        return self._live

    def get(self, key: bytes) -> int:
        """Return the bits of `key`."""
        entry = self._entry(key, _hash32(key))
        return 0 if entry < 0 else self._patterns[self._bits[entry]]

    def expect(self, key: bytes) -> None:
        """Let the processor fetch what `get` looks at first, which is where it would wait."""
        if _COMPILED:
            # key_table.pxd has it.
            _fetch(self._slots, _hash32(key) & self._mask)  # type: ignore[name-defined]  # noqa: F821

    def put(self, key: bytes, bits: int) -> None:
        """Make `bits` those of `key`."""
        number = self._numbers.get(bits, -1)
        if number < 0:
            number = self._numbers[bits] = len(self._patterns)
            self._patterns.append(bits)
        hashed = _hash32(key)
        entry = self._entry(key, hashed)
        if entry < 0:
            if number:
                self._add(key, hashed, number)
        else:
            self._live += (number != 0) - (self._bits[entry] != 0)
            self._bits[entry] = number

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Yield the keys that are there and their bits; bits may be changed meanwhile."""
        for entry in range(self._entries):
            number = self._bits[entry]
            if number:
                yield self._key(entry), self._patterns[number]

    def _allocate(self, entries: int, room: int) -> None:
        """Take memory for `entries` entries and `room` bytes of keys; what was there is dropped."""
        self._most = entries
        self._room = room
        # At most three of four slots are taken, and mostly fewer.
        slots = 1 << (entries * 4 // 3).bit_length()
        self._mask = slots - 1
        # 0 is a free slot; others are a hash and, in the lower half, an entry number from 1.
        self._slots = array("Q", bytes(slots * 8))
        self._bits = array("I", bytes(entries * 4))
        self._ends = array("Q", bytes(entries * 8 + 8))
        self._buffer = bytearray(room)
        self._seen_buffer = self._buffer

    def _key(self, entry: int) -> bytes:
        return bytes(self._seen_buffer[self._ends[entry] : self._ends[entry + 1]])

    def _entry(self, key: bytes, hashed: int) -> int:
        """Return the number of the entry of `key`, -1 if there is none."""
        slot = hashed & self._mask
        held = self._slots[slot]
        while held:
            if held >> _HALF == hashed:
                entry = (held & _LOWER) - 1
                if self._is_key(entry, key):
                    return entry
            slot = (slot + 1) & self._mask
            held = self._slots[slot]
        return -1

    def _is_key(self, entry: int, key: bytes) -> bool:
        start = self._ends[entry]
        size = self._ends[entry + 1] - start
        if size != len(key):
            return False
        if not _COMPILED:
            return self._buffer[start : start + size] == key
        # key_table.pxd has it.
        return _is_same(self._buffer, start, key)  # type: ignore[name-defined,no-any-return]  # noqa: F821

    def _add(self, key: bytes, hashed: int, number: int) -> None:
        if self._entries == self._most or self._used + len(key) > self._room:
            self._rebuild(len(key))
        self._append(key, hashed, number)

    def _append(self, key: bytes, hashed: int, number: int) -> None:
        size = len(key)
        if _COMPILED:
            for at in range(size):
                self._buffer[self._used + at] = key[at]
        else:
            self._buffer[self._used : self._used + size] = key
        self._used += size
        entry = self._entries
        self._ends[entry + 1] = self._used
        self._bits[entry] = number
        self._entries += 1
        self._live += 1
        shifted = hashed
        self._place(shifted << _HALF | self._entries)

    def _place(self, held: int) -> None:
        """Put what a slot holds where it belongs."""
        slot = (held >> _HALF) & self._mask
        while self._slots[slot]:
            slot = (slot + 1) & self._mask
        self._slots[slot] = held

    def _rebuild(self, wanted: int) -> None:
        """Make room for a key of `wanted` bytes: without dead entries, and larger if need be."""
        slots, bits, ends, buffer = self._slots, self._bits, self._ends, self._seen_buffer
        entries, most, room = self._entries, self._most, self._room
        if self._live > most * 3 // 4:
            most += most // 2
        used = self._used
        while used + wanted > room:
            room += room // 2
        self._allocate(most, room)
        if self._live == entries:
            # Nothing is left out, so everything keeps its place.
            self._bits[:entries] = bits[:entries]
            self._ends[: entries + 1] = ends[: entries + 1]
            self._seen_buffer[:used] = memoryview(buffer)[:used]
            for old in range(len(slots)):
                held = slots[old]
                if held:
                    self._place(held)
        else:
            self._entries = self._live = self._used = 0
            for old in range(entries):
                if bits[old]:
                    key = bytes(buffer[ends[old] : ends[old + 1]])
                    self._append(key, _hash32(key), bits[old])


def _hash32(key: bytes) -> int:
    return hash(key) & _LOWER
