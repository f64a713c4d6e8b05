"""Rows as digests, so that views of any size can be compared in little memory."""

import datetime as dt
import decimal
import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_DIGEST_BYTES = 16
_EXAMPLES = 10


class RowDigests:
    """Key -> digest of the row."""

    def __init__(self) -> None:
        self._digests: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._digests)

    def put(self, key: bytes, row: Mapping[str, Any] | None) -> None:
        """Make `row` the row of `key`; None: there is none any more."""
        if row is None:
            self._digests.pop(key, None)
        else:
            self._digests[key] = row_digest(row)

    def leave_out(self, keys: Iterable[bytes]) -> None:
        """Forget the rows of `keys`."""
        for key in keys:
            self._digests.pop(key, None)

    def digest(self) -> str:
        """Return one digest of all keys and rows, whatever order they came in."""
        whole = hashlib.sha256()
        for key in sorted(self._digests):
            whole.update(len(key).to_bytes(4, "big") + key + self._digests[key])
        return whole.hexdigest()[:32]

    def compare(self, other: "RowDigests") -> "Comparison":
        """Return how `other` differs from this, which is how it must be."""
        ours, theirs = self._digests, other._digests  # noqa: SLF001 (the same class)
        missing = sorted(ours.keys() - theirs.keys())
        extra = sorted(theirs.keys() - ours.keys())
        different = sorted(
            key for key, digest in ours.items() if key in theirs and theirs[key] != digest
        )
        return Comparison(
            expected=len(ours),
            found=len(theirs),
            expected_digest=self.digest(),
            found_digest=other.digest(),
            missing=len(missing),
            extra=len(extra),
            different=len(different),
            examples=tuple(_examples(missing, extra, different)),
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """How what was found differs from what must be."""

    expected: int
    found: int
    expected_digest: str
    found_digest: str
    missing: int
    extra: int
    different: int
    examples: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.extra or self.different)


def _examples(missing: list[bytes], extra: list[bytes], different: list[bytes]) -> Iterator[str]:
    for what, keys in (("missing", missing), ("not granted", extra), ("different", different)):
        for key in keys[:_EXAMPLES]:
            yield f"{what}: {key.decode(errors='replace')}"


def row_digest(row: Mapping[str, Any]) -> bytes:
    """Return the digest of a row; equal values have equal digests wherever they were read."""
    text = json.dumps(plain(row), ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def plain(value: Any) -> Any:  # noqa: ANN401 (any item)
    """Return `value` in the one JSON form that all stores' values of it are brought to."""
    match value:
        case dict() | Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case bool() | int() | str() | None:
            return value
        case float():
            # Single precision is how a `float` item and a `real` column agree.
            return struct.pack("<f", value).hex() if abs(value) < _FLOAT_MAX else str(value)
        case decimal.Decimal():
            return str(value.normalize(_EXACT))
        case bytes() | memoryview():
            return bytes(value).hex()
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat()
        case _:
            return str(value)


_FLOAT_MAX = 3.0e38
#: More digits than any item has: the default context would round to 28.
_EXACT = decimal.Context(prec=100)
