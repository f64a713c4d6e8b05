"""
Which views with a row filter hold which keys, for one source partition.

A tombstone goes to a view only if the key is a known member, so membership decides what subscribers
may learn. It changes with an undo log per transaction. A few keys are in a dictionary, many in a
table of a tenth of its size, and what outgrows the memory that a partition may take in a file.

The module is compiled where there is a C compiler: `membership.pxd` has the types.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from bus.router.key_table import KeyTable
from bus.router.undo_log import UndoLog
from bus.views.held import Held

#: Beyond this the keys of a partition are in a table: 20 to 35 bytes each, and the key.
TABLE_KEYS: Final = 50_000
#: Beyond this they are in a file.
DEFAULT_MEMORY_KEYS: Final = 10_000_000


class Membership(Held):
    """Key -> bits of the views that hold it. Bits are the caller's; 0 means "no view"."""

    def __init__(
        self, *, table_keys: int = TABLE_KEYS, memory_keys: int = DEFAULT_MEMORY_KEYS
    ) -> None:
        self._table_keys = min(table_keys, memory_keys)
        self._memory_keys = memory_keys
        self._store: _Store = _DictStore()
        #: Asked for each record, and so without a detour: the store, or the table that it has.
        self._get: Callable[[bytes], int | None] = self._store.get
        self._table: KeyTable | None = None
        self._most: float = self._table_keys
        self._undo = UndoLog()

    def __len__(self) -> int:
        return self._store.count()

    # What is compiled takes no decorators.
    def get(self, key: bytes) -> int:  # type: ignore[explicit-override]
        """Return the bits of the views that hold `key`."""
        if self._table is not None:
            return self._table.get(key)
        return self._get(key) or 0

    def expect(self, key: bytes) -> None:  # type: ignore[explicit-override]
        """Get ready to be asked for `key`."""
        if self._table is not None:
            self._table.expect(key)

    def set(self, key: bytes, bits: int) -> None:
        """Make `bits` the views that hold `key`; undone unless `settle` follows."""
        self.change(key, self.get(key), bits)

    def change(self, key: bytes, before: int, bits: int) -> None:
        """Make `bits` the views that hold `key`, which are `before` now; see `set`."""
        if before == bits:
            return
        self._undo.note(key, before)
        self._put(key, bits)

    def load(self, key: bytes, bit: int, *, held: bool) -> None:
        """Note whether the view of `bit` holds `key`, while nothing can be undone yet."""
        before = self.get(key)
        self._put(key, before | bit if held else before & ~bit)

    def settle(self) -> None:
        """Keep what was set since the last `settle` or `undo`."""
        self._undo.clear()

    def undo(self) -> None:
        """Take back what was set since the last `settle`."""
        while len(self._undo):
            self._store.put(*self._undo.take())

    def forget(self, bits: int) -> None:
        """Take `bits` out of every key, for views that have ended. Not undone."""
        for key, held in list(self._store.items()):
            if held & bits:
                self._store.put(key, held & ~bits)

    def close(self) -> None:
        """Remove the file, if there is one."""
        self._store.close()

    def _put(self, key: bytes, bits: int) -> None:
        if self._table is not None:
            self._table.put(key, bits)
            held = len(self._table)
        else:
            self._store.put(key, bits)
            held = self._store.count()
        if held > self._most:
            self._outgrow()

    def _outgrow(self) -> None:
        """Move to the next larger kind of store."""
        small = self._store
        if isinstance(small, _DictStore) and self._table_keys < self._memory_keys:
            table = _TableStore()
            self._store, self._most, self._table = table, self._memory_keys, table.table
        else:
            self._store, self._most, self._table = _FileStore(), float("inf"), None
        self._store.fill(small.items())
        small.close()
        self._get = self._store.get


class _Store(Protocol):
    @property
    def get(self) -> Callable[[bytes], int | None]: ...
    def put(self, key: bytes, bits: int) -> None: ...
    def items(self) -> Iterator[tuple[bytes, int]]: ...
    def count(self) -> int: ...
    def fill(self, items: Iterator[tuple[bytes, int]]) -> None: ...
    def close(self) -> None: ...


class _DictStore:
    def __init__(self) -> None:
        self._bits: dict[bytes, int] = {}
        self.get: Callable[[bytes], int | None] = self._bits.get

    def fill(self, items: Iterator[tuple[bytes, int]]) -> None:
        self._bits.update(items)

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


class _TableStore:
    def __init__(self) -> None:
        self.table = KeyTable()
        # What is asked for each record is asked of the table itself.
        self.get = self.table.get
        self.put = self.table.put
        self.items = self.table.items

    def fill(self, items: Iterator[tuple[bytes, int]]) -> None:
        for key, bits in items:
            self.put(key, bits)

    def count(self) -> int:
        return len(self.table)

    def close(self) -> None:
        """Nothing to remove: memory goes with the store."""


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
