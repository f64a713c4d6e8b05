"""
Which views with a row filter hold which keys, for one source partition.

A tombstone goes to a view only if the key is a known member, so membership decides what subscribers
may learn. It changes with an undo log per transaction, and moves to a file when it outgrows memory.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from typing import Protocol

#: About 200 bytes a key in memory; beyond this the keys of a partition live in a file.
DEFAULT_MEMORY_KEYS = 2_000_000


class Membership:
    """Key -> bits of the views that hold it. Bits are the caller's; 0 means "no view"."""

    def __init__(self, *, memory_keys: int = DEFAULT_MEMORY_KEYS) -> None:
        self._memory_keys = memory_keys
        self._store: _Store = _MemoryStore()
        self._undo: list[tuple[bytes, int]] = []

    def __len__(self) -> int:
        return self._store.count()

    def get(self, key: bytes) -> int:
        """Return the bits of the views that hold `key`."""
        return self._store.get(key)

    def set(self, key: bytes, bits: int) -> None:
        """Make `bits` the views that hold `key`; undone unless `settle` follows."""
        before = self._store.get(key)
        if before == bits:
            return
        self._undo.append((key, before))
        self._store.put(key, bits)
        if isinstance(self._store, _MemoryStore) and len(self) > self._memory_keys:
            spilled = _FileStore()
            spilled.fill(self._store.items())
            self._store = spilled

    def settle(self) -> None:
        """Keep what was set since the last `settle` or `undo`."""
        self._undo.clear()

    def undo(self) -> None:
        """Take back what was set since the last `settle`."""
        while self._undo:
            self._store.put(*self._undo.pop())

    def forget(self, bits: int) -> None:
        """Take `bits` out of every key, for views that have ended. Not undone."""
        for key, held in list(self._store.items()):
            if held & bits:
                self._store.put(key, held & ~bits)

    def close(self) -> None:
        """Remove the file, if there is one."""
        self._store.close()


class _Store(Protocol):
    def get(self, key: bytes) -> int: ...
    def put(self, key: bytes, bits: int) -> None: ...
    def items(self) -> Iterator[tuple[bytes, int]]: ...
    def count(self) -> int: ...
    def close(self) -> None: ...


class _MemoryStore:
    def __init__(self) -> None:
        self._bits: dict[bytes, int] = {}

    def get(self, key: bytes) -> int:
        return self._bits.get(key, 0)

    def put(self, key: bytes, bits: int) -> None:
        if bits:
            self._bits[key] = bits
        else:
            self._bits.pop(key, None)

    def items(self) -> Iterator[tuple[bytes, int]]:
        return iter(self._bits.items())

    def count(self) -> int:
        return len(self._bits)

    def close(self) -> None:
        self._bits.clear()


class _FileStore:
    """
    A table in a temporary file. It is rebuilt at every start, so nothing is ever synced.

    Bits are stored as bytes: a resource may have more views than an SQLite integer has bits.
    """

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="onesource-membership-")  # noqa: SIM115
        self._db = sqlite3.connect(self._file.name, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA cache_size = -65536")
        self._db.execute("CREATE TABLE member (key BLOB PRIMARY KEY, bits BLOB) WITHOUT ROWID")
        self._count = 0

    def fill(self, items: Iterator[tuple[bytes, int]]) -> None:
        self._db.execute("BEGIN")
        for key, bits in items:
            self.put(key, bits)
        self._db.execute("COMMIT")

    def get(self, key: bytes) -> int:
        row = self._db.execute("SELECT bits FROM member WHERE key = ?", (key,)).fetchone()
        return int.from_bytes(row[0], "big") if row else 0

    def put(self, key: bytes, bits: int) -> None:
        known = bool(self.get(key))
        if bits:
            written = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
            self._db.execute("INSERT OR REPLACE INTO member VALUES (?, ?)", (key, written))
        elif known:
            self._db.execute("DELETE FROM member WHERE key = ?", (key,))
        self._count += bool(bits) - known

    def items(self) -> Iterator[tuple[bytes, int]]:
        for key, bits in self._db.execute("SELECT key, bits FROM member"):
            yield key, int.from_bytes(bits, "big")

    def count(self) -> int:
        return self._count

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        self._file.close()
