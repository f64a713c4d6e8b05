"""
What was before a transaction, so that it can be taken back.

A transaction may change hundreds of thousands of keys. Each is noted as bytes behind those of the
others, so that no object is kept for it.

The module is compiled where there is a C compiler: `undo_log.pxd` has the types.
"""

from typing import Final

#: Bits of a byte, and those two of which the size of a key is made.
_BYTE: Final = 8
_LOWER: Final = 0xFF
#: What has taken more memory than this lets go of it when it is cleared.
_KEPT_BYTES: Final = 64 << 10


class UndoLog:
    """Keys, of up to 65,535 bytes each, and what belonged to each before it was changed."""

    def __init__(self) -> None:
        #: The keys, each with its size in two bytes behind it: they are read from the end.
        self._keys = bytearray()
        self._before: list[int] = []

    def __len__(self) -> int:
        return len(self._before)

    def note(self, key: bytes, before: int) -> None:
        """Note that `before` belonged to `key` until now."""
        size = len(key)
        self._keys += key
        self._keys.append(size & _LOWER)
        self._keys.append(size >> _BYTE)
        self._before.append(before)

    def take(self) -> tuple[bytes, int]:
        """Take the change that was noted last out; return its key, and what belonged to it."""
        before = self._before.pop()
        end = len(self._keys) - 2
        start = end - (self._keys[end] | self._keys[end + 1] << _BYTE)
        key = bytes(self._keys[start:end])
        del self._keys[start:]
        return key, before

    def clear(self) -> None:
        """Forget all of it."""
        if len(self._keys) > _KEPT_BYTES:
            self._keys = bytearray()
        else:
            self._keys.clear()
        self._before.clear()
